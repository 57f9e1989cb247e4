"""What can be said of stations on the command line, for those who show and those who change."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vswitch.cli._words import Said

if TYPE_CHECKING:
    from vswitch.control.schema import FdbEntry

KINDS = ("static", "permanent", "dynamic")  # what bridge(8) calls them; none is permanent here


def vid_of(said: Said) -> int | None:
    from vswitch.options import Number

    text = said.get("vlan")
    return None if text is None else Number(1, 4094)("vlan", text)


def kind_of(entry: FdbEntry) -> str:
    return "static" if entry.static else "dynamic"
