"""What the nouns share: which switch is asked, and what several of them read."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from vswitch.cli._api import place_options, remote
from vswitch.cli._names import completed_switch
from vswitch.errors import VswitchError

if TYPE_CHECKING:
    from vswitch.control.client import Client

Command = TypeVar("Command", bound=Callable[..., Any])


def switch_options(command: Command) -> Command:
    """Add ``-S NAME`` and ``--api PATH``, arguments *switch* and *api* for `ask`."""
    command = place_options(command)
    return click.option(
        "-S", "--switch", metavar="NAME", shell_complete=completed_switch,
        help="The switch of that name  [default: the only one]",
    )(command)  # fmt: skip


def ask(switch: str | None, api: Path | None) -> Client:
    """A client of the switch the user means."""
    there = remote(click.get_current_context())
    if switch is not None and (api or there) is not None:
        raise click.UsageError("-S and --api exclude one another")
    if switch is not None:
        from vswitch.config import check_switch_name

        check_switch_name(switch, "-S")
    from vswitch.control.client import connect

    return connect(switch, path=api, remote=there)


def forwarded(forward: str | None, *, transparent: bool) -> frozenset[int]:
    """The reserved addresses, by last nibble, that these two options let through."""
    from vswitch.config import RESERVED, parse_forward

    if transparent and forward is not None:
        raise click.UsageError("--transparent and --forward exclude one another")
    if transparent:
        return frozenset(range(16))
    return frozenset({RESERVED["stp"]}) if forward is None else parse_forward(forward)


def load(module: str) -> ModuleType:
    """Import what needs the compiled datapath: late, once the input is known to be good."""
    try:
        return import_module(module)
    except ModuleNotFoundError as e:
        if e.name not in ("vswitch._fastpath", "vswitch._ports", "vswitch._tables"):
            raise
        raise VswitchError(
            f"{e.name} is not built, and a switch cannot run without it",
            hint="in the source tree: python setup.py build_ext --inplace",
        ) from e


def print_json(value: object) -> None:
    """One line, as ``bridge -j`` prints it."""
    click.echo(json.dumps(value, separators=(",", ":")))
