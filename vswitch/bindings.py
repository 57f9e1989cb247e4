"""Which addresses are lent to whom, where, and until when: a table with a limit for each port."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from vswitch.guarding import GUARD_MAX, Lease

_Key = tuple[int, bytes]  # VLAN and address, or VLAN and station


@dataclass(frozen=True, slots=True)
class Binding:
    """A lease, and where it is used."""

    lease: Lease
    port: str
    until_s: int | None  # None: without end

    def left_s(self, now_s: int) -> int | None:
        """Seconds until it is over; None: never."""
        return None if self.until_s is None else max(0, self.until_s - now_s)


class Bindings:
    """Leases of addresses, each of which is of one station in a VLAN."""

    def __init__(self) -> None:
        self._all: dict[_Key, Binding] = {}  # by VLAN and address
        self._by_port: dict[str, dict[_Key, Lease]] = {}
        self._by_station: dict[_Key, dict[_Key, None]] = {}
        self.refused = 0  # leases that a port had no room for
        self.changes = 0  # grows whenever anything is different

    def put(self, new: Binding, *, alone: bool) -> set[str]:
        """Have a lease; *alone*: it takes the place of its station's others in that VLAN.

        Returns:
            The ports whose leases changed; none, if only its end did, or its port is full.
        """
        lease = new.lease
        replaced = {(lease.vid, lease.ip)} & self._all.keys()
        if alone:
            replaced |= self._by_station.get((lease.vid, lease.mac), {}).keys()
        ports = {self._all[key].port for key in replaced}
        if new.port not in ports and len(self._by_port.get(new.port, ())) >= GUARD_MAX:
            self.refused += 1
            return set()
        same = [self._all[key].lease for key in replaced] == [lease] and ports == {new.port}
        self.forget(replaced)
        self._add(new)
        return set() if same else ports | {new.port}

    def _add(self, new: Binding) -> None:
        lease = new.lease
        key = (lease.vid, lease.ip)
        self._all[key] = new
        self._by_port.setdefault(new.port, {})[key] = lease
        self._by_station.setdefault((lease.vid, lease.mac), {})[key] = None
        self.changes += 1

    def drop(self, port: str, lease: Lease) -> set[str]:
        """Forget a lease if it is one of *port*; the ports whose leases changed."""
        key = (lease.vid, lease.ip)
        found = self._all.get(key)
        if found is None or (found.port, found.lease) != (port, lease):
            return set()
        return self.forget([key])

    def forget(self, keys: Iterable[_Key]) -> set[str]:
        """Forget what was lent of these VLANs and addresses; the ports whose leases changed."""
        return {self._remove(key) for key in [*keys]}

    def _remove(self, key: _Key) -> str:
        was = self._all.pop(key)
        station = (was.lease.vid, was.lease.mac)
        del self._by_port[was.port][key]
        if not self._by_port[was.port]:
            del self._by_port[was.port]
        del self._by_station[station][key]
        if not self._by_station[station]:
            del self._by_station[station]
        self.changes += 1
        return was.port

    def expire(self, now_s: int) -> set[str]:
        """Forget what is over; the ports whose leases changed."""
        return self.forget(key for key, b in self._all.items() if b.left_s(now_s) == 0)

    def leave(self, port: str) -> set[str]:
        """Forget what belongs to a port; it, if that was anything."""
        return self.forget(self._by_port.get(port, ()))

    def clear(self) -> set[str]:
        """Forget everything; the ports whose leases changed."""
        return self.forget(self._all)

    def leases_of(self, port: str) -> frozenset[Lease]:
        """What the stations at a port may use."""
        return frozenset(self._by_port.get(port, {}).values())

    def all(self) -> list[Binding]:
        """Every lease, in order of VLAN, station and address."""
        return sorted(self._all.values(), key=lambda b: (b.lease.vid, b.lease.mac, b.lease.ip))
