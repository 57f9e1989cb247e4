"""``vswitch doctor``: what is wrong with this host and its switches, and the command for it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vswitch.cli._common import print_json

if TYPE_CHECKING:
    from vswitch.doctor import Facts, Report

WRONG = 1

HELP = """\
Look for what is wrong with this host and a running switch, all of this user's without NAME.

Each finding is an error, a warning or a note, one sentence, and the command that makes it right.
Nothing is changed. What could not be checked is a note; as root everything can be. JSON is a list
of {check, severity, switch, port, text, fix}.

\b
Exit status:
  0  nothing wrong; there may be notes
  1  there are warnings or errors, or the switch could not be asked
  2  the input was bad

\b
  vswitch doctor
  vswitch doctor lab
  vswitch doctor -j | jq -r '.[] | select(.severity != "note") | .fix'
"""


@click.command("doctor", help=HELP, short_help="Find what is wrong, and the command for it.")
@click.argument("name", required=False)
@click.option("-j", "--json", "as_json", is_flag=True, help="The findings as a list.")
@click.option("-S", "--switch", metavar="NAME", help="The same as NAME.")
@click.option("--api", type=click.Path(), metavar="PATH", help="The switch at this socket.")
def command(name: str | None, as_json: bool, switch: str | None, api: str | None) -> int:
    from vswitch.config import check_switch_name
    from vswitch.doctor import diagnose, gather

    given = {word for word in (name, switch) if word is not None}
    if len(given) + (api is not None) > 1:
        raise click.UsageError("one of NAME, -S and --api says which switch")
    if api is not None and "://" in api:
        raise click.UsageError("doctor looks at this host: --api is the path of a socket here")
    one = next(iter(given), None)
    if one is not None:
        check_switch_name(one, "NAME")
    facts = gather(one, api=None if api is None else Path(api))
    report = diagnose(facts)
    if as_json:
        print_json([asdict(finding) for finding in report.findings])
    else:
        click.echo(describe(facts, report))
    return WRONG if report.wrong else 0


def describe(facts: Facts, report: Report) -> str:
    """A paragraph for each finding; who holds the TAPs that are ports."""
    several = len(facts.switches) > 1
    lines = []
    for found in report.findings:
        where = f"{found.switch}: " if several and found.switch else ""
        lines.append(f"{found.severity}: {where}{found.text}")
        if found.fix:
            lines.append(f"    {found.fix}")
    if not report.findings:
        lines.append(f"nothing found: {report.checks} checks")
    return "\n".join(lines + _held(facts))


def _held(facts: Facts) -> list[str]:
    lines = []
    for _, port, _ in facts.attached():
        holders = facts.host.holders.get(port.name)
        if port.end == "interface" and holders:
            lines.append(f"{port.name} is held by {', '.join(map(str, holders))}")
    return lines
