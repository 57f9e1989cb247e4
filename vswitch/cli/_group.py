"""Commands that hold commands: loaded on demand, with a default for who names none."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from importlib import import_module
from itertools import takewhile
from typing import Any

import click

# bridge(8) and ip(8) have these before the object: bridge -j -s fdb show.
LEADING = {"-j", "-s", "-js", "-sj"}


class Nouns(click.Group):
    """A group whose members are the attribute ``command`` of *modules*.

    Args:
        modules: Where each member is.
        default: The member that is meant when the first word is an option.
    """

    def __init__(self, *args: Any, modules: Mapping[str, str], default: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._modules = modules
        self._default = default

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(self._modules)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._modules:
            return None
        command: click.Command = import_module(self._modules[cmd_name]).command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if not args:
            args = ["--help"]
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
            near = difflib.get_close_matches(name, self._modules, 1)
            known = f"did you mean {near[0]}?" if near else f"there is {', '.join(self._modules)}"
            raise click.UsageError(f"no command {name!r}: {known}", ctx)
        return name, command, args[1:]
