"""How values of options are read, beyond numbers: sockets, users, permissions."""

from __future__ import annotations

import grp
import pwd
import re

from vswitch.errors import ConfigError


def text(what: str, value: str) -> str:
    """*value*, which must not be empty."""
    if not value:
        raise ConfigError(f"{what} is empty")
    return value


def host_port(what: str, value: str) -> tuple[str, int]:
    """Read HOST:PORT, or [HOST]:PORT for an IPv6 address."""
    found = re.fullmatch(r"(?:\[([^\]]+)\]|([^:\[\]]+)):([0-9]{1,5})", value)
    if not found or not 1 <= int(found[3]) <= 65535:
        raise ConfigError(f"{what}: not HOST:PORT: {value!r}", hint="as 127.0.0.1:5000")
    return found[1] or found[2], int(found[3])


def mode(what: str, value: str) -> int:
    """Read the permissions of a file, octal."""
    if not re.fullmatch(r"0?[0-7]{3}", value):
        raise ConfigError(f"{what}: not the permissions of a file: {value!r}", hint="as 0660")
    return int(value, 8)


def user(what: str, value: str) -> int:
    """The id of a user, given by name or number."""
    try:
        return int(value) if value.isdecimal() else pwd.getpwnam(value).pw_uid
    except KeyError:
        raise ConfigError(f"{what}: no such user: {value!r}") from None


def group(what: str, value: str) -> int:
    """The id of a group, given by name or number."""
    try:
        return int(value) if value.isdecimal() else grp.getgrnam(value).gr_gid
    except KeyError:
        raise ConfigError(f"{what}: no such group: {value!r}") from None
