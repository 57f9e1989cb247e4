"""Options of ``vswitch run`` about what it gives up once its ports are open."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from vswitch.confinement import Confinement

Command = TypeVar("Command", bound=Callable[..., Any])


class AccountType(click.ParamType):  # type: ignore[type-arg,unused-ignore]  # generic in click 8.5
    """Whoever a process can become; the text, once that is seen."""

    name = "account"

    def convert(self, value: str, param: click.Parameter | None, ctx: click.Context | None) -> str:
        from vswitch.confinement import Account

        Account.parse(value)
        return value


def privilege_options(command: Command) -> Command:
    """Add ``--user``, ``--lock`` and ``--seccomp``: the arguments of `confinement`."""
    for option in reversed(
        (
            click.option(
                "--user",
                type=AccountType(),
                metavar="USER[:GROUP]",
                help="Become that user when the ports are open, with the right to add more.",
            ),
            click.option(
                "--lock/--no-lock",
                default=False,
                help="When the ports are open, add no more, and give up every privilege.",
            ),
            click.option(
                "--seccomp",
                type=click.Choice(["auto", "on", "off"]),
                default="auto",
                show_default=True,
                help="Refuse to itself the system calls that a switch does not need; auto: if "
                "pyseccomp is installed.",
            ),
        )
    ):
        command = option(command)
    return command


def confinement(*, user: str | None, lock: bool, seccomp: str) -> Confinement:
    """What those options ask for."""
    from vswitch.confinement import Account, Confinement

    return Confinement(
        lock=lock, account=None if user is None else Account.parse(user), seccomp=seccomp
    )
