"""The shaper: what leaves a port waits for its turn."""

from __future__ import annotations

import socket
import time

import pytest

from support.super_frames import build
from support.wait import wait_for
from vswitch import MemoryPort, PortSettings, Switch, _ports, _rules
from vswitch._fastpath import Datapath
from vswitch.errors import PortError
from vswitch.meters import Shape

A = bytes([2, 0, 0, 0, 0, 9])
ALL = b"\xff" * 6


def frame(number, length=100):
    return (ALL + A + b"\x88\xb5" + bytes([number])).ljust(length, b"\0")


def shape(rig, name, **said):
    rig.switch.set_port(name, **said)


def after(rig, seconds):
    """What comes out at b when time has passed."""
    rig.clock.advance(seconds)
    rig.switch.poll()
    return rig.receive().get("b", [])


def test_what_is_beyond_the_rate_waits_and_leaves_in_order(lab):
    rig = lab("a", "b")
    shape(rig, "b", shape="8kbit", shape_burst=200)  # 1,000 bytes a second
    frames = [frame(n) for n in range(30)]

    assert rig.send("a", *frames) == {"b": frames[:2]}
    assert after(rig, 0) == []
    assert after(rig, 1) == frames[2:4]  # as much as the bucket holds, though more time has passed
    assert rig.send("a", frame(99)) == {}  # behind those that wait
    assert [f for _ in range(14) for f in after(rig, 1)] == [*frames[4:], frame(99)]
    assert rig.status("b").counters["tx_frames"] == 31
    assert rig.drops("b") == {}


def test_only_the_port_that_is_shaped_waits(lab):
    rig = lab("a", "b", "c")
    shape(rig, "b", shape="8kbit", shape_burst=100)
    frames = [frame(n) for n in range(9)]

    assert rig.send("a", *frames) == {"b": frames[:1], "c": frames}


def test_what_the_queue_has_no_room_for_is_dropped_and_counted_there(lab):
    rig = lab("a", "b")
    shape(rig, "b", shape="80kbit", shape_burst=10_000, shape_queue=70_000)
    frames = [frame(n, 1000) for n in range(100)]

    assert rig.send("a", *frames) == {"b": frames[:10]}
    assert rig.drops("b") == {"tx_full": 20}
    assert [f for _ in range(9) for f in after(rig, 1)] == frames[10:80]


def test_a_super_frame_is_sent_whole_and_those_behind_it_pay(lab):
    rig = lab("a")
    rig.add("b", mtu=1500)
    shape(rig, "b", shape="80kbit", shape_burst=100)  # 10,000 bytes a second
    s = build(gso_size=1000, payload_len=20_000)
    cost = len(s.frame) + 19 * s.payload

    assert rig.send("a", s.frame, vnet=s.vnet) == {"b": [s.frame]}
    assert rig.send("a", frame(1), s.frame[:12] + b"\x88\xb5" + bytes(80)) == {}
    assert cost > 20_000
    assert after(rig, cost // 10_000) == []
    assert after(rig, 1)[0] == frame(1)


def test_a_super_frame_that_waited_is_as_it_came(lab):
    rig = lab("a", "b")
    shape(rig, "b", shape="80kbit", shape_burst=1000)
    s = build(gso_size=1000, payload_len=20_000)
    rig.send("a", frame(1, 1400))
    assert rig.send("a", s.frame, vnet=s.vnet) == {}

    got = after(rig, 10)

    assert got == [s.frame]


def test_other_settings_leave_the_queue_alone_and_an_end_empties_it(lab):
    rig = lab("a", "b")
    shape(rig, "b", shape="8kbit", shape_burst=100)
    frames = [frame(n) for n in range(50)]
    rig.send("a", *frames)

    shape(rig, "b", learning=False)
    assert rig.receive() == {}
    shape(rig, "b", shape="")
    assert rig.receive() == {"b": frames[1:]}
    assert rig.send("a", *frames) == {"b": frames}


def test_another_rate_holds_from_then_on(lab):
    rig = lab("a", "b")
    shape(rig, "b", shape="8kbit", shape_burst=100)
    frames = [frame(n) for n in range(50)]
    rig.send("a", *frames[:2])

    shape(rig, "b", shape="16kbit", shape_burst=200)

    assert rig.send("a", *frames) == {"b": [frames[1], *frames[:2]]}
    assert after(rig, 1) == frames[2:4]


def test_a_port_goes_with_what_waits_there(lab):
    rig = lab("a", "b")
    shape(rig, "b", shape="8kbit", shape_burst=100)
    frames = [frame(n) for n in range(50)]
    rig.send("a", *frames)

    rig.switch.remove_port("b")
    del rig.ports["b"]
    rig.add("c")

    assert rig.send("a", *frames) == {"c": frames}


def test_ports_in_one_queue_of_a_poller_are_each_served(lab):
    rig = lab("a", "b", "c", "d")
    for name in "bcd":
        shape(rig, name, shape="8kbit", shape_burst=100)
    frames = [frame(n) for n in range(4)]
    rig.send("a", *frames)
    shape(rig, "c", shape="")  # the one in the middle
    rig.receive()

    rig.clock.advance(1)
    rig.switch.poll()

    assert rig.receive() == {"b": [frames[1]], "d": [frames[1]]}


def test_a_shaper_is_told(lab):
    rig = lab("a")
    shape(rig, "a", shape="50mbit", shape_queue=100_000)

    assert rig.status("a").settings == PortSettings(shape="50mbit", shape_queue=100_000)


@pytest.mark.parametrize("lab", ["python"], indirect=True)
def test_the_readable_core_says_that_it_has_none(lab):
    rig = lab("a", "b")

    with pytest.raises(PortError, match="core python has no shaper: frames leave at once"):
        shape(rig, "b", shape="8kbit", learning=False)

    assert rig.status("b").settings == PortSettings()


@pytest.mark.parametrize("length", [60, 129, 257, 1514, 9018])
def test_a_guests_frame_that_waits_is_whole_before_its_sender_has_it_back(rig, length):
    net = rig()
    net.datapath.set_port(0, forwarding=False)  # or it would be put together for the memory port
    a, b = (net.card(mtu=65_550) for _ in range(2))
    b.post(2048, times=16)
    _rules.set_shaper(net.datapath, b.number, Shape(rate=8000, burst=100, queue=100_000))
    body = bytes(i * 7 % 251 for i in range(length - 60))
    a.send(frame(1, 100))
    a.send(frame(2, 60) + body)
    net.datapath.poll(1)
    assert [f for _, f in b.receive()] == [frame(1, 100)]

    a.send(bytes(length))  # its buffers are used again
    net.datapath.poll(100)

    assert [f for _, f in b.receive()] == [frame(2, 60) + body]


def test_a_port_over_connections_is_shaped_from_one_to_the_next():
    datapath = Datapath()
    wire = _ports.Wire(
        datapath, _ports.add_memory_port(datapath, fd=-1, offloads=0, mtu=1500, size=1 << 18)
    )
    port = _ports.add_stream_port(datapath, -1, mtu=1500)
    _rules.set_shaper(datapath, port, Shape(rate=8000, burst=100, queue=100_000))
    near, far = socket.socketpair()
    near.setblocking(False)
    with near, far:
        _ports.set_fd(datapath, port, near.fileno())
        for n in range(2):
            assert wire.send(bytes(10) + frame(n))
        datapath.poll(1)
        assert far.recv(1000) == (100).to_bytes(4, "big") + frame(0)

        datapath.poll(2)

        assert far.recv(1000) == (100).to_bytes(4, "big") + frame(1)
        datapath.remove_port(port)


@pytest.mark.parametrize("pollers", [1, 2], ids=["own", "another"])
def test_what_waits_leaves_although_nothing_else_happens(pollers):
    with Switch(pollers=pollers) as switch:
        a, b = switch.add_port(MemoryPort("a")), switch.add_port(MemoryPort("b"))
        switch.set_port("b", shape="80kbit", shape_burst=100)
        got = []
        began = time.monotonic()
        for n in range(4):
            assert a.send([frame(n, 1000)]) == 1
            wait_for(lambda: a_has_received(switch, n + 1), "it came in")  # noqa: B023

        wait_for(lambda: got.extend(b.receive()) or len(got) == 4, "all have left")

        assert got == [frame(n, 1000) for n in range(4)]
        assert time.monotonic() - began > 0.29  # 3,000 bytes at 10,000 a second


def a_has_received(switch, n):
    return switch.port_status("a").counters["rx_frames"] == n
