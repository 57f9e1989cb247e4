"""Policing and storm control: how much enters a port in a second; on both cores."""

from __future__ import annotations

import time

import pytest

from support.wait import wait_for
from vswitch import MemoryPort, PortSettings, Switch
from vswitch.errors import ConfigError

pytestmark = pytest.mark.parametrize("lab", ["c", "python"], indirect=True)

A, B, C = (bytes([2, 0, 0, 0, 0, n]) for n in (1, 2, 3))
ALL = b"\xff" * 6
GROUP = bytes.fromhex("01005e000001")


def frame(dst, src, length=100):
    return (dst + src + b"\x88\xb5").ljust(length, b"\0")


def limit(rig, name, **said):
    rig.switch.set_port(name, **said)


def passed(rig, port, *frames):
    """How many of them came out at b."""
    return len(rig.send(port, *frames).get("b", []))


def test_a_policer_lets_its_burst_enter_and_then_its_rate(lab):
    rig = lab("a", "b")
    limit(rig, "a", police="10pps", police_burst=20)

    assert passed(rig, "a", *[frame(ALL, A)] * 50) == 20
    assert passed(rig, "a", frame(ALL, A)) == 0
    rig.clock.advance(1)
    assert passed(rig, "a", *[frame(ALL, A)] * 50) == 10
    assert rig.drops("a") == {"policed": 71}


def test_bits_are_counted_by_the_bytes_of_frames(lab):
    rig = lab("a", "b")
    limit(rig, "a", police="8kbit", police_burst=2000)

    assert passed(rig, "a", *[frame(ALL, A, 100)] * 50) == 20
    rig.clock.advance(1)
    assert passed(rig, "a", *[frame(ALL, A, 500)] * 50) == 2


def test_without_a_burst_said_half_a_second_of_the_rate_passes_at_once(lab):
    rig = lab("a", "b")
    limit(rig, "a", police="100pps")

    assert passed(rig, "a", *[frame(ALL, A)] * 90) == 50


def test_a_frame_longer_than_the_bucket_gets_through_and_is_paid_back(lab):
    rig = lab("a", "b")
    limit(rig, "a", police="8kbit", police_burst=100)

    assert passed(rig, "a", *[frame(ALL, A, 1500)] * 2) == 1
    rig.clock.advance(1)
    assert passed(rig, "a", frame(ALL, A, 1500)) == 0
    rig.clock.advance(1)
    assert passed(rig, "a", frame(ALL, A, 1500)) == 1


def test_what_is_policed_is_not_learned(lab):
    rig = lab("a", "b")
    limit(rig, "a", police="1pps", police_burst=1)

    rig.send("a", frame(ALL, A), frame(ALL, C))

    assert rig.stations() == {A: "a"}


def test_only_what_enters_is_policed(lab):
    rig = lab("a", "b")
    limit(rig, "b", police="1pps", police_burst=1)

    assert passed(rig, "a", *[frame(ALL, A)] * 30) == 30


@pytest.mark.parametrize(
    ("kind", "dst", "setting"),
    [
        ("broadcast", ALL, "storm_broadcast"),
        ("multicast", GROUP, "storm_multicast"),
        ("unknown_unicast", C, "storm_unknown"),
    ],
)
def test_a_storm_of_one_kind_is_limited_and_nothing_else(lab, kind, dst, setting):
    rig = lab("a", "b")
    rig.send("b", frame(ALL, B))
    limit(rig, "a", **{setting: "200pps"})
    others = {ALL, GROUP, C} - {dst}

    assert passed(rig, "a", *[frame(dst, A)] * 99) == 20
    for other in (B, *others):
        assert passed(rig, "a", *[frame(other, A)] * 99) == 99
    assert rig.drops("a") == {"policed": 79}
    assert rig.switch.flooded()[kind] == 20 + (kind == "broadcast")


def test_a_storm_limit_in_bits_counts_bytes(lab):
    rig = lab("a", "b")
    limit(rig, "a", storm_broadcast="800kbit")  # 10,000 bytes in a tenth of a second; 128 KiB

    assert passed(rig, "a", *[frame(ALL, A, 1400)] * 120) == 94


def test_a_storm_is_over_when_time_passes(lab):
    rig = lab("a", "b")
    limit(rig, "a", storm_broadcast="15pps")

    assert passed(rig, "a", *[frame(ALL, A)] * 30) == 10
    rig.clock.advance(100)
    assert passed(rig, "a", *[frame(ALL, A)] * 30) == 10


def test_other_settings_do_not_fill_a_bucket_and_a_new_rate_does(lab):
    rig = lab("a", "b")
    limit(rig, "a", police="1pps", storm_unknown="1pps")
    rig.send("a", *[frame(ALL, A)] * 20)

    limit(rig, "a", learning=False, storm_unknown="2pps")
    assert passed(rig, "a", frame(ALL, A)) == 0
    limit(rig, "a", police="2pps")
    assert passed(rig, "a", *[frame(ALL, A)] * 20) == 10


def test_a_limit_can_be_taken_away_and_is_told(lab):
    rig = lab("a", "b")
    limit(rig, "a", police="1pps", police_burst=1)
    rig.send("a", *[frame(ALL, A)] * 5)
    assert rig.status("a").settings == PortSettings(police="1pps", police_burst=1)

    limit(rig, "a", police="")

    assert passed(rig, "a", *[frame(ALL, A)] * 50) == 50
    assert rig.status("a").police == ""


def test_a_new_port_has_no_meters_of_the_one_before(lab):
    rig = lab("b", "a")
    limit(rig, "a", police="1pps", police_burst=1)
    rig.switch.remove_port("a")
    rig.add("c")

    assert passed(rig, "c", *[frame(ALL, A)] * 50) == 50


def test_a_rate_that_is_none_changes_nothing(lab):
    rig = lab("a", "b")

    with pytest.raises(ConfigError, match="rate: not a rate: 'fast'"):
        limit(rig, "a", police="fast", learning=False)

    assert rig.status("a").settings == PortSettings()


def test_the_clock_of_a_running_switch_fills_the_bucket(request, lab):
    core = request.node.callspec.params["lab"]
    with Switch(core=core) as switch:
        a, b = switch.add_port(MemoryPort("a")), switch.add_port(MemoryPort("b"))
        switch.set_port("a", police="20pps", police_burst=1)
        began, got = time.monotonic(), []

        def one_more_came():
            a.send([frame(ALL, A)])
            got.extend(b.receive())
            return len(got) >= 4

        wait_for(one_more_came, "four frames have passed")

        assert time.monotonic() - began >= 0.09  # the second came as soon as there was some


def test_a_storm_of_drops_is_told(lab):
    rig = lab("a", "b")
    limit(rig, "a", storm_broadcast="10pps")
    rig.switch.poll()
    rig.clock.advance(1)

    rig.send("a", *[frame(ALL, A)] * 3000)
    rig.clock.advance(1)
    rig.switch.poll()

    [storm] = [e for e in rig.switch.observer.events() if "storm" in e.kind]
    assert (storm.kind, storm.port, storm.reason) == ("drop_storm", "a", "policed")
    assert storm.count == 2990
