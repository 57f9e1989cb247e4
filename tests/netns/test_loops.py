"""Two ports of one switch joined by a cable: the storm ends, and others go on talking."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager

import pytest

from support import transfer
from support.net import DEVICE, address
from support.wait import wait_for
from vswitch import NetdevPort

pytestmark = pytest.mark.netns

MB = 1 << 20
LOOP_S = 1.0  # from the plug to the end of the storm
SHOUT = b"\xff" * 6 + bytes([2, 0, 0, 0, 0, 9]) + b"\x88\xb5" + b"storm".ljust(46, b"\0")


@pytest.fixture
def looped(wired):
    """Two sides, and a veth between two more ports, whose ends are down: plug it in."""
    net = wired({}, {})
    net.hub.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6")
    net.hub.ip("link", "add", "la", "type", "veth", "peer", "name", "lb")
    with net.hub.entered():
        for name in ("la", "lb"):
            net.switch.add_port(NetdevPort(name))
    net.hub.ip("link", "set", "lb", "down")
    wait_for(lambda: state(net, "la") == state(net, "lb") == "down", "no link")
    return net


def state(net, name):
    return net.switch.port_status(name).state


def plug(net):
    net.hub.ip("link", "set", "lb", "up")


def told(net, kind):
    return [e for e in net.switch.observer.events() if e.kind == kind]


def passed(net):
    """Frames that came in over the cable."""
    return sum(net.switch.port_status(n).counters["rx_frames"] for n in ("la", "lb"))


@contextmanager
def shouting(ns):
    """A broadcast every now and then from a namespace, enough for a storm."""
    stop = threading.Event()
    with ns.entered():
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        s.bind((DEVICE, 0))

    def shout():
        while not stop.wait(0.01):
            s.send(SHOUT)

    thread = threading.Thread(target=shout)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join(5)
        s.close()


def test_a_storm_is_over_within_a_second_and_others_go_on(looped):
    looped.switch.loops.configure("on", 10)
    with shouting(looped.sides[0]):
        plug(looped)
        wait_for(lambda: told(looped, "loop_found"), "the loop to be found")

        [found] = told(looped, "loop_found")
        ups = [e.time_s for e in told(looped, "link_up") if e.port in ("la", "lb")]
        assert {found.port, found.old_port} == {"la", "lb"}
        assert found.time_s - max(ups) < LOOP_S
    assert state(looped, "lb") == "looped"
    before = passed(looped)
    transfer.tcp(*looped.sides, address(0), address(1), 4 * MB)
    wait_for(lambda: len(told(looped, "loop_found")) == 1, "one event")
    assert passed(looped) - before < 1000  # floods, and probes, each once


def test_a_storm_that_rages_already_is_ended(looped):
    with shouting(looped.sides[0]):
        plug(looped)
        begin = passed(looped)
        wait_for(lambda: passed(looped) - begin > 10_000, "a storm")
        looped.switch.loops.configure("on", 10)
        wait_for(lambda: state(looped, "lb") == "looped", "its end")

    quiet = passed(looped)
    transfer.tcp(*looped.sides, address(0), address(1), MB)
    assert passed(looped) - quiet < 1000


def test_the_port_is_free_again_when_the_cable_is_pulled(looped):
    looped.switch.loops.configure("on", 1)
    plug(looped)
    wait_for(lambda: state(looped, "lb") == "looped", "the hold")
    looped.hub.ip("link", "set", "lb", "down")
    wait_for(lambda: told(looped, "loop_over"), "the end of it")
    looped.hub.ip("link", "set", "la", "down")
    looped.hub.ip("link", "set", "lb", "up")
    looped.hub.ip("link", "set", "la", "up")

    wait_for(lambda: len(told(looped, "loop_found")) == 2, "the loop again")


def test_reporting_holds_nothing(looped):
    looped.switch.loops.configure("report", 10)
    plug(looped)
    wait_for(lambda: told(looped, "loop_found"), "the loop to be found")

    assert state(looped, "la") == state(looped, "lb") == "forwarding"
    looped.hub.ip("link", "set", "lb", "down")
    wait_for(lambda: told(looped, "loop_over"), "the end of it")
