"""Commands that hold commands: loaded on demand, abbreviated, with a default for who names none."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem

# bridge(8) and ip(8) have these before the object: bridge -j -s fdb show.
FLAGS = "jpsd"
LONG = ("json", "pretty", "statistics", "details")
TIMES = ("-t", "-ts")  # of monitor
UNKNOWN = "vswitch.unknown"  # key of `click.Context.meta`
VALUED = ("-S", "--switch", "--api", "--api-token-file", "--format")


class Suggestion(click.UsageError):
    """Something is unknown; *possibilities* may have been meant."""

    def __init__(
        self, message: str, possibilities: Sequence[str], ctx: click.Context | None = None
    ) -> None:
        super().__init__(message, ctx)
        self.possibilities = possibilities


class ReaderLeft(Exception):
    """Nobody reads standard output any more."""


class Words(click.Group):
    """A group that knows what is meant when a word is left out, or cut short.

    Args:
        modules: Members that are loaded when asked for: the attribute ``command`` of each.
        default: The member that is meant when the first word is an option; "" for none.
        bare: What is meant when there is no word at all.
        aliases: Other names of members.
        first: What an abbreviation means that could mean several: the first of these.
    """

    def __init__(
        self,
        *args: Any,
        default: str,
        bare: str,
        modules: Mapping[str, str] | None = None,
        aliases: Mapping[str, str] | None = None,
        first: Sequence[str] = (),
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._modules = modules or {}
        self._default = default
        self._bare = bare
        self._aliases = aliases or {}
        self._first = first

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self._modules, *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self._modules:
            return super().get_command(ctx, cmd_name)
        command: click.Command = import_module(self._modules[cmd_name]).command
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        lead, rest = split_leading(args)
        if rest[:1] == ["help"]:
            args = [*rest[1:], "--help"]
        elif rest and not rest[0].startswith("-"):
            args = [rest[0], *lead, *rest[1:]]
        elif ctx.resilient_parsing and not rest:  # the shell completes the word that is to come
            args = ["show", *lead] if lead and lead[-1] in VALUED else []
            return super().parse_args(ctx, args)
        args = args or [self._bare]
        if self._default and args[0].startswith("-") and args[0] not in self._own(ctx):
            args = [self._default, *args]
        return super().parse_args(ctx, args)

    def _own(self, ctx: click.Context) -> set[str]:
        return {name for param in self.get_params(ctx) for name in param.opts}

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError as e:  # of which click would make exit status 1
            raise ReaderLeft from e

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        name = self._meant(ctx, args[0])
        command = self.get_command(ctx, name)
        if command is None and ctx.resilient_parsing:
            ctx.meta[UNKNOWN] = name
        elif command is None:
            known = self.list_commands(ctx)
            near = difflib.get_close_matches(name, known, 1)
            raise Suggestion(
                f"no command {name!r} in {ctx.command_path}"
                + ("" if near else f": there is {', '.join(known)}"),
                near,
                ctx,
            )
        return name, command, args[1:]

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """What can follow; behind a word that we do not know, nothing."""
        return [] if UNKNOWN in ctx.meta else super().shell_complete(ctx, incomplete)

    def _meant(self, ctx: click.Context, word: str) -> str:
        """The member that *word* names, or is the beginning of; else *word* itself."""
        known = [*self.list_commands(ctx), *self._aliases]
        found = [word] if word in known else [name for name in known if name.startswith(word)]
        found = [name for name in self._first if name in found][:1] or found
        meant = list(dict.fromkeys(self._aliases.get(name, name) for name in found))
        if len(meant) > 1 and not ctx.resilient_parsing:
            raise Suggestion(f"{word!r} could be several in {ctx.command_path}", meant, ctx)
        return meant[0] if meant else word


def split_leading(args: Sequence[str]) -> tuple[list[str], list[str]]:
    """The options in front of an object, as commands take them behind it; and the rest."""
    lead: list[str] = []
    rest = list(args)
    while rest and (read := _leading(rest[0])):
        lead += read
        if rest.pop(0) in VALUED and rest:
            lead.append(rest.pop(0))
    return lead, rest


def _leading(word: str) -> list[str]:
    """An option that may stand in front, or nothing."""
    name = word.lstrip("-")
    if word in TIMES:
        return [word]
    if name and "compressvlans".startswith(name):  # of vlan show
        return ["-c"]
    if word.split("=")[0] in VALUED or (word.startswith("-S") and name):
        return [word]
    if word.startswith("-") and name:
        if not set(name) - set(FLAGS):
            return [f"-{name}"] if word == f"-{name}" else []
        # Theirs have one dash and can be cut short (-stat); ours have two.
        if word[1] == "-" and name in LONG:
            return [word]
        if word[1] != "-" and any(long.startswith(name) for long in (*LONG, "stats")):
            return [f"-{name[0]}"]
    return []
