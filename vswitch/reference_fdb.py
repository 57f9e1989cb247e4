"""The forwarding database of the reference switch: which port was this station last heard on?

The same table as ``datapath/fdb.h``, without the speed: a dictionary, and what is promised of it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from vswitch.errors import FdbFullError

AGEING_S = 300  # IEEE 802.1Q-2018 table 8-6


@dataclass(slots=True)
class Station:
    """Where a station was heard last, or was pinned."""

    port: int
    heard_s: int
    static: bool = False  # neither ages nor moves
    sticky: bool = False  # ages, and does not move
    locked: bool = False  # it only knocked at a locked port, see reference_mab.py


@dataclass(frozen=True, slots=True)
class Row:
    """One live station, as `Fdb.rows` reports it."""

    vid: int
    mac: bytes
    port: int
    static: bool
    sticky: bool
    locked: bool
    age_s: int  # seconds since it was last heard; 0 for a static one

    @property
    def flags(self) -> int:
        """What is so of it, as ``enum vsw_fdb_flag`` has it."""
        return self.static | self.sticky << 1 | self.locked << 2


class Fdb:
    """The forwarding database: which port was this station last heard on?

    A station is an address within a VLAN; VLAN 0 as long as the switch takes no notice of them.

    A station that is not heard for *ageing_s* is dead to `lookup` at that moment, but keeps its
    place until `expire` is called, about once a second, or until it is heard again.  With
    *ageing_s* 0 stations stay for ever.

    There are at most *limit* stations, and at most ``port_limit[port]`` on a port that has such
    a limit.  Where no more may be learned those who are known stay, and the newcomer is
    `refused`: whoever fills the table with forged addresses displaces nobody.

    A station that was heard within *hold_s* seconds is `is_held`: it does not move.
    """

    def __init__(self, *, limit: int = 65_536, ageing_s: int = AGEING_S) -> None:
        self.limit = limit
        self.ageing_s = ageing_s
        self.hold_s = 0
        self.port_limit: dict[int, int] = {}  # no entry, or 0: only the table's limit
        self.port_entries: Counter[int] = Counter()
        self.learned = 0
        self.moved = 0  # heard on another port than before
        self.expired = 0
        self.refused = 0
        self._stations: dict[tuple[int, bytes], Station] = {}

    def __len__(self) -> int:
        return len(self._stations)

    def learn(self, vid: int, mac: bytes, port: int, now_s: int, *, locked: bool = False) -> None:
        """Record that a station was heard on *port*; *locked*: if it is new there, it knocks."""
        station = self._stations.get((vid, mac))
        if station is None:
            if self._has_room(port):
                self._add(vid, mac, Station(port, now_s, locked=locked))
                self.learned += 1
        elif not station.static:
            self._hear_again(station, port, now_s, locked=locked)

    def _hear_again(self, station: Station, port: int, now_s: int, *, locked: bool) -> None:
        if station.port != port and self.is_held(station, now_s):
            return
        if station.port != port and self._port_is_full(port):
            self.refused += 1  # and it keeps its old place
            return
        if self._is_dead(station, now_s):
            station.sticky, station.locked = False, locked
            self.expired += 1
            self.learned += 1
        elif station.port != port:
            station.locked = locked
            self.moved += 1
        self._move(station, port)
        station.heard_s = now_s

    def is_held(self, station: Station, now_s: int) -> bool:
        """Whether a station does not move, whoever speaks as it elsewhere."""
        if self._is_dead(station, now_s) or station.locked:
            return False
        is_set = station.static or station.sticky
        return is_set or max(now_s - station.heard_s, 0) < self.hold_s

    def is_held_elsewhere(self, vid: int, mac: bytes, port: int, now_s: int) -> bool:
        """The same of one that *port* may have heard."""
        station = self._stations.get((vid, mac))
        return station is not None and station.port != port and self.is_held(station, now_s)

    def lookup(self, vid: int, mac: bytes, now_s: int) -> int | None:
        """The port of a station, or None when it is unknown or dead."""
        station = self.alive(vid, mac, now_s)
        return None if station is None else station.port

    def alive(self, vid: int, mac: bytes, now_s: int) -> Station | None:
        """A station, unless it is unknown or dead."""
        station = self._stations.get((vid, mac))
        return None if station is None or self._is_dead(station, now_s) else station

    def pin(self, vid: int, mac: bytes, port: int) -> None:
        """Make a station static: it neither moves nor ages.

        Raises:
            FdbFullError: A limit is reached; the station is where it was.
        """
        self._enter(vid, mac, Station(port, 0, static=True))

    def stick(self, vid: int, mac: bytes, port: int, now_s: int) -> None:
        """Make a station sticky: it does not move, and ages as one that was just heard.

        Raises:
            FdbFullError: A limit is reached; the station is where it was.
        """
        self._enter(vid, mac, Station(port, now_s, sticky=True))

    def _enter(self, vid: int, mac: bytes, new: Station) -> None:
        station = self._stations.get((vid, mac))
        if station is None:
            if not self._has_room(new.port):
                raise FdbFullError(vid, mac)
            self._add(vid, mac, new)
        elif station.port != new.port and self._port_is_full(new.port):
            self.refused += 1
            raise FdbFullError(vid, mac)
        else:
            self._move(station, new.port)
            self._stations[vid, mac] = new

    def delete(self, vid: int, mac: bytes) -> bool:
        """Forget a station, static or not; whether it was there."""
        station = self._stations.pop((vid, mac), None)
        if station is None:
            return False
        self.port_entries[station.port] -= 1
        return True

    def flush(self, port: int | None = None, *, with_static: bool = False) -> int:
        """Forget the stations of one port or of all; how many there were."""
        return self._delete_all(
            key
            for key, station in self._stations.items()
            if port in (None, station.port) and (with_static or not station.static)
        )

    def flush_locked(self, port: int) -> int:
        """Forget those who only knocked at a port; how many there were."""
        return self._delete_all(
            key for key, s in self._stations.items() if s.locked and s.port == port
        )

    def expire(self, now_s: int) -> int:
        """Free the places of dead stations; how many there were."""
        n = self._delete_all(k for k, s in self._stations.items() if self._is_dead(s, now_s))
        self.expired += n
        return n

    def rows(self, now_s: int) -> Iterator[Row]:
        """The live stations, in no particular order."""
        for (vid, mac), s in self._stations.items():
            if not self._is_dead(s, now_s):
                age_s = 0 if s.static else max(now_s - s.heard_s, 0)
                yield Row(vid, mac, s.port, s.static, s.sticky, s.locked, age_s)

    def _is_dead(self, station: Station, now_s: int) -> bool:
        if station.static or not self.ageing_s:
            return False
        return now_s - station.heard_s >= self.ageing_s

    def _port_is_full(self, port: int) -> bool:
        limit = self.port_limit.get(port, 0)
        return bool(limit) and self.port_entries[port] >= limit

    def _has_room(self, port: int) -> bool:
        if len(self._stations) < self.limit and not self._port_is_full(port):
            return True
        self.refused += 1
        return False

    def _add(self, vid: int, mac: bytes, station: Station) -> None:
        self._stations[vid, mac] = station
        self.port_entries[station.port] += 1

    def _move(self, station: Station, port: int) -> None:
        self.port_entries[station.port] -= 1
        self.port_entries[port] += 1
        station.port = port

    def _delete_all(self, keys: Iterable[tuple[int, bytes]]) -> int:
        return sum(self.delete(*key) for key in list(keys))
