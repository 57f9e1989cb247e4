"""``vswitch mdb``: what ``bridge mdb`` shows of a switch that does not snoop multicast yet."""

from __future__ import annotations

import click

from vswitch.cli import _names
from vswitch.cli._asking import Asking, asking, telling
from vswitch.cli._group import Words
from vswitch.cli._words import Grammar
from vswitch.errors import ConfigError

SHOW = Grammar({"dev": _names.switches, "port": _names.ports, "vid": lambda _: ()})


@click.group(
    "mdb",
    cls=Words,
    default="show",
    bare="show",
    aliases={"delete": "del", "list": "show", "lst": "show"},
    first=("add", "del", "show", "list"),
    short_help="Multicast groups: none yet.",
)
def command() -> None:
    """Multicast groups. This switch does not snoop yet: multicast is flooded.

    Without a command: show.
    """


@command.command(short_help="List the multicast groups: none.")
@SHOW.argument("[dev NAME]")
@asking
def show(asked: Asking, given: tuple[str, ...]) -> None:
    """List the multicast groups, as "bridge mdb show" does: none."""
    said = SHOW.read(given, dev=asked.switch)
    with asked.client(said.get("dev")) as client:
        client.switch()
    if asked.as_json:
        asked.print_json([{"mdb": [], "router": {}}])


def _refused(asked: Asking, given: tuple[str, ...]) -> None:
    """Refused: this switch does not snoop multicast yet."""
    raise ConfigError(
        "this switch does not snoop multicast yet", hint="multicast is flooded to all ports"
    )


for _name in ("add", "replace", "del"):
    command.command(_name, short_help="Refused: does not snoop yet.")(
        click.argument("given", nargs=-1)(telling(_refused))
    )
