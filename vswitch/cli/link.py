"""``vswitch link``: ports and what they may do, as ``bridge link`` shows and sets it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import click

from vswitch.cli import _bridge, _names
from vswitch.cli._asking import Asking, asking, telling
from vswitch.cli._group import Words
from vswitch.cli._words import Grammar, Said, one_of
from vswitch.portconfig import OPTIONS

if TYPE_CHECKING:
    from vswitch.portsettings import PortChange

SHOW_HELP = """\
List the ports as "bridge link" does: number, name, flags, MTU, state.

With -d also what each may do, with -s its counters, as "ip -s link" has them. Who wants to know
what a port negotiated, and why frames were dropped, asks "vswitch show".

\b
  vswitch link
  vswitch -s link show dev tap0
"""

# What a value can be, by `Option.returns`.
CHOICES = {"bool": ("on", "off"), "State": ("forwarding", "blocking", "disabled")}
SETTINGS = {key: option for key, option in OPTIONS.items() if option.live}


def _listed() -> str:
    """A line for each setting: how it is said, and what it does."""
    return "\n".join(
        f"  {f'{key} ' + '|'.join(CHOICES.get(option.returns, ('N',))[:2]):<27}{option.text}"
        for key, option in SETTINGS.items()
    )


SET_HELP = f"""\
Change what a port may do, while frames flow. Nothing is said when it is done.

\b
{_listed()}

\b
  vswitch link set dev tap0 learning off
  vswitch link set dev tap0 state blocking fdb-limit 100
"""

STP = "this switch does not speak STP yet"
SNOOPING = "this switch does not snoop multicast yet"
VLANS = "this switch is not VLAN-aware yet"
FLOODING = "flooding cannot be turned off for a port yet"
HARDWARE = "there is no hardware behind this switch"

SHOW = Grammar(
    {"dev": _names.ports, "master": _names.switches}, synonyms={"br": "master", "brport": "dev"}
)
SET = Grammar(
    {
        "dev": _names.ports,
        **{key: one_of(*CHOICES.get(option.returns, ())) for key, option in SETTINGS.items()},
    },
    flags=("master", "self"),
    refused={
        "isolated": "ports cannot be isolated yet",
        "locked": "ports cannot be locked yet",
        "mab": "ports cannot be locked yet",
        "hairpin": "no frame leaves by the port it came from",
        **dict.fromkeys(("flood", "mcast_flood", "bcast_flood"), FLOODING),
        **dict.fromkeys(("guard", "root_block", "cost", "priority"), STP),
        **dict.fromkeys(
            ("fastleave", "mcast_router", "mcast_to_unicast", "mcast_max_groups"), SNOOPING
        ),
        **dict.fromkeys(("vlan_tunnel", "neigh_suppress", "neigh_vlan_suppress"), VLANS),
        **dict.fromkeys(("hwmode", "learning_sync", "backup_port", "nobackup_port"), HARDWARE),
    },
)


@click.group(
    "link",
    cls=Words,
    default="show",
    bare="show",
    aliases={"list": "show", "lst": "show"},
    first=("set", "show", "list"),
    short_help="Show ports as bridge link does, and set what they may do.",
)
def command() -> None:
    """Ports as links: what "bridge link" shows and sets.

    Without a command: show.
    """


@command.command(help=SHOW_HELP, short_help="List the ports.")
@SHOW.argument("[dev PORT] [master NAME]")
@asking
def show(asked: Asking, given: tuple[str, ...]) -> None:
    said = SHOW.read(given, master=asked.switch)
    with asked.client(said.get("master")) as client:
        info, dev = client.switch(), said.get("dev")
        ports = client.ports() if dev is None else [client.port(dev)]
    where = {reason.name: reason.where for reason in info.drop_reasons}
    links = [
        _bridge.link_keys(
            port, info.name, where, details=asked.details, statistics=asked.statistics
        )
        for port in ports
    ]
    if asked.as_json:
        asked.print_json(links)
    else:
        click.echo("".join(_bridge.link_lines(keys) + "\n" for keys in links), nl=False)


@command.command("set", help=SET_HELP, short_help="Change what a port may do.")
@SET.argument("dev PORT SETTING VALUE [SETTING VALUE...]")
@telling
def set_(asked: Asking, given: tuple[str, ...]) -> None:
    said = SET.read(given)
    port, change = said.needed("dev", "the port (dev PORT)"), _change(said)
    with asked.client() as client:
        client.change_port(port, **change)


def _change(said: Said) -> PortChange:
    change: dict[str, Any] = {}
    for key, option in SETTINGS.items():
        value = said.get(key)
        if key == "state" and value in ("learning", "listening", "0", "1", "2", "3", "4"):
            raise click.UsageError(f"state {value}: {STP}")
        if value is not None:
            change[option.field] = option.reader(key, value)
    if not change:
        raise click.UsageError(f"what to change is missing: {', '.join(SETTINGS)}")
    return cast("PortChange", change)
