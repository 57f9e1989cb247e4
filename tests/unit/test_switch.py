"""The behaviour of the switch, on memory ports and our own clock."""

from __future__ import annotations

import pytest

from support.frames import BROADCAST, frame, mac
from vswitch import MemoryPort
from vswitch.errors import FdbFullError, PortError
from vswitch.portsettings import PortSettings

pytestmark = pytest.mark.parametrize("lab", ["c", "python"], indirect=True)

A, B, C = mac(1), mac(2), mac(3)
MULTICAST = bytes.fromhex("01005e000001")


def test_an_unknown_unicast_floods_to_all_but_its_ingress(lab):
    net = lab("a", "b", "c")
    f = frame(B, A)

    got = net.send("a", f)

    assert got == {"b": [f], "c": [f]}
    assert net.status("a").counters["flooded_unicast"] == 1


def test_a_known_unicast_leaves_by_its_port_alone(lab):
    net = lab("a", "b", "c")
    net.send("b", frame(BROADCAST, B))
    f = frame(B, A)

    assert net.send("a", f) == {"b": [f]}


def test_the_answer_to_a_flood_comes_back_alone(lab):
    net = lab("a", "b", "c")
    net.send("a", frame(B, A))

    assert net.send("b", frame(A, B)).keys() == {"a"}


@pytest.mark.parametrize(
    ("dst", "counter"),
    [(BROADCAST, "flooded_broadcast"), (MULTICAST, "flooded_multicast")],
    ids=["broadcast", "multicast"],
)
def test_a_group_address_is_flooded_and_counted_by_kind(lab, dst, counter):
    net = lab("a", "b", "c")

    assert net.send("a", frame(dst, A)).keys() == {"b", "c"}
    assert net.status("a").counters[counter] == 1


def test_frames_of_one_burst_keep_their_order_at_every_egress(lab):
    net = lab("a", "b", "c")
    frames = [frame(B if i % 2 else BROADCAST, A, bytes([i])) for i in range(100)]

    assert net.send("a", *frames) == {"b": frames, "c": frames}


def test_a_frame_profits_from_a_station_heard_later_in_its_burst(lab):
    net = lab("a", "b", "c")
    net.ports["a"].send([frame(B, A)])
    net.ports["a"].send([frame(BROADCAST, B)])

    net.switch.poll()

    assert net.drops("a") == {"hairpin": 1}


def test_a_station_that_moves_is_found_behind_its_new_port(lab):
    net = lab("a", "b", "c")
    net.send("a", frame(BROADCAST, A))
    net.send("c", frame(BROADCAST, A))

    assert net.send("b", frame(A, B)).keys() == {"c"}
    assert net.switch.fdb_counters()["moved"] == 1


def test_a_tagged_frame_crosses_untouched_and_is_learned_without_its_tag(lab):
    net = lab("a", "b", "c")
    tagged = frame(B, A, b"\x00\x64\x08\x00data", ethertype=0x8100)

    assert net.send("a", tagged)["b"] == [tagged]
    assert net.send("b", frame(A, B)).keys() == {"a"}


# ---------------------------------------------------------------- ageing


def test_a_station_is_known_until_exactly_the_ageing_time(lab):
    net = lab("a", "b", "c", ageing_s=300)
    net.send("b", frame(BROADCAST, B))
    net.clock.advance(299)
    before = net.send("a", frame(B, A))
    net.clock.advance(1)

    after = net.send("a", frame(B, A))

    assert (before.keys(), after.keys()) == ({"b"}, {"b", "c"})
    assert B not in net.stations()


def test_a_frame_renews_its_station(lab):
    net = lab("a", "b", "c", ageing_s=300)
    for _ in range(3):
        net.send("b", frame(BROADCAST, B))
        net.clock.advance(299)

    assert net.send("a", frame(B, A)).keys() == {"b"}


def test_ageing_zero_means_never(lab):
    net = lab("a", "b", "c", ageing_s=0)
    net.send("b", frame(BROADCAST, B))
    net.clock.advance(10_000_000)

    assert net.send("a", frame(B, A)).keys() == {"b"}


def test_the_ageing_time_can_be_changed_while_running(lab):
    net = lab("a", "b", "c", ageing_s=300)
    net.send("b", frame(BROADCAST, B))
    net.clock.advance(20)

    net.switch.set_ageing(20)

    assert net.send("a", frame(B, A)).keys() == {"b", "c"}


def test_places_of_aged_stations_are_freed(lab):
    net = lab("a", "b", ageing_s=10, fdb_limit=4)
    net.send("a", *(frame(BROADCAST, mac(i)) for i in range(4)))
    net.clock.advance(10)

    net.send("a", *(frame(BROADCAST, mac(100 + i)) for i in range(4)))

    assert set(net.stations()) == {mac(100 + i) for i in range(4)}
    assert net.switch.fdb_counters()["expired"] == 4


# ---------------------------------------------------------------- static entries


def test_a_static_entry_neither_moves_nor_ages(lab):
    net = lab("a", "b", "c", ageing_s=300)
    net.switch.pin(B, "b")
    net.send("c", frame(BROADCAST, B))
    net.clock.advance(1000)

    assert net.send("a", frame(B, A)).keys() == {"b"}
    assert net.switch.fdb_counters()["moved"] == 0
    [entry] = [s for s in net.switch.stations() if s.mac == B]
    assert (entry.static, entry.age_s, entry.port) == (True, 0, "b")


def test_a_static_entry_replaces_a_learned_one_and_can_be_taken_back(lab):
    net = lab("a", "b", "c")
    net.send("c", frame(BROADCAST, B))
    net.switch.pin(B, "b")

    assert net.stations()[B] == "b"
    assert net.switch.unpin(B)
    assert not net.switch.unpin(B)
    assert net.send("a", frame(B, A)).keys() == {"b", "c"}


def test_a_static_entry_beyond_the_limit_is_refused(lab):
    net = lab("a", fdb_limit=1)
    net.switch.pin(B, "a")

    with pytest.raises(FdbFullError, match="02:00:00:00:00:03"):
        net.switch.pin(C, "a")


# ---------------------------------------------------------------- flush and limits


def test_flush_forgets_the_learned_stations_of_one_port_or_of_all(lab):
    net = lab("a", "b", "c")
    for port, station in (("a", A), ("b", B), ("c", C)):
        net.send(port, frame(BROADCAST, station))
    net.switch.pin(mac(9), "b")

    assert net.switch.flush("b") == 1
    assert net.stations() == {A: "a", C: "c", mac(9): "b"}
    assert net.switch.flush() == 2
    assert net.stations() == {mac(9): "b"}


def test_a_station_can_be_forgotten_by_its_address(lab):
    net = lab("a", "b", "c")
    net.send("b", frame(BROADCAST, B))

    net.switch.unpin(B)

    assert net.send("a", frame(B, A)).keys() == {"b", "c"}


def test_at_the_limit_new_stations_are_flooded_and_known_ones_stay_known(lab):
    net = lab("a", "b", "c", fdb_limit=2)
    net.send("a", frame(BROADCAST, A))
    net.send("b", frame(BROADCAST, B))
    net.send("c", frame(BROADCAST, C))

    assert net.send("a", frame(C, A)).keys() == {"b", "c"}
    assert net.send("a", frame(B, A)).keys() == {"b"}
    assert net.switch.fdb_counters()["refused"] == 1


def test_a_port_has_its_own_limit_and_the_others_room(lab):
    net = lab("a", "b")
    net.switch.set_port("a", fdb_limit=3)

    net.send("a", *(frame(BROADCAST, mac(i)) for i in range(100)))
    net.send("b", frame(BROADCAST, mac(200)))

    assert net.status("a").stations == 3
    assert net.status("b").stations == 1


def test_a_port_limit_given_when_adding_holds(lab):
    net = lab("b")
    net.ports["a"] = net.switch.add_port(MemoryPort("a"), PortSettings(fdb_limit=1))

    net.send("a", frame(BROADCAST, A), frame(BROADCAST, C))

    assert net.stations() == {A: "a"}


# ---------------------------------------------------------------- reserved addresses


def reserved(nibble: int) -> bytes:
    return bytes.fromhex("0180c20000") + bytes([nibble])


@pytest.mark.parametrize("nibble", range(16))
def test_reserved_addresses_are_treated_as_by_linux_without_stp(lab, nibble):
    net = lab("a", "b")

    got = net.send("a", frame(reserved(nibble), A))

    assert bool(got) == (nibble == 0)
    # br_handle_frame(): the source of what stays here is learned, but not of a pause frame.
    assert (A in net.stations()) == (nibble != 1)


@pytest.mark.parametrize("last", [0x10, 0x20, 0x2F])
def test_group_addresses_behind_the_reserved_ones_are_flooded(lab, last):
    net = lab("a", "b")

    assert net.send("a", frame(reserved(last), A))


def test_a_punted_frame_reaches_the_callback_with_its_port_and_nobody_else(lab):
    net = lab("a", "b")
    seen = []
    net.switch.on_punt = lambda port, data: seen.append((port, data))
    net.switch.set_reserved(["lldp"], "punt")
    f = frame(reserved(0xE), A)

    assert net.send("a", f) == {}
    assert seen == [("a", f)]
    assert net.status("a").counters["punted"] == 1
    assert net.stations() == {A: "a"}


def test_a_blocked_port_still_hears_what_is_punted(lab):
    net = lab("a", "b")
    seen = []
    net.switch.on_punt = lambda port, data: seen.append(port)
    net.switch.set_reserved([0], "punt")
    net.switch.set_port("a", forwarding=False)

    net.send("a", frame(reserved(0), A), frame(BROADCAST, A))

    assert seen == ["a"]
    assert net.drops("a") == {"blocked": 1}


def test_a_reserved_address_can_be_let_through(lab):
    net = lab("a", "b")
    net.switch.set_reserved([0xE, "lacp"], "forward")

    assert net.send("a", frame(reserved(0xE), A), frame(reserved(2), A)).keys() == {"b"}


def test_unknown_port_names_are_refused_with_the_known_ones(lab):
    net = lab("a", "b")

    with pytest.raises(PortError, match="no port x") as caught:
        net.switch.remove_port("x")

    assert caught.value.hint == "ports are: a, b"
