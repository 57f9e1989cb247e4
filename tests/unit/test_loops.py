"""The loop detector of a switch, on both cores: probes, holds, and who goes on talking."""

from __future__ import annotations

import pytest

from vswitch.loopguard import PROBE_S
from vswitch.loopsweep import SWEEP_S
from vswitch.vlanwords import parse
from vswitch.wire.loop import GROUP, Probe, is_from, packed

A, B, C = (bytes([2, 0, 0, 0, 0, n]) for n in (1, 2, 3))
ALL = b"\xff" * 6
SWEEP_ROUNDS = int(SWEEP_S / PROBE_S)

pytestmark = pytest.mark.parametrize("lab", ["c", "python"], indirect=True)


def frame(dst, src):
    return dst + src + b"\x88\xb5" + b"hello".ljust(46, b"\0")


def probes(got):
    return {name: len([f for f in frames if f[:6] == GROUP]) for name, frames in got.items()}


def events(rig, kind):
    return [e for e in rig.switch.observer.events() if e.kind == kind]


def turn(rig, *cables, seconds=1):
    """Let time pass, and carry what was sent through the *cables*, once; what others got."""
    rig.clock.advance(seconds)
    rig.switch.poll()
    got = rig.receive()
    for one, other in cables:
        for src, dst in ((one, other), (other, one)):
            rig.ports[dst].send(got.pop(src, []) if one != other else got.get(src, []))
    rig.switch.poll()
    return got


def on(rig, mode="on", hold_s=10):
    rig.switch.loops.configure(mode, hold_s, chance=lambda: 0.0)
    return rig


def test_nothing_is_said_while_it_is_off(lab):
    rig = lab("a", "b")

    assert turn(rig) == {}
    assert rig.switch._upkeep.loops.due_in_s(0.0, 5.0) == 5.0


def test_each_port_says_one_and_forwards_none_of_another_port(lab):
    rig = on(lab("a", "b"))

    assert probes(turn(rig)) == {"a": 1, "b": 1}
    assert rig.status("a").counters["tx_frames"] == 1


def test_of_two_ports_that_are_cabled_the_higher_is_held(lab):
    rig = on(lab("x", "a", "b"))
    turn(rig, ("a", "b"))

    assert rig.status("b").state == "looped"
    assert rig.status("a").state == "forwarding"
    assert rig.switch.loops.looped == ["b"]
    [found] = events(rig, "loop_found")
    assert (found.port, found.old_port, found.reason) == ("b", "a", "held")
    assert rig.send("x", frame(ALL, A)) == {"a": [frame(ALL, A)]}
    assert rig.send("b", frame(ALL, B)) == {}
    assert rig.drops("b") == {"blocked": 1}
    assert rig.stations() == {A: "x"}


def test_a_port_that_hears_itself_is_held(lab):
    rig = on(lab("x", "a"))
    turn(rig, ("a", "a"))

    assert rig.status("a").state == "looped"
    [found] = events(rig, "loop_found")
    assert (found.port, found.old_port) == ("a", "a")


def test_probes_are_learned_from_nowhere(lab):
    rig = on(lab("a", "b"))
    turn(rig, ("a", "b"))

    assert rig.stations() == {}
    assert rig.status("a").counters["punted"] == 1


def test_reporting_holds_nothing(lab):
    rig = on(lab("a", "b", "x"), "report")
    turn(rig, ("a", "b"))

    assert rig.status("b").state == "forwarding"
    assert rig.switch.loops.looped == ["b"]
    assert [e.reason for e in events(rig, "loop_found")] == ["reported"]
    assert set(rig.send("x", frame(ALL, A))) == {"a", "b"}
    for _ in range(10):
        turn(rig)
    assert len(events(rig, "loop_over")) == 1
    assert rig.switch.loops.looped == []


def test_a_port_is_free_again_when_the_cable_is_gone(lab):
    rig = on(lab("a", "b"))
    turn(rig, ("a", "b"))
    for _ in range(10):
        turn(rig)

    assert rig.status("b").state == "forwarding"
    [over] = events(rig, "loop_over")
    assert (over.port, over.old_port) == ("b", "a")
    assert rig.send("b", frame(ALL, B)) == {"a": [frame(ALL, B)]}


def test_a_loop_that_stays_stays_held(lab):
    rig = on(lab("a", "b"))
    for _ in range(25):
        turn(rig, ("a", "b"))
        assert rig.status("b").state == "looped"

    assert len(events(rig, "loop_found")) == 1
    assert events(rig, "loop_over") == []


def test_settings_that_change_while_a_port_is_held_wait(lab):
    rig = on(lab("a", "b"))
    turn(rig, ("a", "b"))
    rig.switch.set_port("b", learning=True, forwarding=True)
    assert rig.send("b", frame(ALL, B)) == {}
    rig.switch.set_port("b", learning=False)
    rig.switch.loops.configure("off", 10)

    assert rig.status("b").state == "forwarding"
    assert rig.send("b", frame(ALL, B)) == {"a": [frame(ALL, B)]}
    assert rig.stations() == {}


def test_a_port_may_be_left_out(lab):
    rig = lab("a", "b", "c")
    rig.switch.set_port("a", loop_detect=False)
    on(rig)

    got = turn(rig, ("a", "b"))

    assert probes(got) == {"c": 1}
    assert rig.switch.loops.looped == []


def test_the_target_of_a_mirror_is_asked_nothing(lab):
    from vswitch.mirrors import Mirror

    rig = lab("a", "mon")
    rig.switch.mirrors.add(Mirror.parse("m", sources="a,in", target="mon"))

    assert probes(turn(on(rig))) == {"a": 1}


def test_a_looped_port_that_goes_ends_the_loop(lab):
    rig = on(lab("a", "b"))
    turn(rig, ("a", "b"))
    rig.switch.remove_port("a")
    del rig.ports["a"]

    assert rig.status("b").state == "forwarding"
    assert len(events(rig, "loop_over")) == 1


def test_a_probe_of_another_switch_is_a_frame_like_any(lab):
    rig = on(lab("a", "b"))
    theirs = packed(Probe(b"theirs!!", 0, 0, 1), b"their key")

    assert rig.send("a", theirs)["b"].count(theirs) == 1


def test_a_forged_probe_blocks_nobody(lab):
    rig = on(lab("a", "b", "c"))
    real = turn(rig)["a"][0]
    assert is_from(real, rig.switch.loops._id)
    forged = real[:31] + bytes([real[31] ^ 2]) + real[32:]

    rig.send("c", forged)

    assert rig.switch.loops.looped == []
    assert rig.status("c").counters["punted"] == 1


def test_a_probe_that_was_kept_blocks_nobody(lab):
    rig = on(lab("a", "b"))
    kept = turn(rig)["a"][0]
    for _ in range(8):
        turn(rig)

    rig.send("b", kept)

    assert rig.switch.loops.looped == []


def test_a_vlan_is_asked_with_its_tag(lab):
    rig = lab("a", "t", "u")
    for name, text in {"a": "access=10", "t": "trunk=10,20", "u": "trunk=20"}.items():
        rig.switch.set_port(name, vlans=parse(name, text))

    got = turn(on(rig))

    tags = {name: sorted(f[12:16].hex() for f in frames) for name, frames in got.items()}
    assert tags == {"a": ["90000000"], "t": ["8100000a", "81000014"], "u": ["81000014"]}


def test_a_loop_in_one_vlan_is_found(lab):
    rig = lab("a", "t", "u")
    for name in "tu":
        rig.switch.set_port(name, vlans=parse(name, "trunk=10,20"))
    turn(on(rig), ("t", "u"))

    [found] = events(rig, "loop_found")
    assert (found.port, found.old_port) == ("u", "t")
    assert found.vid in (10, 20)


def test_many_vlans_are_asked_in_turn(lab):
    rig = lab("t")
    rig.switch.set_port("t", vlans=parse("t", "trunk=1-20"))
    on(rig)

    rounds = [[int.from_bytes(f[14:16]) for f in turn(rig)["t"]] for _ in range(4)]

    assert all(len(vids) == 8 for vids in rounds)
    assert {vid for vids in rounds for vid in vids} == set(range(1, 21))


def test_a_loop_in_one_of_all_vlans_is_found_within_a_sweep(lab):
    rig = lab("t", "u")
    for name in "tu":
        rig.switch.set_port(name, vlans=parse(name, "trunk=all"))
    on(rig)
    for _ in range(SWEEP_ROUNDS):
        got = turn(rig)
        assert len(got["t"]) <= 4094 // SWEEP_ROUNDS + 2  # that of a loop each time
        rig.ports["u"].send([f for f in got["t"] if f[12:16] == bytes.fromhex("81000fa0")])
        rig.switch.poll()

    [found] = events(rig, "loop_found")
    assert (found.port, found.old_port, found.vid) == ("u", "t", 4000)
    assert len(turn(rig)["u"]) == 1  # of the port that is held, only whether it is there still


def test_a_station_that_flaps_makes_it_ask_at_once(lab):
    rig = on(lab("a", "b", "c"))
    turn(rig)

    got = [rig.send("ab"[n % 2], frame(C, A)) for n in range(6)]

    asked = [probes(sent) for sent in got]
    assert {"a": 1, "b": 1}.items() <= asked[-1].items()
    assert sum(sent.get("c", 0) for sent in asked) == 0


@pytest.mark.parametrize("mode", ["on", "report"])
def test_a_loop_in_all_vlans_hides_no_other(lab, mode):
    rig = lab("t", "u", "v")
    for name in "tuv":
        rig.switch.set_port(name, vlans=parse(name, "trunk=all"))
    on(rig, mode)
    for _ in range(2 * SWEEP_ROUNDS):
        rig.clock.advance(1)
        rig.switch.poll()
        got = rig.receive()
        rig.ports["u"].send(got["t"])
        rig.ports["v"].send([f for f in got["t"] if f[12:16] == bytes.fromhex("81000fa0")])
        rig.switch.poll()

    assert rig.drops("u").get("punt_full", 0) == 0
    assert rig.switch.loops.looped == ["u", "v"]


@pytest.mark.parametrize("tags", [1, 2])
def test_a_probe_that_got_tags_on_its_way_is_known(lab, tags):
    rig = on(lab("a", "b"))
    probe = turn(rig)["a"][0]

    got = rig.send("b", probe[:12] + b"\x81\x00\x00\x07" * tags + probe[12:])

    assert got == {}
    assert rig.switch.loops.looped == ["b"]


def test_behind_three_tags_it_is_a_frame_like_any(lab):
    rig = on(lab("a", "b"))
    probe = turn(rig)["a"][0]
    tagged = probe[:12] + b"\x81\x00\x00\x07" * 3 + probe[12:]

    assert rig.send("b", tagged) == {"a": [tagged]}


def test_stations_behind_a_port_that_is_held_are_forgotten(lab):
    rig = lab("x", "a", "b")
    rig.send("b", frame(ALL, B))
    assert rig.stations() == {B: "b"}

    turn(on(rig), ("a", "b"))

    assert rig.stations() == {}


def test_a_locked_port_hears_probes(lab):
    rig = on(lab("a", "b"))
    rig.switch.set_port("b", locked=True)
    turn(rig, ("a", "b"))

    assert rig.switch.loops.looped == ["b"]


def test_a_port_that_is_blocked_breaks_its_loop(lab):
    rig = on(lab("a", "b", "c"))
    rig.switch.set_port("a", forwarding=False)
    turn(rig, ("a", "b"))
    assert rig.switch.loops.looped == []
    rig.switch.set_port("a", forwarding=True)
    turn(rig, ("a", "b"))
    assert rig.switch.loops.looped == ["b"]

    rig.switch.set_port("b", forwarding=False)
    turn(rig)

    assert rig.switch.loops.looped == []
    assert rig.status("b").state == "blocked"


def test_of_many_probes_only_some_are_heard(lab):
    rig = on(lab("a", "b"), "report")
    probe = turn(rig)["a"][0]

    for _ in range(70):
        rig.send("b", *[probe] * 30)
    status = rig.status("b")
    assert (status.counters["punted"], status.drops["punt_full"]) == (2048, 52)
    rig.clock.advance(1)
    rig.send("b", probe)

    assert rig.status("b").counters["punted"] == 2049


# What was on its way when something changed.


def heard_late(rig, one, other):
    """Have a probe of *one* come in by *other*, where nobody has judged it yet."""
    probe = next(f for f in turn(rig)[one] if f[:6] == GROUP)
    rig.ports[other].send([probe])
    assert rig.switch.poll_once() == 1


def test_a_detector_that_was_switched_off_hears_nothing(lab):
    rig = on(lab("a", "b"), "report")
    heard_late(rig, "a", "b")
    rig.switch.loops.configure("off", 10)
    turn(rig)

    assert events(rig, "loop_found") == []
    assert rig.switch.loops.due_in_s(rig.clock.precise_s() + 60, 5.0) == 5.0


def test_a_port_that_was_left_out_is_not_held(lab):
    rig = on(lab("a", "b"))
    heard_late(rig, "b", "a")
    rig.switch.set_port("b", loop_detect=False)
    turn(rig)

    assert rig.status("b").state == "forwarding"


@pytest.mark.parametrize(("sender", "hears"), ["ba", "ab"])
def test_a_port_that_has_the_number_of_one_that_went_is_not_held(lab, sender, hears):
    rig = on(lab("a", "b"))
    heard_late(rig, sender, hears)
    rig.switch.remove_port("b")
    del rig.ports["b"]
    rig.add("c")
    turn(rig)

    assert rig.status("c").number == 1
    assert rig.status("c").state == "forwarding"
    assert events(rig, "loop_found") == []


def test_a_probe_of_a_port_that_went_holds_nobody(lab):
    rig = on(lab("a", "b"))
    probe = turn(rig)["b"][0]
    rig.switch.remove_port("b")
    del rig.ports["b"]
    rig.add("c")
    turn(rig)
    rig.send("a", probe)

    assert events(rig, "loop_found") == []
