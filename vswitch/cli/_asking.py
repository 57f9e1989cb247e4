"""What all questions to a running switch share: which one, and how the answer is written."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vswitch.cli._common import ask, print_json, switch_options

if TYPE_CHECKING:
    from vswitch.control.client import Client


@dataclass(frozen=True, slots=True)
class Asking:
    """Whom to ask, and how to say it."""

    switch: str | None
    api: Path | None
    as_json: bool = False
    pretty: bool = False
    statistics: bool = False
    details: bool = False

    def client(self, switch: str | None = None) -> Client:
        """A client of the switch that is meant, or of *switch*."""
        return ask(switch or self.switch, self.api)

    def print_json(self, value: object) -> None:
        """As ``bridge -j`` prints it, or ``bridge -j -p``."""
        if self.pretty:
            click.echo(as_pretty(value))
        else:
            print_json(value)


def asking(command: Callable[..., None]) -> Callable[..., None]:
    """Add ``-S``, ``--api`` and the options of bridge(8), as the first argument, an `Asking`."""
    return _with_options(command, hidden=False)


def telling(command: Callable[..., None]) -> Callable[..., None]:
    """The same for what says nothing when it is done; it takes those options as bridge(8) does."""
    return _with_options(command, hidden=True)


def _with_options(command: Callable[..., None], *, hidden: bool) -> Callable[..., None]:
    @functools.wraps(command)
    def call(**given: Any) -> None:
        keys = ("switch", "api", "as_json", "pretty", "statistics", "details")
        command(Asking(**{key: given.pop(key) for key in keys}), **given)

    for short, long, name, text in (
        ("-d", "--details", "details", "Say more, where there is more."),
        ("-s", "--statistics", "statistics", "Say numbers, too."),
        ("-p", "--pretty", "pretty", "JSON for people."),
        ("-j", "--json", "as_json", "As JSON, with the keys of bridge where it has them."),
    ):
        call = click.option(short, long, name, is_flag=True, help=text, hidden=hidden)(call)
    return switch_options(call)


def as_pretty(value: object, depth: int = 0) -> str:
    """JSON as ``bridge -j -p`` writes it: a key per line, lists in one."""
    if isinstance(value, dict) and value:
        inner, outer = " " * 4 * (depth + 1), " " * 4 * depth
        members = (f"{inner}{json.dumps(k)}: {as_pretty(v, depth + 1)}" for k, v in value.items())
        return "{\n" + ",\n".join(members) + f"\n{outer}}}"
    if isinstance(value, (list, tuple)):
        return "[ " + ",".join(as_pretty(v, depth + 1) for v in value) + (" ]" if value else "]")
    return json.dumps(value)
