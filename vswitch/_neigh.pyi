"""Typed face of the datapath's table of neighbours; the docstrings are in ``_neigh.pyx``."""

from vswitch._fastpath import Datapath
from vswitch.neighbours import Neighbour

NEIGH_LIMIT: int

def set_neighbour(dp: Datapath, neighbour: Neighbour) -> bool: ...
def unset_neighbour(dp: Datapath, neighbour: Neighbour) -> bool: ...
def neighbour_counters(dp: Datapath) -> tuple[int, int]: ...
