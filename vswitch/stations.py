"""The stations of a switch, as the control plane sees and changes them.

What is learned is between the pollers and the table; what is static is known here as well, because
only the control plane makes such entries, and who makes one wants to know what was there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from vswitch.clock import Clock
from vswitch.core import Core
from vswitch.errors import FdbError, StationExistsError
from vswitch.members import Member
from vswitch.status import FLAGS_AT, LOCKED, ROW, Row, Station
from vswitch.vlans import PortVlans

if TYPE_CHECKING:
    import numpy as np


class Stations:
    """The forwarding database of one switch, whose lock its callers hold.

    Args:
        core: Whose.
        clock: The switch's.
    """

    def __init__(self, core: Core, clock: Clock) -> None:
        self._fdb = core.fdb
        self._clock = clock
        self._static: dict[tuple[int, bytes], Member] = {}
        self._own: dict[int, tuple[int, bytes]] = {}  # what is always at a port, by its number

    def all(self, names: Mapping[int, str]) -> list[Station]:
        """The live entries, in order of address, given the ports' names; needs no lock."""
        found = [
            Station.of_row(row, names[port]) for row in self._rows() if (port := row[2]) in names
        ]
        return sorted(found, key=lambda s: (s.mac, s.vid))

    def _rows(self) -> Iterator[Row]:
        return ROW.iter_unpack(self._fdb.rows(self._clock.now_s()))

    def array(self) -> np.ndarray[Any, Any]:
        """The same as an array: mac (6 x u1), vid, port, static, flags, age_s."""
        import numpy as np

        row = np.dtype(
            [
                *(("mac", "u1", 6), ("vid", "u2"), ("port", "u2")),
                *(("static", "u1"), ("flags", "u1"), ("age_s", "u4")),
            ]
        )
        return np.frombuffer(self._fdb.rows(self._clock.now_s()), row)

    def counters(self) -> dict[str, int]:
        """Entries, static ones among them, limit, and what happened how often."""
        counters: dict[str, int] = self._fdb.counters()
        return {**counters, "static": len(self._static)}

    def locked(self) -> int:
        """How many only knocked at a locked port."""
        flags = bytes(self._fdb.rows(self._clock.now_s()))[FLAGS_AT :: ROW.size]
        return flags.count(LOCKED)

    def settle(self, member: Member, vid: int | None) -> None:
        """Pin what is always at a member, in *vid*, and nowhere else; None: in no VLAN.

        Raises:
            FdbFullError: a limit is reached.
            StationExistsError: it is pinned to another port.
        """
        mac, was = member.port.station, self._own.get(member.number)
        if mac is None or was == (vid, mac):
            return
        if vid is not None and self._static.get((vid, mac)) is not member:
            self._check_new(mac, vid, move=False)  # before anything is touched
        if was is not None:
            del self._static[was], self._own[member.number]
            self._fdb.delete(*was)
        if vid is not None:
            self._fdb.pin(vid, mac, member.number)
            self._static[vid, mac] = member
            self._own[member.number] = (vid, mac)

    def stay_in(self, number: int, vlans: PortVlans | None) -> None:
        """Forget what was learned at a port in VLANs that it is no longer of.

        It looks at every station, and so is for when the pollers run.
        """
        for mac, vid, port, static, *_ in self._rows():
            if port == number and not static and (vid not in vlans.members if vlans else vid):
                self._fdb.delete(vid, mac)

    def flush_locked(self, member: Member) -> None:
        """Forget those who only knocked at a port, which notes nobody any more."""
        self._fdb.flush_locked(member.number)

    def pin(self, mac: bytes, member: Member, vid: int, *, move: bool) -> None:
        """Make a static entry; *move*: also of one that is static elsewhere.

        Raises:
            FdbFullError: a limit is reached.
            StationExistsError: it is static already, and not to be moved.
        """
        self._check_new(mac, vid, move=move)
        self._fdb.pin(vid, mac, member.number)
        self._static[vid, mac] = member

    def stick(self, mac: bytes, member: Member, vid: int, *, move: bool) -> None:
        """Make a sticky entry; *move*: also of one that is static.

        Raises:
            FdbFullError: a limit is reached.
            StationExistsError: it is static already, and not to be moved.
        """
        self._check_new(mac, vid, move=move)
        self._fdb.stick(vid, mac, member.number, self._clock.now_s())
        self._static.pop((vid, mac), None)

    def unpin(self, mac: bytes, vid: int) -> bool:
        """Forget a station, static or learned; whether it was known.

        Raises:
            FdbError: it is the port's own.
        """
        self._check_free(mac, vid)
        self._static.pop((vid, mac), None)
        return bool(self._fdb.delete(vid, mac))

    def _check_new(self, mac: bytes, vid: int, *, move: bool) -> None:
        there = self._static.get((vid, mac))
        if there and not move:
            raise StationExistsError(
                f"station {mac.hex(':')} is static already, at port {there.port.name}",
                hint="replace it, or delete it first",
            )
        self._check_free(mac, vid)

    def _check_free(self, mac: bytes, vid: int) -> None:
        there = self._static.get((vid, mac))
        if there and self._own.get(there.number) == (vid, mac):
            raise FdbError(
                f"station {mac.hex(':')} is port {there.port.name} itself: it is there as long "
                "as the port is",
                hint=f"vswitch port del {there.port.name}",
            )

    def leave(self, number: int) -> None:
        """A port was removed, and its stations with it."""
        self._static = {key: m for key, m in self._static.items() if m.number != number}
        self._own.pop(number, None)

    def flush(self, number: int | None, mac: bytes | None, vid: int | None = None) -> int:
        """Forget learned stations: all, or those of a port, *mac*, *vid*; returns how many."""
        if mac is None and vid is None:
            return int(self._fdb.flush(number))
        found = [
            (its_vid, its_mac)
            for its_mac, its_vid, its_port, static, *_ in self._rows()
            if mac in (None, its_mac) and vid in (None, its_vid) and number in (None, its_port)
            if not static
        ]
        return sum(bool(self._fdb.delete(*station)) for station in found)
