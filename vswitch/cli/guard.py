"""``vswitch guard``: who may speak for which address at ports that are not trusted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from vswitch.cli import _names
from vswitch.cli._asking import Asking, asking
from vswitch.cli._group import Words
from vswitch.cli._words import Grammar
from vswitch.cli.show import duration
from vswitch.text import table

if TYPE_CHECKING:
    from vswitch.control.schema import BindingInfo

SHOW_HELP = """\
List what DHCP gave to the stations at ports that are not trusted: address, VLAN, port, and how long
it may be used.

There is something with "vswitch run --dhcp-snooping" and "--dhcp6-snooping" only; a station may
speak for its leases there, and for what "allow-ip" of its port says.

\b
  vswitch guard show
  vswitch guard show dev tap0
  vswitch -j guard show | jq -r '.[] | select(.ip == "10.0.0.5") | .port'
"""

SHOW = Grammar({"dev": _names.ports, "br": _names.switches})
TITLES = ("MAC", "IP", "VLAN", "port", "left")


@click.group(
    "guard",
    cls=Words,
    default="show",
    bare="show",
    aliases={"list": "show", "lst": "show"},
    first=("show", "list"),
    short_help="Show which addresses DHCP gave to whom.",
)
def command() -> None:
    """Leases: who may speak for which address.

    Without a command: show.
    """


@command.command(help=SHOW_HELP, short_help="List the leases.")
@SHOW.argument("[dev PORT]")
@asking
def show(asked: Asking, given: tuple[str, ...]) -> None:
    said = SHOW.read(given, br=asked.switch)
    with asked.client(said.get("br")) as client:
        if dev := said.get("dev"):
            client.port(dev)  # a name that is none is said so
        found = [b for b in client.bindings() if dev in (None, b.port)]
    if asked.as_json:
        import msgspec

        asked.print_json(msgspec.to_builtins(found))
    else:
        click.echo(_listed(found))


def _listed(found: Sequence[BindingInfo]) -> str:
    return table(
        list(TITLES),
        [
            [
                *(b.mac, b.ip, str(b.vid) if b.vid else "-", b.port),
                "for ever" if b.seconds is None else duration(b.seconds),
            ]
            for b in found
        ],
    )
