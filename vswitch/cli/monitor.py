"""``vswitch monitor``: what happens, as ``bridge monitor`` says it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vswitch.cli import _names, _vlans
from vswitch.cli._common import ask, print_json, switch_options
from vswitch.cli._words import Grammar

if TYPE_CHECKING:
    from vswitch.control.schema import EventInfo

HELP = """\
Say what happens in a running switch, until Ctrl-C.

\b
  fdb    stations: learned, moved, "Deleted" when they expired or were
         forgotten; stations that move to and fro; a limit that is reached
  link   ports whose link goes up or down
  vlan   VLANs that ports are put in, and taken out of
  port   ports, and places where VMs connect; storms of drops
  all    all of these, each line with its label: [NEIGH], [LINK],
         [VLAN], [PORT]

The lines of stations are those of "bridge monitor fdb". Who reads too slowly loses events, and is
told how many.

\b
  vswitch monitor fdb
  vswitch monitor all -ts
  vswitch monitor fdb -j | jq -r 'select(.kind == "moved") | .mac'
"""

LABELS = {"fdb": "[NEIGH]", "link": "[LINK]", "vlan": "[VLAN]", "port": "[PORT]"}
WORDS = Grammar({"dev": _names.ports, "br": _names.switches})
REMOVALS = {"expired", "flushed", "deleted"}


@click.command("monitor", help=HELP, short_help="Say what happens in a running switch.")
@click.argument("what", default="all", type=click.Choice(["all", *LABELS]))
@WORDS.argument("[dev PORT] [br NAME]")
@click.option("-t", "--timestamp", is_flag=True, help="A line with the time before each.")
@click.option("-ts", "--tshort", is_flag=True, help="The time in front of each line.")
@click.option("-j", "--json", "as_json", is_flag=True, help="A JSON object a line.")
@click.option("--mac", metavar="MAC", help="Only of this address.")
@switch_options
def command(
    what: str,
    given: tuple[str, ...],
    timestamp: bool,
    tshort: bool,
    as_json: bool,
    mac: str | None,
    switch: str | None,
    api: Path | None,
) -> None:
    from vswitch.options import mac as check_mac

    said = WORDS.read(given, br=switch)
    if mac is not None:
        check_mac("--mac", mac)
    with ask(said.get("br"), api) as client:
        master = client.switch().name
        kinds = None if what == "all" else what
        for event in client.watch(kinds=kinds, port=said.get("dev"), mac=mac):
            if event.kind == "lost":
                click.echo(f"vswitch: {event.count} events were lost: too many for us", err=True)
            elif as_json:
                print_json(as_bridge(event, master))
            else:
                label = LABELS[_group(event.kind)] if what == "all" else ""
                stamp = _stamp(event.time, whole=timestamp, short=tshort)
                for text in lines(event, master):
                    click.echo(f"{stamp}{label}{text}")
            sys.stdout.flush()
    click.echo(f"vswitch: switch {master} has ended", err=True)


def lines(event: EventInfo, master: str) -> Iterable[str]:
    """What happened, in a line for each thing that did."""
    if event.vlans is None or event.old_vlans is None:
        return [line(event, master)]
    return _vlans.changes(str(event.port), event.old_vlans, event.vlans)


def line(event: EventInfo, master: str) -> str:
    """What happened, in one line."""
    if event.mac is not None:
        return _station(event, master)
    state = {"link_up": "forwarding", "link_down": "disabled"}.get(event.kind)
    if state:
        return f"{event.port} master {master} state {state} "
    if event.kind.startswith("loop_"):
        vlan = f"vlan {event.vid} " if event.vid else ""
        return f"{event.port} {vlan}master {master} loop with {event.old_port} {event.reason} "
    if event.reason is not None:
        rate = f"{event.rate:.0f} frames/s" if event.rate is not None else ""
        over = f" over, {event.count} frames" if event.kind.endswith("ended") else f" {rate}"
        return f"{event.port} drop storm, {event.reason}:{over}"
    deleted = "Deleted " if event.kind.endswith("_removed") else ""
    if event.listener is not None:
        return f"{deleted}listener {event.listener} at {event.address} master {master} "
    return f"{deleted}{event.port} master {master} "


def _station(event: EventInfo, master: str) -> str:
    deleted = "Deleted " if event.kind in REMOVALS else ""
    vlan = f"vlan {event.vid} " if event.vid else ""
    port = event.old_port if deleted else event.port
    static = event.was_static if deleted else event.static
    flags = "".join(f"{flag} " for flag in _flags(event))
    state = "static" if static else ""
    text = f"{deleted}{event.mac} dev {port} {vlan}{flags}master {master} {state}"
    return text + {
        "flapping": f"flapping {event.old_port} {event.port}, {event.rate} moves/s",
        "flapping_ended": f"settled, {event.count} moves",
        "limit_reached": f"refused, {event.count} stations",
        "move_refused": f"refused, stays at {event.old_port}",
    }.get(event.kind, "")


def _flags(event: EventInfo) -> list[str]:
    """The flags of its entry, of one that was removed those it had."""
    if event.kind in REMOVALS:
        said = {"sticky": event.was_sticky, "locked": event.was_locked}
    else:
        said = {"sticky": event.sticky, "locked": event.locked}
    return [flag for flag, so in said.items() if so]


def as_bridge(event: EventInfo, master: str) -> dict[str, Any]:
    """An event; of a station, with the keys of ``bridge -j monitor fdb``."""
    import msgspec

    facts: dict[str, Any] = msgspec.to_builtins(event)
    if event.mac is None:
        return facts
    removed = event.kind in REMOVALS
    static = event.was_static if removed else event.static
    return {
        **({"deleted": True} if removed else {}),
        "mac": event.mac,
        "ifname": event.old_port if removed else event.port,
        **({"vlan": event.vid} if event.vid else {}),
        "flags": _flags(event),
        "master": master,
        "state": "static" if static else "",
        **{key: value for key, value in facts.items() if key not in ("mac", "vid", "port")},
    }


def _stamp(wall_s: float, *, whole: bool, short: bool) -> str:
    if short:
        return short_stamp(wall_s)
    return long_stamp(wall_s) if whole else ""


def short_stamp(wall_s: float) -> str:
    """As bridge -ts: [2026-11-23T10:05:09.123456]"""
    at = time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(wall_s))
    return f"[{at}.{_usec(wall_s):06d}] "


def long_stamp(wall_s: float) -> str:
    """As bridge -t."""
    at = time.strftime("%a %b %e %H:%M:%S %Y", time.localtime(wall_s))
    return f"Timestamp: {at} {_usec(wall_s)} usec\n"


def _usec(wall_s: float) -> int:
    return int(wall_s % 1 * 1_000_000)


def _group(kind: str) -> str:
    from vswitch.events import GROUPS

    return next(group for group, kinds in GROUPS.items() if kind in kinds)
