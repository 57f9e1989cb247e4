"""What ``_neigh`` has as functions, of the datapath in plain Python."""

from __future__ import annotations

import threading
from typing import Protocol

from vswitch.neighbours import Neighbour
from vswitch.reference_neigh import Neighbours


class Knowing(Protocol):
    """A switch that knows neighbours."""

    neighbours: Neighbours


class Datapath(Protocol):
    """What is around it."""

    lock: threading.RLock

    @property
    def switch(self) -> Knowing: ...


def set_neighbour(dp: Datapath, neighbour: Neighbour) -> bool:
    """See `vswitch._neigh.set_neighbour`.  *Parked.*"""
    with dp.lock:
        return dp.switch.neighbours.set(neighbour)


def unset_neighbour(dp: Datapath, neighbour: Neighbour) -> bool:
    """See `vswitch._neigh.unset_neighbour`.  *Parked.*"""
    with dp.lock:
        return dp.switch.neighbours.unset(neighbour)


def neighbour_counters(dp: Datapath) -> tuple[int, int]:
    """See `vswitch._neigh.neighbour_counters`."""
    return dp.switch.neighbours.answered, dp.switch.neighbours.suppressed
