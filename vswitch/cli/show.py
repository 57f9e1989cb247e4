"""``vswitch show``: a running switch at a glance."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import click

from vswitch.cli import _brctl, _ovs
from vswitch.cli._asking import Asking, asking
from vswitch.portconfig import OPTIONS
from vswitch.portsettings import DEFAULT
from vswitch.text import WIDTH, counters_table, fitted, plural, port_facts, waiting

if TYPE_CHECKING:
    from vswitch.control.schema import (
        ListenerInfo,
        MirrorInfo,
        NeighboursInfo,
        PortInfo,
        SwitchInfo,
    )

HELP = """\
Show a running switch: what its ports negotiated, their counters, and why frames were dropped.

Received frames are forwarded, dropped (rx drops) or kept for the control plane. A frame that was
lost on its way out is a tx drop of the port it was meant for. Numbers of more than nine digits are
shortened; -j has all of them in full.

\b
  vswitch show
  vswitch show -S lab
  vswitch show -j | jq '.ports[] | {name, drops}'
"""


# Settings that have their own words in the tree: the state, a fact, who is guarded.
SAID_ELSEWHERE = ("forwarding", "mtu", "trusted", "allow_mac", "allow_ip")
NAME_WIDTH = 15  # the longest of a device; six columns of nine digits fit beside it


@click.command("show", help=HELP, short_help="Show a running switch, its ports and counters.")
@click.option(
    "--format", "form", type=click.Choice(["plain", "brctl", "ovs"]), default="plain",
    show_default=True, help="As brctl show, or ovs-vsctl show.",
)  # fmt: skip
@asking
def command(asked: Asking, form: str) -> None:
    if form != "plain" and asked.as_json:
        raise click.UsageError(f"--format {form} has no JSON")
    with asked.client() as client:
        info, ports, listeners = client.switch(), client.ports(), client.listeners()
        mirrors = client.mirrors()
    if asked.as_json:
        import msgspec

        shown = {"switch": info, "ports": ports, "listeners": listeners, "mirrors": mirrors}
        asked.print_json(msgspec.to_builtins(shown))
    elif form == "brctl":
        click.echo(_brctl.tree(info.name, ports))
    elif form == "ovs":
        click.echo(_ovs.tree(info, ports))
    else:
        click.echo(describe(info, ports, listeners, mirrors))


def describe(
    info: SwitchInfo,
    ports: Sequence[PortInfo],
    listeners: Sequence[ListenerInfo],
    mirrors: Sequence[MirrorInfo] = (),
) -> str:
    """The switch as a tree, and its counters as a table."""
    fdb = info.fdb
    refused = fdb.refused + fdb.crowded
    lines = [
        f"switch {info.name}: core {info.core}, {plural(info.pollers, 'poller')}, "
        f"pid {info.pid}, up {duration(info.uptime_s)}",
        f"    fdb: {fdb.entries} of {plural(fdb.limit, 'station')}, "
        f"ageing {f'{info.ageing_s} s' if info.ageing_s else 'off'}",
        f"        {fdb.learned} learned, {fdb.moved} moved, {fdb.expired} expired, "
        f"{refused} refused",
        f"    reserved addresses forwarded: {' '.join(info.forward) or 'none'}",
        *_guards(info),
        *_loops(info),
        *_neighbours(info),
    ]
    for port in ports:
        lines += [f"    {line}" for line in _of_port(port)]
    for place in listeners:
        lines.append(f"    listener {place.name}: {plural(place.ports, 'port')}")
        lines.append(f"        {place.kind}:{place.address}, mtu {place.mtu}")
    lines += [f"    mirror {mirror.text}" for mirror in mirrors]
    return "\n".join(
        [*(part for line in lines for part in _wrapped(line)), "", counters(info, ports)]
    )


def _guards(info: SwitchInfo) -> list[str]:
    said = [
        *(("dhcp-snooping",) if info.dhcp_snooping else ()),
        *(("dhcp6-snooping",) if info.dhcp6_snooping else ()),
        *(("dhcp-guard",) if info.dhcp_guard else ()),
        *(("ra-guard",) if info.ra_guard else ()),
        *((f"move-guard {info.move_guard_s} s",) if info.move_guard_s else ()),
    ]
    return [f"    guarded: {', '.join(said)}"] if said else []


def _loops(info: SwitchInfo) -> list[str]:
    said = {"on": f"a port is held for {info.loop_hold_s} s at first", "report": "only reported"}
    return [f"    loops: {said[info.loop_detect]}"] if info.loop_detect in said else []


def _neighbours(info: SwitchInfo) -> list[str]:
    n = info.neighbours
    used = n is not None and any((n.entries, n.refused, n.answered, n.suppressed))
    return [f"    neighbours: {neighbours_fact(n)}"] if n is not None and used else []


def neighbours_fact(n: NeighboursInfo) -> str:
    """How many are known, and what they spared."""
    return (
        f"{n.entries} of {n.limit} known, {n.refused} refused, "
        f"{plural(n.answered, 'question')} answered, {plural(n.suppressed, 'frame')} kept back"
    )


def port_lines(port: PortInfo) -> list[str]:
    """A port: a line on how it is, below it what it got, and what is set of it, if anything is."""
    return [part for line in _of_port(port) for part in _wrapped(line)]


def _of_port(port: PortInfo) -> list[str]:
    state = port.state + waiting(port.state, port.address, port.remote)
    return [
        f"port {port.name}: {state}, {plural(port.stations, 'station')}",
        f"    {port_facts(port)}",
        *([f"    {', '.join(said)}"] if (said := settings(port)) else []),
        *(("    trusted",) if port.trusted else ()),
        *((f"    only from {' '.join(port.allow_mac)}",) if port.allow_mac else ()),
        *((f"    only for {' '.join(port.allow_ip)}",) if port.allow_ip else ()),
    ]


def settings(port: PortInfo) -> list[str]:
    """What is set of a port and is not as by default; VLANs first."""
    # A word of them all could be longer than a line.
    said = [f"vlans {re.sub(',(?=[a-z])', ', ', port.vlans.said)}"] if port.vlans else []
    for key, option in OPTIONS.items():
        if option.live and option.field not in SAID_ELSEWHERE:
            value = getattr(port, option.field)
            if value != getattr(DEFAULT, option.field):
                told = ("on" if value else "off") if isinstance(value, bool) else value
                said.append(f"{key} {told}")
    return said


def counters(info: SwitchInfo, ports: Sequence[PortInfo]) -> str:
    """The counters of ports, whose names are made to fit."""
    reasons = {reason.name: (reason.where, reason.text) for reason in info.drop_reasons}
    return counters_table(
        [_Counted(fitted(p.name, NAME_WIDTH), p.counters, p.drops) for p in ports], reasons
    )


@dataclass(frozen=True, slots=True)
class _Counted:
    name: str
    counters: dict[str, int]
    drops: dict[str, int]


def _wrapped(line: str) -> list[str]:
    """*line* within a terminal's width, unless a word alone is longer: paths are to be copied."""
    indent = " " * (len(line) - len(line.lstrip()) + 4)
    return textwrap.wrap(
        line, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False,
        drop_whitespace=True,
    )  # fmt: skip


def duration(seconds: int) -> str:
    """'12 s', '3:07', '2 d 4:05:09'."""
    if seconds < 60:
        return f"{seconds} s"
    minutes, s = divmod(seconds, 60)
    if minutes < 60:
        return f"{minutes}:{s:02d}"
    hours, m = divmod(minutes, 60)
    if hours < 24:
        return f"{hours}:{m:02d}:{s:02d}"
    days, h = divmod(hours, 24)
    return f"{days} d {h}:{m:02d}:{s:02d}"
