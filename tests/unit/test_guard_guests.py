"""A guard judges what still lies with a guest as it judges everything else."""

from __future__ import annotations

import pytest
from scapy.layers.inet import IP, UDP
from scapy.layers.inet6 import (
    ICMPv6ND_NA,
    ICMPv6ND_RA,
    ICMPv6NDOptDstLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    PadN,
)
from scapy.layers.l2 import Ether
from scapy.packet import Raw

from support.frames import BROADCAST, mac
from vswitch._guarding import set_guard
from vswitch.guarding import PortGuard

MINE, OTHERS = mac(1), mac(2)
SOURCE = bytes.fromhex("fd000000000000000000000000000005")
REST = Raw(bytes(900))
OPTION = Raw(b"\x0e\x20" + bytes(254))  # 256 bytes of a nonce, behind which others come
FAR = IPv6ExtHdrDestOpt(options=[PadN(optdata=bytes(200))])


def ip6(message):
    return bytes(Ether(src=MINE, dst=BROADCAST) / IPv6(src="fd00::5", dst="ff02::1") / message)


def advert(address):
    return ip6(ICMPv6ND_NA(tgt="fd00::5") / OPTION / ICMPv6NDOptDstLLAddr(lladdr=address.hex(":")))


GUARDS = {
    "addresses": PortGuard(ips=frozenset([SOURCE]), check_ip6=True, check_ip4=True),
    "routers": PortGuard(routers=False),
}
CASES = {  # guard, frame, whether it enters
    "its own address": ("addresses", advert(MINE), True),
    "another's, beyond the head": ("addresses", advert(OTHERS), False),
    "a datagram": ("addresses", ip6(UDP() / REST), True),
    "another's datagram": (
        "addresses", bytes(Ether(src=MINE, dst=BROADCAST) / IP() / UDP() / REST), False,
    ),
    "a router, beyond the head": ("routers", ip6(FAR / ICMPv6ND_RA() / REST), False),
    "a datagram, beyond the head": ("routers", ip6(FAR / UDP() / REST), True),
}  # fmt: skip


@pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
@pytest.mark.parametrize("case", CASES)
def test_what_lies_with_a_guest_is_judged_as_a_whole(rig, packed, case):
    guard, frame, enters = CASES[case]
    net = rig()
    a, b = (net.card(mtu=9000, packed=packed, mergeable=False) for _ in range(2))
    b.post(9100, times=4)
    set_guard(net.datapath, a.number, GUARDS[guard])
    assert len(frame) > 256
    a.send(frame)

    net.poll(1)

    assert [got for _, got in b.receive()] == ([frame] if enters else [])
