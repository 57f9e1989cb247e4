"""Commands that hold commands: loaded on demand, with a default for who names none."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from importlib import import_module
from itertools import takewhile
from typing import Any

import click

# bridge(8) and ip(8) have these before the object: bridge -j -s fdb show.
LEADING = {"-j", "-s", "-js", "-sj"}


class UnknownWord(click.UsageError):
    """There is no command of that name; *possibilities* may have been meant."""

    def __init__(self, word: str, possibilities: Sequence[str], ctx: click.Context) -> None:
        super().__init__(f"no command {word!r} in {ctx.command_path}", ctx)
        self.possibilities = possibilities


class Words(click.Group):
    """A group that knows what is meant when a word is left out.

    Args:
        modules: Members that are loaded when asked for: the attribute ``command`` of each.
        default: The member that is meant when the first word is an option.
        bare: What is meant when there is no word at all.
    """

    def __init__(
        self,
        *args: Any,
        default: str,
        bare: str,
        modules: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._modules = modules or {}
        self._default = default
        self._bare = bare

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self._modules, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._modules:
            return super().get_command(ctx, cmd_name)
        command: click.Command = import_module(self._modules[cmd_name]).command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args:
            args = [self._bare]
        lead = list(takewhile(LEADING.__contains__, args))
        if lead and args[len(lead) :]:
            args = [*args[len(lead) :], *lead]
        if args[0].startswith("-") and args[0] not in ("-h", "--help", "--version"):
            args = [self._default, *args]
        return super().parse_args(ctx, args)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = args[0]
        command = self.get_command(ctx, name)
        if command is None:
            known = self.list_commands(ctx)
            near = difflib.get_close_matches(name, known, 1)
            raise UnknownWord(name, near or known, ctx)
        return name, command, args[1:]
