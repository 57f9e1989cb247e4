"""What a switch tells of itself, its ports and stations: facts of the moment they are asked for."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from vswitch.bindings import Binding
from vswitch.clock import Clock
from vswitch.core import Core
from vswitch.errors import PortNotFoundError
from vswitch.members import Member
from vswitch.portrules import PortRules
from vswitch.ports import Port
from vswitch.stations import Stations
from vswitch.status import PortStatus, Pulse, Station, VlanStatus

if TYPE_CHECKING:
    import numpy as np


class Telling:
    """The half of `vswitch.Switch` that changes nothing; that one makes what it looks at."""

    clock: Clock
    _core: Core
    _lock: threading.RLock
    _made_s: int
    _members: dict[str, Member]
    _rules: PortRules
    _stations: Stations

    @property
    def uptime_s(self) -> int:
        """Seconds since it was made."""
        return self.clock.now_s() - self._made_s

    @property
    def ports(self) -> dict[str, Port]:
        """The connected ports by name."""
        with self._lock:
            return {name: m.port for name, m in self._members.items()}

    def port_status(self, name: str) -> PortStatus:
        """What there is to know about a port now."""
        with self._lock:
            return self._member(name).status(self._core)

    def port_statuses(self) -> list[PortStatus]:
        """The same of every port, at one moment: ports over connections come and go."""
        with self._lock:
            return [member.status(self._core) for member in self._members.values()]

    def vlan_status(self, name: str) -> VlanStatus:
        """What a port does with VLANs, and counted in each."""
        with self._lock:
            return self._rules.status(self._member(name))

    def vlan_statuses(self) -> list[VlanStatus]:
        """The same of every port."""
        with self._lock:
            return [self._rules.status(member) for member in self._members.values()]

    # ------------------------------------------------------------------ stations

    def stations(self) -> list[Station]:
        """The live entries of the forwarding database, in order of address."""
        return self._stations.all(self._names())

    def station_lists(
        self,
        size: int,
        *,
        port: str | None = None,
        mac: bytes | None = None,
        vid: int | None = None,
        static: bool | None = None,
    ) -> Iterator[list[Station]]:
        """The live entries that match, in order of address, in lists of at most *size*.

        They are those of one moment, that of the call.

        Raises:
            PortNotFoundError: there is no such port.
        """
        from vswitch import stationlists

        with self._lock:
            number = None if port is None else self._member(port).number
        chosen = stationlists.Chosen(port=number, mac=mac, vid=vid, static=static)
        return stationlists.in_order(self.fdb, self._names(), chosen, size=size)

    @property
    def fdb(self) -> np.ndarray[Any, Any]:
        """The live entries as a structured array: mac (6 x u1), vid, port, static, age_s."""
        return self._stations.array()

    def fdb_counters(self) -> dict[str, int]:
        """Entries, static, locked, limit; how often learned, moved, expired, refused, crowded."""
        with self._lock:
            noted = any(m.settings.mab for m in self._members.values())
            locked = self._stations.locked() if noted else 0  # all of them are looked at
            return {**self._stations.counters(), "locked": locked}

    def bindings(self) -> list[tuple[Binding, int | None]]:
        """What DHCP gave to stations that are not at trusted ports, and for how many seconds more.

        None: for ever. There are some with `SwitchGuards.snoops` only.
        """
        with self._lock:
            now_s = self.clock.now_s()
            return [(binding, binding.left_s(now_s)) for binding in self._rules.guards.bindings()]

    def guard_counters(self) -> dict[str, int]:
        """Leases, and how many were refused, and DHCP messages missed, so far."""
        with self._lock:
            return self._rules.guards.counters()

    # ------------------------------------------------------------------ counters

    def flooded(self) -> dict[str, int]:
        """Frames flooded since the start, by kind, those from ports that are no more included."""
        with self._lock:
            return self._core.flooded(member.number for member in self._members.values())

    def pulses(self) -> list[Pulse]:
        """What each poller tells of itself."""
        return self._core.pulses()

    @property
    def counters(self) -> np.ndarray[Any, Any]:
        """Every counter as the pollers write it, without a copy: shape (pollers, 1024 ports).

        Fields: names of COUNTER_NAMES, and ``drops`` with a field per reason. The array stays
        valid after the switch is closed.
        """
        return self._core.counter_array()

    def _member(self, name: str) -> Member:
        try:
            return self._members[name]
        except KeyError:
            raise PortNotFoundError(
                f"no port {name}", hint=f"ports are: {', '.join(self._members) or 'none yet'}"
            ) from None

    def _names(self) -> dict[int, str]:
        with self._lock:
            return {m.number: name for name, m in self._members.items()}
