"""``vswitch link``: ports and what they may do, as ``bridge link`` shows and sets it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, cast

import click

from vswitch import vlanwords
from vswitch.cli import _bridge, _names
from vswitch.cli._asking import Asking, asking, telling
from vswitch.cli._group import Words
from vswitch.cli._words import Grammar, Said, one_of
from vswitch.portconfig import OPTIONS, VLANS
from vswitch.text import WIDTH

if TYPE_CHECKING:
    from vswitch.options import Option
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
SHAPES = {
    "int": "N",
    "PortVlans | None": "VLANS",
    "str": "VALUE",
    "tuple[str, ...]": "LIST|none",
}  # fmt: skip; where there are too many
SETTINGS = {key: option for key, option in OPTIONS.items() if option.live} | {"vlans": VLANS}


def _shape(option: Option) -> str:
    choices = CHOICES.get(option.returns)
    return "|".join(choices[:2]) if choices else SHAPES[option.returns]


def _listed() -> str:
    """A line for each setting: how it is said, and what it does."""
    return "\n".join(
        f"  {f'{key} ' + _shape(option):<27}{option.text}" for key, option in SETTINGS.items()
    )


SET_HELP = f"""\
Change what a port may do, while frames flow. Nothing is said when it is done.

bridge(8) writes "_" where there is "-" here; both are understood. "backup_port PORT" and
"nobackup_port" are there, too, and "none" for VLANs and lists. With "learning off" no station is
known that is not pinned, and "limit-drop on" then drops what all others send.

\b
{_listed()}

\b
  vswitch link set dev tap0 learning off
  vswitch link set dev tap0 state blocking fdb-limit 100
  vswitch link set dev tap0 isolated on mcast_flood off
  vswitch link set dev tap0 vlans trunk=10,20,native=1
"""

STP = "this switch does not speak STP yet"
SNOOPING = "this switch does not snoop multicast yet"
TUNNELS = "this switch has no tunnels yet"
VLAN_SET = 'VLANs are set with "vswitch vlan set", or here with "vlans access=10"'
HARDWARE = "there is no hardware behind this switch"
NO_BACKUP = "nobackup_port"
STATES = {"0": "disabled", "3": "forwarding", "4": "blocking"}  # numbers of bridge(8)
STP_STATES = ("listening", "learning", "1", "2")

SHOW = Grammar(
    {"dev": _names.ports, "master": _names.switches}, synonyms={"br": "master", "brport": "dev"}
)
SET = Grammar(
    {
        "dev": _names.ports,
        **{key: one_of(*CHOICES.get(option.returns, ())) for key, option in SETTINGS.items()},
        "backup": _names.ports,
    },
    flags=("master", "self", NO_BACKUP),
    synonyms={
        **{key.replace("-", "_"): key for key in SETTINGS if "-" in key},
        **dict.fromkeys(("backup_port", "backup-port"), "backup"),
        "nobackup-port": NO_BACKUP,
    },
    refused={
        **dict.fromkeys((*vlanwords.READERS, "vlan", "vid"), VLAN_SET),
        **dict.fromkeys(("guard", "root_block", "cost", "priority"), STP),
        **dict.fromkeys(
            ("fastleave", "mcast_router", "mcast_to_unicast", "mcast_max_groups"), SNOOPING
        ),
        "vlan_tunnel": TUNNELS,
        "neigh_vlan_suppress": "neigh_suppress is of a port here, in all its VLANs",
        **dict.fromkeys(("hwmode", "learning_sync"), HARDWARE),
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
        width = WIDTH if sys.stdout and sys.stdout.isatty() else None
        lines = (_bridge.link_lines(keys, width=width) + "\n" for keys in links)
        click.echo("".join(lines), nl=False)


@command.command("set", help=SET_HELP, short_help="Change what a port may do.")
@SET.argument("dev PORT SETTING VALUE [SETTING VALUE...]")
@telling
def set_(asked: Asking, given: tuple[str, ...]) -> None:
    said = SET.read(given)
    port, change = said.needed("dev", "the port (dev PORT)"), _change(said)
    if change.get("backup") == port:
        raise click.UsageError(f"backup: port {port} cannot be its own backup")
    with asked.client() as client:
        if backup := change.get("backup"):
            client.port(backup)  # a name that is none is said so
        client.change_port(port, **change)


def _change(said: Said) -> PortChange:
    change: dict[str, Any] = {"backup": ""} if NO_BACKUP in said.flags else {}
    if change and said.get("backup"):
        raise click.UsageError("backup and nobackup_port exclude one another")
    for key, option in SETTINGS.items():
        value = said.get(key)
        if key == "state" and value is not None:
            value = _state(value)
        if value is not None:
            read = option.reader(key, value)
            # What travels is the text; what cannot be was said here.
            change[option.field] = vlanwords.text(read) if key == "vlans" else read
    if not change:
        raise click.UsageError(f"what to change is missing: {', '.join(SETTINGS)}")
    return cast("PortChange", change)


def _state(value: str) -> str:
    """The name of a state that bridge(8) calls *value*: names in any case, or numbers."""
    if value.lower() in STP_STATES:
        raise click.UsageError(f"state {value}: {STP}")
    return STATES.get(value, value.lower())
