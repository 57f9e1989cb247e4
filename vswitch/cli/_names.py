"""Names that the shell completes: of running switches, and of the ports of one.

What cannot be said at once is not said: a Tab key is no place for errors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

from vswitch.cli._api import remote
from vswitch.errors import VswitchError

if TYPE_CHECKING:
    from vswitch.control.client import Client

COMPLETION_S = 0.5  # longer nobody waits for what a Tab was pressed for


def switches(_: click.Context) -> list[str]:
    """The running switches."""
    from vswitch.control import address

    return [*address.running()]


def ports(ctx: click.Context) -> list[str]:
    """The ports of the switch that is meant."""
    return _asked(ctx, lambda client: [port.name for port in client.ports()])


def mirrors(ctx: click.Context) -> list[str]:
    """Its mirrors."""
    return _asked(ctx, lambda client: [mirror.name for mirror in client.mirrors()])


def _asked(ctx: click.Context, question: Callable[[Client], list[str]]) -> list[str]:
    from vswitch.control.client import connect

    switch, api = ctx.params.get("switch"), ctx.params.get("api")
    try:
        with connect(switch, path=api, remote=remote(ctx), timeout_s=COMPLETION_S) as client:
            return question(client)
    except VswitchError:
        return []


def completed_switch(ctx: click.Context, _: click.Parameter, word: str) -> list[str]:
    """What an option or argument that is a switch's name can be."""
    return [name for name in switches(ctx) if name.startswith(word)]


def completed_port(ctx: click.Context, _: click.Parameter, word: str) -> list[str]:
    """The same for a port's."""
    return [name for name in ports(ctx) if name.startswith(word)]


def completed_mirror(ctx: click.Context, _: click.Parameter, word: str) -> list[str]:
    """The same for a mirror's."""
    return [name for name in mirrors(ctx) if name.startswith(word)]


def completed_choice(_: click.Context, parameter: click.Parameter, word: str) -> Iterable[str]:
    """What an option can be that lists it as a|b|c."""
    return [choice for choice in str(parameter.metavar).split("|") if choice.startswith(word)]
