"""Facts in the words of brctl(8): ``showmacs`` and ``show``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from vswitch.control.schema import FdbEntry, PortInfo

NO_ID = "8000.000000000000"  # of a bridge without an address; this switch needs none without STP


def macs(entries: Sequence[FdbEntry], number: Mapping[str, int]) -> str:
    """What ``brctl showmacs`` prints; *number* is that of a port, counted from 1."""
    lines = ["port no\tmac addr\t\tis local?\tageing timer"]
    lines += (f"{number.get(e.port, 0):3d}\t{e.mac}\tno\t\t{e.age_s or 0:4d}.00" for e in entries)
    return "\n".join(lines)


def tree(name: str, ports: Sequence[PortInfo]) -> str:
    """What ``brctl show`` prints."""
    first, *others = [port.name for port in ports] or [""]
    lines = [
        "bridge name\tbridge id\t\tSTP enabled\tinterfaces",
        f"{name}\t\t{NO_ID}\tno\t\t{first}",
        *("\t" * 7 + other for other in others),
    ]
    return "\n".join(lines)
