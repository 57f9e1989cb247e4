"""datapath/port_packet.c over a socket pair: many messages a call, of any length, both ways."""

from __future__ import annotations

import os
import socket

import pytest

from support.frames import BROADCAST, EXPERIMENTAL, FINISHED, mac
from support.lab import Lab, SocketPort

LENGTHS = [60, 1514, 2087, 2088, 2089, 2096, 9014, 60, 65000, 65539, 60, 2097, 1514]


@pytest.fixture
def lab():
    lab = Lab("far", fdb_limit=64)
    lab.ports["far"].mtu = 65521
    yield lab
    lab.close()


@pytest.fixture
def port(lab):
    port = SocketPort("near", mtu=65521, packet=True)
    for s in (port.near, port.far):
        s.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    lab.switch.add_port(port)
    return port


def made(length: int, number: int = 1) -> bytes:
    head = BROADCAST + mac(number) + EXPERIMENTAL.to_bytes(2, "big")
    return head + os.urandom(length - len(head))


def receive(port):
    got = []
    while True:
        try:
            got.append(port.far.recv(70000))
        except BlockingIOError:
            return got


def test_a_burst_of_all_lengths_comes_in_as_it_was_sent(lab, port):
    lab.add("wide", mtu=65521, size_bytes=1 << 20)
    for length in LENGTHS:
        f = made(length)
        port.far.send(FINISHED + f)
        assert lab.switch.poll() == 1
        assert lab.receive()["wide"] == [f]


def test_messages_wait_in_order(lab, port):
    """In one burst of short frames, and where a burst of long ones is cut short."""
    lab.add("wide", mtu=65521, size_bytes=1 << 20)
    for lengths in ([60] * 8, [60, 65000, 60, 2097], [3000, 60, 1514]):
        sent = [made(length) for length in lengths]
        for f in sent:
            port.far.send(FINISHED + f)
        lab.switch.poll()
        assert lab.receive()["wide"] == sent


def test_frames_leave_in_order_and_are_counted(lab, port):
    sent = [made(length, 2) for length in (60, 1514, 60, 1000)]

    lab.send("far", *sent)

    assert receive(port) == [FINISHED + f for f in sent]
    counters = lab.status("near").counters
    assert (counters["tx_frames"], counters["tx_bytes"]) == (4, sum(map(len, sent)))


def test_a_full_queue_is_counted_frame_by_frame(lab, port):
    port.near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 15)
    sent = [made(60, 2) for _ in range(1000)]
    for at in range(0, 1000, 100):
        lab.send("far", *sent[at : at + 100])

    got = receive(port)

    assert 0 < len(got) < 1000
    assert lab.drops("near") == {"tx_full": 1000 - len(got)}


@pytest.mark.parametrize("core", ["c", "python"])
def test_what_the_device_finds_too_long_is_counted_so(core):
    lab = Lab("far", core=core)
    port = lab.switch.add_port(SocketPort("near", mtu=65521, packet=True))
    port.near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 12)
    lab.ports["far"].mtu = 65521

    lab.send("far", made(60), made(9014), made(60))

    assert len(receive(port)) == 2
    assert lab.drops("near") == {"too_long": 1}
    lab.close()


def test_runts_and_monsters_are_dropped_and_counted(lab, port):
    for record in (b"", b"x" * 9, FINISHED + b"x" * 13, FINISHED + made(65600)):
        port.far.send(record)
        lab.switch.poll()

    assert sum(lab.drops("near").values()) == 4
