"""Every reason a frame is dropped for, provoked; and every frame accounted for."""

from __future__ import annotations

import os
import random

import pytest

from support.frames import BROADCAST, GSO_TCPV4, NEEDS_CSUM, frame, mac, unfinished, vnet
from support.lab import SocketPort
from vswitch import DROP_REASONS
from vswitch._fastpath import FRAME_MAX, PUNT_BYTES
from vswitch.vlans import C_TAG, PortVlans, VidSet

A, B = mac(1), mac(2)
LLDP = bytes.fromhex("0180c200000e")


def runt(net):
    net.send("a", frame(B, A)[:13])
    return "a", 1


def longer_than_any_frame(net):
    port = net.switch.add_port(SocketPort("s"))
    port.far.send(bytes(10) + frame(B, A, pad_to=FRAME_MAX + 1))
    net.switch.poll()
    return "s", 1


def bad_source(net):
    net.send("a", frame(B, BROADCAST), frame(B, bytes(6)), frame(B, LLDP))
    return "a", 3


def bad_offload(net):
    net.send("a", frame(B, A), vnet=vnet(NEEDS_CSUM, csum_start=58, csum_offset=1))
    net.send("a", frame(B, A), vnet=vnet(NEEDS_CSUM, GSO_TCPV4, gso_size=100, csum_start=34))
    net.send("a", frame(B, A), vnet=vnet(0, 3))
    return "a", 3


def reserved(net):
    net.send("a", frame(LLDP, A))
    return "a", 1


def blocked(net):
    net.switch.set_port("a", forwarding=False)
    net.send("a", frame(B, A))
    return "a", 1


def hairpin(net):
    net.send("a", frame(BROADCAST, A))
    net.send("a", frame(A, B))
    return "a", 1


def no_egress(net):
    net.send("b", frame(BROADCAST, B))
    net.switch.set_port("b", forwarding=False)
    net.send("a", frame(B, A), frame(BROADCAST, A))
    return "a", 2


def punt_full(net):
    net.switch.set_reserved(["lldp"], "punt")
    n = 0
    while n < 2 * PUNT_BYTES // 1500:  # poll() hands punted frames on only at its end
        n += net.ports["a"].send([frame(LLDP, A, pad_to=1500)] * 8)
        net.switch._core.datapath.poll(0)
    dropped = net.drops("a")["punt_full"]
    assert 0 < dropped < n
    return "a", dropped


def tx_full(net):
    for _ in range(3):
        net.ports["a"].send([frame(B, A, pad_to=1500)] * 300)
        net.switch.poll()
    n = len(net.ports["b"].receive())
    assert 0 < n < 900
    return "b", 900 - n


def tx_error(net):
    class Refuses(SocketPort):
        def attach(self, core):
            read_end, self.write_end = os.pipe2(os.O_NONBLOCK)
            self.near.close()
            self.near = os.fdopen(read_end, "rb")
            return super().attach(core)

        def close(self):
            super().close()
            os.close(self.write_end)

    net.switch.add_port(Refuses("down"))
    net.send("a", frame(B, A))
    return "down", 1


def too_long(net):
    net.send("a", frame(B, A, pad_to=1518))
    assert net.drops("b") == {}
    net.send("a", frame(B, A, pad_to=1519))
    return "b", 1


def tx_offload(net):
    net.add("plain", offloads=())
    header, f = unfinished(B, A, version=4, protocol="tcp", payload=bytes(60000), gso_size=8)
    net.send("a", f, vnet=header)
    return "plain", 1


def other_vlan(net):
    net.switch.set_port("a", vlans=PortVlans(7, VidSet.of([7]), VidSet.of([7])))
    net.send("a", frame(B, A, b"\0\x08", ethertype=C_TAG))
    return "a", 1


def untagged_on_a_trunk(net):
    net.switch.set_port("a", vlans=PortVlans(None, VidSet.of([7]), VidSet()))
    net.send("a", frame(B, A))
    return "a", 1


def stranger_at_a_locked_port(net):
    net.switch.set_port("a", locked=True)
    net.send("a", frame(B, A))
    return "a", 1


def announcement_for_nobody(net):
    net.switch.set_port("b", neigh_suppress=True)
    ip = bytes([192, 0, 2, 1])
    arp = bytes.fromhex("0001080006040001") + A + ip + bytes(6) + ip
    net.send("a", BROADCAST + A + b"\x08\x06" + arp)
    return "a", 1


PROVOKED = {
    "vlan": [other_vlan, untagged_on_a_trunk], "guarded": [stranger_at_a_locked_port],
    "runt": [runt, longer_than_any_frame], "bad_source": [bad_source],
    "bad_offload": [bad_offload], "reserved": [reserved], "blocked": [blocked],
    "hairpin": [hairpin], "no_egress": [no_egress], "punt_full": [punt_full],
    "suppressed": [announcement_for_nobody],
    "tx_full": [tx_full], "tx_error": [tx_error], "too_long": [too_long],
    "tx_offload": [tx_offload],
}  # fmt: skip


ONLY_C = {tx_offload}  # the plain core takes no unfinished frames
CASES = [
    (core, reason, how)
    for core in ("c", "python")
    for reason, ways in PROVOKED.items()
    for how in ways
    if core == "c" or how not in ONLY_C
]


@pytest.mark.parametrize(
    ("lab", "reason", "provoke"),
    CASES,
    indirect=["lab"],
    ids=lambda v: v if isinstance(v, str) else v.__name__,
)
def test_a_drop_is_counted_once_under_its_reason(lab, reason, provoke):
    net = lab("a", "b")

    port, frames = provoke(net)

    assert net.drops(port) == {reason: frames}


def test_every_reason_is_provoked_here():
    elsewhere = {
        "rx_full",  # takes a kernel that has no room: tests/netns/test_netdev_frames.py
        "policed",  # takes a rate: tests/unit/test_datapath_meters.py
    }
    assert set(PROVOKED) | elsewhere == {name for name, _, _ in DROP_REASONS}


def test_fourteen_bytes_are_a_frame(lab):
    net = lab("a", "b")
    f = frame(B, A, pad_to=14)

    assert net.send("a", f) == {"b": [f]}


def test_a_frame_too_long_for_one_egress_reaches_the_others(lab):
    net = lab("a", "b")
    net.add("jumbo", mtu=9000)
    f = frame(BROADCAST, A, pad_to=9018)

    assert net.send("a", f) == {"jumbo": [f]}
    assert net.drops("b") == {"too_long": 1}


def test_received_is_forwarded_plus_dropped_plus_punted_whatever_comes(lab):
    net = lab("a", "b", "c")  # the fixture adds up when it closes the lab
    net.switch.set_reserved([0xE], "punt")
    net.switch.set_port("c", forwarding=False)
    rng = random.Random(1)
    addresses = [A, B, mac(3), BROADCAST, LLDP, bytes(6)]

    for _ in range(500):
        f = frame(rng.choice(addresses), rng.choice(addresses), pad_to=rng.choice([10, 60, 1600]))
        net.send(rng.choice("abc"), f, vnet=vnet(rng.choice([0, 0, 1]), rng.choice([0, 0, 7])))

    assert sum(net.status(p).counters["rx_frames"] for p in "abc") == 500
    assert all(sum(net.status(p).counters[c] for p in "abc") for c in ("forwarded", "punted"))


def test_bytes_are_counted_without_the_virtio_net_header(lab):
    net = lab("a", "b")

    net.send("a", frame(B, A, pad_to=100), frame(B, A, pad_to=60))

    assert net.status("a").counters["rx_bytes"] == 160
    assert net.status("b").counters["tx_bytes"] == 160
