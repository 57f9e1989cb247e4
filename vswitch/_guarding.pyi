"""Typed face of what sets a port's guard; the docstrings are in ``_guarding.pyx``."""

from vswitch._fastpath import Datapath
from vswitch.guarding import PortGuard

COPY: int

def set_guard(dp: Datapath, port: int, guard: PortGuard) -> None: ...
def missed(dp: Datapath, port: int) -> int: ...
