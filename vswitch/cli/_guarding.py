"""Options about what is guarded at all ports of a switch that are not trusted."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def guard_options(command: Command) -> Command:
    """Add them: the arguments of `guards`."""
    for option in reversed(
        (
            click.option(
                "--dhcp-guard",
                is_flag=True,
                help="Let DHCP servers answer from trusted ports only.",
            ),
            click.option(
                "--ra-guard", is_flag=True, help="Let routers announce themselves there only."
            ),
            click.option(
                "--dhcp-snooping",
                is_flag=True,
                help="The same as --dhcp-guard, and at other ports IPv4 addresses only that they "
                "have leased.",
            ),
            click.option(
                "--dhcp6-snooping",
                is_flag=True,
                help="The same of IPv6: only what DHCPv6 leased, and link-local addresses.",
            ),
            click.option(
                "--move-guard",
                default=0,
                show_default=True,
                metavar="SECONDS",
                help="Keep a station where it was heard so recently, and drop what others say in "
                "its name.",
            ),
        )
    ):
        command = option(command)
    return command


def guards(*, move_guard: int, **flags: bool) -> dict[str, Any]:
    """What those options say, as fields of `vswitch.guarding.SwitchGuards`."""
    return {**flags, "move_guard_s": move_guard}
