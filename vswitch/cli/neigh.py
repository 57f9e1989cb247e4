"""``vswitch neigh``: which station has which IP address, as ``ip neigh`` shows and changes it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vswitch.cli import _names
from vswitch.cli._asking import Asking, asking, telling
from vswitch.cli._group import Words
from vswitch.cli._stations import vid_of
from vswitch.cli._words import Grammar, Said, one_of
from vswitch.cli.show import neighbours_fact
from vswitch.errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from vswitch.control.schema import NeighbourInfo, NewNeighbour

SHOW_HELP = """\
List the neighbours: which station has which IP address, as far as the switch was told.

The lines are those of "ip neigh", with the name of the switch as the device. Those added by hand
are PERMANENT; what is known from elsewhere is "extern_learn NOARP", with "proto dhcp" from a lease
and "proto guard" from the "allow-ip" of a port with one "allow-mac". With -s a line below says how
many there are, and what the switch answered instead of them.

\b
  vswitch neigh
  vswitch neigh show vlan 10
  vswitch neigh show to 192.0.2.1
  vswitch -j neigh show | jq -r '.[] | select(.protocol == "dhcp") | .dst'
"""

ADD_HELP = """\
Say which station has an IP address; until it is deleted, whatever leases say.

When somebody at another port asks for that address, with ARP or Neighbor Discovery, and its station
is behind a port with "neigh_suppress on", the switch answers. "router" is for one over IPv6, which
says so in the answer: hosts do without a router that says it is none. Who has the address already
is refused (exit status 1): "replace" takes that in its stride. Nothing is said when it is done.

\b
  vswitch neigh add 192.0.2.1 lladdr 02:00:00:00:00:01
  vswitch neigh add 2001:db8::1 lladdr 02:00:00:00:00:01 vlan 10 router
  vswitch neigh replace 192.0.2.1 lladdr 02:00:00:00:00:02
  vswitch link set dev tap0 neigh_suppress on
"""

FLUSH_HELP = """\
Forget the neighbours that were added by hand, in one VLAN if it is said which.

What leases and ports say stays. Nothing is said when it is done, with -s how many there were.

\b
  vswitch neigh flush
  vswitch neigh flush vlan 10
"""

LEARNED = "what is known from elsewhere is not set by hand"
AGES = "neighbours set by hand do not age: nud is permanent"
ENTRY = Grammar(
    {
        "lladdr": one_of(),
        "vlan": one_of(),
        "dev": _names.switches,
        "nud": one_of("permanent"),
    },
    flags=("router",),
    free="IP",
    synonyms={"br": "dev"},
    refused={
        **dict.fromkeys(("extern_learn", "managed", "use", "protocol"), LEARNED),
        "proxy": "neigh_suppress of a port is what makes the switch answer",
    },
)
SHOW = Grammar(
    {"to": one_of(), "vlan": one_of(), "dev": _names.switches}, free="to", synonyms={"br": "dev"}
)
FLUSH = Grammar({"vlan": one_of(), "dev": _names.switches}, synonyms={"br": "dev"})


@click.group(
    "neigh",
    cls=Words,
    default="show",
    bare="show",
    aliases={"delete": "del", "list": "show", "lst": "show", "change": "replace"},
    first=("add", "replace", "del", "show", "list", "flush"),
    short_help="Show and change which station has which IP address.",
)
def command() -> None:
    """Neighbours: which station has which IP address.

    Without a command: show.
    """


@command.command(help=SHOW_HELP, short_help="List the neighbours.")
@SHOW.argument("[[to] IP] [vlan V] [dev NAME]")
@asking
def show(asked: Asking, given: tuple[str, ...]) -> None:
    from vswitch.neighbours import ip_text, parse_ip

    said = SHOW.read(given, dev=asked.switch)
    wanted = said.get("to")
    ip = None if wanted is None else ip_text(parse_ip(wanted))
    with asked.client(said.get("dev")) as client:
        found = [n for n in client.neighbours(vlan=vid_of(said)) if ip in (None, n.ip)]
        info = client.switch()
    if asked.as_json:
        asked.print_json([keys(n, info.name) for n in found])
        return
    for n in found:
        click.echo(line(n, info.name))
    if asked.statistics and info.neighbours:
        click.echo(neighbours_fact(info.neighbours))


@command.command(help=ADD_HELP, short_help="Say who has an address.")
@ENTRY.argument("IP lladdr MAC [vlan V] [router] [nud permanent]")
@click.option("--may-exist", is_flag=True, help="It may be there, as it is to be.")
@telling
def add(asked: Asking, given: tuple[str, ...], may_exist: bool) -> None:
    said = ENTRY.read(given, dev=asked.switch)
    new = _new(said)
    with asked.client(said.get("dev")) as client:
        try:
            client.add_neighbour(new)
        except ApiError as e:
            if e.code != "exists" or not (may_exist and _is_there(client.neighbours(), new)):
                raise


@command.command(help=ADD_HELP, short_help="Say who has an address, whoever had it.")
@ENTRY.argument("IP lladdr MAC [vlan V] [router] [nud permanent]")
@telling
def replace(asked: Asking, given: tuple[str, ...]) -> None:
    said = ENTRY.read(given, dev=asked.switch)
    new = _new(said)
    with asked.client(said.get("dev")) as client:
        client.add_neighbour(new, replace=True)


@command.command("del", short_help="Forget one that was added by hand.")
@ENTRY.argument("IP [vlan V]")
@click.option("--if-exists", is_flag=True, help="It need not be there.")
@telling
def delete(asked: Asking, given: tuple[str, ...], if_exists: bool) -> None:
    """Forget a neighbour that was added by hand; what a lease says of its address holds again."""
    from vswitch.neighbours import parse_ip

    said = ENTRY.read(given, dev=asked.switch)
    ip = said.needed("IP", "the address")
    parse_ip(ip)
    with asked.client(said.get("dev")) as client:
        try:
            client.remove_neighbour(ip, vlan=vid_of(said) or 0)
        except ApiError as e:
            if e.code != "not-found" or not if_exists:
                raise


@command.command(help=FLUSH_HELP, short_help="Forget those that were added by hand.")
@FLUSH.argument("[vlan V] [dev NAME]")
@telling
def flush(asked: Asking, given: tuple[str, ...]) -> None:
    from vswitch.text import plural

    said = FLUSH.read(given, dev=asked.switch)
    with asked.client(said.get("dev")) as client:
        n = client.flush_neighbours(vlan=vid_of(said))
    if asked.statistics:
        click.echo(f"{plural(n, 'neighbour')} forgotten")


def _new(said: Said) -> NewNeighbour:
    from vswitch.control.schema import NewNeighbour
    from vswitch.neighbours import Neighbour

    ip = said.needed("IP", "the address")
    mac = said.needed("lladdr", "the station (lladdr MAC)")
    if (nud := said.get("nud")) not in (None, "permanent"):
        raise click.UsageError(f"nud {nud}: {AGES}")
    one = Neighbour.parse(ip, mac, vlan=said.get("vlan") or "", router="router" in said.flags)
    return NewNeighbour(one.address, one.mac.hex(":"), one.vid, one.router)


def _is_there(found: list[NeighbourInfo], new: NewNeighbour) -> bool:
    return any(
        (n.ip, n.lladdr, n.vlan, n.router) == (new.ip, new.lladdr, new.vlan, new.router)
        for n in found
        if n.origin == "static"
    )


def line(n: NeighbourInfo, switch: str) -> str:
    """The words of ``ip neigh`` in their order; a row ends in a blank there."""
    vlan = f" vlan {n.vlan}" if n.vlan else ""
    router = " router" if n.router else ""
    state = "PERMANENT" if n.origin == "static" else f"extern_learn NOARP proto {n.origin}"
    return f"{n.ip} dev {switch}{vlan} lladdr {n.lladdr}{router} {state} "


def keys(n: NeighbourInfo, switch: str) -> Mapping[str, object]:
    """The same with the keys of ``ip -j neigh``."""
    known = n.origin != "static"
    return {
        "dst": n.ip,
        "dev": switch,
        **({"vlan": n.vlan} if n.vlan else {}),
        "lladdr": n.lladdr,
        **({"router": None} if n.router else {}),
        **({"extern_learn": None} if known else {}),
        "state": ["NOARP" if known else "PERMANENT"],
        **({"protocol": n.origin} if known else {}),
    }
