"""Who may speak at a port, and as whom; on both cores."""

from __future__ import annotations

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6MLReport2,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_RS,
    ICMPv6NDOptDstLLAddr,
    ICMPv6NDOptPrefixInfo,
    ICMPv6NDOptSrcLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
)
from scapy.layers.l2 import ARP, LLC, SNAP, Dot1AD, Dot1Q, Dot3, Ether
from scapy.packet import Raw

from vswitch.vlanwords import parse

pytestmark = pytest.mark.parametrize("lab", ["c", "python"], indirect=True)

MINE, OTHERS = "02:00:00:00:00:01", "02:00:00:00:00:02"
IP_MINE, IP_OTHERS = "10.0.0.5", "10.0.0.6"
IP6_MINE, IP6_OTHERS, LINK_LOCAL = "fd00::5", "fd00::6", "fe80::5"
ALL = "ff:ff:ff:ff:ff:ff"


def ether(payload, src=MINE, dst=ALL):
    return bytes(Ether(src=src, dst=dst) / payload)


@pytest.fixture
def locked(lab):
    """Port a is for one station with its addresses; b hears what enters there."""
    rig = lab("a", "b")
    rig.switch.set_port("a", allow_mac=(MINE,), allow_ip=(IP_MINE, IP6_MINE, LINK_LOCAL))
    return rig


def enters(rig, frame):
    """Whether *frame* enters at a; nothing but the guard may be why it does not."""
    before = rig.drops("a").get("guarded", 0)
    got = rig.send("a", frame)
    dropped = rig.drops("a").get("guarded", 0) - before
    assert (got, dropped) in (({"b": [frame]}, 0), ({}, 1))
    return not dropped


def arp(psrc=IP_MINE, hwsrc=MINE, op="who-has"):
    return ARP(op=op, psrc=psrc, hwsrc=hwsrc, pdst="10.0.0.1")


def icmp6(message, src=IP6_MINE):
    return IPv6(src=src, dst="ff02::1") / message


# ---------------------------------------------------------------------- Ethernet


def test_a_port_locked_to_addresses_drops_other_sources(lab):
    rig = lab("a", "b")
    rig.switch.set_port("a", allow_mac=(MINE, "02:00:00:00:00:09"))

    assert enters(rig, ether(IP(src=IP_OTHERS)))
    assert enters(rig, ether(b"x", src="02:00:00:00:00:09"))
    assert not enters(rig, ether(b"x", src=OTHERS))
    assert not enters(rig, ether(b"x", src="02:00:00:00:00:00"))


def test_who_is_dropped_is_not_learned(locked):
    locked.send("a", ether(b"x", src=OTHERS))
    locked.send("a", ether(IP(src=IP_OTHERS)))

    assert locked.stations() == {}


def test_as_many_addresses_as_a_guard_can_have_are_all_found(lab):
    rig = lab("a", "b")
    macs = tuple(f"02:00:00:00:01:{n:02x}" for n in range(64))
    rig.switch.set_port("a", allow_mac=macs[::-1])

    assert all(enters(rig, ether(b"x", src=mac)) for mac in macs)
    assert not enters(rig, ether(b"x", src="02:00:00:00:01:40"))


def test_a_guard_that_is_taken_away_lets_everybody_in(locked):
    locked.switch.set_port("a", allow_mac=(), allow_ip=())

    assert enters(locked, ether(IP(src=IP_OTHERS), src=OTHERS))


def test_what_is_no_ip_enters_with_addresses_too(locked):
    assert enters(locked, ether(Raw(b"\x88\xb5" + b"hello")))
    assert enters(locked, bytes(Dot3(src=MINE, dst=ALL) / LLC(dsap=0x42, ssap=0x42) / b"stp"))


# ---------------------------------------------------------------------- ARP, IPv4


def test_arp_speaks_for_its_own_address_only(locked):
    assert enters(locked, ether(arp()))
    assert enters(locked, ether(arp(op="is-at")))
    assert not enters(locked, ether(arp(psrc=IP_OTHERS)))
    assert not enters(locked, ether(arp(hwsrc=OTHERS)))
    assert not enters(locked, ether(arp())[:-1])
    assert not enters(locked, ether(ARP(ptype=0x86DD, psrc=IP_MINE, hwsrc=MINE)))


def test_an_arp_probe_has_no_address_yet(locked):
    assert enters(locked, ether(arp(psrc="0.0.0.0")))
    assert not enters(locked, ether(arp(psrc="0.0.0.0", hwsrc=OTHERS)))


def test_ipv4_comes_from_its_own_address_only(locked):
    assert enters(locked, ether(IP(src=IP_MINE) / UDP()))
    assert not enters(locked, ether(IP(src=IP_OTHERS) / UDP()))
    assert not enters(locked, ether(IP(src=IP_MINE))[:-1])


def test_who_has_no_address_yet_may_ask_for_one(locked):
    dhcp = UDP(sport=68, dport=67) / BOOTP() / DHCP(options=[("message-type", 1)])

    assert enters(locked, ether(IP(src="0.0.0.0", dst="255.255.255.255") / dhcp))
    assert enters(locked, ether(IP(src="0.0.0.0", dst="224.0.0.22", proto=2) / Raw(b"\x22" * 8)))
    assert not enters(locked, ether(IP(src="0.0.0.0") / UDP(sport=68, dport=53)))
    assert not enters(locked, ether(IP(src="0.0.0.0", flags="MF", frag=1) / dhcp))


# ---------------------------------------------------------------------- IPv6


def test_ipv6_comes_from_its_own_addresses_only(locked):
    assert enters(locked, ether(icmp6(ICMPv6EchoRequest())))
    assert enters(locked, ether(icmp6(ICMPv6EchoRequest(), src=LINK_LOCAL)))
    assert not enters(locked, ether(icmp6(ICMPv6EchoRequest(), src=IP6_OTHERS)))
    assert not enters(locked, ether(icmp6(ICMPv6EchoRequest(), src="::")))


def test_an_advertisement_is_of_its_own_address(locked):
    own = ICMPv6NDOptDstLLAddr(lladdr=MINE)
    strange = ICMPv6NDOptDstLLAddr(lladdr=OTHERS)

    assert enters(locked, ether(icmp6(ICMPv6ND_NA(tgt=IP6_MINE) / own)))
    assert not enters(locked, ether(icmp6(ICMPv6ND_NA(tgt=IP6_OTHERS) / own)))
    assert not enters(locked, ether(icmp6(ICMPv6ND_NA(tgt=IP6_MINE) / strange)))
    assert not enters(locked, ether(icmp6(ICMPv6ND_NA(tgt=IP6_MINE), src="::")))


def test_a_solicitation_says_its_own_address(locked):
    own = ICMPv6NDOptSrcLLAddr(lladdr=MINE)
    strange = ICMPv6NDOptSrcLLAddr(lladdr=OTHERS)

    assert enters(locked, ether(icmp6(ICMPv6ND_NS(tgt=IP6_OTHERS) / own)))
    assert not enters(locked, ether(icmp6(ICMPv6ND_NS(tgt=IP6_OTHERS) / strange)))
    assert enters(locked, ether(icmp6(ICMPv6ND_RS() / own, src=LINK_LOCAL)))
    assert not enters(locked, ether(icmp6(ICMPv6ND_RS() / strange, src=LINK_LOCAL)))


def test_duplicate_address_detection_is_for_ones_own(locked):
    assert enters(locked, ether(icmp6(ICMPv6ND_NS(tgt=IP6_MINE), src="::")))
    assert not enters(locked, ether(icmp6(ICMPv6ND_NS(tgt=IP6_OTHERS), src="::")))
    assert enters(locked, ether(icmp6(ICMPv6ND_RS(), src="::")))
    assert enters(locked, ether(icmp6(ICMPv6MLReport2(), src="::")))


def test_an_option_hidden_behind_others_is_found(locked):
    strange = ICMPv6NDOptDstLLAddr(lladdr=OTHERS)

    for n in (1, 5, 20):
        prefixes = Raw(bytes(ICMPv6NDOptPrefixInfo()) * n)
        assert not enters(locked, ether(icmp6(ICMPv6ND_NA(tgt=IP6_MINE) / prefixes / strange)))
    assert enters(
        locked, ether(icmp6(ICMPv6ND_NA(tgt=IP6_MINE) / Raw(bytes(ICMPv6NDOptPrefixInfo()) * 5)))
    )


def test_neighbor_discovery_in_fragments_is_refused(locked):
    first = IPv6(src=IP6_MINE, dst="ff02::1") / IPv6ExtHdrFragment(m=1, nh=58)

    assert not enters(locked, ether(first / ICMPv6ND_NA(tgt=IP6_MINE)))
    assert enters(locked, ether(first / ICMPv6EchoRequest(data=b"12345678")))


# ---------------------------------------------------------------------- what hides


@pytest.mark.parametrize(
    "hidden",
    [
        Dot1Q(vlan=0) / IP(src=IP_OTHERS),
        Dot1Q(vlan=0) / IP(src=IP_MINE),
        Dot1Q() / Dot1AD() / Dot1Q() / IP(src=IP_OTHERS),
        LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(OUI=0, code=0x800) / IP(src=IP_OTHERS),
        Dot1Q(type=20) / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP(code=0x806) / arp(IP_OTHERS),
    ],
    ids=["priority", "priority, mine", "stacked", "snap", "snap in a tag"],
)
def test_what_a_further_tag_hides_is_refused(locked, hidden):
    frame = ether(hidden)
    if isinstance(hidden, LLC):
        frame = bytes(Dot3(src=MINE, dst=ALL) / hidden)

    assert not enters(locked, frame)


def test_behind_the_tag_of_the_vlan_a_guard_looks(locked):
    for name in "ab":
        locked.switch.set_port(name, vlans=parse(name, "trunk=10,20"))

    assert enters(locked, ether(Dot1Q(vlan=10) / IP(src=IP_MINE) / UDP()))
    assert not enters(locked, ether(Dot1Q(vlan=10) / IP(src=IP_OTHERS) / UDP()))
    assert not enters(locked, ether(Dot1Q(vlan=10) / Dot1Q(vlan=20) / IP(src=IP_MINE) / UDP()))
    assert enters(locked, ether(Dot1Q(vlan=20) / arp()))


def test_extension_headers_hide_nothing(locked):
    def behind(n):
        chain = IPv6(src=IP6_MINE, dst="ff02::1")
        for _ in range(n):
            chain = chain / IPv6ExtHdrDestOpt()
        return ether(chain / ICMPv6ND_NA(tgt=IP6_OTHERS))

    assert not enters(locked, behind(1))
    assert not enters(locked, behind(8))
    assert not enters(locked, behind(9))  # is not looked at so far, and so refused


def test_router_advertisements_pass_where_only_addresses_are_checked(locked):
    advert = ICMPv6ND_RA() / ICMPv6NDOptSrcLLAddr(lladdr=MINE)

    assert enters(locked, ether(icmp6(advert, src=LINK_LOCAL)))
    assert not enters(locked, ether(icmp6(advert, src="fe80::1")))
