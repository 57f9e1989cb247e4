"""Neighbours, as facts: which station has which IP address, and who says so.

    >>> Neighbour.parse("192.0.2.1", "02:00:00:00:00:01", vlan="10").text
    '192.0.2.1 lladdr 02:00:00:00:00:01 vlan 10'

What is known of an address is what is said of it by who is believed most: by hand, by DHCP, by who
may speak at a port (``allow-ip`` with one ``allow-mac``). When that is taken back, the next one is
believed.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass

from vswitch import options
from vswitch.errors import ConfigError
from vswitch.vlans import NO_VLAN, VID_MAX

NEIGHBOURS_MAX = 16_384  # datapath/neigh.h
STATIC, DHCP, GUARD = ORIGINS = ("static", "dhcp", "guard")  # the first is believed most
Key = tuple[int, bytes]  # VLAN, address


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A station that has an address.

    Raises:
        ConfigError: no station can have it.
    """

    ip: bytes  # 4 of them, or 16
    mac: bytes
    vid: int = NO_VLAN
    router: bool = False  # it says so when it is asked (RFC 4861 4.4)

    def __post_init__(self) -> None:
        if not is_possible(self.ip):
            raise ConfigError(
                f"neighbour {self.address}: no station has such an address",
                hint="as 192.0.2.1 or 2001:db8::1",
            )

    @classmethod
    def parse(cls, ip: str, lladdr: str, *, vlan: str = "", router: bool = False) -> Neighbour:
        """Read the parts of one as the command line has them.

        Raises:
            ConfigError: they make none.
        """
        address = parse_ip(ip)
        vid = options.Number(0, VID_MAX)(f"neighbour {ip}: vlan", vlan) if vlan else NO_VLAN
        return cls(address, options.mac(f"neighbour {ip}: lladdr", lladdr), vid, router)

    @property
    def key(self) -> Key:
        """What there is one neighbour of."""
        return (self.vid, self.ip)

    @property
    def address(self) -> str:
        """Its IP address as text."""
        return ip_text(self.ip)

    @property
    def text(self) -> str:
        """As the command line has it."""
        words = [self.address, "lladdr", self.mac.hex(":")]
        words += ["vlan", str(self.vid)] if self.vid else []
        return " ".join([*words, *(["router"] if self.router else [])])


def is_possible(ip: bytes) -> bool:
    """Whether one station can have an IP address, and be asked for it (RFC 1122 3.2.1.3)."""
    first = ip[0]
    nobody = first == 0xFF if len(ip) == 16 else first == 127 or first >= 224
    return any(ip) and not nobody


def parse_ip(text: str) -> bytes:
    """Read an IP address without a prefix.

    Raises:
        ConfigError: it is none.
    """
    try:
        return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)
    except (OSError, ValueError):
        raise ConfigError(
            f"neighbour: not an IP address: {text!r}", hint="as 192.0.2.1 or 2001:db8::1"
        ) from None


def ip_text(ip: bytes) -> str:
    """An IP address as `parse_ip` reads it."""
    return socket.inet_ntop(socket.AF_INET if len(ip) == 4 else socket.AF_INET6, ip)


def named(key: Key) -> str:
    """An address and its VLAN, for a sentence."""
    vid, ip = key
    return f"{ip_text(ip)} in VLAN {vid}" if vid else ip_text(ip)


def check_neighbours(neighbours: Iterable[Neighbour]) -> None:
    """Raise ConfigError unless these can be known of one switch by hand."""
    neighbours = tuple(neighbours)
    if len(neighbours) > NEIGHBOURS_MAX:
        raise ConfigError(
            f"a switch knows at most {NEIGHBOURS_MAX} neighbours, not {len(neighbours)}"
        )
    seen: set[Key] = set()
    for neighbour in neighbours:
        if neighbour.key in seen:
            member = f"neighbour {named(neighbour.key)}"
            error = ConfigError(f"{member} is given twice", hint="one station has an address")
            error.member = member
            raise error
        seen.add(neighbour.key)


@dataclass(frozen=True, slots=True)
class Known:
    """A neighbour, and where it is known from: one of ORIGINS."""

    neighbour: Neighbour
    origin: str = STATIC


class Claims:
    """What is said of addresses, by whom: a source's name, which is its own."""

    def __init__(self) -> None:
        self._by_key: dict[Key, dict[str, Known]] = {}
        self._by_source: dict[str, set[Key]] = {}

    def __len__(self) -> int:
        """How many addresses something is said of."""
        return len(self._by_key)

    def of(self, key: Key) -> Known | None:
        """What is believed of an address; of two that are believed as much the first."""
        said = self._by_key.get(key)
        return min(said.values(), key=lambda k: ORIGINS.index(k.origin)) if said else None

    def by(self, source: str) -> set[Key]:
        """The addresses of which a source says something."""
        return set(self._by_source.get(source, ()))

    def said(self, source: str, key: Key) -> Known | None:
        """What a source says of an address."""
        return self._by_key.get(key, {}).get(source)

    def put(self, source: str, known: Known) -> None:
        """Have a source say this of an address, and no more what it said."""
        key = known.neighbour.key
        self._by_key.setdefault(key, {})[source] = known
        self._by_source.setdefault(source, set()).add(key)

    def drop(self, source: str, key: Key) -> None:
        """Have it say nothing, of an address of which it does."""
        del self._by_key[key][source]
        if not self._by_key[key]:
            del self._by_key[key]
        self._by_source[source].remove(key)
        if not self._by_source[source]:
            del self._by_source[source]

    def sources(self) -> set[str]:
        """Those that say something."""
        return set(self._by_source)

    def all(self) -> list[Known]:
        """What is believed of each address, in their order, those of IPv4 first."""
        keys = sorted(self._by_key, key=lambda key: (key[0], len(key[1]), key[1]))
        return [found for key in keys if (found := self.of(key))]
