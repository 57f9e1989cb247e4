"""``vswitch fdb``: which station is behind which port, as ``bridge fdb`` shows and changes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import click

from vswitch.cli import _brctl, _bridge, _fdbchange, _names, _ovs
from vswitch.cli._asking import Asking, asking
from vswitch.cli._group import Words
from vswitch.cli._stations import KINDS, kind_of, vid_of
from vswitch.cli._words import Grammar, Said, one_of

if TYPE_CHECKING:
    from vswitch.control.schema import FdbEntry

SHOW_HELP = """\
List the stations: every address the switch knows, and the port it is behind.

The lines are those of "bridge fdb show": a station heard from traffic has no state at the end, one
set by hand is "static"; who asks for one port with "dev" is not told its name again. With -s each
line has "used A/B" as there; B is the seconds since the station was last heard. How long ago it was
last sent to is not measured: A repeats B. "dynamic" leaves permanent ones out, as there; "state
dynamic" static ones, too.

\b
  vswitch fdb show
  vswitch fdb show dev tap0 state static
  vswitch fdb show --at 10:05
  vswitch fdb show --format brctl
  vswitch -j fdb show | jq -r '.[] | select(.ifname == "tap0") | .mac'
"""

HISTORY_HELP = """\
Say what happened to a station, the oldest first: learned, moved, expired, flushed, deleted, pinned,
flapping. The switch keeps the last 100,000 such events; the newest 1,000 are said, or --limit.

\b
  vswitch fdb history 52:54:00:12:34:56
"""

SHOW = Grammar(
    {
        "dev": _names.ports,
        "br": _names.switches,
        "vlan": one_of(),
        "state": one_of(*KINDS, "all"),
    },
    flags=("dynamic",),
    synonyms={"brport": "dev"},
)
HISTORY = Grammar({"br": _names.switches}, free="MAC")


@click.group(
    "fdb",
    cls=Words,
    default="show",
    bare="show",
    aliases={"delete": "del", "list": "show", "lst": "show"},
    first=("add", "replace", "del", "show", "list", "flush"),
    short_help="Show and change the forwarding database, of now and before.",
)
def command() -> None:
    """The forwarding database: which station is behind which port.

    Without a command: show.
    """


@command.command(help=SHOW_HELP, short_help="List the stations.")
@SHOW.argument("[dev PORT] [br NAME] [vlan V] [state STATE]")
@click.option("--port", metavar="PORT", help="Only what is behind this port, with its name.")
@click.option(
    "--format", "form", type=click.Choice(["bridge", "brctl", "ovs"]), default="bridge",
    show_default=True, help="Whose table: that of brctl showmacs, or ovs-appctl fdb/show.",
)  # fmt: skip
@click.option("--at", metavar="TIME", help="As it was: 10:05, 2026-11-23T10:05:09, -5m.")
@asking
def show(
    asked: Asking, given: tuple[str, ...], port: str | None, form: str, at: str | None
) -> None:
    from vswitch.cli._moment import moment

    said = SHOW.read(given, br=asked.switch)
    if port is not None and said.get("dev") not in (None, port):
        raise click.UsageError(f"'dev' is given twice: {port} and {said.get('dev')}")
    if form == "brctl" and asked.as_json:
        raise click.UsageError("brctl has no JSON")
    if at is not None and (asked.statistics or form != "bridge"):
        raise click.UsageError("--at knows who was where, not how long ago each was heard")
    matches, at_s = _filter(said), None if at is None else moment(at)
    with asked.client(said.get("br")) as client:
        found = [e for e in client.fdb(port=port or said.get("dev"), at=at_s) if matches(e)]
        if form == "bridge":
            _print(asked, found, client.switch().name, port="dev" not in said.values)
            return
        ports = client.ports()
    if form == "brctl":
        click.echo(_brctl.macs(found, {p.name: p.number + 1 for p in ports}))
    elif asked.as_json:
        asked.print_json(_ovs.fdb_keys(found, _ovs.numbers(ports)))
    else:
        click.echo(_ovs.fdb_table(found, _ovs.numbers(ports)))


@command.command(short_help="How many stations are known, were learned, expired, moved.")
@click.option(
    "--format", "form", type=click.Choice(["plain", "ovs"]), default="plain", show_default=True,
    help="As ovs-appctl fdb/stats-show prints it.",
)  # fmt: skip
@asking
def stats(asked: Asking, form: str) -> None:
    """How many stations are known, and how many were learned, expired, moved, refused so far.

    Those are refused that come when a limit is reached. Nobody is evicted for them.
    """
    with asked.client() as client:
        info = client.switch()
    f = info.fdb
    if asked.as_json:
        import msgspec

        asked.print_json(msgspec.to_builtins(f))
    elif form == "ovs":
        click.echo(_ovs.stats(info.name, f))
    else:
        locked = f", {f.locked} locked" if f.locked else ""
        click.echo(
            f"fdb of {info.name}: {f.entries} of {f.limit} stations, {f.static} static{locked}\n"
            f"    {f.learned} learned, {f.moved} moved, {f.expired} expired, "
            f"{f.refused + f.crowded} refused"
        )


@command.command(help=HISTORY_HELP, short_help="Say where a station was, and since when.")
@HISTORY.argument("MAC [br NAME]")
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="N", help="Events at most, the newest."
)
@asking
def history(asked: Asking, given: tuple[str, ...], limit: int | None) -> None:
    from vswitch.cli.monitor import line, short_stamp
    from vswitch.options import mac

    said = HISTORY.read(given, br=asked.switch)
    address = said.needed("MAC", "the station's address")
    mac("MAC", address)
    with asked.client(said.get("br")) as client:
        master = client.switch().name
        found = client.events(mac=address, limit=limit)
    if asked.as_json:
        import msgspec

        asked.print_json(msgspec.to_builtins(found.events))
    else:
        for event in found.events:
            click.echo(f"{short_stamp(event.time)}{event.kind:<14} {line(event, master)}")
    if found.more:
        shown = len(found.events)
        click.echo(
            f"vswitch: {found.more} older events are not shown: --limit {found.more + shown}",
            err=True,
        )


for _member in _fdbchange.COMMANDS:
    command.add_command(_member)


def _filter(said: Said) -> Callable[[FdbEntry], bool]:
    """What ``show`` is to show."""
    vid, state = vid_of(said), said.get("state") or "all"
    if state not in (*KINDS, "all"):
        raise click.UsageError(f"state is {', '.join(KINDS)} or all, not {state!r}")
    return lambda e: vid in (None, e.vid) and state in ("all", kind_of(e))


def _print(asked: Asking, found: Sequence[FdbEntry], master: str, *, port: bool) -> None:
    """As bridge(8) prints it; *port*: say which."""
    if asked.as_json:
        asked.print_json([
            _bridge.fdb_keys(e, master, statistics=asked.statistics, port=port) for e in found
        ])  # fmt: skip
        return
    for e in found:
        click.echo(_bridge.fdb_line(e, master, statistics=asked.statistics, port=port))
