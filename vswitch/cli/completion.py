"""``vswitch completion``: what makes a shell complete objects, commands, ports and switches."""

from __future__ import annotations

import click

HELP = """\
Print what makes a shell complete the words of vswitch: objects, commands, ports, switches.

Names of ports are asked of the running switch, and given up when it does not answer at once.

\b
  eval "$(vswitch completion bash)"      in ~/.bashrc
  eval "$(vswitch completion zsh)"       in ~/.zshrc, after compinit
  vswitch completion fish > ~/.config/fish/completions/vswitch.fish
"""


@click.command("completion", help=HELP, short_help="Print what makes a shell complete words.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    from click.shell_completion import get_completion_class

    complete = get_completion_class(shell)
    assert complete
    click.echo(complete(ctx.find_root().command, {}, "vswitch", "_VSWITCH_COMPLETE").source())
