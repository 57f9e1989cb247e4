"""The guard of a port in plain Python: who may speak there, and as whom.

What ``datapath/headers.h`` and ``datapath/guard.h`` do, from the frame's beginning to its end;
begin with `admits`. Protocols: ARP (RFC 826), IPv4 (RFC 791), IPv6 (RFC 8200), Neighbor Discovery
(RFC 4861), DHCP (RFC 2131, RFC 8415), RA guard (RFC 6105, RFC 7113).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from vswitch.guarding import Lease, PortGuard

# From specifications.
IP4, ARP, RARP, IP6 = 0x0800, 0x0806, 0x8035, 0x86DD
TAGS = (0x8100, 0x88A8, 0x9100, 0x9200, 0x9300)
SNAP = (bytes.fromhex("aaaa03000000"), bytes.fromhex("aaaa030000f8"))  # RFC 1042, IEEE 802.1H
ETHERNET_AND_IP4 = bytes.fromhex("000108000604")  # what an ARP packet is about
IGMP, UDP, ICMP6 = 2, 17, 58
FRAGMENT, AUTHENTICATION = 44, 51
EXTENSIONS = (0, 43, FRAGMENT, AUTHENTICATION, 60, 135, 139, 140)  # headers before the upper layer
DHCP_SERVER, DHCP_CLIENT, DHCP6_CLIENT, DHCP6_SERVER = 67, 68, 546, 547
MLD = (131, 132, 143)
ROUTER_SOLICIT, ROUTER_ADVERT, SOLICIT, ADVERT, REDIRECT = range(133, 138)
SOURCE_MAC, TARGET_MAC = 1, 2  # options of Neighbor Discovery

# Chosen by us: what has more is refused.
STACKED_MAX = 4
EXTENSIONS_MAX = 8
OPTIONS_MAX = 16
COPIES_MAX = 256  # a second, of a port where no servers are: what has more is not copied
ANSWERS_MAX = 4096  # the same where they are


@dataclass(slots=True)
class Headers:
    """What a frame carries.

    `message` is what the upper layer says, as far as the lengths in the headers reach; None: it is
    in another fragment, or `hidden`, where it cannot be found.
    """

    type: int | None  # EtherType behind all tags; None: there is none
    stacked: int  # tags and SNAP headers
    packet: bytes  # what is behind them
    proto: int | None = None
    message: bytes | None = None
    hidden: bool = False
    fragment: bool = False  # of a packet in several

    def is_udp_to(self, port: int) -> bool:
        return (
            self.proto == UDP
            and self.message is not None
            and int.from_bytes(self.message[2:4]) == port
        )


def headers_of(bare: bytes) -> Headers:
    """What a frame without its VLAN's tag carries."""
    h = _peeled(bare)
    if h.type == IP4:
        _read_ip4(h)
    elif h.type == IP6:
        _read_ip6(h)
    return h


def _peeled(bare: bytes) -> Headers:
    """What is behind all tags and SNAP headers."""
    at = 14
    for stacked in range(STACKED_MAX + 1):
        if at > len(bare):
            break
        kind = int.from_bytes(bare[at - 2 : at])
        if kind in TAGS:
            at += 4
        elif kind < 0x600 and len(bare) >= at + 8 and bare[at : at + 6] in SNAP:
            at += 8
        else:
            return Headers(kind or None, stacked, bare[at:])
    return Headers(None, STACKED_MAX, b"")


def _read_ip4(h: Headers) -> None:
    h.hidden = True
    packet = h.packet
    if len(packet) < 20 or packet[0] >> 4 != 4:
        return
    head, total = (packet[0] & 15) * 4, int.from_bytes(packet[2:4])
    if head < 20 or 0 < total < head:
        return
    where = int.from_bytes(packet[6:8])
    h.fragment = bool(where & 0x3FFF)  # more of them, or not the first
    if where & 0x1FFF:
        h.hidden = False
        return
    _take(h, packet[9], packet[: total or None], head)


def _read_ip6(h: Headers) -> None:
    h.hidden = True
    packet = h.packet
    if len(packet) < 40 or packet[0] >> 4 != 6:
        return
    length = int.from_bytes(packet[4:6])
    packet = packet[: 40 + length] if length else packet
    proto, at = packet[6], 40
    for n in range(EXTENSIONS_MAX + 1):
        if proto not in EXTENSIONS:
            _take(h, proto, packet, at)
            return
        header = packet[at : at + 8]
        if len(header) < 8 or n == EXTENSIONS_MAX:
            return
        if proto == FRAGMENT:
            h.fragment = True
            if int.from_bytes(header[2:4]) & 0xFFF8:  # not the first
                h.hidden = False
                return
            at += 8
        elif proto == AUTHENTICATION:
            at += (header[1] + 2) * 4
        else:
            at += (header[1] + 1) * 8
        proto = header[0]


def _take(h: Headers, proto: int, packet: bytes, at: int) -> None:
    """The upper layer is at a byte of *packet*, unless too little of it is left."""
    needed = {UDP: 8, ICMP6: 4}.get(proto, 0)
    if at + needed <= len(packet):
        h.hidden, h.proto, h.message = False, proto, packet[at:]


@dataclass(slots=True)
class Copies:
    """How much of what enters at a port the control plane hears."""

    second: int = -1
    n: int = 0  # copies in it
    missed: int = 0  # those that were too many, or had no room

    def allowed(self, guard: PortGuard, wanted: int, now_s: int) -> int:
        """How many of so many more it may hear."""
        most = ANSWERS_MAX if guard.servers else COPIES_MAX
        if self.second != now_s:
            self.second, self.n = now_s, 0
        allowed = min(wanted, max(0, most - self.n))  # there may have been servers
        self.n += allowed
        return allowed


# ---------------------------------------------------------------- judging


class Counting(Protocol):
    """A port."""

    def count(self, name: str, n: int = 1) -> None: ...


def sifted(port: Counting, admitted: Sequence[Any], may: Callable[[Any], bool]) -> list[Any]:
    """Those that may go on; the others are counted as guarded."""
    kept = [a for a in admitted if may(a)]
    port.count("guarded", len(admitted) - len(kept))
    return kept


def admits(guard: PortGuard, bare: bytes, vid: int) -> bool:
    """Whether a frame of VLAN *vid*, without its tag, may enter where there is *guard*."""
    if guard.macs and bare[6:12] not in guard.macs:
        return False
    h = headers_of(bare)
    return may_speak(guard, h, bare[6:12], vid) and not is_offer(guard, h)


def may_speak(guard: PortGuard, h: Headers, mac: bytes, vid: int) -> bool:
    """Whether *mac* may speak for the addresses that a frame of its names."""
    if not guard.check_ip4 and not guard.check_ip6:
        return True
    if h.stacked or h.type is None:
        return False
    if h.type == IP4:
        return not guard.check_ip4 or _ip4_may(guard, h, mac, vid)
    if h.type in (ARP, RARP):
        return not guard.check_ip4 or _arp_may(guard, h.packet, mac, vid)
    if h.type == IP6:
        return not guard.check_ip6 or _ip6_may(guard, h, mac, vid)
    return True


def _has(guard: PortGuard, ip: bytes, mac: bytes, vid: int) -> bool:
    if guard.link_locals and len(ip) == 16 and ip[0] == 0xFE and ip[1] >> 6 == 2:  # fe80::/10
        return True
    return ip in guard.ips or Lease(vid, mac, ip) in guard.leases


def _arp_may(guard: PortGuard, arp: bytes, mac: bytes, vid: int) -> bool:
    if len(arp) < 28 or not arp.startswith(ETHERNET_AND_IP4):
        return False
    sender_mac, sender_ip = arp[8:14], arp[14:18]
    return sender_mac == mac and (sender_ip == bytes(4) or _has(guard, sender_ip, mac, vid))


def _ip4_may(guard: PortGuard, h: Headers, mac: bytes, vid: int) -> bool:
    if len(h.packet) < 20:
        return False
    source = h.packet[12:16]
    if source != bytes(4):
        return _has(guard, source, mac, vid)
    return h.proto == IGMP or h.is_udp_to(DHCP_SERVER)  # who has no address yet


def _ip6_may(guard: PortGuard, h: Headers, mac: bytes, vid: int) -> bool:
    if h.hidden:
        return False
    source = h.packet[8:24]
    known = _has(guard, source, mac, vid)
    if not known and source != bytes(16):
        return False
    return _icmp6_may(guard, h, mac, vid, known=known) if h.proto == ICMP6 else known


def _icmp6_may(guard: PortGuard, h: Headers, mac: bytes, vid: int, *, known: bool) -> bool:
    """*known*: the source is an address that may be spoken for, and not ``::``."""
    assert h.message is not None
    kind, target = h.message[0], h.message[8:24]
    if kind in MLD:
        return True
    if kind == ROUTER_SOLICIT:
        return not h.fragment and _options_are_own(h.message, 8, SOURCE_MAC, mac)
    if kind == ROUTER_ADVERT:
        return known and not h.fragment and _options_are_own(h.message, 16, SOURCE_MAC, mac)
    if kind not in (SOLICIT, ADVERT):
        return known
    if h.fragment or len(target) < 16:
        return False
    named = _has(guard, target, mac, vid)
    if kind == SOLICIT:  # from :: is duplicate address detection: for the target
        return (known or named) and _options_are_own(h.message, 24, SOURCE_MAC, mac)
    return known and named and _options_are_own(h.message, 24, TARGET_MAC, mac)


def _options_are_own(message: bytes, at: int, kind: int, mac: bytes) -> bool:
    """Whether the Ethernet addresses in the options of *kind* are *mac*."""
    for _ in range(OPTIONS_MAX + 1):
        if at >= len(message):
            return at == len(message)
        option = message[at : at + 8]
        if len(option) < 8 or not option[1]:
            return False
        if option[0] == kind and (option[1] != 1 or option[2:8] != mac):
            return False
        at += option[1] * 8
    return False


def is_offer(guard: PortGuard, h: Headers) -> bool:
    """Whether a frame says, or may say, what only servers or routers may that are elsewhere."""
    if guard.servers and guard.routers:
        return False
    if h.type is None:
        return True
    if h.hidden:
        return h.type == IP6 or not guard.servers
    if h.type == IP6 and h.proto == ICMP6 and h.message and not guard.routers:
        return h.message[0] in (ROUTER_ADVERT, REDIRECT)
    return not guard.servers and h.is_udp_to(DHCP_CLIENT if h.type == IP4 else DHCP6_CLIENT)


def is_copied(guard: PortGuard, bare: bytes) -> bool:
    """Whether the control plane hears of an admitted frame: between DHCP's client and server."""
    if not guard.copies:
        return False
    h = headers_of(bare)
    if h.type not in (IP4, IP6) or h.stacked or h.fragment:
        return False
    server, client = (DHCP_SERVER, DHCP_CLIENT) if h.type == IP4 else (DHCP6_SERVER, DHCP6_CLIENT)
    return h.is_udp_to(client) or h.is_udp_to(server)
