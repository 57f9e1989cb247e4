"""Options, and how their values are read: numbers, addresses, sockets, users, permissions."""

from __future__ import annotations

import grp
import math
import os
import pwd
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NewType

from vswitch.errors import ConfigError

if TYPE_CHECKING:
    from ipaddress import IPv4Interface, IPv6Interface

ID_MAX = (1 << 32) - 2  # of a user or group; the one above is -1, which means none
# What reads the value of an option: begins its errors with the first argument, reads the second.
# What it returns, by its annotation, decides how a configuration file has it (tomltext.py).
Reader = Callable[[str, str], Any]
State = NewType("State", bool)  # of a port: whether it forwards, and is not blocked
Permissions = NewType("Permissions", int)  # of a file, octal for people
_MAC = re.compile(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}")


def in_range(what: str, value: int, low: int, high: int) -> int:
    """*value*, or ConfigError when it is not in *low*..*high*."""
    if not low <= value <= high:
        raise ConfigError(f"{what} must be in {low}..{high}, not {value}")
    return value


@dataclass(frozen=True, slots=True)
class Number:
    """A reader of decimal numbers in *low*..*high*."""

    low: int
    high: int

    def __call__(self, what: str, value: str) -> int:
        if not re.fullmatch(r"-?[0-9]{1,20}", value):
            raise ConfigError(f"{what}: not a number: {value!r}")
        return self.check(what, int(value))

    def check(self, what: str, value: int) -> int:
        """*value*, or ConfigError when it is out of range."""
        return in_range(what, value, self.low, self.high)


@dataclass(frozen=True, slots=True)
class Option:
    """What is said as ``key=value`` on the command line, and by a key of a configuration file."""

    field: str  # of the configuration
    reader: Reader
    live: bool = False  # it can be changed while the switch runs
    text: str = ""  # what that does

    @property
    def returns(self) -> str:
        """The type of its value, as its reader is annotated."""
        reader = self.reader.__call__ if isinstance(self.reader, Number) else self.reader
        return str(reader.__annotations__["return"])

    def check(self, what: str, value: Any) -> Any:
        """*value*, text as it is read; ConfigError, which begins with *what*, if it cannot be."""
        if isinstance(self.reader, Number):
            return self.reader.check(what, value)
        return self.reader(what, str(value)) if self.returns in ("int", "str") else value


def live(options: Iterable[Option]) -> dict[str, Option]:
    """Those that can be changed while the switch runs, by their fields."""
    return {option.field: option for option in options if option.live}


def on_off(what: str, value: str) -> bool:
    """Read ``on`` or ``off``."""
    if value not in ("on", "off"):
        raise ConfigError(f"{what} is on or off, not {value!r}")
    return value == "on"


def forwards(what: str, value: str) -> State:
    """Read the state of a port: ``forwarding``, or ``blocked``.

    ``blocking`` and ``disabled``, two states of bridge(8), are the same.
    """
    if value not in ("forwarding", "blocked", "blocking", "disabled"):
        raise ConfigError(f"{what} is forwarding or blocked, not {value!r}")
    return State(value == "forwarding")


def flag(what: str, value: str) -> bool:
    """The same; nothing is ``on``."""
    return on_off(what, value or "on")


def flag_off(what: str, value: str) -> bool:
    """The opposite of `flag`."""
    return not flag(what, value)


def mac(what: str, value: str) -> bytes:
    """Read an Ethernet address of an interface: unicast, not zero."""
    if not _MAC.fullmatch(value):
        raise ConfigError(
            f"{what}: not an Ethernet address: {value!r}", hint="as 02:00:00:00:00:01"
        )
    address = bytes.fromhex(value.replace(":", "").replace("-", ""))
    if address[0] & 1 or not any(address):
        raise ConfigError(f"{what}: a station's address is unicast and not zero, not {value}")
    return address


def ip(what: str, value: str) -> IPv4Interface | IPv6Interface:
    """Read an address that a host can have, with the length of its network's prefix."""
    import ipaddress  # here: most switches have none, and it takes a moment to load

    try:
        address = ipaddress.ip_interface(value)
    except ValueError:
        raise ConfigError(f"{what}: not an IP address: {value!r}", hint="as 10.0.0.1/24") from None
    if "%" in value:
        raise ConfigError(f"{what}: an address of a device has no zone: {value!r}")
    if "/" not in value:
        raise ConfigError(
            f"{what}: the length of the prefix is missing: {value!r}",
            hint=f"as {value}/24" if address.version == 4 else f"as {value}/64",
        )
    if reason := _no_host(address):
        raise ConfigError(f"{what}: {value} is {reason}, which no host has")
    return address


def _no_host(address: IPv4Interface | IPv6Interface) -> str | None:
    """What an address is that a host cannot have on a LAN."""
    host, network = address.ip, address.network
    if host.is_multicast:
        return "a group address"
    if host.is_loopback:
        return "a loopback address"
    if host.is_unspecified or (host.is_reserved and address.version == 4):
        return "a reserved address"
    if address.version == 4 and network.prefixlen < 31:
        if host == network.network_address:
            return "the address of its network"
        if host == network.broadcast_address:
            return "the broadcast address of its network"
    return None


def text(what: str, value: str) -> str:
    """*value*, which must not be empty."""
    if not value:
        raise ConfigError(f"{what} is empty")
    return value


def any_text(what: str, value: str) -> str:
    """*value*, be it empty."""
    return value


def utf8(what: str, value: str) -> str:
    """*value*, which must be text: the command line can have any bytes."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{what}: not UTF-8: {value!r}") from None
    return value


def speed(what: str, value: str) -> float:
    """Read a factor as 2.5, 0.000001 to 1000000; ``max`` is infinite."""
    if value == "max":
        return math.inf
    if not re.fullmatch(r"[0-9]{1,7}(\.[0-9]{1,6})?", value) or not 1e-6 <= float(value) <= 1e6:
        raise ConfigError(f"{what}: not a speed: {value!r}", hint="as 1, 2.5 or max")
    return float(value)


def is_path(value: str) -> bool:
    """Whether the place of a stream socket is a path; HOST:PORT has no ``/``."""
    return "/" in value


def path_text(path: Path) -> str:
    """A path as it is to be written where HOST:PORT could stand, too."""
    text = os.fspath(path)
    return text if is_path(text) else f"./{text}"


def host_port(what: str, value: str) -> tuple[str, int]:
    """Read HOST:PORT, or [HOST]:PORT for an IPv6 address."""
    found = re.fullmatch(r"(?:\[([^\]]+)\]|([^:\[\]]+)):([0-9]{1,5})", value)
    if not found or not 1 <= int(found[3]) <= 65535:
        raise ConfigError(
            f"{what}: not HOST:PORT: {value!r}", hint="as 127.0.0.1:5000; a path has a '/': ./file"
        )
    return found[1] or found[2], int(found[3])


def mode(what: str, value: str) -> Permissions:
    """Read the permissions of a file, octal."""
    if not re.fullmatch(r"0?[0-7]{3}", value):
        raise ConfigError(f"{what}: not the permissions of a file: {value!r}", hint="as 0660")
    return Permissions(int(value, 8))


def user(what: str, value: str) -> int:
    """The id of a user, given by name or number."""
    try:
        return _id(what, value) if value.isdecimal() else pwd.getpwnam(value).pw_uid
    except KeyError:
        raise ConfigError(f"{what}: no such user: {value!r}") from None


def group(what: str, value: str) -> int:
    """The id of a group, given by name or number."""
    try:
        return _id(what, value) if value.isdecimal() else grp.getgrnam(value).gr_gid
    except KeyError:
        raise ConfigError(f"{what}: no such group: {value!r}") from None


_id = Number(0, ID_MAX)
