"""A service without a switch: it does what it is told to its configuration, and takes notes."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from vswitch.config import SwitchConfig, parse_forward
from vswitch.errors import PortError


class FakeService:
    """As `vswitch.service.Service`; the call numbered *fails_at*, from 0 on, is refused.

    There are no devices for ports called as one of *gone*.
    """

    def __init__(
        self, config: SwitchConfig, *, fails_at: int | None = None, gone: Collection[str] = ()
    ) -> None:
        self.gone = gone
        self.config = config
        self.calls: list[str] = []
        self.fails_at = fails_at

    def _note(self, call: str) -> None:
        self.calls.append(call)
        if len(self.calls) - 1 == self.fails_at:
            raise PortError(f"the host refuses: {call}")

    def add_port(self, port):
        self._note(f"add {port.name}")
        if port.name in self.gone:
            raise PortError(f"no such device: {port.name}")
        self.config = replace(self.config, ports=(*self.config.ports, port))

    def remove_port(self, name):
        self._note(f"remove {name}")
        ports = tuple(p for p in self.config.ports if p.name != name)
        stations = tuple(s for s in self.config.stations if s.port != name)
        assert len(ports) == len(self.config.ports) - 1
        self.config = replace(self.config, ports=ports, stations=stations)

    def set_port(self, name, **changes):
        words = " ".join(f"{key}={value}" for key, value in changes.items())
        self._note(f"set {name} {words}")
        ports = (replace(p, **changes) if p.name == name else p for p in self.config.ports)
        self.config = replace(self.config, ports=tuple(ports))

    def set_switch(self, **changes):
        self._note(f"switch {' '.join(changes)}")
        if "forward" in changes:
            changes["forward"] = parse_forward(",".join(changes["forward"]))
        self.config = replace(self.config, **changes)

    def listen(self, place):
        self._note(f"listen {place.address}")
        self.config = replace(self.config, listeners=(*self.config.listeners, place))

    def close_place(self, place):
        self._note(f"close {place.address}")
        left = tuple(other for other in self.config.listeners if other != place)
        assert len(left) == len(self.config.listeners) - 1
        self.config = replace(self.config, listeners=left)

    def pin(self, station, *, move):
        self._note(f"pin {station.mac.hex(':')} {station.port}")
        self.config = replace(
            self.config, stations=(*self._without(station.mac, station.vid), station)
        )

    def unpin(self, mac, vid):
        self._note(f"unpin {mac.hex(':')}")
        stations = self._without(mac, vid)
        assert len(stations) == len(self.config.stations) - 1
        self.config = replace(self.config, stations=stations)

    def _without(self, mac, vid):
        return tuple(s for s in self.config.stations if (s.mac, s.vid) != (mac, vid))
