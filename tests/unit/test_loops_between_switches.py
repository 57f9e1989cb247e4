"""Several switches that look for loops, through cables that they share: one is held in the end."""

from __future__ import annotations

import random

import pytest

from vswitch.wire.loop import GROUP

pytestmark = pytest.mark.parametrize("lab", ["c", "python"], indirect=True)

A = bytes([2, 0, 0, 0, 0, 1])
HELLO = b"\xff" * 6 + A + b"\x88\xb5" + b"hello".ljust(46, b"\0")
HOPS = 8  # more than a frame takes through any of these


class Net:
    """Switches, joined by cables of (switch, port) and (switch, port)."""

    def __init__(self, switches, cables):
        self.switches = switches
        self.cables = cables

    def watch(self, *chances):
        for rig, chance in zip(self.switches, chances, strict=True):
            rig.switch.loops.configure("on", 10, chance=chance)

    def turn(self):
        """A second, with a round of probes of each, all on their way at once; what others got."""
        for rig in self.switches:
            rig.clock.advance(1)
            rig.switch.poll()
        return [self.carry() for _ in range(HOPS)]

    def carry(self):
        """Take all that was sent to the other end of its cable; what left elsewhere."""
        got = [rig.receive() for rig in self.switches]
        ends = [*self.cables, *((there, here) for here, there in self.cables)]
        for (i, here), (j, there) in ends:
            self.switches[j].ports[there].send(got[i].pop(here, []))
        for rig in self.switches:
            rig.switch.poll()
        return got

    def held(self):
        """The ends that are held."""
        return {
            (i, name)
            for i, rig in enumerate(self.switches)
            for name in rig.ports
            if rig.status(name).state == "looped"
        }

    def found(self):
        """How often a loop was."""
        events = [e for rig in self.switches for e in rig.switch.observer.events()]
        return sum(e.kind == "loop_found" for e in events)

    def heard(self, i):
        """How often each other switch's station hears a broadcast of the station at switch *i*."""
        self.switches[i].ports["s"].send([HELLO])
        self.switches[i].switch.poll()
        heard = [0] * len(self.switches)
        for _ in range(HOPS):
            for n, got in enumerate(self.carry()):
                heard[n] += len([f for f in got.get("s", []) if f[:6] != GROUP])
        return heard


def doubled(lab):
    """Two switches with two cables, of which each has the higher number at another switch."""
    return Net(
        [lab("s", "a", "b"), lab("s", "a", "b")], [((0, "a"), (1, "b")), ((0, "b"), (1, "a"))]
    )


def ring(lab):
    names = [("s", "a", "b"), ("s", "b", "a"), ("s", "a", "b")]
    cables = [((n, "a"), ((n + 1) % 3, "b")) for n in range(3)]
    return Net([lab(*n) for n in names], cables)


def until(net, condition, most=200):
    for n in range(most):
        if condition():
            return n
        net.turn()
    raise AssertionError(f"not in {most} rounds: {net.held()}")


def test_two_that_hold_different_cables_come_to_hold_one(lab):
    net = doubled(lab)
    net.watch(lambda: 1.0, lambda: 0.0)
    net.turn()
    assert net.held() == {(0, "b"), (1, "b")}  # both cables
    assert net.heard(0) == [0, 0]

    until(net, lambda: len(net.held()) == 1)

    assert net.held() == {(0, "b")}
    assert net.heard(0) == [0, 1]
    assert net.heard(1) == [1, 0]


def test_that_stays_so(lab):
    net = doubled(lab)
    net.watch(lambda: 0.0, lambda: 1.0)
    net.turn()
    until(net, lambda: len(net.held()) == 1)

    for _ in range(100):
        net.turn()
        assert net.held() == {(1, "b")}
    assert net.found() == 2


def test_two_that_hold_the_same_cable_leave_it_to_one(lab):
    net = Net([lab("s", "a", "b"), lab("s", "a", "b")], [((0, n), (1, n)) for n in "ab"])
    net.watch(lambda: 1.0, lambda: 0.0)
    net.turn()
    assert net.held() == {(0, "b"), (1, "b")}
    assert net.heard(0) == [0, 1]

    until(net, lambda: len(net.held()) == 1)

    assert net.heard(0) == [0, 1]
    for _ in range(100):
        net.turn()
        assert net.held() == {(0, "b")}


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("make", [doubled, ring])
def test_chance_leaves_one_cable_held(lab, make, seed):
    net = make(lab)
    dice = random.Random(seed)
    net.watch(*[dice.random for _ in net.switches])
    net.turn()

    until(net, lambda: len(net.held()) == 1)
    held = net.held()

    for _ in range(50):
        net.turn()
        assert net.held() == held
    assert net.heard(0) == [0, *[1] * (len(net.switches) - 1)]


def test_two_that_are_free_at_once_try_again(lab):
    net = doubled(lab)
    rolls, dice = [0.0, 0.0], random.Random(1)
    net.watch(*[lambda: rolls.pop() if rolls else dice.random()] * 2)
    net.turn()
    until(net, lambda: net.found() == 4)

    until(net, lambda: len(net.held()) == 1)

    assert net.heard(0) == [0, 1]


def test_a_loop_behind_a_neighbour_that_looks_itself_is_left_to_him(lab):
    far = lab("s", "up", "a", "b")
    net = Net([lab("s", "down"), far], [((0, "down"), (1, "up")), ((1, "a"), (1, "b"))])
    net.watch(lambda: 0.0, lambda: 1.0)
    net.turn()
    assert net.held() == {(0, "down"), (1, "b")}

    until(net, lambda: len(net.held()) == 1)

    assert net.held() == {(1, "b")}
    assert net.heard(0) == [0, 1]
