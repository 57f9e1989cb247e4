"""``vswitch fdb``: which station is behind which port, as ``bridge fdb`` shows it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vswitch.cli._common import ask, print_json, switch_options, words
from vswitch.cli._group import Words

if TYPE_CHECKING:
    from vswitch.control.schema import FdbEntry

SHOW_HELP = """\
List the stations: every address the switch knows, and the port it is behind.

The lines are those of "bridge fdb show": a station heard from traffic has no state at the end, one
set by hand is "static". With -s each line has "used A/B" as there; B is the seconds since the
station was last heard. How long ago it was last sent to is not measured, so A repeats B, and -j
leaves it out.

\b
  vswitch fdb show
  vswitch fdb show dev tap0
  vswitch fdb show --at 10:05
  vswitch fdb show -j | jq -r '.[] | select(.ifname == "tap0") | .mac'
"""

FLUSH_HELP = """\
Forget stations that were heard from traffic; static ones stay.

All of them, or those behind a port, or one address. Frames to a forgotten station are flooded
until it is heard again.

\b
  vswitch fdb flush
  vswitch fdb flush dev tap0
  vswitch fdb flush --mac 52:54:00:12:34:56
"""

HISTORY_HELP = """\
Say what happened to a station, the oldest first: learned, moved, expired, flushed, deleted, pinned,
flapping. The switch keeps the last 100,000 such events.

\b
  vswitch fdb history 52:54:00:12:34:56
"""


@click.group(
    "fdb",
    cls=Words,
    default="show",
    bare="show",
    short_help="Show and flush the forwarding database, of now and before.",
)
def command() -> None:
    """The forwarding database: which station is behind which port.

    Without a command: show.
    """


@command.command(help=SHOW_HELP, short_help="List the stations.")
@click.argument("given", nargs=-1, metavar="[dev PORT] [br NAME]")
@click.option("--port", metavar="PORT", help="Only what is behind this port: dev PORT.")
@click.option("-j", "--json", "as_json", is_flag=True, help="As JSON, with the keys of bridge.")
@click.option("-s", "--statistics", is_flag=True, help="Say how long ago each was heard.")
@click.option("--at", metavar="TIME", help="As it was: 10:05, 2026-11-23T10:05:09, -5m.")
@switch_options
def show(
    given: tuple[str, ...],
    port: str | None,
    as_json: bool,
    statistics: bool,
    at: str | None,
    switch: str | None,
    api: Path | None,
) -> None:
    from vswitch.cli._moment import moment

    asked = words(given, {"dev": port, "br": switch})
    if at is not None and statistics:
        raise click.UsageError("--at knows who was where, not how long ago each was heard")
    at_s = None if at is None else moment(at)
    with ask(asked["br"], api) as client:
        master = client.switch().name
        entries = client.fdb(port=asked["dev"], at=at_s)
    if as_json:
        print_json([as_bridge(e, master, statistics=statistics) for e in entries])
    else:
        click.echo(lines(entries, master, statistics=statistics), nl=False)


@command.command(help=FLUSH_HELP, short_help="Forget stations.")
@click.argument("given", nargs=-1, metavar="[dev PORT] [br NAME]")
@click.option("--port", metavar="PORT", help="Only what is behind this port: dev PORT.")
@click.option("--mac", metavar="MAC", help="Only this address.")
@switch_options
def flush(
    given: tuple[str, ...],
    port: str | None,
    mac: str | None,
    switch: str | None,
    api: Path | None,
) -> None:
    from vswitch.options import mac as check_mac
    from vswitch.text import plural

    asked = words(given, {"dev": port, "br": switch})
    if mac is not None:
        check_mac("--mac", mac)
    with ask(asked["br"], api) as client:
        click.echo(f"{plural(client.flush(port=asked['dev'], mac=mac), 'station')} forgotten")


@command.command(help=HISTORY_HELP, short_help="Say where a station was, and since when.")
@click.argument("mac")
@click.argument("given", nargs=-1, metavar="[br NAME]")
@click.option("-j", "--json", "as_json", is_flag=True, help="As JSON: what the API says.")
@switch_options
def history(
    mac: str, given: tuple[str, ...], as_json: bool, switch: str | None, api: Path | None
) -> None:
    from vswitch.cli.monitor import line, short_stamp
    from vswitch.options import mac as check_mac

    asked = words(given, {"br": switch})
    check_mac("MAC", mac)
    with ask(asked["br"], api) as client:
        master = client.switch().name
        events = client.events(mac=mac)
    if as_json:
        import msgspec

        print_json(msgspec.to_builtins(events))
        return
    for event in events:
        click.echo(f"{short_stamp(event.time)}{event.kind:<14} {line(event, master)}")


def lines(entries: Sequence[FdbEntry], master: str, *, statistics: bool) -> str:
    """The words of ``bridge fdb show`` in their order; a dynamic row ends in a blank there."""
    text = []
    for e in entries:
        vlan = f"vlan {e.vid} " if e.vid else ""
        age = e.age_s or 0
        used = f"used {age}/{age} " if statistics else ""
        state = "static" if e.static else ""
        text.append(f"{e.mac} dev {e.port} {vlan}{used}master {master} {state}\n")
    return "".join(text)


def as_bridge(entry: FdbEntry, master: str, *, statistics: bool) -> dict[str, object]:
    """A station with the keys of ``bridge -j fdb show``."""
    return {
        "mac": entry.mac,
        "ifname": entry.port,
        **({"vlan": entry.vid} if entry.vid else {}),
        **({"updated": entry.age_s or 0} if statistics else {}),
        "flags": [],
        "master": master,
        "state": "static" if entry.static else "",
    }
