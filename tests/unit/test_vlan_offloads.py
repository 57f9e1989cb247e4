"""Tags come and go in frames with work left undone, and in those that still lie with a guest."""

from __future__ import annotations

import pytest
from scapy.layers.l2 import Dot1Q, Ether

from support.frames import BROADCAST, FINISHED, frame, mac, unfinished
from support.judge import finished
from vswitch._rules import set_vlans
from vswitch.vlanwords import parse

A, B = mac(1), mac(2)
KINDS = pytest.mark.parametrize(
    ("version", "protocol"), [(4, "tcp"), (4, "udp"), (6, "tcp"), (6, "udp")]
)
PAYLOAD = bytes(i * 7 % 251 for i in range(9001))
TAG = bytes.fromhex("8100000a")


def tagged(data: bytes, tag: bytes = TAG) -> bytes:
    return data[:12] + tag + data[12:]


def start_of_checksum(header: bytes) -> int:
    return int.from_bytes(header[6:8], "little")


def lan(lab, *, trunk=()):
    """An access port of VLAN 10, a trunk that can do what *trunk* says, and one that can all."""
    net = lab("a", "t")
    net.add("plain", offloads=trunk)
    for name, text in {"a": "access=10", "t": "trunk=10", "plain": "trunk=10"}.items():
        net.switch.set_port(name, vlans=parse(name, text))
    return net


@KINDS
@pytest.mark.parametrize("inner", [0, 1])
def test_a_super_frame_gets_its_tag_in_every_segment(lab, version, protocol, inner):
    net = lan(lab)
    net.switch.set_port("a", vlans=parse("a", "access=10,tag-type=802.1ad"))
    header, f = unfinished(
        B, A, version=version, protocol=protocol, payload=PAYLOAD, gso_size=1400, tags=inner
    )

    net.ports["a"].send([f], vnet=header)
    net.switch.poll()

    ((whole_header, whole),) = net.ports["t"].receive_with_header()
    assert whole == tagged(f)
    assert start_of_checksum(whole_header) == start_of_checksum(header) + 4
    got = net.ports["plain"].receive_with_header()
    assert [h for h, _ in got] == [FINISHED] * 7
    assert all(data[12:16] == TAG for _, data in got)
    assert b"".join(bytes(finished(data).payload) for _, data in got) == PAYLOAD


@KINDS
@pytest.mark.parametrize("text", ["trunk=10,tag-type=0x9100", "trunk=10"])
def test_behind_a_tag_that_receivers_do_not_know_no_super_frame_leaves(
    lab, version, protocol, text
):
    net = lan(lab)
    inner = 0 if "0x9100" in text else 2  # or behind one more than they look behind
    net.switch.set_port("a", vlans=parse("a", "access=10,tag-type=0x9200"))
    for name in ("t", "plain"):
        net.switch.set_port(name, vlans=parse(name, text))
    net.switch.set_port("t", shape="100gbit")
    header, f = unfinished(
        B, A, version=version, protocol=protocol, payload=PAYLOAD, gso_size=1400, tags=inner
    )

    net.ports["a"].send([f], vnet=header)
    net.switch.poll()

    for name in ("t", "plain"):
        got = net.ports[name].receive_with_header()
        assert [h for h, _ in got] == [FINISHED] * 7
        bare = [data[:12] + data[16:] for _, data in got]
        assert b"".join(bytes(finished(data).payload) for data in bare) == PAYLOAD


@KINDS
def test_a_super_frame_loses_its_tag(lab, version, protocol):
    net = lan(lab)
    header, f = unfinished(
        B, A, version=version, protocol=protocol, payload=PAYLOAD, gso_size=1400, tags=1
    )
    f = f[:12] + TAG + f[16:]

    net.ports["t"].send([f], vnet=header)
    net.switch.poll()

    ((got_header, got),) = net.ports["a"].receive_with_header()
    assert got == f[:12] + f[16:]
    assert start_of_checksum(got_header) == start_of_checksum(header) - 4
    segments = net.ports["plain"].receive()
    assert [Ether(data)[Dot1Q].vlan for data in segments] == [10] * 7
    assert b"".join(bytes(finished(data).payload) for data in segments) == PAYLOAD


@KINDS
def test_a_tag_that_no_kernel_looks_behind_is_in_finished_segments(lab, version, protocol):
    net = lan(lab)
    for name, text in {"a": "access=10", "t": "trunk=10", "plain": "trunk=10"}.items():
        net.switch.set_port(name, vlans=parse(name, f"{text},tag-type=0x9100"))
    header, f = unfinished(
        B, A, version=version, protocol=protocol, payload=PAYLOAD, gso_size=1400, tags=2
    )

    net.ports["a"].send([f], vnet=header)
    net.switch.poll()

    for name in ("t", "plain"):
        got = net.ports[name].receive_with_header()
        assert [h for h, _ in got] == [FINISHED] * 7
        assert all(data[12:16] == bytes.fromhex("9100000a") for _, data in got)
        inner = [finished(data[:12] + data[16:]) for _, data in got]
        assert b"".join(bytes(segment.payload) for segment in inner) == PAYLOAD
    assert net.drops("t") == {}


def test_whose_frame_had_a_tag_before_does_not_matter(lab):
    """Places of a burst are used again."""
    net = lan(lab)
    net.switch.set_port("t", vlans=parse("t", "trunk=10,tag-type=0x9100"))
    header, f = unfinished(B, A, version=4, protocol="tcp", payload=PAYLOAD, gso_size=1400)

    net.ports["t"].send([tagged(frame(BROADCAST, B), bytes.fromhex("9100000a"))])
    net.switch.poll()
    net.ports["a"].send([f], vnet=header)
    net.switch.poll()

    assert net.drops("a") == {}
    assert len(net.ports["t"].receive()) == 7


@KINDS
def test_a_checksum_is_completed_behind_a_tag(lab, version, protocol):
    net = lan(lab)
    header, f = unfinished(B, A, version=version, protocol=protocol, payload=PAYLOAD[:500])

    net.ports["a"].send([f], vnet=header)
    net.switch.poll()

    ((got_header, got),) = net.ports["plain"].receive_with_header()
    assert (got_header, got[12:16]) == (FINISHED, TAG)
    assert bytes(finished(got).payload) == PAYLOAD[:500]


def test_a_checksum_over_the_tag_does_not_enter(lab):
    net = lan(lab)
    header = bytes([1, 0, 0, 0, 0, 0, 14, 0, 0, 0])

    assert net.send("t", tagged(frame(BROADCAST, A)), vnet=header) == {}
    assert net.drops("t") == {"bad_offload": 1}


# ---------------------------------------------------------------------- guests


@pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
@pytest.mark.parametrize("length", [60, 128, 256, 257, 1514, 9018])
def test_what_lies_with_a_guest_is_joined_before_its_tag_changes(rig, packed, length):
    net = rig()
    a, t, b = (net.card(mtu=9000, packed=packed, mergeable=False) for _ in range(3))
    for card, text in ((a, "access=10"), (t, "trunk=10"), (b, "access=10")):
        set_vlans(net.datapath, card.number, parse("port", text))
        card.post(9100, times=4)
    set_vlans(net.datapath, 0, parse("wire", "trunk=20"))
    f = frame(BROADCAST, A, PAYLOAD[: length - 14])
    a.send(f)
    t.send(tagged(f))

    net.poll(2)

    assert [got for _, got in t.receive()] == [tagged(f)]
    assert [got for _, got in b.receive()] == [f, f]
    assert [got for _, got in a.receive()] == [f]
