"""``vswitch show``: a running switch at a glance."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vswitch.cli._common import ask, print_json, switch_options
from vswitch.text import counters_table, plural, port_facts, waiting

if TYPE_CHECKING:
    from vswitch.control.schema import ListenerInfo, PortInfo, SwitchInfo

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


@click.command("show", help=HELP, short_help="Show a running switch, its ports and counters.")
@click.option("-j", "--json", "as_json", is_flag=True, help="As JSON: what the API says.")
@switch_options
def command(as_json: bool, switch: str | None, api: Path | None) -> None:
    with ask(switch, api) as client:
        info, ports, listeners = client.switch(), client.ports(), client.listeners()
    if as_json:
        import msgspec

        shown = {"switch": info, "ports": ports, "listeners": listeners}
        print_json(msgspec.to_builtins(shown))
    else:
        click.echo(describe(info, ports, listeners))


def describe(info: SwitchInfo, ports: Sequence[PortInfo], listeners: Sequence[ListenerInfo]) -> str:
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
    ]
    for port in ports:
        state = port.state + waiting(port.state, port.address, port.remote)
        lines.append(f"    port {port.name}: {state}, {plural(port.stations, 'station')}")
        lines.append(f"        {port_facts(port)}")
    for place in listeners:
        lines.append(f"    listener {place.name}: {plural(place.ports, 'port')}")
        lines.append(f"        {place.kind}:{place.address}, mtu {place.mtu}")
    reasons = {reason.name: (reason.where, reason.text) for reason in info.drop_reasons}
    return "\n".join([*lines, "", counters_table(ports, reasons)])


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
