"""Leases of IPv6 addresses: who may speak for what, because DHCPv6 said so."""

from __future__ import annotations

import pytest
from scapy.layers.dhcp6 import (
    DUID_LL,
    DHCP6_Advertise,
    DHCP6_RelayReply,
    DHCP6_Release,
    DHCP6_Reply,
    DHCP6_Request,
    DHCP6OptClientId,
    DHCP6OptIA_NA,
    DHCP6OptIAAddress,
    DHCP6OptRelayMsg,
)
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NA,
    ICMPv6ND_NS,
    ICMPv6NDOptDstLLAddr,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
)
from scapy.layers.l2 import Dot1Q, Ether

from vswitch.guarding import Lease, SwitchGuards
from vswitch.leases import Known
from vswitch.vlanwords import parse

pytestmark = pytest.mark.parametrize("lab", ["c", "python"], indirect=True)

CLIENT, THIEF, SERVER = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:09"
LEASED, OTHER, LINK_LOCAL = "fd00::5", "fd00::6", "fe80::1"
WHO = DHCP6OptClientId(duid=DUID_LL(lladdr=CLIENT))
SNOOPED = SwitchGuards(dhcp6_snooping=True)


@pytest.fixture
def snooped(lab):
    """Ports a and b, and up, which is trusted."""
    rig = lab("a", "b", "up")
    rig.switch.set_port("up", trusted=True)
    rig.switch.set_guards(SNOOPED)
    return rig


def ether(payload, src=CLIENT, dst="33:33:00:01:00:02", tag=None):
    head = Ether(src=src, dst=dst)
    return bytes((head / Dot1Q(vlan=tag) if tag else head) / payload)


def na(ip=LEASED, valid_s=60):
    return DHCP6OptIA_NA(ianaopts=[DHCP6OptIAAddress(addr=ip, validlft=valid_s, preflft=0)])


def asked(message=DHCP6_Request, *, src=CLIENT, source=LINK_LOCAL, xid=7, ip=LEASED):
    head = IPv6(src=source, dst="ff02::1:2") / UDP(sport=546, dport=547)
    return ether(head / message(trid=xid) / WHO / na(ip), src)


def answered(*, dst=CLIENT, xid=7, tag=None, between=(), **lent):
    head = IPv6(src="fe80::9", dst=LINK_LOCAL)
    for header in between:
        head /= header
    message = DHCP6_Reply(trid=xid) / WHO / na(**lent)
    return ether(head / UDP(sport=547, dport=546) / message, SERVER, dst, tag)


def ask_and_answer(rig, port="a", **lent):
    assert rig.send(port, asked())
    assert rig.send("up", answered(**lent))


def speaks(rig, port="a", ip=LEASED, src=CLIENT):
    """Whether *port* may speak for an address, in IP and in Neighbor Discovery alike."""
    ping = bool(rig.send(port, ether(IPv6(src=ip) / ICMPv6EchoRequest(), src)))
    probe = ether(IPv6(src="::") / ICMPv6ND_NS(tgt=ip), src)
    told = IPv6(src=ip) / ICMPv6ND_NA(tgt=ip) / ICMPv6NDOptDstLLAddr(lladdr=src)
    assert ping == bool(rig.send(port, probe)) == bool(rig.send(port, ether(told, src)))
    return ping


def listed(rig):
    return [(b.port, b.lease.vid, b.lease.address, left) for b, left in rig.switch.bindings()]


def test_a_client_speaks_for_what_it_leased_and_for_nothing_else(snooped):
    assert not speaks(snooped)

    ask_and_answer(snooped)

    assert speaks(snooped)
    assert not speaks(snooped, ip=OTHER)
    assert not speaks(snooped, src=THIEF)
    assert not speaks(snooped, "b")
    assert listed(snooped) == [("a", 0, LEASED, 60)]


def test_who_has_no_lease_has_his_link_local_address(snooped):
    for ip in (LINK_LOCAL, "febf::1"):
        assert speaks(snooped, ip=ip)
    for ip in ("fec0::1", "fe7f::1", "::fe80:0:0:1"):
        assert not speaks(snooped, ip=ip)


def test_a_link_local_address_that_is_allowed_is_the_only_one(snooped):
    snooped.switch.set_port("a", allow_ip=("fe80::7", "fd00::9"))

    assert [speaks(snooped, ip=ip) for ip in ("fe80::7", "fd00::9", "fe80::8")] == [
        True,
        True,
        False,
    ]
    snooped.switch.set_port("a", allow_ip=("fd00::9",))
    assert speaks(snooped, ip="fe80::8")


def test_a_lease_ends_with_its_time_and_with_release(snooped):
    ask_and_answer(snooped)
    snooped.clock.advance(59)
    snooped.switch.poll()
    assert speaks(snooped)
    snooped.clock.advance(1)
    snooped.switch.poll()
    assert not speaks(snooped)

    ask_and_answer(snooped, ip=OTHER)
    snooped.send("b", asked(DHCP6_Release, ip=OTHER))
    assert speaks(snooped, ip=OTHER)
    assert snooped.send("a", asked(DHCP6_Release, source=OTHER, ip=OTHER))
    assert not speaks(snooped, ip=OTHER)


def test_leases_of_ipv4_are_of_their_own(snooped):
    ask_and_answer(snooped)
    ping = ether(IP(src="10.0.0.9") / ICMP())
    assert snooped.send("a", ping)

    snooped.switch.set_guards(SwitchGuards(dhcp_snooping=True))

    assert listed(snooped) == []
    assert not snooped.send("a", ping)
    assert speaks(snooped, ip=OTHER)
    ask_and_answer(snooped)  # nobody listens
    assert listed(snooped) == []


def test_a_rogue_server_is_not_heard_and_leases_nothing(snooped):
    snooped.send("a", asked())
    advert = IPv6(src="fe80::2") / UDP(sport=547, dport=546) / DHCP6_Advertise()

    assert snooped.send("b", answered()) == {}
    assert snooped.send("b", ether(advert, THIEF)) == {}
    hidden = answered(between=[IPv6ExtHdrDestOpt()])
    assert snooped.send("b", hidden) == {}
    first = IPv6(src="fe80::2") / IPv6ExtHdrFragment(m=1, nh=60) / bytes([17, 9, *bytes(6)])
    assert snooped.send("b", ether(first, THIEF)) == {}
    assert listed(snooped) == []


def test_an_answer_goes_to_who_asked(snooped):
    snooped.send("a", asked())
    for frame in (
        answered(dst=THIEF),
        answered(xid=8),
        answered(valid_s=0),
        answered(between=[IPv6ExtHdrDestOpt()]),
    ):
        assert snooped.send("up", frame)

    assert listed(snooped) == []
    snooped.send("up", answered())
    assert len(listed(snooped)) == 1


def test_what_relays_say_is_left_alone(snooped):
    snooped.send("a", asked())
    head = IPv6(src="fe80::9", dst=LINK_LOCAL) / UDP(sport=547, dport=546)
    inner = DHCP6OptRelayMsg(message=DHCP6_Reply(trid=7) / WHO / na())

    assert snooped.send("up", ether(head / DHCP6_RelayReply() / inner, SERVER, CLIENT))
    assert listed(snooped) == []


def test_a_lease_is_of_its_vlan(snooped):
    for name, said in {"a": "trunk=10,20,native=10", "b": "access=20", "up": "trunk=10,20"}.items():
        snooped.switch.set_port(name, vlans=parse(name, said))
    snooped.send("a", asked())
    snooped.send("up", answered(tag=10))

    assert listed(snooped) == [("a", 10, LEASED, 60)]
    assert speaks(snooped)
    ping = IPv6(src=LEASED) / ICMPv6EchoRequest()
    assert snooped.send("a", ether(ping, tag=10))
    assert not snooped.send("a", ether(ping, tag=20))


def test_one_address_may_be_leased_in_several_vlans(snooped):
    for name, said in {"a": "trunk=10,20", "b": "access=20", "up": "trunk=10,20"}.items():
        snooped.switch.set_port(name, vlans=parse(name, said))
    ping = IPv6(src=LEASED) / ICMPv6EchoRequest()
    vids = [10, 20]
    for vid in vids:
        head = IPv6(src=LINK_LOCAL, dst="ff02::1:2") / UDP(sport=546, dport=547)
        src = CLIENT if vid == 10 else THIEF
        snooped.send("a", ether(head / DHCP6_Request(trid=vid) / WHO, src, tag=vid))
        snooped.send("up", answered(dst=src, xid=vid, tag=vid))
    assert [vid for _, vid, _, _ in listed(snooped)] == vids

    heard = {
        (vid, src): bool(snooped.send("a", ether(ping, src, tag=vid)))
        for vid in vids
        for src in (CLIENT, THIEF)
    }

    assert [key for key, passed in heard.items() if passed] == [(10, CLIENT), (20, THIEF)]


def test_leases_of_both_versions_outlive_a_restart(snooped):
    snooped.switch.set_guards(SwitchGuards(dhcp_snooping=True, dhcp6_snooping=True))
    ask_and_answer(snooped)
    ask_and_answer(snooped, ip=OTHER)
    known = snooped.switch.leases.known()
    snooped.switch.set_guards(SwitchGuards())
    snooped.switch.set_guards(SNOOPED)
    assert not speaks(snooped)

    v4 = Known(Lease(0, bytes([2, 0, 0, 0, 0, 1]), bytes([10, 0, 0, 5])), "a", 60)
    assert snooped.switch.leases.restore([*known, v4]) == 2

    assert speaks(snooped)
    assert speaks(snooped, ip=OTHER)


def test_a_port_may_have_all_leases_beside_all_it_is_allowed(snooped):
    snooped.switch.set_port("a", allow_ip=tuple(f"fd00:1::{n:x}" for n in range(1, 65)))
    for n in range(66):
        mac = f"02:00:00:00:01:{n:02x}"
        head = IPv6(src=f"fe80::{n:x}", dst="ff02::1:2") / UDP(sport=546, dport=547)
        snooped.send("a", ether(head / DHCP6_Request(trid=n) / WHO, mac))
        snooped.send("up", answered(dst=mac, xid=n, ip=f"fd00:2::{n:x}"))

    assert len(listed(snooped)) == 64
    assert snooped.switch.guard_counters()["refused"] == 2
    assert speaks(snooped, ip="fd00:2::3f", src="02:00:00:00:01:3f")
    assert speaks(snooped, ip="fd00:1::40")


def test_a_lease_makes_a_neighbour_for_which_the_switch_answers(snooped):
    snooped.switch.set_port("a", neigh_suppress=True)
    ask_and_answer(snooped)
    known = snooped.switch.neighbours.all
    assert [(k.neighbour.text, k.origin) for k in known] == [(f"{LEASED} lladdr {CLIENT}", "dhcp")]

    question = IPv6(src="fd00::9", dst="ff02::1:ff00:5") / ICMPv6ND_NS(tgt=LEASED)
    [answer] = snooped.send("up", ether(question, SERVER))["up"]
    assert Ether(answer).src == CLIENT

    snooped.clock.advance(60)
    snooped.switch.poll()
    assert snooped.switch.neighbours.all == []
