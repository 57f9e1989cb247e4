"""The guards of a switch's ports: what is set of them, and of the switch, put together and done."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from vswitch.core import Core
from vswitch.guarding import PortGuard
from vswitch.members import Member


class Guards:
    """The guards of one switch's members; its callers hold the switch's lock and its pollers.

    Args:
        core: Where the ports are numbers.
        members: All of them.
    """

    def __init__(self, core: Core, members: Mapping[str, Member]) -> None:
        self._core = core
        self._members = members

    def apply(self, member: Member) -> None:
        """Let in at a member what may enter there."""
        self._core.set_guard(member.number, self.guard_of(member))

    def guard_of(self, member: Member) -> PortGuard:
        """What may enter at a member."""
        settings = member.settings
        return PortGuard(
            macs=frozenset(bytes.fromhex(mac.replace(":", "")) for mac in settings.allow_mac),
            ips=frozenset(_packed(ip) for ip in settings.allow_ip),
            check_ip4=bool(settings.allow_ip),
            check_ip6=bool(settings.allow_ip),
        )


def _packed(ip: str) -> bytes:
    family = socket.AF_INET6 if ":" in ip else socket.AF_INET
    return socket.inet_pton(family, ip)
