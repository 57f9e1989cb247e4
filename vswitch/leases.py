"""The leases of a switch, for whoever keeps them while it does not run."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from vswitch.bindings import Binding
from vswitch.clock import Clock
from vswitch.guarding import Lease
from vswitch.guards import Guards


@dataclass(frozen=True, slots=True)
class Known:
    """A lease at one moment."""

    lease: Lease
    port: str
    left_s: int | None  # seconds until it is over; None: never


class Leases:
    """What DHCP gave to the stations of one switch.

    Args:
        guards: Who knows.
        lock: The switch's.
        clock: The switch's.
    """

    def __init__(self, guards: Guards, lock: threading.RLock, clock: Clock) -> None:
        self._guards = guards
        self._lock = lock
        self._clock = clock

    def known(self) -> list[Known]:
        """All of them now, those of IPv4 first, in order of VLAN, station and address."""
        with self._lock:
            now_s = self._clock.now_s()
            return [Known(b.lease, b.port, b.left_s(now_s)) for b in self._guards.bindings()]

    def restore(self, known: Iterable[Known]) -> int:
        """Have leases from before; how many there are of them.

        What cannot be any more is left out: leases of ports that are not there, or trusted, or not
        of the lease's VLAN; all, while there is no DHCP snooping.
        """
        with self._lock:
            now_s = self._clock.now_s()
            return self._guards.restore(
                Binding(one.lease, one.port, None if one.left_s is None else now_s + one.left_s)
                for one in known
            )

    def on_change(self, handler: Callable[[], None]) -> None:
        """Have *handler* called whenever they change, also an end; it is not to wait."""
        with self._lock:
            self._guards.on_leases = handler
