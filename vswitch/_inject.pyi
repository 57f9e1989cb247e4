"""Typed face of what the control plane says on ports; the docstrings are in ``_inject.pyx``."""

from collections.abc import Iterable

from vswitch._fastpath import Datapath

def inject(dp: Datapath, port: int, frame: bytes, *, vid: int = 0, priority: int = 0) -> bool: ...
def set_probed(dp: Datapath, ports: Iterable[int], switch_id: bytes | None) -> None: ...
