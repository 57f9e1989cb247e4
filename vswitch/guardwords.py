"""How it is said who may speak at a port, on the command line and in a configuration file.

    allow-mac=02:00:00:00:00:01,02:00:00:00:00:02    Ethernet sources; others are dropped
    allow-ip=10.0.0.5,fd00::5,fe80::5                addresses that may be spoken for
    trusted=on                                       DHCP servers and routers are there

A list may also be given word by word in a configuration file. ``mac=`` and ``ip=`` are the device's
own address and the host's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from vswitch import options as read
from vswitch.errors import ConfigError
from vswitch.guarding import GUARD_MAX
from vswitch.options import Number, Option

_LISTS = ("allow-mac", "allow-ip")
_ADDRESS = r"[0-9a-fA-F]{1,4}([:.-][0-9a-fA-F:.-]*)+|::[0-9a-fA-F:.]*"


def joined(words: Iterable[str]) -> list[str]:
    """``key=value`` words; a list of addresses goes on in words that are addresses."""
    found: list[str] = []
    for word in words:
        key = found[-1].partition("=")[0] if found else ""
        if key in _LISTS and re.fullmatch(_ADDRESS, word):
            found[-1] += f",{word}"
        else:
            found.append(word)
    return found


def macs(what: str, value: str) -> tuple[str, ...]:
    """Read a list of Ethernet addresses; nothing, or ``none``, for none."""
    found = {read.mac(what, word) for word in _words(what, value)}
    return tuple(mac.hex(":") for mac in sorted(found))


def ips(what: str, value: str) -> tuple[str, ...]:
    """Read a list of IP addresses, of both versions; nothing, or ``none``, for none."""
    words = _words(what, value)
    if not words:
        return ()
    import ipaddress  # here: most switches have none, and it takes a moment to load

    found = set()
    for word in words:
        try:
            address = ipaddress.ip_address(word)
        except ValueError:
            raise ConfigError(
                f"{what}: not an IP address: {word!r}", hint="as 10.0.0.5, or fd00::5"
            ) from None
        if address.is_multicast or address.is_unspecified or "%" in word:
            raise ConfigError(f"{what}: no station speaks for {word}")
        found.add(address)
    return tuple(str(ip) for ip in sorted(found, key=lambda ip: (ip.version, ip.packed)))


def _words(what: str, value: str) -> list[str]:
    words = value.split(",") if value not in ("", "none") else []
    if len(words) > GUARD_MAX:
        raise ConfigError(f"{what}: {GUARD_MAX} addresses at most, not {len(words)}")
    return words


MOVE_GUARD_MAX_S = 86_400

# Of the switch as a whole.
SWITCH_OPTIONS: Mapping[str, Option] = {
    "dhcp-guard": Option("dhcp_guard", read.on_off, live=True),
    "ra-guard": Option("ra_guard", read.on_off, live=True),
    "dhcp-snooping": Option("dhcp_snooping", read.on_off, live=True),
    "dhcp6-snooping": Option("dhcp6_snooping", read.on_off, live=True),
    "move-guard": Option("move_guard_s", Number(0, MOVE_GUARD_MAX_S), live=True),
}
# Of a port.
OPTIONS: Mapping[str, Option] = {
    "allow-mac": Option("allow_mac", macs, live=True, text="the only sources that may speak there"),
    "allow-ip": Option("allow_ip", ips, live=True, text="the only addresses to be spoken for"),
    "trusted": Option(
        "trusted", read.on_off, live=True, text="DHCP servers and routers may be there"
    ),
}
