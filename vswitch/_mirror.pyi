"""Typed face of what sets mirrors; the docstrings are in ``_mirror.pyx``."""

from collections.abc import Sequence

from vswitch._fastpath import Datapath
from vswitch.mirrors import Mirrored

MIRRORS_MAX: int

def set_mirrors(dp: Datapath, mirrors: Sequence[Mirrored]) -> None: ...
