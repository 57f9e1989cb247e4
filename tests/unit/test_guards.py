"""What is guarded at all ports of a switch: servers, routers, leases, stations that move."""

from __future__ import annotations

import pytest
from scapy.layers.dhcp import BOOTP, DHCP
from scapy.layers.dhcp6 import DHCP6_Advertise
from scapy.layers.inet import ICMP, IP, UDP
from scapy.layers.inet6 import (
    ICMPv6EchoRequest,
    ICMPv6ND_NS,
    ICMPv6ND_RA,
    ICMPv6ND_Redirect,
    ICMPv6ND_RS,
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrFragment,
    IPv6ExtHdrHopByHop,
)
from scapy.layers.l2 import ARP, LLC, SNAP, Dot1Q, Ether
from scapy.packet import Raw

from vswitch.guarding import SwitchGuards
from vswitch.vlanwords import parse

pytestmark = pytest.mark.parametrize("lab", ["c", "python"], indirect=True)

ALL = "ff:ff:ff:ff:ff:ff"
CLIENT, THIEF, SERVER = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:09"
LEASED = "10.0.0.5"
A, B = (bytes([2, 0, 0, 0, 0, n]) for n in (1, 2))


def mac_of(text):
    return bytes.fromhex(text.replace(":", ""))


def ether(payload, src=CLIENT, dst=ALL):
    return bytes(Ether(src=src, dst=dst) / payload)


def offers():
    """What only servers say, and what may hide that."""
    answer = UDP(sport=67, dport=68) / BOOTP(op=2)
    return {
        "dhcp": IP() / answer,
        "dhcp from another port": IP() / UDP(sport=1067, dport=68) / BOOTP(op=2),
        "dhcp in a tag": Dot1Q(vlan=0) / IP() / answer,
        "dhcp in two tags": Dot1Q() / Dot1Q() / IP() / answer,
        "dhcp in snap": Dot1Q(type=20) / LLC(dsap=0xAA, ssap=0xAA, ctrl=3) / SNAP() / IP() / answer,
        "first fragment": IP(flags="MF") / answer,
        "header cut off": IP(proto=17, flags="MF", len=24) / Raw(b"\0" * 40),
        "dhcp6": IPv6(dst="ff02::1") / UDP(sport=547, dport=546) / DHCP6_Advertise(),
    }


def adverts():
    """The same of routers."""
    return {
        "ra": IPv6() / ICMPv6ND_RA(),
        "redirect": IPv6() / ICMPv6ND_Redirect(),
        "behind options": IPv6() / IPv6ExtHdrHopByHop() / IPv6ExtHdrDestOpt() / ICMPv6ND_RA(),
        "in a tag": Dot1Q(vlan=0) / IPv6() / ICMPv6ND_RA(),
        "first fragment": IPv6() / IPv6ExtHdrFragment(m=1, nh=58) / ICMPv6ND_RA(),
        "hidden in the second": IPv6()
        / IPv6ExtHdrFragment(m=1, nh=60)
        / Raw(b"\x3a\x09" + bytes(6)),
        "too many headers": IPv6(nh=60) / Raw((b"\x3c" + bytes(7)) * 8 + b"\x3a" + bytes(11)),
        "in five tags": Dot1Q() / Dot1Q() / Dot1Q() / Dot1Q() / Dot1Q() / IPv6() / ICMPv6ND_RA(),
    }


@pytest.fixture
def guarded(lab):
    """Ports a and b, and up, which is trusted."""
    rig = lab("a", "b", "up")
    rig.switch.set_port("up", trusted=True)
    return rig


@pytest.mark.parametrize("what", offers())
def test_dhcp_servers_answer_from_trusted_ports_only(guarded, what):
    frame = ether(offers()[what])
    assert set(guarded.send("a", frame)) == {"b", "up"}
    guarded.switch.set_guards(SwitchGuards(dhcp_guard=True))

    assert guarded.send("a", frame) == {}
    assert guarded.drops("a") == {"guarded": 1}
    assert set(guarded.send("up", frame)) == {"a", "b"}


@pytest.mark.parametrize("what", adverts())
def test_routers_announce_themselves_from_trusted_ports_only(guarded, what):
    frame = ether(adverts()[what])
    assert set(guarded.send("a", frame)) == {"b", "up"}
    guarded.switch.set_guards(SwitchGuards(ra_guard=True))

    assert guarded.send("a", frame) == {}
    assert guarded.drops("a") == {"guarded": 1}
    assert set(guarded.send("up", frame)) == {"a", "b"}


def test_what_clients_say_passes_both_guards(guarded):
    guarded.switch.set_guards(SwitchGuards(dhcp_guard=True, ra_guard=True))

    for payload in (
        IP(src="0.0.0.0") / UDP(sport=68, dport=67) / BOOTP(),
        IPv6() / UDP(sport=546, dport=547),
        IPv6() / ICMPv6ND_RS(),
        IPv6() / ICMPv6ND_NS(),
        IPv6() / IPv6ExtHdrFragment(m=1) / ICMPv6EchoRequest(data=b"12345678"),
        IPv6() / IPv6ExtHdrFragment(offset=9, nh=58) / Raw(b"\x86" + bytes(9)),
        IP(frag=9, proto=17) / Raw(b"\0\x43\0\x44"),
        ARP(),
    ):
        assert set(guarded.send("a", ether(payload))) == {"b", "up"}


def test_each_guard_guards_its_own(guarded):
    guarded.switch.set_guards(SwitchGuards(ra_guard=True))
    assert guarded.send("a", ether(offers()["dhcp"]))
    guarded.switch.set_guards(SwitchGuards(dhcp_guard=True))
    assert guarded.send("a", ether(adverts()["ra"]))


def test_a_port_that_comes_later_is_guarded_until_it_is_trusted(guarded):
    guarded.switch.set_guards(SwitchGuards(dhcp_guard=True))
    guarded.add("late")
    frame = ether(offers()["dhcp"])

    assert guarded.send("late", frame) == {}
    guarded.switch.set_port("late", trusted=True)
    assert set(guarded.send("late", frame)) == {"a", "b", "up"}


# ---------------------------------------------------------------------- leases


def dhcp(kind, *, op=1, xid=7, src=CLIENT, chaddr=CLIENT, ciaddr="0.0.0.0", **options):
    said = [("message-type", kind), *options.items(), "end"]
    ends = {"sport": 68, "dport": 67} if op == 1 else {"sport": 67, "dport": 68}
    your = LEASED if op == 2 else "0.0.0.0"
    head = IP(src=ciaddr if op == 1 else "10.0.0.1", dst="255.255.255.255") / UDP(**ends)
    boot = BOOTP(op=op, xid=xid, chaddr=mac_of(chaddr), yiaddr=your, ciaddr=ciaddr)
    return ether(head / boot / DHCP(options=said), src=src)


def ask_and_answer(rig, port="a", xid=7, lease_s=60, tag=None):
    """Let a client at *port* get its lease."""

    def tagged(frame):
        return frame[:12] + bytes(Dot1Q(vlan=tag))[:2] + frame[12:] if tag else frame

    ask = dhcp("request", xid=xid)
    ack = dhcp("ack", op=2, xid=xid, src=SERVER, lease_time=lease_s)
    if tag:
        ack = ack[:12] + b"\x81\x00" + tag.to_bytes(2) + ack[12:]
    assert rig.send(port, ask)
    assert rig.send("up", ack)


def speaks(rig, port, ip=LEASED, src=CLIENT):
    """Whether *port* may speak for an address, in IP and in ARP alike."""
    ping = bool(rig.send(port, ether(IP(src=ip) / ICMP(), src=src)))
    assert ping == bool(rig.send(port, ether(ARP(psrc=ip, hwsrc=src), src=src)))
    return ping


@pytest.fixture
def snooped(guarded):
    guarded.switch.set_guards(SwitchGuards(dhcp_snooping=True))
    return guarded


def listed(rig):
    return [
        (b.port, b.lease.vid, b.lease.mac, b.lease.ip, left) for b, left in rig.switch.bindings()
    ]


def test_a_client_speaks_for_what_it_leased_and_for_nothing_else(snooped):
    assert not speaks(snooped, "a")

    ask_and_answer(snooped)

    assert speaks(snooped, "a")
    assert not speaks(snooped, "a", "10.0.0.6")
    assert not speaks(snooped, "a", src=THIEF)
    assert not speaks(snooped, "b", src=THIEF)
    assert listed(snooped) == [("a", 0, A, bytes([10, 0, 0, 5]), 60)]


def test_what_is_snooped_goes_on_as_it_is_and_is_no_punt(snooped):
    heard = []
    snooped.switch.on_punt = lambda *punt: heard.append(punt)
    ask = dhcp("request")

    assert snooped.send("a", ask) == {"b": [ask], "up": [ask]}
    assert heard == []
    assert snooped.status("a").counters["punted"] == 0


def test_a_trusted_port_needs_no_lease(snooped):
    assert speaks(snooped, "up", "10.0.0.1", SERVER)


def test_a_rogue_server_leases_nothing(snooped):
    snooped.send("a", dhcp("request"))

    assert snooped.send("b", dhcp("ack", op=2, src=THIEF, lease_time=60)) == {}
    assert listed(snooped) == []


def test_who_asks_for_somebody_else_gets_nothing(snooped):
    snooped.send("b", dhcp("request", src=THIEF))
    snooped.send("up", dhcp("ack", op=2, src=SERVER, lease_time=60))

    assert listed(snooped) == []


def test_a_lease_ends_with_its_time_and_is_renewed(snooped):
    ask_and_answer(snooped)
    snooped.clock.advance(40)
    ask_and_answer(snooped, xid=8)
    snooped.clock.advance(59)
    assert speaks(snooped, "a")

    snooped.clock.advance(1)
    snooped.switch.poll()

    assert not speaks(snooped, "a")


def test_a_lease_ends_with_release_its_port_and_snooping(snooped):
    ask_and_answer(snooped)
    snooped.send("a", dhcp("release", ciaddr=LEASED))
    assert listed(snooped) == []

    ask_and_answer(snooped, "b", xid=8)
    snooped.switch.remove_port("b")
    del snooped.ports["b"]
    assert listed(snooped) == []

    ask_and_answer(snooped, xid=9)
    snooped.switch.set_guards(SwitchGuards())
    assert listed(snooped) == []
    assert speaks(snooped, "a", "10.0.0.77")


def test_addresses_that_are_allowed_need_no_lease(snooped):
    snooped.switch.set_port("a", allow_ip=("10.0.0.9",))
    ask_and_answer(snooped)

    assert speaks(snooped, "a", "10.0.0.9")
    assert speaks(snooped, "a")
    assert not speaks(snooped, "a", "10.0.0.8")


def test_ipv6_is_left_alone_by_leases(snooped):
    assert snooped.send("a", ether(IPv6(src="fd00::1") / ICMPv6EchoRequest()))


def test_a_lease_is_of_its_vlan(snooped):
    for name, said in {"a": "access=10", "b": "access=20", "up": "trunk=10,20"}.items():
        snooped.switch.set_port(name, vlans=parse(name, said))
    ask_and_answer(snooped, tag=10)

    assert speaks(snooped, "a")
    assert listed(snooped)[0][:2] == ("a", 10)
    snooped.switch.set_port("a", vlans=parse("a", "access=20"))
    assert not speaks(snooped, "a")


def test_a_fragment_is_no_message(snooped):
    ask = dhcp("request")
    first = ask[:20] + b"\x20\0" + ask[22:]  # more fragments

    assert snooped.send("a", first)
    snooped.send("up", dhcp("ack", op=2, src=SERVER, lease_time=60))
    assert listed(snooped) == []


def test_of_a_flood_of_questions_so_many_a_second_are_read_and_all_go_on(snooped):
    frames = [dhcp("discover", xid=n) for n in range(300)]

    assert len(snooped.send("a", *frames)["up"]) == 300
    assert snooped.switch.guard_counters()["missed"] == 300 - 256
    snooped.clock.advance(1)
    snooped.send("a", *frames)
    assert snooped.switch.guard_counters()["missed"] == 2 * (300 - 256)

    snooped.clock.advance(1)
    ask_and_answer(snooped, xid=1000)
    assert len(listed(snooped)) == 1


def test_servers_are_heard_when_they_answer_many_at_once(snooped):
    frames = [dhcp("ack", op=2, xid=n, src=SERVER, lease_time=60) for n in range(300)]

    snooped.send("up", *frames)

    assert snooped.switch.guard_counters()["missed"] == 0


@pytest.mark.parametrize("version", [4, 6])
def test_of_a_flood_of_answers_so_many_a_second_are_read_and_all_go_on(snooped, version):
    snooped.switch.set_guards(SwitchGuards(dhcp_snooping=True, dhcp6_snooping=True))
    answer6 = IPv6(dst="fe80::1") / UDP(sport=547, dport=546) / DHCP6_Advertise()
    flood = dhcp("nak", op=2, src=SERVER) if version == 4 else ether(answer6, src=SERVER)

    for second in (1, 2):
        snooped.clock.advance(1)
        passed = [len(snooped.send("up", *[flood] * 100)["a"]) for _ in range(45)]

        assert passed == [100] * 45
        assert snooped.switch.guard_counters()["missed"] == second * (4500 - 4096)
    snooped.clock.advance(1)
    ask_and_answer(snooped, xid=1000)
    assert len(listed(snooped)) == 1


class Unwalked(dict):
    """Leases that nobody looks through."""

    def _refuse(self, *_):
        raise AssertionError("all leases are looked at for one port")

    __iter__ = items = values = keys = _refuse


def test_what_happens_to_one_port_looks_at_no_leases_of_others(snooped):
    ask_and_answer(snooped)
    bindings = snooped.switch._rules.guards._leases[4]
    bindings._all = Unwalked(bindings._all)

    snooped.switch.set_port("b", isolated=True)
    snooped.switch.remove_port("a")
    del snooped.ports["a"]
    snooped.add("a")

    bindings._all = dict(dict.items(bindings._all))
    assert listed(snooped) == []
    assert not speaks(snooped, "a")


def test_a_port_that_is_trusted_no_more_is_heard_no_more_in_that_second(snooped):
    snooped.send("up", *[dhcp("ack", op=2, src=SERVER, lease_time=60)] * 300)
    snooped.switch.set_port("up", trusted=False)

    snooped.send("up", *[dhcp("discover", src=SERVER)] * 10)

    assert snooped.switch.guard_counters()["missed"] == 10


# ---------------------------------------------------------------------- stations that move


def test_a_station_stays_where_it_was_heard_first(guarded):
    guarded.switch.set_guards(SwitchGuards(move_guard_s=10))
    guarded.send("a", ether(ARP()))

    assert guarded.send("b", ether(ARP())) == {}
    assert guarded.drops("b") == {"guarded": 1}
    assert guarded.stations() == {A: "a"}


def test_a_station_that_was_silent_for_so_long_may_move(guarded):
    guarded.switch.set_guards(SwitchGuards(move_guard_s=10))
    guarded.send("a", ether(ARP()))
    guarded.clock.advance(9)
    assert guarded.send("b", ether(ARP())) == {}
    guarded.clock.advance(1)

    assert guarded.send("b", ether(ARP()))
    assert guarded.stations() == {A: "b"}
    assert guarded.send("a", ether(ARP())) == {}


def test_without_the_guard_stations_move_at_once(guarded):
    guarded.switch.set_guards(SwitchGuards(move_guard_s=10))
    guarded.switch.set_guards(SwitchGuards())
    guarded.send("a", ether(ARP()))

    assert guarded.send("b", ether(ARP()))
    assert guarded.stations() == {A: "b"}


def test_who_is_unknown_or_static_elsewhere_is_told_apart(guarded):
    guarded.switch.set_guards(SwitchGuards(move_guard_s=10))
    guarded.switch.pin(A, "b")

    assert guarded.send("a", ether(ARP())) == {}
    assert guarded.send("a", ether(ARP(), src=THIEF))


def test_an_attempt_is_told_once_and_names_both_ports(guarded):
    guarded.switch.set_guards(SwitchGuards(move_guard_s=300))
    guarded.send("a", ether(ARP()))
    for _ in range(20):
        guarded.send("b", ether(ARP()))
        guarded.clock.advance(1)

    told = [e for e in guarded.switch.observer.events() if e.kind == "move_refused"]
    assert [(e.mac, e.port, e.old_port) for e in told] == [(A, "b", "a")]

    guarded.clock.advance(60)
    guarded.send("b", ether(ARP()))
    told = [e for e in guarded.switch.observer.events() if e.kind == "move_refused"]
    assert len(told) == 2


# ---------------------------------------------------------------------- sticky


def test_a_sticky_station_does_not_move_and_its_frames_pass(guarded):
    guarded.switch.stick(A, "a")

    assert guarded.send("b", ether(ARP()))
    assert guarded.stations() == {A: "a"}
    [station] = guarded.switch.stations()
    assert (station.sticky, station.static) == (True, False)


def test_a_sticky_station_ages_unless_it_is_heard(guarded):
    guarded.switch.stick(A, "a")
    guarded.clock.advance(200)
    guarded.send("a", ether(ARP()))
    guarded.clock.advance(200)
    [station] = guarded.switch.stations()
    assert (station.sticky, station.age_s) == (True, 200)

    guarded.clock.advance(100)
    guarded.send("b", ether(ARP()))

    [station] = guarded.switch.stations()
    assert (station.port, station.sticky) == ("b", False)


def test_sticky_and_static_take_one_anothers_place(guarded):
    guarded.switch.stick(A, "a")
    guarded.switch.pin(A, "b")
    assert [(s.port, s.static, s.sticky) for s in guarded.switch.stations()] == [("b", True, False)]
    guarded.switch.stick(A, "a")

    assert [(s.port, s.static, s.sticky) for s in guarded.switch.stations()] == [("a", False, True)]
    assert guarded.switch.fdb_counters()["static"] == 0
    assert guarded.switch.flush("a") == 1


def known(rig):
    return [(k.neighbour.text, k.origin) for k in rig.switch.neighbours.all]


def test_a_lease_makes_a_neighbour_as_long_as_it_lasts(snooped):
    snooped.switch.set_port("a", neigh_suppress=True)
    ask_and_answer(snooped)
    assert known(snooped) == [(f"{LEASED} lladdr {CLIENT}", "dhcp")]

    [answer] = snooped.send("up", ether(ARP(psrc="10.0.0.1", pdst=LEASED), src=SERVER))["up"]
    assert Ether(answer)[ARP].hwsrc == CLIENT

    snooped.clock.advance(60)
    snooped.switch.poll()
    assert known(snooped) == []


def test_a_neighbour_goes_with_its_lease_its_port_and_snooping(snooped):
    ask_and_answer(snooped)
    snooped.send("a", dhcp("release", ciaddr=LEASED))
    assert known(snooped) == []

    ask_and_answer(snooped, xid=8)
    snooped.switch.set_guards(SwitchGuards())
    assert known(snooped) == []

    snooped.switch.set_guards(SwitchGuards(dhcp_snooping=True))
    ask_and_answer(snooped, "b", xid=9)
    snooped.switch.remove_port("b")
    del snooped.ports["b"]
    assert known(snooped) == []


def test_a_leased_neighbour_is_of_its_vlan(snooped):
    for name, said in {"a": "access=10", "up": "trunk=10"}.items():
        snooped.switch.set_port(name, vlans=parse(name, said))
    ask_and_answer(snooped, tag=10)

    assert known(snooped) == [(f"{LEASED} lladdr {CLIENT} vlan 10", "dhcp")]


def test_a_lease_that_no_station_can_have_makes_no_neighbour(snooped, monkeypatch):
    monkeypatch.setitem(globals(), "LEASED", "240.0.0.5")
    ask_and_answer(snooped)

    assert listed(snooped)[0][3] == bytes([240, 0, 0, 5])
    assert known(snooped) == []
