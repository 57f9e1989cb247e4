"""One switch with two stations of every kind, with offloads and without: left ones and right ones.

Traffic of the matrix goes from a left station to a right one, so a kind also meets itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from support.dhcp import dnsmasq
from support.lab import check_balance
from support.namespaces import Netns
from support.net import address, configure
from support.stations import STATIONS, Site
from support.wait import wait_for
from vswitch import Switch

NO_OFFLOADS = ("tso", "off", "gso", "off", "tx", "off")


class Seat(NamedTuple):
    """What a station of the matrix is, but for its side."""

    kind: str
    offloads: bool

    def __str__(self) -> str:
        return f"{self.kind}-{'tso' if self.offloads else 'plain'}"


@dataclass(frozen=True)
class Station:
    """A namespace with one interface."""

    seat: Seat
    device: str  # its interface, and the name of the switch's port
    ns: Netns
    number: int
    mac: bytes

    def address(self, version: int) -> str:
        return address(self.number, version)

    def __str__(self) -> str:
        return str(self.seat)


@dataclass
class Lan:
    """The switch; `left` and `right` have a station for every seat."""

    switch: Switch
    left: dict[Seat, Station] = field(default_factory=dict)
    right: dict[Seat, Station] = field(default_factory=dict)

    @contextmanager
    def expecting(self, src: Station, dst: Station, what: str) -> Iterator[None]:
        """Nothing of the block fails or is dropped; a failure says who, what, and the drops."""
        before = self._drops()
        try:
            yield
        except (AssertionError, OSError) as e:
            found = f"dropped meanwhile: {self._dropped(before)}"
            raise AssertionError(f"{src}->{dst}: {what}: {e or type(e).__name__}; {found}") from e
        dropped = self._dropped(before)
        # A full queue is how TCP learns the speed of a wire; others that lose a frame notice.
        unexpected = {d: n for d, n in dropped.items() if not d.endswith(" tx_full")}
        assert not unexpected, f"{src}->{dst}: {what} arrived, but dropped were {unexpected}"

    def received(self, station: Station) -> int:
        """Frames that came from it."""
        return self.switch.port_status(station.device).counters["rx_frames"]

    def has_offloads(self, station: Station) -> bool:
        """Whether unfinished frames cross the wire of its port."""
        return station.seat.offloads and self.switch.port_status(station.device).vnet_header

    def is_up(self) -> bool:
        """Whether every port has a link."""
        states = [self.switch.port_status(name).state for name in self.switch.ports]
        return set(states) == {"forwarding"}

    def check_balance(self) -> None:
        """Every frame that any port received is accounted for."""
        with self.switch.paused():
            for name in self.switch.ports:
                check_balance(self.switch.port_status(name))

    def _drops(self) -> dict[str, int]:
        """Frames dropped until now, by port and reason."""
        return {
            f"{name} {reason}": n
            for name in self.switch.ports
            for reason, n in self.switch.port_status(name).drops.items()
        }

    def _dropped(self, before: dict[str, int]) -> dict[str, int]:
        return {what: n - before[what] for what, n in self._drops().items() if n > before[what]}


@contextmanager
def lan(folder: Path, seats: Sequence[Seat], **options: object) -> Iterator[Lan]:
    """Build one with *seats* taken; every right station serves DHCP to whoever names it."""
    with ExitStack() as undo:
        made = Lan(Switch("matrix", **options))
        undo.callback(made.switch.close)
        hub = _namespace(undo, "hub")
        numbers = itertools.count()
        for side in (made.left, made.right):
            for seat in seats:
                side[seat] = _station(made.switch, seat, next(numbers), hub, folder, undo)
        undo.callback(made.switch.close)  # before the far ends, whose loss it would report
        made.switch.start()
        for station in made.right.values():
            undo.enter_context(dnsmasq(station.ns, station.device, folder, vendor=station.device))
        wait_for(made.is_up, "the links to be up")
        yield made


def _namespace(undo: ExitStack, name: str) -> Netns:
    ns = Netns(name)
    undo.callback(ns.delete)
    ns.create()
    return ns


def _station(
    switch: Switch, seat: Seat, number: int, hub: Netns, folder: Path, undo: ExitStack
) -> Station:
    name = f"{seat.kind}{number}"
    ns = _namespace(undo, name)
    site = Site(name, number, seat.offloads, ns, hub, folder, undo)
    switch.add_port(STATIONS[seat.kind](site))
    if not seat.offloads:
        ns.run("ethtool", "-K", name, *NO_OFFLOADS)
    configure(ns, number, name)
    mac = ns.run("cat", f"/sys/class/net/{name}/address").strip().replace(":", "")
    return Station(seat, name, ns, number, bytes.fromhex(mac))
