"""``vswitch reload``: have a running switch read its file again."""

from __future__ import annotations

from pathlib import Path

import click

from vswitch.cli._common import ask, print_json, switch_options

HELP = """\
Have a running switch read its configuration file again, as SIGHUP does; only what differs from what
it has now is changed, and printed.

Ports that stay as they are lose no frame. What was changed by hand since ("vswitch port add") is
undone if the file does not have it. When something cannot be, nothing is changed: mistakes in the
file, and what cannot change while a switch runs (its name, --pollers, --core, --fdb-limit,
--busy-poll, [run]), are found before anything is touched; if a port cannot be opened, those that
were changed before it are put back.

\b
  vswitch config diff && echo "nothing to do"
  vswitch reload -S lab
"""


@click.command("reload", help=HELP, short_help="Read the configuration file again.")
@click.option("-j", "--json", "as_json", is_flag=True, help="The changes as a list.")
@switch_options
def command(as_json: bool, switch: str | None, api: Path | None) -> None:
    with ask(switch, api) as client:
        changes = client.reload()
    if as_json:
        print_json(changes)
    else:
        click.echo("\n".join(changes) or "nothing to change")
