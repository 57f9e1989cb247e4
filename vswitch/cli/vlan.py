"""``vswitch vlan``: what ``bridge vlan`` shows of a switch that knows no VLANs yet."""

from __future__ import annotations

import click

from vswitch.cli import _names
from vswitch.cli._asking import Asking, asking, telling
from vswitch.cli._group import Words
from vswitch.cli._words import Grammar
from vswitch.errors import ConfigError

HEAD = "port              vlan-id  "
SHOW = Grammar({"dev": _names.ports, "br": _names.switches, "vid": lambda _: ()})


@click.group(
    "vlan",
    cls=Words,
    default="show",
    bare="show",
    aliases={"delete": "del", "list": "show", "lst": "show"},
    first=("add", "del", "show", "list"),
    short_help="VLANs of ports: none yet.",
)
def command() -> None:
    """VLANs of ports. This switch is not VLAN-aware yet: tagged frames cross untouched.

    Without a command: show.
    """


@command.command(short_help="List the VLANs of ports: none.")
@SHOW.argument("[dev PORT]")
@asking
def show(asked: Asking, given: tuple[str, ...]) -> None:
    """List the VLANs of ports, as "bridge vlan show" does: none."""
    said = SHOW.read(given, br=asked.switch)
    with asked.client(said.get("br")) as client:
        if dev := said.get("dev"):
            client.port(dev)  # a name that is none is said so
        else:
            client.switch()
    if asked.as_json:
        asked.print_json([])
    else:
        click.echo(HEAD)


def _refused(asked: Asking, given: tuple[str, ...]) -> None:
    """Refused: this switch is not VLAN-aware yet."""
    raise ConfigError(
        "this switch is not VLAN-aware yet", hint="tagged frames cross untouched; see vswitch show"
    )


for _name in ("add", "del", "set"):
    command.command(_name, short_help="Refused: not VLAN-aware yet.")(
        click.argument("given", nargs=-1)(telling(_refused))
    )
