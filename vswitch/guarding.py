"""Who may speak at a port, and as whom: facts, for both implementations (``datapath/guard.h``)."""

from __future__ import annotations

import socket
from dataclasses import dataclass, fields
from typing import TypedDict

GUARD_MAX = 64  # of each kind of addresses, per port


@dataclass(frozen=True, slots=True, kw_only=True)
class SwitchGuards:
    """What is guarded at all ports of a switch that are not trusted."""

    dhcp_guard: bool = False  # what DHCP servers say is dropped
    ra_guard: bool = False  # what routers say is
    dhcp_snooping: bool = False  # the same, and other IPv4 addresses than leased ones
    dhcp6_snooping: bool = False  # the same, and other IPv6 addresses than these and fe80::/10
    move_guard_s: int = 0  # at all ports: a station heard so recently does not move; 0: it does

    @property
    def snoops(self) -> bool:
        """Whether it matters what DHCP says."""
        return self.dhcp_snooping or self.dhcp6_snooping

    @property
    def guards(self) -> SwitchGuards:
        """Of something that has more, only these."""
        return SwitchGuards(**{f.name: getattr(self, f.name) for f in fields(SwitchGuards)})


class GuardsChange(TypedDict, total=False):
    """Those of them that are given."""

    dhcp_guard: bool
    ra_guard: bool
    dhcp_snooping: bool
    dhcp6_snooping: bool
    move_guard_s: int


@dataclass(frozen=True, slots=True)
class Lease:
    """An address that DHCP gave to a station."""

    vid: int  # the VLAN where it did; 0 while the switch takes no notice of them
    mac: bytes
    ip: bytes  # 4 of them, or 16

    @property
    def address(self) -> str:
        """`ip` for people."""
        return socket.inet_ntop(socket.AF_INET if len(self.ip) == 4 else socket.AF_INET6, self.ip)


@dataclass(frozen=True, slots=True)
class PortGuard:
    """What a port's guard lets in.

    Attributes:
        macs: Ethernet sources; none: any.
        ips: Addresses of 4 or 16 bytes that may be spoken for: by any station there.
        leases: The same of one station each.
        check_ip4: Whether other IPv4 addresses may not be spoken for.
        check_ip6: The same of IPv6.
        servers: Whether DHCP servers may answer from there.
        routers: Whether routers may say that they are one.
        copies: Whether the control plane hears what DHCP servers and clients say there.
        holds: Whether stations that are held elsewhere may not speak there.
        link_locals: Whether fe80::/10 may be spoken for.
    """

    macs: frozenset[bytes] = frozenset()
    ips: frozenset[bytes] = frozenset()
    leases: frozenset[Lease] = frozenset()
    check_ip4: bool = False
    check_ip6: bool = False
    servers: bool = True
    routers: bool = True
    copies: bool = False
    holds: bool = False
    link_locals: bool = False

    def __bool__(self) -> bool:
        """Whether it does anything."""
        return any(getattr(self, f.name) != f.default for f in fields(PortGuard))

    def ips_of(self, length: int) -> list[bytes]:
        """The addresses of so many bytes."""
        return [ip for ip in self.ips if len(ip) == length]

    def leases_of(self, length: int) -> list[Lease]:
        """Those of addresses of so many bytes."""
        return [lease for lease in self.leases if len(lease.ip) == length]
