"""Questions about neighbours: which are answered, and where they are not sent; on both cores."""

from __future__ import annotations

import struct

import pytest
from scapy.layers.inet6 import ICMPv6ND_NA, ICMPv6ND_NS, ICMPv6NDOptSrcLLAddr, IPv6
from scapy.layers.l2 import ARP, Dot1Q, Ether

from vswitch.errors import NeighbourExistsError, NeighbourFullError, NeighbourNotFoundError
from vswitch.mirrors import Mirror
from vswitch.neighbours import Neighbour
from vswitch.vlans import PortVlans, VidSet
from vswitch.vlanwords import parse

pytestmark = pytest.mark.parametrize("lab", ["c", "python"], indirect=True)

ASKER, OWNER, OTHER = "02:00:00:00:00:01", "02:00:00:00:00:02", "02:00:00:00:00:03"
ASKER4, OWNER4, OTHER4 = "192.0.2.1", "192.0.2.2", "192.0.2.3"
ASKER6, OWNER6, OTHER6 = "2001:db8::1", "2001:db8::2", "2001:db8::3"
ALL, ALL6 = "ff:ff:ff:ff:ff:ff", "33:33:ff:00:00:02"
C_TAG = 0x8100


def raw(mac):
    return bytes.fromhex(mac.replace(":", ""))


def ether(payload, *, src=ASKER, dst=ALL, tag=None):
    head = Ether(src=src, dst=dst)
    return bytes(head / Dot1Q(vlan=tag & 4095, prio=tag >> 13) / payload if tag else head / payload)


def who_has(target=OWNER4, sender=ASKER4, **how):
    """An ARP request."""
    return ether(ARP(op=1, hwsrc=ASKER, psrc=sender, hwdst="00:" * 5 + "00", pdst=target), **how)


def solicit(target=OWNER6, sender=ASKER6, option=ASKER, **how):
    """A neighbour solicitation."""
    message = IPv6(src=sender, dst="ff02::1:ff00:2", hlim=255) / ICMPv6ND_NS(tgt=target)
    how = {"dst": ALL6, **how}
    return ether(message / ICMPv6NDOptSrcLLAddr(lladdr=option) if option else message, **how)


def neighbour(ip=OWNER4, mac=OWNER, **how):
    return Neighbour.parse(ip, mac, **how)


@pytest.fixture
def rig(lab):
    """OWNER is behind o, where questions are suppressed, as at s; a asks, x hears all."""
    net = lab("a", "o", "s", "x")
    for name in "os":
        net.switch.set_port(name, neigh_suppress=True)
    net.send("o", ether(b"here I am", src=OWNER))
    for ip in (OWNER4, OWNER6):
        net.switch.neighbours.add(neighbour(ip))
    return net


def counted(net):
    counters = net.switch.neighbours.counters()
    return counters["answered"], counters["suppressed"]


# ---------------------------------------------------------------------- answers


def test_a_question_for_a_known_neighbour_is_answered_and_kept_back(rig):
    sent = rig.send("a", who_has())

    assert set(sent) == {"a", "x"}
    assert sent["x"] == [who_has()]
    assert counted(rig) == (1, 1)


def test_the_answer_is_what_its_station_would_say(rig):
    [answer] = rig.send("a", who_has())["a"]

    said = ARP(op=2, hwsrc=OWNER, psrc=OWNER4, hwdst=ASKER, pdst=ASKER4)
    assert answer == bytes(Ether(src=OWNER, dst=ASKER) / said)


def test_an_advertisement_is_what_its_station_would_say(rig):
    [answer] = rig.send("a", solicit())["a"]

    head = IPv6(src=OWNER6, dst=ASKER6, hlim=255)
    said = ICMPv6ND_NA(tgt=OWNER6, R=0, S=1, O=1)
    option = b"\x02\x01" + raw(OWNER)
    assert answer == bytes(Ether(src=OWNER, dst=ASKER) / head / said / option)
    assert len(answer) == 86


def test_a_router_says_that_it_is_one(rig):
    rig.switch.neighbours.add(neighbour(OWNER6, router=True), replace=True)

    [answer] = rig.send("a", solicit())["a"]
    assert IPv6(answer[14:])[ICMPv6ND_NA].R == 1


def test_an_answer_goes_to_who_the_question_says(rig):
    [to_option] = rig.send("a", solicit(option=OTHER))["a"]
    [to_source] = rig.send("a", solicit(option=None))["a"]

    assert (to_option[:6], to_source[:6]) == (raw(OTHER), raw(ASKER))


def test_of_the_traffic_class_the_upper_half_is_repeated(rig):
    question = bytearray(solicit())
    question[14:16] = b"\x6c\x5f"

    [answer] = rig.send("a", bytes(question))["a"]
    assert answer[14:16] == b"\x6c\x00"


def test_every_question_of_a_burst_is_answered_in_order(rig):
    for n in range(10, 40):
        rig.switch.neighbours.add(neighbour(f"192.0.2.{n}"))

    answers = rig.send("a", *(who_has(f"192.0.2.{n}") for n in range(10, 40)))["a"]
    assert [answer[31] for answer in answers] == [*range(10, 40)]


# ---------------------------------------------------------------------- who is asked


def is_flooded(net, frame, *, by="a"):
    """Whether *frame* goes to everybody else, and nobody answers."""
    return net.send(by, frame) == {name: [frame] for name in "aosx" if name != by}


@pytest.mark.parametrize("question", [who_has(OTHER4), solicit(OTHER6)])
def test_who_is_not_known_is_asked_everywhere(rig, question):
    assert is_flooded(rig, question)
    assert counted(rig) == (0, 0)


@pytest.mark.parametrize("question", [who_has(), solicit()])
def test_who_was_not_heard_is_asked_everywhere(rig, question):
    rig.switch.flush()

    assert is_flooded(rig, question)


@pytest.mark.parametrize("question", [who_has(), solicit()])
def test_who_is_no_neighbour_any_more_is_asked_everywhere(rig, question):
    rig.switch.neighbours.flush()

    assert is_flooded(rig, question)


@pytest.mark.parametrize("question", [who_has(), solicit()])
def test_a_neighbour_at_another_port_answers_itself(rig, question):
    rig.send("x", ether(b"moved", src=OWNER))

    assert rig.send("a", question) == {"x": [question]}
    assert counted(rig) == (0, 1)


@pytest.mark.parametrize("question", [who_has(), solicit()])
def test_what_comes_from_where_questions_are_suppressed_goes_its_way(rig, question):
    assert is_flooded(rig, question, by="s")


@pytest.mark.parametrize("question", [who_has(dst=OWNER), solicit(dst=OWNER)])
def test_a_question_for_one_station_reaches_it(rig, question):
    assert rig.send("a", question) == {"o": [question]}


@pytest.mark.parametrize("question", [who_has(dst=OTHER), solicit(dst=OTHER)])
def test_a_question_for_one_station_that_is_not_known_is_flooded(rig, question):
    assert is_flooded(rig, question)


def test_with_nobody_left_to_ask_the_question_is_counted(rig):
    rig.switch.remove_port("x")

    assert set(rig.send("a", who_has())) == {"a"}
    assert rig.drops("a") == {"suppressed": 1}


def test_without_a_port_that_says_so_nothing_is_different(rig):
    for name in "os":
        rig.switch.set_port(name, neigh_suppress=False)

    assert is_flooded(rig, who_has())
    assert is_flooded(rig, ether(ARP(op=1, hwsrc=ASKER, psrc=ASKER4, pdst=ASKER4)))


def test_a_blocked_port_asks_for_nothing(rig):
    for name in "os":
        rig.switch.set_port(name, forwarding=False)

    assert rig.send("a", who_has()) == {"x": [who_has()]}
    assert counted(rig) == (0, 0)


# ---------------------------------------------------------------------- in vain


def arp(**fields):
    return ether(ARP(**{"op": 1, "hwsrc": ASKER, "psrc": ASKER4, "pdst": OWNER4, **fields}))


def patched(frame, at, new):
    return frame[:at] + new + frame[at + len(new) :]


NOTICES = {
    "announcement": arp(pdst=ASKER4),
    "gratuitous reply": arp(op=2, pdst=ASKER4),
    "probe": arp(psrc="0.0.0.0"),
    "announcement to a station that is gone": patched(
        arp(op=2, pdst=ASKER4), 0, raw("02:00:00:00:00:09")
    ),
    "unsolicited": ether(
        IPv6(src=ASKER6, dst="ff02::1", hlim=255) / ICMPv6ND_NA(tgt=ASKER6, S=0), dst=ALL6
    ),
    "duplicate address detection": solicit(sender="::", option=None),
}


@pytest.mark.parametrize("notice", NOTICES.values(), ids=NOTICES)
def test_who_says_who_he_is_is_not_heard_where_questions_are_suppressed(rig, notice):
    assert rig.send("a", notice) == {"x": [notice]}
    assert counted(rig) == (0, 1)


NO_QUESTIONS = {
    "reply": arp(op=2),
    "RARP": arp(op=3),
    "RARP in vain": arp(op=3, psrc="0.0.0.0"),
    "loopback": arp(pdst="127.0.0.1", psrc="0.0.0.0"),
    "multicast": arp(pdst="224.0.0.1", psrc="0.0.0.0"),
    "not of IPv4": patched(who_has(), 16, b"\x08\x01"),
    "longer hardware addresses": patched(who_has(), 18, b"\x08"),
    "longer addresses": patched(who_has(), 19, b"\x10"),
    "ARP cut short": who_has()[:41],
    "ARP of nothing": who_has()[:14],
    "for a group": patched(who_has(), 22, b"\x01"),
    "for nobody": patched(who_has(), 22, bytes(6)),
    "behind a tag": who_has(tag=7),
    "not IPv6": patched(solicit(), 14, b"\x40"),
    "not ICMPv6": patched(solicit(), 20, b"\x11"),
    "from behind a router": patched(solicit(), 21, b"\xfe"),
    "longer than it is": patched(solicit(), 18, b"\x00\x21"),
    "too short": patched(solicit(), 18, b"\x00\x17"),
    "cut short": solicit()[:77],
    "with a code": patched(solicit(), 55, b"\x01"),
    "for a multicast address": patched(solicit(), 62, b"\xff"),
    "from a multicast address": patched(solicit(), 22, b"\xff"),
    "an option of no length": patched(solicit(), 79, b"\x00"),
    "an option longer than it is": patched(solicit(), 79, b"\x02"),
    "an option with a group": patched(solicit(), 80, b"\x01"),
    "half an option": patched(solicit(), 18, b"\x00\x1c"),
    "asked for": ether(
        IPv6(src=ASKER6, dst="ff02::1", hlim=255) / ICMPv6ND_NA(tgt=OWNER6, S=1), dst=ALL6
    ),
}


@pytest.mark.parametrize("frame", NO_QUESTIONS.values(), ids=NO_QUESTIONS)
def test_what_is_no_question_is_flooded(rig, frame):
    assert is_flooded(rig, frame)
    assert counted(rig) == (0, 0)


def test_padding_is_not_looked_at(rig):
    padded = solicit(option=None) + b"\x01\x01" + raw(OTHER)

    assert rig.send("a", padded)["a"][0][:6] == raw(ASKER)
    assert set(rig.send("a", who_has() + bytes(18))) == {"a", "x"}


def test_an_option_too_many_makes_no_question(rig):
    message = IPv6(src=ASKER6, dst="ff02::1", hlim=255) / ICMPv6ND_NS(tgt=OWNER6)
    nonce = b"\x0e\x01" + bytes(6)
    most, more = (ether(message / (nonce * n), dst=ALL6) for n in (16, 17))

    assert set(rig.send("a", most)) == {"a", "x"}
    assert is_flooded(rig, more)


# ---------------------------------------------------------------------- VLANs


@pytest.fixture
def tagged(lab):
    """The same in VLAN 10, which a has with a tag."""
    net = lab("a", "o", "x")
    for name, said in {"a": "trunk=10,20", "o": "access=10", "x": "access=10"}.items():
        net.switch.set_port(name, vlans=parse(name, said))
    net.switch.set_port("o", neigh_suppress=True)
    net.send("o", ether(b"here I am", src=OWNER))
    for ip in (OWNER4, OWNER6):
        net.switch.neighbours.add(neighbour(ip, vlan="10"))
    return net


def test_an_answer_has_the_tag_of_the_question(tagged):
    sent = tagged.send("a", who_has(tag=10 | 5 << 13))

    assert sent["x"] == [who_has()]
    assert sent["a"][0][:18] == raw(ASKER) + raw(OWNER) + struct.pack(
        "!HHH", C_TAG, 5 << 13 | 10, 0x806
    )
    assert len(sent["a"][0]) == 46


def test_in_another_vlan_is_another_neighbour(tagged):
    tagged.switch.set_port("x", vlans=parse("x", "access=20"))

    assert tagged.send("a", who_has(tag=20)) == {"x": [who_has()]}


def test_an_untagged_question_gets_an_untagged_answer(tagged):
    assert tagged.send("x", who_has(src=OTHER))["x"][0][12:14] == b"\x08\x06"
    assert len(tagged.send("x", solicit(src=OTHER))["x"][0]) == 86


def test_a_port_gets_no_answer_in_a_vlan_that_it_does_not_send(tagged):
    heard = PortVlans(pvid=10, members=VidSet.of([20]), ingress_filter=False)
    tagged.switch.set_port("x", vlans=heard)
    question = who_has(src=OTHER)

    assert tagged.send("x", question) == {
        "a": [question[:12] + struct.pack("!HH", C_TAG, 10) + question[12:]],
        "o": [question],
    }


# ---------------------------------------------------------------------- who is known


def texts(net):
    return [(known.neighbour.text, known.origin) for known in net.switch.neighbours.all]


def test_a_port_of_one_station_says_whose_its_addresses_are(lab):
    net = lab("a", "o")
    net.switch.set_port("o", neigh_suppress=True, allow_mac=(OWNER,), allow_ip=(OWNER4, OWNER6))
    net.send(
        "o", arp(hwsrc=OWNER, psrc=OWNER4)[:6] + raw(OWNER) + arp(hwsrc=OWNER, psrc=OWNER4)[12:]
    )

    assert texts(net) == [
        (f"{OWNER4} lladdr {OWNER}", "guard"),
        (f"{OWNER6} lladdr {OWNER}", "guard"),
    ]
    assert set(net.send("a", who_has())) == {"a"}
    net.switch.set_port("o", allow_mac=(OWNER, OTHER))
    assert texts(net) == []
    assert set(net.send("a", who_has())) == {"o"}


def test_what_is_known_of_a_port_goes_with_it(lab):
    net = lab("a", "o")
    net.switch.set_port("o", allow_mac=(OWNER,), allow_ip=(OWNER4,))

    net.switch.remove_port("o")
    assert texts(net) == []


def test_what_is_known_of_a_port_is_of_its_vlan(lab):
    net = lab("a", "o")
    net.switch.set_port("o", allow_mac=(OWNER,), allow_ip=(OWNER4,))

    net.switch.set_port("a", vlans=parse("a", "access=7"))
    net.switch.set_port("o", vlans=parse("o", "access=10"))
    assert texts(net) == [(f"{OWNER4} lladdr {OWNER} vlan 10", "guard")]
    net.switch.set_port("o", vlans=parse("o", "trunk=10,20"))
    assert texts(net) == []
    for name in "ao":
        net.switch.set_port(name, vlans=None)
    assert texts(net) == [(f"{OWNER4} lladdr {OWNER}", "guard")]


def test_at_a_trusted_port_may_be_a_router(lab):
    net = lab("a", "o")
    net.switch.set_port("o", allow_mac=(OWNER,), allow_ip=(OWNER6,), trusted=True)

    assert texts(net) == [(f"{OWNER6} lladdr {OWNER} router", "guard")]


def test_an_address_that_nobody_has_is_no_neighbours(lab):
    net = lab("a", "o")
    net.switch.set_port("o", allow_mac=(OWNER,), allow_ip=("127.0.0.1", "240.0.0.1", OWNER4))

    assert texts(net) == [(f"{OWNER4} lladdr {OWNER}", "guard")]


def test_what_was_said_by_hand_is_believed_first_and_then_the_rest(lab):
    net = lab("a", "o")
    net.switch.set_port("o", allow_mac=(OWNER,), allow_ip=(OWNER4,))

    net.switch.neighbours.add(neighbour(mac=OTHER))
    assert texts(net) == [(f"{OWNER4} lladdr {OTHER}", "static")]
    net.switch.neighbours.remove(neighbour().ip, 0)
    assert texts(net) == [(f"{OWNER4} lladdr {OWNER}", "guard")]
    with pytest.raises(
        NeighbourNotFoundError, match=r"no neighbour 192\.0\.2\.2 was added by hand"
    ) as e:
        net.switch.neighbours.remove(neighbour().ip, 0)
    assert e.value.hint == "it is known from guard"


def test_a_neighbour_is_added_once_and_replaced_as_often_as_you_like(rig):
    with pytest.raises(NeighbourExistsError, match=r"192\.0\.2\.2 is there already"):
        rig.switch.neighbours.add(neighbour(mac=OTHER))
    rig.switch.neighbours.add(neighbour(mac=OTHER), replace=True)

    rig.send("o", ether(b"me too", src=OTHER))
    assert rig.send("a", who_has())["a"][0][6:12] == raw(OTHER)


def test_flushing_is_of_a_vlan_or_of_all(rig):
    rig.switch.neighbours.add(neighbour(vlan="7"))

    assert rig.switch.neighbours.flush(7) == 1
    assert rig.switch.neighbours.flush() == 2
    assert texts(rig) == []


def test_at_the_limit_a_newcomer_is_refused_and_those_known_stay(rig, monkeypatch):
    known = rig.switch.neighbours
    full = [Neighbour((2 << 24 | n).to_bytes(4), raw(OWNER)) for n in range(16_384)]
    with rig.switch.paused():
        for one in full[: 16_384 - 2]:
            known.add(one)

        with pytest.raises(NeighbourFullError, match=r"no room for neighbour 2\.0\.63\.255"):
            known.add(full[-1])
        known.add(neighbour(mac=OTHER), replace=True)  # needs no room
        rig.switch.set_port("s", allow_mac=(OTHER,), allow_ip=("198.51.100.1",))
    assert known.counters() | {"answered": 0, "suppressed": 0} == {
        "entries": 16_384, "limit": 16_384, "refused": 2, "answered": 0, "suppressed": 0,
    }  # fmt: skip

    known.remove(full[0].ip, 0)
    known.add(full[-1])
    [answer] = rig.send("a", who_has("2.0.63.255"))["a"]
    assert answer[28:32] == full[-1].ip


# ---------------------------------------------------------------------- as any other frame


def test_an_answer_is_mirrored_as_what_leaves(rig):
    rig.switch.mirrors.add(Mirror.parse("m", sources="a", target="x"))

    for _ in range(2):  # the second burst has the place of the first
        sent = rig.send("a", who_has(), solicit())
        assert len(sent["a"]) == 2
        assert sent["x"] == [who_has(), solicit(), *sent["a"]]
    rig.switch.mirrors.remove("m")
    rig.switch.mirrors.add(Mirror.parse("m", sources="a,in", target="x"))
    assert rig.send("a", who_has())["x"] == [who_has()]


def test_an_answer_is_sent_before_a_question_comes_back(rig):
    rig.switch.set_port("a", hairpin=True)

    answer, question = rig.send("a", who_has())["a"]
    assert (answer[12:14], answer[20:22]) == (b"\x08\x06", b"\x00\x02")
    assert question == who_has()


def test_a_storm_of_questions_is_policed_and_not_answered(rig):
    rig.switch.set_port("a", storm_broadcast="10pps")

    answers = rig.send("a", *[who_has()] * 30)["a"]
    dropped = rig.drops("a")["policed"]
    assert len(answers) + dropped == 30
    assert dropped > 10
