"""Two switches that both look for loops, joined by two cables: one cable stays, one is held."""

from __future__ import annotations

import os
from contextlib import ExitStack

import pytest

from support.wait import wait_for
from vswitch import MemoryPort, NetdevPort, Switch

pytestmark = pytest.mark.netns

HELLO = b"\xff" * 6 + bytes([2, 0, 0, 0, 0, 9]) + b"\x88\xb5" + b"hello".ljust(46, b"\0")
# Switch, device: each has the higher number at another switch.
ENDS = (("near", "a0"), ("near", "b0"), ("far", "b1"), ("far", "a1"))
STAYS_S = 3  # longer than a round, by far: who would be freed by mistake had the time


@pytest.fixture
def pair(netns):
    """The switches, each with a memory port ``s`` besides; the cables are not plugged in."""
    hub = netns("hub")
    hub.run("sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6")
    for cable in "ab":
        hub.ip("link", "add", f"{cable}0", "type", "veth", "peer", "name", f"{cable}1")
    with ExitStack() as stack:
        switches = {name: stack.enter_context(Switch(name)) for name in ("near", "far")}
        for switch in switches.values():
            switch.add_port(MemoryPort("s"))
        with hub.entered():
            for name, device in ENDS:
                switches[name].add_port(NetdevPort(device))
        for cable in "ab":
            hub.ip("link", "set", f"{cable}1", "down")
        pair = Pair(hub, switches)
        wait_for(lambda: pair.states("ab") == {"down"}, "no links")
        yield pair


class Pair:
    def __init__(self, hub, switches):
        self.hub = hub
        self.switches = switches

    def plug(self, *cables):
        for cable in cables:
            self.hub.ip("link", "set", f"{cable}1", "up")
        wait_for(lambda: "down" not in self.states(cables), "links")

    def states(self, cables):
        return {
            self.switches[name].port_status(device).state
            for name, device in ENDS
            if device[0] in cables
        }

    def watch(self):
        for switch in self.switches.values():
            switch.loops.configure("on", 10)

    def held(self):
        """The ends that are held."""
        return {
            (name, device)
            for name, device in ENDS
            if self.switches[name].port_status(device).state == "looped"
        }

    def frames(self):
        """What came in over both cables."""
        return sum(self.switches[n].port_status(d).counters["rx_frames"] for n, d in ENDS)

    def port(self, name):
        return self.switches[name].ports["s"]

    def heard(self, name, *, by):
        """How often the station at one switch hears a broadcast of that at the other."""
        self.port(by).receive()
        got = []

        def came():  # a frame may be lost where a storm was, as on any wire
            self.port(name).send([HELLO + os.urandom(8)])
            got.extend(f for f in self.port(by).receive() if f.startswith(HELLO))
            return got

        wait_for(came, "it came over")
        return max(got.count(f) for f in got)


def test_a_storm_between_them_ends_with_one_cable_held(pair):
    pair.plug("a", "b")
    pair.port("near").send([HELLO])
    begin = pair.frames()
    wait_for(lambda: pair.frames() - begin > 10_000, "a storm")
    pair.watch()

    wait_for(lambda: len(pair.held()) == 1 and is_quiet(pair), "one cable held")

    assert pair.heard("near", by="far") == pair.heard("far", by="near") == 1


def test_a_second_cable_is_held_by_one_of_them(pair):
    pair.watch()
    pair.plug("a")
    assert pair.heard("near", by="far") == 1
    pair.plug("b")

    wait_for(lambda: len(pair.held()) == 1 and is_quiet(pair), "one cable held")

    assert pair.heard("near", by="far") == pair.heard("far", by="near") == 1


def is_quiet(pair):
    """Nothing is held otherwise, and nothing circles, while probes have gone to and fro."""
    held, before = pair.held(), pair.frames()
    numbers = {name: s.loops._number for name, s in pair.switches.items()}
    rounds = STAYS_S * 4
    wait_for(
        lambda: all(s.loops._number >= numbers[n] + rounds for n, s in pair.switches.items()),
        "rounds of probes",
    )
    return pair.held() == held and pair.frames() - before < 100 * STAYS_S
