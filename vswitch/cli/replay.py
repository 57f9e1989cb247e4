"""``vswitch replay``: captures through a switch, from files into files."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vswitch.cli._common import forwarded, load, print_json
from vswitch.cli._guarding import guard_options, guards
from vswitch.text import counters_table, plural, table

if TYPE_CHECKING:
    from vswitch.playback import Played

HELP = """\
Replay captures through a switch of their own, from files into files.

FILE@PORT lets the frames of a capture (pcap or pcapng, of Ethernet) enter at a port; there is a
port for each name, and --port adds some that only record, or says what is set of one: VLANs, flags,
who may speak there. What leaves PORT goes to DIR/PORT.pcap, with nanoseconds. It needs no root, no
device and no waiting: each frame enters at its recorded time by the switch's own clock, which also
ages stations, so the same bytes come out every time.

Frames of several files are merged by time; at equal times the file named first is first. A frame
is forwarded before the next one enters. Frames that were cut when they were captured enter as they
are in the file, with a warning. Guards are those of "vswitch run", and hold at all ports without
trusted=on.

\b
  vswitch replay in.pcap@tap0 --port tap1 --port tap2 --out lab
  vswitch replay a.pcap@tap0 b.pcapng@tap1 --out lab --ageing 10
  vswitch replay in.pcap@a --port a,access=10 --port b,trunk=10 --out lab
  tcpdump -r lab/tap1.pcap -e
"""


@click.command("replay", help=HELP, short_help="Replay captures through a switch, into files.")
@click.argument("sources", nargs=-1, required=True, metavar="FILE@PORT...")
@click.option(
    "--out",
    required=True,
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Where what leaves the ports is recorded; made if it is not there.",
)
@click.option(
    "--port",
    "ports",
    multiple=True,
    metavar="NAME[,OPTION=VALUE...]",
    help="One more port, to record; or the options of one that is there.",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["pcap", "pcapng"]),
    default="pcap",
    show_default=True,
    help="Of the recordings.",
)
@click.option(
    "--ageing",
    default=300,
    show_default=True,
    metavar="SECONDS",
    help="Forget a station not heard for so long; 0: never.",
)
@click.option(
    "--fdb-limit", default=65536, show_default=True, metavar="N", help="Stations to remember."
)
@click.option(
    "--mtu",
    type=int,
    metavar="BYTES",
    help="Do not send longer frames  [default: of any length, as captures may hold segments that "
    "a device had put together]",
)
@click.option(
    "--forward",
    metavar="LIST",
    help="Which frames to link-local addresses cross, as for vswitch run  [default: stp]",
)
@click.option("--transparent", is_flag=True, help="All of those cross.")
@guard_options
@click.option(
    "--core",
    default="c",
    show_default=True,
    metavar="c|python",
    help="The compiled datapath, or the readable one: the same bytes, slower.",
)
@click.option("-f", "--force", is_flag=True, help="Write into DIR though it is not empty.")
@click.option("-j", "--json", "as_json", is_flag=True, help="Say what became of it as JSON.")
def command(
    *,
    sources: tuple[str, ...],
    out: Path,
    ports: tuple[str, ...],
    form: str,
    ageing: int,
    fdb_limit: int,
    mtu: int | None,
    forward: str | None,
    transparent: bool,
    core: str,
    force: bool,
    as_json: bool,
    **guarded: Any,
) -> None:
    from vswitch.config import SwitchConfig
    from vswitch.logs import set_up

    config = SwitchConfig(
        name="replay",
        ageing_s=ageing,
        fdb_limit=fdb_limit,
        mtu=mtu,
        core=core,
        forward=forwarded(forward, transparent=transparent),
        **guards(**guarded),
    )
    set_up(verbose=False, form="text")
    played = load("vswitch.playback").replay(
        sources,
        out,
        ports=ports,
        config=config,
        form=form,
        force=force,
        progress=_progress(),
    )
    if as_json:
        print_json(as_facts(played))
    else:
        click.echo(describe(played, out))


def describe(played: Played, out: Path) -> str:
    """What became of a replay, in columns."""
    from vswitch.daemon import REASONS

    seconds = (played.last_ns - played.first_ns) / 1e9
    stations = [(s.mac.hex(":"), s.port, str(s.age_s)) for s in played.stations]
    parts = [
        f"{plural(played.frames, 'frame')} of {seconds:.3f} s replayed, "
        f"{plural(len(played.files), 'recording')} in {out}",
        counters_table(played.ports, REASONS),
    ]
    if stations:
        parts.append(table(("station", "port", "age s"), stations))
    return "\n\n".join(parts)


def as_facts(played: Played) -> dict[str, object]:
    """The same for programs."""
    return {
        "frames": played.frames,
        "first_ns": played.first_ns,
        "last_ns": played.last_ns,
        "ports": [asdict(port) for port in played.ports],
        "stations": [{**asdict(s), "mac": s.mac.hex(":")} for s in played.stations],
        "files": [str(path) for path in played.files],
    }


def _progress() -> Callable[[int, int], None] | None:
    """How far it is, in one line that goes away; nothing unless a person looks on."""
    if not (sys.stderr and sys.stderr.isatty()):
        return None

    def show(done: int, frames: int) -> None:
        line = "" if done == frames else f"{done} of {frames} frames"
        click.echo(f"\r\x1b[K{line}", nl=False, err=True)

    return show
