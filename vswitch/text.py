"""Facts as text in columns: for the terminal, 80 columns wide, and for awk.

Pure functions from facts to strings; both the end of ``vswitch run`` and ``vswitch show`` use
them. Nothing here depends on colour.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

WIDTH = 80
SCALES = ((18, "E"), (15, "P"), (12, "T"), (9, "G"))
FULL_DIGITS = 9  # longer numbers are shortened, or six columns of them would not fit

# name -> ("rx" or "tx", what it means to a user)
Reasons = Mapping[str, tuple[str, str]]


class Counted(Protocol):
    """A port as `counters_table` needs it."""

    @property
    def name(self) -> str: ...
    @property
    def counters(self) -> Mapping[str, int]: ...
    @property
    def drops(self) -> Mapping[str, int]: ...


class Opened(Protocol):
    """A port as `port_facts` needs it."""

    @property
    def kind(self) -> str: ...
    @property
    def end(self) -> str: ...
    @property
    def ips(self) -> Sequence[str]: ...
    @property
    def created(self) -> bool: ...
    @property
    def queues(self) -> int: ...
    @property
    def queues_used(self) -> int: ...
    @property
    def mtu(self) -> int: ...
    @property
    def vnet_header(self) -> bool: ...
    @property
    def offloads(self) -> Sequence[str]: ...


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns as wide as their contents: the first to the left, the others to the right."""
    lines = [head, *rows]
    width = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(w) if i else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(line, width, strict=True))
        ).rstrip()
        for line in lines
    )


def number(n: int) -> str:
    """*n* in full up to nine digits, then as 12.35G."""
    if n < 10**FULL_DIGITS:
        return str(n)
    power, letter = next(scale for scale in SCALES if n >= 10 ** scale[0])
    return f"{n / 10**power:.2f}{letter}"


def plural(n: int, noun: str) -> str:
    """'1 port', '2 ports'."""
    return f"{n} {noun}" if n == 1 else f"{n} {noun}s"


def fitted(name: str, width: int) -> str:
    """*name*, without its middle if it is longer: the ends are what names differ in."""
    if len(name) <= width:
        return name
    tail = (width - 1) // 2
    return f"{name[: width - 1 - tail]}~{name[len(name) - tail :]}"


def port_facts(port: Opened) -> str:
    """What a port got from its device, in one line."""
    origin = ["created" if port.created else "existing", f"{port.end} end"] if port.end else []
    header = ["vnet header"] if port.vnet_header else []
    of = "" if port.queues_used in (0, port.queues) else f"{port.queues_used} of "
    return ", ".join([
        *(origin or [" ".join([port.kind, *port.ips])]),
        of + plural(port.queues, "queue"),
        f"mtu {port.mtu}",
        *header,
        " ".join(port.offloads) or "no offloads",
    ])  # fmt: skip


def waiting(state: str, address: str, remote: str) -> str:
    """What is to stand behind the name of a port that waits for its peer, or nothing."""
    if state != "down" or not (address or remote):
        return ""
    return f", waiting for {remote}" if remote else f", waiting at {address}"


def counters_table(ports: Sequence[Counted], reasons: Reasons) -> str:
    """Frames, bytes and drops per port; below, what was dropped and why, if anything was."""
    rows = [_counters_row(port, reasons) for port in ports]
    head = ("port", "rx frames", "rx bytes", "rx drops", "tx frames", "tx bytes", "tx drops")
    parts = [table(head, rows)]
    drops = [(p.name, name, n) for p in ports for name, n in p.drops.items() if n]
    if drops:
        parts.append(_drops_list(drops, reasons))
    return "\n\n".join(parts)


def _counters_row(port: Counted, reasons: Reasons) -> list[str]:
    def dropped(where: str) -> int:
        return sum(n for name, n in port.drops.items() if reasons[name][0] == where)

    c = port.counters
    values = [
        c["rx_frames"], c["rx_bytes"], dropped("rx"),
        c["tx_frames"], c["tx_bytes"], dropped("tx"),
    ]  # fmt: skip
    return [port.name, *map(number, values)]


def _drops_list(drops: Sequence[tuple[str, str, int]], reasons: Reasons) -> str:
    rows = [(port, number(n), name) for port, name, n in drops]
    columns = table(("dropped", "frames"), [row[:2] for row in rows]).splitlines()
    wide = max(len(row[2]) for row in rows)
    lines = [f"{columns[0]}  reason"]
    for line, (_, _, name) in zip(columns[1:], rows, strict=True):
        start = f"{line}  {name.ljust(wide)}  "
        lines += textwrap.wrap(
            reasons[name][1], WIDTH, initial_indent=start, subsequent_indent=" " * len(start)
        )
    return "\n".join(lines)


@dataclass(frozen=True, slots=True)
class Rates:
    """What a port does per second."""

    name: str
    rx_frames: float
    rx_mbit: float
    tx_frames: float
    tx_mbit: float
    drops: float


RATES_HEAD = ("port", "rx frames/s", "rx Mbit/s", "tx frames/s", "tx Mbit/s", "drops/s")


def rates(before: Sequence[Counted], after: Sequence[Counted], seconds: float) -> list[Rates]:
    """What each port of *after* did per second since *before*."""
    old = {port.name: port for port in before}
    found = []
    for port in after:
        was = old.get(port.name, port)

        def per_s(name: str, now: Counted = port, then: Counted = was) -> float:
            return _since(then.counters[name], now.counters[name]) / seconds

        found.append(
            Rates(
                port.name,
                per_s("rx_frames"),
                per_s("rx_bytes") * 8e-6,
                per_s("tx_frames"),
                per_s("tx_bytes") * 8e-6,
                _since(sum(was.drops.values()), sum(port.drops.values())) / seconds,
            )
        )
    return found


def rates_row(r: Rates) -> list[str]:
    """One line of `rates_table`."""
    return [
        r.name,
        f"{r.rx_frames:.0f}", f"{r.rx_mbit:.1f}",
        f"{r.tx_frames:.0f}", f"{r.tx_mbit:.1f}",
        f"{r.drops:.0f}",
    ]  # fmt: skip


def rates_table(before: Sequence[Counted], after: Sequence[Counted], seconds: float) -> str:
    """The same in columns."""
    return table(RATES_HEAD, map(rates_row, rates(before, after, seconds)))


def _since(then: int, now: int) -> int:
    """How much a counter grew; a smaller one is that of another port, which took the name."""
    return now - then if now >= then else now
