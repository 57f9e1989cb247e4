"""The shaper: what leaves a port waits for its turn."""

from __future__ import annotations

import socket
import time

import pytest

from support.lab import RX_REASONS, SocketPort
from support.super_frames import build
from support.wait import wait_for
from vswitch import MemoryPort, PortSettings, Switch, _ports, _rules
from vswitch._fastpath import DROP_REASONS, Datapath
from vswitch.meters import Shape

A = bytes([2, 0, 0, 0, 0, 9])
ALL = b"\xff" * 6
both = pytest.mark.parametrize("lab", ["c", "python"], indirect=True)
TX_REASONS = tuple(name for name, where, _ in DROP_REASONS if where == "tx")


def frame(number, length=100):
    return (ALL + A + b"\x88\xb5" + bytes([number])).ljust(length, b"\0")


def shape(rig, name, **said):
    rig.switch.set_port(name, **said)


def after(rig, seconds):
    """What comes out at b when time has passed."""
    rig.clock.advance(seconds)
    rig.switch.poll()
    return rig.receive().get("b", [])


@both
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


@both
def test_only_the_port_that_is_shaped_waits(lab):
    rig = lab("a", "b", "c")
    shape(rig, "b", shape="8kbit", shape_burst=100)
    frames = [frame(n) for n in range(9)]

    assert rig.send("a", *frames) == {"b": frames[:1], "c": frames}


@both
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


def fate(row):
    """How many frames a port has sent, and dropped for which reason."""
    return int(row["tx_frames"]), {n: int(row["drops"][n]) for n in TX_REASONS if row["drops"][n]}


def rows_of(rig):
    """What each port counts, to be looked at when it is gone."""
    [rows] = rig.switch.counters  # of the one poller
    return {name: rows[rig.status(name).number] for name in rig.ports}


def check_balance(rows):
    """All that was received was forwarded, dropped on the way in, or punted."""
    for row in rows.values():
        dropped = sum(int(row["drops"][reason]) for reason in RX_REASONS)
        assert row["rx_frames"] == row["forwarded"] + row["punted"] + dropped


@both
def test_other_settings_leave_the_queue_alone(lab):
    rig = lab("a", "b")
    shape(rig, "b", shape="8kbit", shape_burst=100)
    frames = [frame(n) for n in range(3)]
    rig.send("a", *frames)

    shape(rig, "b", learning=False)

    assert rig.receive() == {}
    assert [after(rig, 1) for _ in range(3)] == [frames[1:2], frames[2:], []]


@both
def test_the_end_of_a_shaper_drops_what_waits_and_counts_it(lab):
    rig = lab("a", "b")
    shape(rig, "b", shape="8kbit", shape_burst=100)
    frames = [frame(n) for n in range(50)]
    rig.send("a", *frames)

    shape(rig, "b", shape="")

    assert rig.receive() == {}
    assert rig.drops("b") == {"tx_full": 49}
    assert rig.send("a", *frames) == {"b": frames}
    assert rig.status("b").counters["tx_frames"] == 51


@both
def test_another_rate_holds_from_then_on_for_what_waits_too(lab):
    rig = lab("a", "b")
    shape(rig, "b", shape="8kbit", shape_burst=100)
    frames = [frame(n) for n in range(10)]
    rig.send("a", *frames[:4])

    shape(rig, "b", shape="16kbit", shape_burst=200)

    assert rig.receive() == {}
    assert rig.send("a", *frames[4:]) == {"b": frames[1:3]}
    assert [after(rig, 1) for _ in range(4)] == [frames[n : n + 2] for n in (3, 5, 7, 9)]
    assert rig.drops("b") == {}


@both
def test_a_shorter_queue_keeps_what_it_has_room_for(lab):
    rig = lab("a", "b")
    shape(rig, "b", shape="80kbit", shape_burst=1000, shape_queue=100_000)
    frames = [frame(n, 1000) for n in range(100)]
    rig.send("a", *frames)

    shape(rig, "b", shape_queue=70_000)
    assert rig.drops("b") == {"tx_full": 29}

    assert rig.send("a", frame(200, 1000)) == {}  # its bucket is as empty as before
    assert rig.drops("b") == {"tx_full": 30}
    assert [f for _ in range(9) for f in after(rig, 10)] == frames[1:10]


@both
def test_a_port_goes_with_what_waits_there(lab):
    rig = lab("a", "b")
    rows = rows_of(rig)
    shape(rig, "b", shape="8kbit", shape_burst=100)
    frames = [frame(n) for n in range(50)]
    rig.send("a", *frames)

    rig.switch.remove_port("b")

    assert fate(rows["b"]) == (1, {"tx_full": 49})
    check_balance(rows)
    del rig.ports["b"]
    rig.add("c")
    assert rig.send("a", *frames) == {"c": frames}


@both
def test_a_switch_ends_with_what_waits(lab):
    rig = lab("a", "b", "c")
    rows = rows_of(rig)
    shape(rig, "b", shape="8kbit", shape_burst=100)
    rig.send("a", *[frame(n) for n in range(50)])

    rig.switch.close()

    assert fate(rows["a"]) == (0, {})
    assert fate(rows["b"]) == (1, {"tx_full": 49})
    assert fate(rows["c"]) == (50, {})
    assert rows["a"]["rx_frames"] == 50
    check_balance(rows)


@both
def test_a_port_whose_device_is_gone_counts_what_waits_as_it_would_have_left(lab):
    rig = lab("a")
    b = rig.switch.add_port(SocketPort("b"))
    shape(rig, "b", shape="8kbit", shape_burst=100)
    rig.send("a", *[frame(n) for n in range(5)])
    assert b.far.recv(200)[10:] == frame(0)

    b.far.close()
    for _ in range(5):
        after(rig, 1)

    assert rig.status("b").counters["tx_frames"] == 1
    assert rig.drops("b") == {"tx_error": 4}


@both
def test_a_blocked_port_sends_what_it_was_given_before(lab):
    rig = lab("a", "b")
    shape(rig, "b", shape="8kbit", shape_burst=100)
    frames = [frame(n) for n in range(3)]
    rig.send("a", *frames)

    rig.switch.set_port("b", forwarding=False)

    assert [after(rig, 1) for _ in range(2)] == [[frames[1]], [frames[2]]]


@both
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


@both
def test_a_shaper_is_told(lab):
    rig = lab("a")
    shape(rig, "a", shape="50mbit", shape_queue=100_000)

    assert rig.status("a").settings == PortSettings(shape="50mbit", shape_queue=100_000)


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


@pytest.mark.parametrize(
    "options",
    [{"pollers": 1}, {"pollers": 2}, {"core": "python"}],
    ids=["own", "another", "python"],
)
def test_what_waits_leaves_although_nothing_else_happens(options):
    with Switch(**options) as switch:
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


@pytest.mark.parametrize("core", ["c", "python"])
def test_another_rate_is_noticed_by_a_poller_that_sleeps(core):
    with Switch(core=core) as switch:
        a, b = switch.add_port(MemoryPort("a")), switch.add_port(MemoryPort("b"))
        switch.set_port("b", shape="1bit", shape_burst=100)  # the third frame, in 800 s
        a.send([frame(n) for n in range(3)])
        wait_for(lambda: a_has_received(switch, 3), "they came in")
        wait_for_sleep(switch)

        with switch.paused():
            switch._core.set_shaper(1, Shape(rate=10**9, burst=1000, queue=100_000))

        got = []
        wait_for(lambda: got.extend(b.receive()) or len(got) == 3, "all have left")


@pytest.mark.parametrize("core", ["c", "python"])
def test_what_the_control_plane_says_leaves_when_it_is_due(core):
    with Switch(core=core) as switch:
        b = switch.add_port(MemoryPort("b"))
        switch.set_port("b", shape="80kbit", shape_burst=100)  # 10,000 bytes a second
        wait_for_sleep(switch)
        with switch.paused():
            for n in range(2):
                switch._core.inject(0, frame(n, 1000))

        got = []
        wait_for(lambda: got.extend(b.receive()) or len(got) == 2, "both have left")


def wait_for_sleep(switch):
    """Until its poller makes no more rounds, as nothing happens."""
    seen = []

    def no_more():
        seen.append(switch.rounds()["poller-0"])
        return len(seen) > 20 and seen[-1] == seen[-20]

    wait_for(no_more, "the poller sleeps")


def a_has_received(switch, n):
    return switch.port_status("a").counters["rx_frames"] == n
