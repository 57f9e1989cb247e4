"""What changes the forwarding database: commands of ``vswitch fdb``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from vswitch.cli import _names
from vswitch.cli._asking import Asking, telling
from vswitch.cli._stations import KINDS, kind_of, vid_of
from vswitch.cli._words import Grammar, Said, one_of
from vswitch.errors import ApiError
from vswitch.vlans import NO_VLAN

if TYPE_CHECKING:
    from vswitch.control.client import Client
    from vswitch.control.schema import FdbEntry, NewEntry

ADD_HELP = """\
Make a static entry: the station is behind this port, whatever is heard; it does not age.

"sticky" (or "sticky dynamic") makes one that ages, but does not move. "permanent" (or "local") is
"static" here; "master" and "self" mean the same table, there is but one. Nothing is said when it is
done. Who is known already is refused (exit status 1): "replace" takes that in its stride, and so
does --may-exist if the entry is there as it is to be. Without "vlan" it is of the VLAN of untagged
frames there.

\b
  vswitch fdb add 52:54:00:12:34:56 dev tap0 static
  vswitch fdb replace 52:54:00:12:34:56 dev tap1
"""

DEL_HELP = """\
Forget one station, static or not.

\b
  vswitch fdb del 52:54:00:12:34:56 dev tap0
  vswitch fdb del 52:54:00:12:34:56 dev tap0 --if-exists
"""

FLUSH_HELP = """\
Forget stations: those that were heard from traffic, unless it is said which.

All of them, or those behind a port, or of one address. "static" forgets those set by hand,
"nodynamic" does, too; "nopermanent" forgets both. Frames to a forgotten station are flooded until
it is heard again. Nothing is said when it is done, with -s how many there were.

\b
  vswitch fdb flush
  vswitch fdb flush dev tap0
  vswitch fdb flush dev tap0 static dynamic
  vswitch fdb flush --mac 52:54:00:12:34:56
"""

NO_TUNNEL = "this switch has no tunnels yet"
BY_HAND = "only static entries are set by hand; dynamic ones are heard"

ENTRY = Grammar(
    {"dev": _names.ports, "vlan": one_of()},
    flags=("master", "self", "static", "permanent", "sticky", "dynamic"),
    free="MAC",
    synonyms={"local": "permanent"},
    refused={
        "use": BY_HAND,
        **dict.fromkeys(("dst", "port", "vni", "src_vni", "via", "nhid"), NO_TUNNEL),
        **dict.fromkeys(("router", "extern_learn"), "this switch does not know such entries"),
    },
)
FLUSH = Grammar(
    {"dev": _names.ports, "br": _names.switches, "vlan": one_of()},
    flags=(*KINDS, *(f"no{kind}" for kind in KINDS), "master", "self"),
    synonyms={"brport": "dev"},
)


@click.command("add", help=ADD_HELP, short_help="Make a static entry.")
@ENTRY.argument("MAC dev PORT [static|sticky] [vlan V]")
@click.option("--may-exist", is_flag=True, help="It may be there, as it is to be.")
@telling
def add(asked: Asking, given: tuple[str, ...], may_exist: bool) -> None:
    entry = _new(ENTRY.read(given))
    with asked.client() as client:
        try:
            client.add_station(entry.mac, entry.port, vid=entry.vid, sticky=entry.sticky)
        except ApiError as e:
            if e.code != "exists" or not (may_exist and _is_there(client, entry)):
                raise


@click.command("replace", help=ADD_HELP, short_help="Make a static entry, or move one.")
@ENTRY.argument("MAC dev PORT [static|sticky] [vlan V]")
@telling
def replace(asked: Asking, given: tuple[str, ...]) -> None:
    entry = _new(ENTRY.read(given))
    with asked.client() as client:
        client.replace_station(entry.mac, entry.port, vid=entry.vid, sticky=entry.sticky)


@click.command("del", help=DEL_HELP, short_help="Forget one station.")
@ENTRY.argument("MAC dev PORT [vlan V]")
@click.option("--if-exists", is_flag=True, help="It need not be there.")
@telling
def delete(asked: Asking, given: tuple[str, ...], if_exists: bool) -> None:
    entry = _entry(ENTRY.read(given))
    with asked.client() as client:
        try:
            client.delete_station(entry.mac, vid=_vid_of_one(client, entry))
        except ApiError as e:
            if e.code != "not-found" or not if_exists:
                raise


@click.command("flush", help=FLUSH_HELP, short_help="Forget stations.")
@FLUSH.argument("[dev PORT] [br NAME] [vlan V] [[no]static] [[no]dynamic]")
@click.option("--port", metavar="PORT", help="Only what is behind this port: dev PORT.")
@click.option("--mac", metavar="MAC", help="Only this address.")
@telling
def flush(asked: Asking, given: tuple[str, ...], port: str | None, mac: str | None) -> None:
    from vswitch.options import mac as read_mac
    from vswitch.text import plural

    said = FLUSH.read(given, dev=port, br=asked.switch)
    kinds, vid = _kinds(said.flags), vid_of(said)
    if mac is not None:
        mac = read_mac("--mac", mac).hex(":")
    with asked.client(said.get("br")) as client:
        dev = _meant(client, said.get("dev"))
        if kinds == {"dynamic"}:
            n = client.flush(port=dev, mac=mac, vid=vid)
        else:
            wanted = [
                e
                for e in client.fdb(port=dev)
                if kind_of(e) in kinds and vid in (None, e.vid) and mac in (None, e.mac)
            ]
            n = sum(_removed(client, e) for e in wanted)
    if asked.statistics:
        click.echo(f"{plural(n, 'station')} forgotten")


# ---------------------------------------------------------------------- what is meant


def _new(said: Said) -> NewEntry:
    if "dynamic" in said.flags and "sticky" not in said.flags:
        raise click.UsageError(f"dynamic: {BY_HAND}")
    return _entry(said)


def _entry(said: Said) -> NewEntry:
    from vswitch.control.schema import NewEntry
    from vswitch.options import mac

    address = mac("MAC", said.needed("MAC", "the station's address")).hex(":")
    port = said.needed("dev", "the port (dev PORT)")
    sticky = "sticky" in said.flags
    if sticky and said.flags & {"static", "permanent"}:
        raise click.UsageError("a sticky entry ages, and a static one does not: say one of them")
    return NewEntry(address, port, vid_of(said) or 0, sticky)


def _kinds(flags: frozenset[str]) -> set[str]:
    """What ``flush`` is to forget."""
    kinds = {kind for kind in KINDS if kind in flags}
    spared = {kind for kind in KINDS if f"no{kind}" in flags}
    if kinds & spared:
        raise click.UsageError(f"{min(kinds & spared)} and no{min(kinds & spared)} are opposites")
    return (kinds or set(KINDS)) - spared if kinds or spared else {"dynamic"}


def _found(client: Client, entry: NewEntry) -> list[FdbEntry]:
    """Who is meant: in each VLAN of the port, if none was said."""
    return [
        e
        for e in client.fdb(port=entry.port)
        if e.mac == entry.mac and entry.vid in (NO_VLAN, e.vid)
    ]


def _vid_of_one(client: Client, entry: NewEntry) -> int:
    found = _found(client, entry)
    if not found:
        raise ApiError(f"no station {entry.mac} behind port {entry.port}", code="not-found")
    if len(found) > 1:
        vids = ", ".join(str(e.vid) for e in found)
        raise click.UsageError(f"station {entry.mac} is in several VLANs: say vlan {vids}")
    return found[0].vid


def _is_there(client: Client, entry: NewEntry) -> bool:
    return any(e.sticky if entry.sticky else e.static for e in _found(client, entry))


def _removed(client: Client, entry: FdbEntry) -> bool:
    """Forget a station that may have gone meanwhile."""
    try:
        client.delete_station(entry.mac, vid=entry.vid)
    except ApiError as e:
        if e.code != "not-found":
            raise
        return False
    return True


def _meant(client: Client, dev: str | None) -> str | None:
    """The port *dev*; None for all, which the switch's own name means, too."""
    if dev is None or dev in (port.name for port in client.ports()):
        return dev
    return None if dev == client.switch().name else dev


COMMANDS = (add, replace, delete, flush)
