"""``vswitch top``: what flows through a running switch, as it flows."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vswitch.cli._common import ask, switch_options
from vswitch.clock import Clock, time_of_day
from vswitch.text import RATES_HEAD, Rates, fitted, rates, rates_row, table

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from vswitch.cli._screen import Keys
    from vswitch.control.client import Client
    from vswitch.control.schema import PortInfo, SwitchInfo

HELP = """\
Show what each port does per second, again and again.

On a terminal it fills the screen, and these keys work; elsewhere it prints a table each time.

\b
  q        quit
  s        sort by the next column
  p        pause, and go on
  space    ask now

\b
  vswitch top
  vswitch top -d 0.5 --sort rx
  vswitch top -n 10 > rates
"""

DELAY_MIN_S, DELAY_MAX_S = 0.1, 3600
NAME_WIDTH = 15  # a name is cut to so much before a column is left away
FRAME_LINES = 4  # one above the table, its head, two below
GAP = 2  # between columns
# What is left away first where the terminal is narrow: columns of RATES_HEAD.
DISPENSABLE = (5, 4, 2, 3)
SORTS: dict[str, Callable[[Rates], tuple[float, str]]] = {
    "port": lambda r: (0, ""),  # as they are
    "name": lambda r: (0, r.name),
    "rx": lambda r: (-r.rx_mbit, ""),
    "tx": lambda r: (-r.tx_mbit, ""),
    "drops": lambda r: (-r.drops, ""),
}


@click.command("top", help=HELP, short_help="Show what flows, as it flows.")
@click.option(
    "-d", "--delay", default=1.0, show_default=True, metavar="SECONDS",
    type=click.FloatRange(DELAY_MIN_S, DELAY_MAX_S), help="Ask so often.",
)  # fmt: skip
@click.option("-n", "--count", type=click.IntRange(1), metavar="N", help="End after so many times.")
@click.option("--sort", type=click.Choice([*SORTS]), default="port", help="Which is the first.")
@switch_options
def command(
    delay: float, count: int | None, sort: str, switch: str | None, api: Path | None
) -> None:
    from vswitch.cli import _screen

    with ask(switch, api) as client:
        top = Top(client, Clock(), sort)
        if not _screen.usable():
            lines(top, _screen.Keys(-1), delay, count)
            return
        with _screen.keys() as keys:
            watch(top, keys, delay, count)


class Top:
    """Two moments of a switch, and what happened between them."""

    def __init__(self, client: Client, clock: Clock, sort: str = "port") -> None:
        self._client = client
        self.clock = clock
        self.sort = sort
        self._ports: list[PortInfo] = []
        self._then = 0.0
        self.info: SwitchInfo
        self.rates: list[Rates] = []
        self.ask()

    def ask(self) -> None:
        """See what happened since it was asked last."""
        ports, now = self._client.ports(), self.clock.precise_s()
        self.info = self._client.switch()
        passed = max(now - self._then, 0.001)
        self.rates = rates(self._ports, ports, passed) if self._ports else rates(ports, ports, 1)
        self._ports, self._then = ports, now

    def sorted(self) -> list[Rates]:
        return sorted(self.rates, key=SORTS[self.sort])

    def next_sort(self) -> None:
        names = [*SORTS]
        self.sort = names[(names.index(self.sort) + 1) % len(names)]


def lines(top: Top, keys: Keys, delay: float, count: int | None) -> None:
    """A table each time, for files and pipes."""
    asked = 0
    while count is None or asked < count:
        keys.wait(delay)
        top.ask()
        asked += 1
        rows = [rates_row(r) for r in top.sorted()]
        click.echo(f"{time_of_day()}\n{table(RATES_HEAD, rows)}\n")


def watch(top: Top, keys: Keys, delay: float, count: int | None) -> None:
    """The screen, until a key or *count* ends it."""
    from rich.console import Console
    from rich.live import Live

    from vswitch.cli._screen import TICK_S

    console = Console(highlight=False)
    asked, paused, due = 0, False, top.clock.precise_s() + delay
    with Live(console=console, screen=True, auto_refresh=False) as live:
        while True:
            live.update(drawn(top, console, delay, paused=paused), refresh=True)
            key = keys.wait(TICK_S if paused else min(TICK_S, due - top.clock.precise_s()))
            if key == "q":
                return
            if key == "s":
                top.next_sort()
            if key == "p":
                paused = not paused
            if key == " " or (not paused and top.clock.precise_s() >= due):
                top.ask()
                asked, due = asked + 1, top.clock.precise_s() + delay
            if count is not None and asked >= count:
                return


def drawn(top: Top, console: Console, delay: float, *, paused: bool) -> RenderableType:
    """All that fits the terminal as it is now."""
    from rich.console import Group
    from rich.text import Text

    from vswitch.cli.show import duration

    info, found = top.info, top.sorted()
    room = max(1, console.height - FRAME_LINES)
    shown = found[:room]
    head, *rows = fitted_table(shown, console.width)
    hidden = len(found) - len(shown)
    title = (
        f"switch {info.name}  up {duration(info.uptime_s)}  "
        f"{info.fdb.entries} of {info.fdb.limit} stations  {info.fdb.learned} learned"
    )
    keys = f"q quit  s sort ({top.sort})  p {'go on' if paused else 'pause'}  every {delay:g} s"
    said = [
        (title, "bold"),
        (head, "reverse"),
        *((row, "red" if r.drops else "") for row, r in zip(rows, shown, strict=True)),
        (f"and {hidden} more, for which the terminal is too low" if hidden else "", ""),
        (keys, "dim"),
    ]
    return Group(*(Text(t, style, no_wrap=True, overflow="crop") for t, style in said))


def fitted_table(found: list[Rates], width: int) -> list[str]:
    """The table in *width* columns: head and rows, without what is dispensable and has no room."""
    cells = [[*RATES_HEAD], *(rates_row(r) for r in found)]
    wide = [max(len(row[i]) for row in cells) for i in range(len(RATES_HEAD))]
    kept = [*range(len(wide))]

    def left() -> int:
        others: int = sum(wide[i] + GAP for i in kept if i)
        return width - others

    for column in DISPENSABLE:
        if left() >= min(wide[0], NAME_WIDTH):
            break
        kept.remove(column)
    names = max(4, left())
    lines = [[fitted(row[i], names) if i == 0 else row[i] for i in kept] for row in cells]
    return table(lines[0], lines[1:]).splitlines()
