"""VLANs and flags of ports: what enters, what leaves, and in which form; on both cores."""

from __future__ import annotations

import struct

import pytest

from vswitch import PortSettings
from vswitch.errors import PortError
from vswitch.stations import Stations
from vswitch.vlans import VidSet
from vswitch.vlanwords import parse

pytestmark = pytest.mark.parametrize("lab", ["c", "python"], indirect=True)

A, B, C = (bytes([2, 0, 0, 0, 0, n]) for n in (1, 2, 3))
ALL = b"\xff" * 6
GROUP = bytes.fromhex("01005e000001")


def frame(dst, src, *tags, payload=b"hello"):
    """Of EtherType 88b5, behind *tags*: (EtherType, TCI)."""
    head = b"".join(struct.pack("!HH", *tag) for tag in tags)
    return dst + src + head + b"\x88\xb5" + payload.ljust(46, b"\0")


def c(vid, priority=0):
    return (0x8100, priority << 13 | vid)


def s(vid):
    return (0x88A8, vid)


def vlans(lab, **said):
    """Give ports VLANs, as on the command line, and return what was sent by `lab.send`."""
    for name, text in said.items():
        lab.switch.set_port(name, vlans=parse(name, text))


def refused(mtu):
    raise PortError(f"no MTU {mtu}")


def flags(lab, name, **said):
    lab.switch.set_port(name, **said)


# ---------------------------------------------------------------------- VLANs


def test_without_options_tags_cross_untouched(lab):
    rig = lab("a", "b")
    tagged = frame(ALL, A, c(7), c(8))

    assert rig.send("a", tagged) == {"b": [tagged]}


def test_access_ports_of_one_vlan_hear_one_another_and_no_other(lab):
    rig = lab("a", "b", "c")
    vlans(rig, a="access=10", b="access=10", c="access=20")

    assert rig.send("a", frame(ALL, A)) == {"b": [frame(ALL, A)]}


def test_a_trunk_has_tags_and_an_access_port_none(lab):
    rig = lab("a", "t")
    vlans(rig, a="access=10", t="trunk=10,20")

    assert rig.send("a", frame(ALL, A)) == {"t": [frame(ALL, A, c(10))]}
    assert rig.send("t", frame(A, B, c(10, 5))) == {"a": [frame(A, B)]}
    assert rig.send("t", frame(A, B, c(20))) == {}
    assert rig.send("t", frame(A, B)) == {}
    assert rig.drops("t") == {"no_egress": 1, "vlan": 1}


def test_between_two_trunks_a_frame_stays_as_it_is(lab):
    rig = lab("t", "u")
    vlans(rig, t="trunk=10,20", u="trunk=all")
    tagged = frame(ALL, A, c(20, 7), c(3))

    assert rig.send("t", tagged) == {"u": [tagged]}


def test_the_native_vlan_of_a_trunk_has_no_tag(lab):
    rig = lab("a", "t")
    vlans(rig, a="access=1", t="trunk=10,native=1")

    assert rig.send("t", frame(ALL, B)) == {"a": [frame(ALL, B)]}
    assert rig.send("a", frame(ALL, A)) == {"t": [frame(ALL, A)]}


def test_a_native_vlan_can_leave_with_its_tag(lab):
    rig = lab("a", "t")
    vlans(rig, a="access=1", t="trunk=10,native=1,native-mode=tagged")

    assert rig.send("t", frame(ALL, B)) == {"a": [frame(ALL, B)]}
    assert rig.send("a", frame(ALL, A)) == {"t": [frame(ALL, A, c(1))]}


def test_a_hybrid_port_sends_some_vlans_without_a_tag(lab):
    rig = lab("h", "t")
    vlans(rig, h="pvid=1,untagged=1,30,tagged=10", t="trunk=1,10,30")

    assert rig.send("h", frame(ALL, A)) == {"t": [frame(ALL, A, c(1))]}
    assert rig.send("t", frame(ALL, B, c(30))) == {"h": [frame(ALL, B)]}
    assert rig.send("t", frame(ALL, B, c(10))) == {"h": [frame(ALL, B, c(10))]}


def test_a_tag_that_names_no_vlan_is_a_priority(lab):
    rig = lab("a", "t")
    vlans(rig, a="access=10", t="trunk=10")

    assert rig.send("a", frame(ALL, A, c(0, 6))) == {"t": [frame(ALL, A, c(10, 6))]}


def test_a_port_may_accept_only_tagged_or_only_untagged_frames(lab):
    rig = lab("a", "t", "x")
    vlans(rig, a="access=10,accept=untagged", t="trunk=10,native=20,accept=tagged", x="trunk=all")

    assert rig.send("a", frame(ALL, A, c(10))) == {}
    assert set(rig.send("a", frame(ALL, A, c(0, 3)))) == {"t", "x"}
    assert rig.send("t", frame(ALL, B)) == {}
    assert rig.send("t", frame(ALL, B, c(0, 3))) == {}
    assert set(rig.send("t", frame(ALL, B, c(10)))) == {"a", "x"}


def test_without_ingress_filter_frames_of_other_vlans_enter(lab):
    rig = lab("a", "b")
    vlans(rig, a="access=10,ingress-filter=off", b="trunk=20")

    assert rig.send("a", frame(ALL, A, c(20))) == {"b": [frame(ALL, A, c(20))]}
    assert rig.send("b", frame(A, B, c(20))) == {}  # but none of them leaves


def test_each_vlan_learns_for_itself(lab):
    rig = lab("a", "b", "t")
    vlans(rig, a="access=10", b="access=20", t="trunk=10,20")
    rig.send("a", frame(ALL, A))
    rig.send("b", frame(ALL, A))

    assert rig.send("t", frame(A, B, c(10))) == {"a": [frame(A, B)]}
    assert rig.send("t", frame(A, B, c(20))) == {"b": [frame(A, B)]}
    assert [(s.vid, s.port) for s in rig.switch.stations() if s.mac == A] == [(10, "a"), (20, "b")]


def test_a_customer_has_his_own_tags(lab):
    rig = lab("customer", "provider", "far")
    vlans(
        rig,
        customer="access=100,tag-type=802.1ad",
        provider="trunk=100,200,tag-type=802.1ad",
        far="access=100,tag-type=802.1ad",
    )
    mine = frame(ALL, A, c(7))

    assert rig.send("customer", mine) == {
        "provider": [frame(ALL, A, s(100), c(7))],
        "far": [mine],
    }
    assert rig.send("provider", frame(A, B, s(100), c(9))) == {"customer": [frame(A, B, c(9))]}


def test_a_tag_changes_its_type_between_ports_of_two_types(lab):
    rig = lab("q", "ad", "old")
    vlans(rig, q="trunk=10", ad="trunk=10,tag-type=802.1ad", old="trunk=10,tag-type=0x9100")

    assert rig.send("q", frame(ALL, A, c(10, 3))) == {
        "ad": [frame(ALL, A, (0x88A8, 3 << 13 | 10))],
        "old": [frame(ALL, A, (0x9100, 3 << 13 | 10))],
    }


def test_a_vlan_can_have_another_number_on_a_wire(lab):
    rig = lab("a", "t")
    vlans(rig, a="access=10", t="trunk=10,20,translate=100:10")

    assert rig.send("t", frame(ALL, B, c(100, 2))) == {"a": [frame(ALL, B)]}
    assert rig.send("a", frame(ALL, A)) == {"t": [frame(ALL, A, c(100))]}
    assert rig.send("t", frame(ALL, B, c(10))) == {}  # 10 itself is no VLAN of that wire


def test_ports_without_options_are_trunks_whose_untagged_frames_are_among_themselves(lab):
    rig = lab("a", "b", "c")
    vlans(rig, a="access=10")

    assert rig.send("b", frame(ALL, B)) == {"c": [frame(ALL, B)]}
    assert rig.send("b", frame(ALL, B, c(10))) == {
        "a": [frame(ALL, B)],
        "c": [frame(ALL, B, c(10))],
    }


def test_the_last_option_that_goes_takes_the_notice_with_it(lab):
    rig = lab("a", "b")
    vlans(rig, a="access=10")
    assert rig.send("a", frame(ALL, A)) == {"b": [frame(ALL, A, c(10))]}
    vlans(rig, a="")

    assert rig.send("a", frame(ALL, A)) == {"b": [frame(ALL, A)]}
    assert {s.vid for s in rig.switch.stations()} == {0}


def test_a_port_that_comes_later_is_aware_as_well(lab):
    rig = lab("a")
    vlans(rig, a="access=10")
    rig.add("b")

    assert rig.send("a", frame(ALL, A)) == {"b": [frame(ALL, A, c(10))]}


def test_the_port_with_the_only_option_goes(lab):
    rig = lab("a", "b", "c")
    vlans(rig, a="access=10")
    rig.switch.remove_port("a")
    del rig.ports["a"]

    assert rig.send("b", frame(ALL, B, c(0, 7))) == {"c": [frame(ALL, B, c(0, 7))]}


@pytest.mark.parametrize("before", ["trunk=10,20", "trunk=10,ingress-filter=off"])
def test_stations_of_a_vlan_that_a_port_leaves_are_forgotten(lab, before):
    rig = lab("a", "b")
    vlans(rig, a=before, b="trunk=10,20")
    for vid in (10, 20):
        rig.send("a", frame(ALL, A, c(vid)))
    vlans(rig, a="trunk=10")

    assert [s.vid for s in rig.switch.stations()] == [10]


def test_who_is_put_in_a_vlan_does_not_look_at_stations(lab, monkeypatch):
    rig = lab("a", "b")
    vlans(rig, a="trunk=10")
    monkeypatch.setattr(Stations, "stay_in", None)

    vlans(rig, a="trunk=10,20")


def test_a_change_that_is_refused_forgets_no_stations(lab):
    rig = lab("a", "b")
    vlans(rig, a="trunk=10,20", b="trunk=10,20")
    for vid in (10, 20):
        rig.send("a", frame(ALL, A, c(vid)))
    rig.ports["a"].set_mtu = refused

    with pytest.raises(PortError):
        rig.switch.set_port("a", vlans=parse("a", "trunk=10"), mtu=9000)

    assert [s.vid for s in rig.switch.stations()] == [10, 20]
    assert rig.status("a").vlans == parse("a", "trunk=10,20")


def test_a_tag_that_is_cut_off_does_not_enter(lab):
    rig = lab("a", "b")
    vlans(rig, a="trunk=10")

    assert rig.send("a", ALL + A + b"\x81\x00\x00") == {}
    assert rig.drops("a") == {"vlan": 1}


def test_the_tag_does_not_count_against_the_mtu(lab):
    rig = lab("a", "t")
    vlans(rig, a="access=10", t="trunk=10")
    longest = frame(ALL, A, c(10), payload=bytes(1504))

    sent = rig.send("t", longest)

    assert sent == {"a": [longest[:12] + longest[16:]]}  # 1518 bytes without its tag
    assert rig.send("t", longest + b"!") == {}
    assert rig.drops("a") == {"too_long": 1}


def test_what_passed_is_counted_by_vlan(lab):
    rig = lab("a", "t")
    vlans(rig, a="access=10", t="trunk=10,20")
    rig.send("a", frame(ALL, A))
    rig.send("t", frame(ALL, B, c(20)))

    core = rig.switch._core
    assert core.vlan_counters(rig.status("a").number) == {10: (1, 60, 0, 0)}
    assert core.vlan_counters(rig.status("t").number) == {20: (1, 64, 0, 0), 10: (0, 0, 1, 64)}


def test_4094_vlans_on_every_port(lab):
    rig = lab("a", "b", "c")
    vlans(rig, a="trunk=all", b="trunk=all", c="trunk=1-4093")

    for vid in (1, 2047, 4093, 4094):
        got = rig.send("a", frame(ALL, A, c(vid)))
        assert set(got) == ({"b", "c"} if vid < 4094 else {"b"})
    assert rig.send("a", frame(ALL, A, c(4095))) == {}


# ---------------------------------------------------------------------- flags


def test_isolated_ports_talk_only_to_those_that_are_not(lab):
    rig = lab("a", "b", "up")
    for name in "ab":
        flags(rig, name, isolated=True)
    rig.send("b", frame(ALL, B))

    assert rig.send("a", frame(ALL, A)) == {"up": [frame(ALL, A)]}
    assert rig.send("a", frame(B, A)) == {}
    assert rig.send("up", frame(B, C)) == {"b": [frame(B, C)]}
    assert rig.drops("a") == {"no_egress": 1}


def test_a_hairpin_sends_back_where_a_frame_came_from(lab):
    rig = lab("a", "b")
    flags(rig, "a", hairpin=True)
    rig.send("a", frame(ALL, A))
    rig.send("a", frame(ALL, B))

    assert rig.send("a", frame(B, A)) == {"a": [frame(B, A)]}
    assert rig.send("a", frame(ALL, A)) == {"a": [frame(ALL, A)], "b": [frame(ALL, A)]}


@pytest.mark.parametrize(
    ("flag", "destination"), [("flood", C), ("mcast_flood", GROUP), ("bcast_flood", ALL)]
)
def test_each_kind_of_flooding_has_its_flag(lab, flag, destination):
    rig = lab("a", "b", "x")
    flags(rig, "b", **{flag: False})

    for other in {C, GROUP, ALL} - {destination}:
        assert set(rig.send("a", frame(other, A))) == {"b", "x"}
    assert set(rig.send("a", frame(destination, A))) == {"x"}


def test_without_flood_a_known_station_is_reached(lab):
    rig = lab("a", "b")
    flags(rig, "b", flood=False)
    rig.send("b", frame(ALL, B))

    assert set(rig.send("a", frame(B, A))) == {"b"}


def test_a_locked_port_lets_in_who_has_an_entry_there(lab):
    rig = lab("a", "b")
    flags(rig, "a", locked=True)

    assert rig.send("a", frame(ALL, A)) == {}
    assert rig.drops("a") == {"guarded": 1}
    rig.switch.pin(A, "a")
    assert set(rig.send("a", frame(ALL, A))) == {"b"}
    rig.switch.pin(A, "b")
    assert rig.send("a", frame(ALL, A)) == {}


def test_at_its_limit_a_port_may_drop_instead_of_not_learning(lab):
    rig = lab("a", "b")
    flags(rig, "a", fdb_limit=1)
    rig.send("a", frame(ALL, A))
    assert set(rig.send("a", frame(ALL, C))) == {"b"}
    flags(rig, "a", limit_drop=True)

    assert rig.send("a", frame(ALL, C)) == {}
    assert set(rig.send("a", frame(ALL, A))) == {"b"}
    assert rig.drops("a") == {"guarded": 1}


def test_a_backup_gets_what_is_for_a_port_that_is_down(lab):
    rig = lab("a", "b", "spare")
    flags(rig, "b", backup="spare")
    rig.send("b", frame(ALL, B))
    member = rig.switch._members["b"]
    rig.switch._upkeep.links.take_down(member, "pulled", 20)

    assert rig.send("a", frame(B, A)) == {"spare": [frame(B, A)]}
    rig.switch._upkeep.links.set_up(member)
    assert rig.send("a", frame(B, A)) == {"b": [frame(B, A)]}


def test_a_backup_that_was_removed_gets_nothing(lab):
    rig = lab("a", "b", "spare")
    flags(rig, "b", backup="spare")
    rig.send("b", frame(ALL, B))
    rig.switch._upkeep.links.take_down(rig.switch._members["b"], "pulled", 20)
    rig.switch.remove_port("spare")
    del rig.ports["spare"]

    assert rig.send("a", frame(B, A)) == {"b": [frame(B, A)]}  # whose device refuses it


def test_the_port_after_a_backup_that_was_removed_gets_nothing(lab):
    rig = lab("a", "b", "spare")
    flags(rig, "b", backup="spare")
    rig.send("b", frame(ALL, B))
    rig.switch._upkeep.links.take_down(rig.switch._members["b"], "pulled", 20)
    rig.switch.remove_port("spare")
    del rig.ports["spare"]
    rig.add("other")  # has its number

    assert rig.send("a", frame(B, A)) == {"b": [frame(B, A)]}
    rig.add("spare")
    assert rig.send("a", frame(B, A)) == {"spare": [frame(B, A)]}


def test_stations_of_a_port_whose_backup_is_not_there_are_forgotten(lab):
    rig = lab("a", "b")
    flags(rig, "b", backup="spare")
    rig.send("b", frame(ALL, B))

    rig.switch._upkeep.links.take_down(rig.switch._members["b"], "pulled", 20)

    assert rig.stations() == {}


def test_settings_are_told(lab):
    rig = lab("a")
    vlans(rig, a="trunk=10,20")
    flags(rig, "a", isolated=True)

    status = rig.status("a")
    assert status.vlans.members == VidSet.of([10, 20])
    assert status.isolated
    assert status.settings == PortSettings(vlans=status.vlans, isolated=True)


EAPOL = bytes.fromhex("0180c2000003")


def punting(rig, *nibbles):
    """Hear frames for reserved addresses; those that were heard."""
    heard = []
    rig.switch.set_reserved(nibbles, "punt")
    rig.switch.on_punt = lambda port, data: heard.append((port, data))
    return heard


def test_who_would_unlock_a_port_is_heard_and_not_let_in(lab):
    rig = lab("a", "b")
    flags(rig, "a", locked=True)
    heard = punting(rig, 3)

    assert rig.send("a", frame(EAPOL, A), frame(ALL, A)) == {}

    assert heard == [("a", frame(EAPOL, A))]
    assert rig.drops("a") == {"guarded": 1}
    assert rig.stations() == {}


def test_what_is_for_everybody_does_not_pass_a_locked_port(lab):
    rig = lab("a", "b")
    flags(rig, "a", locked=True)
    rig.switch.set_reserved([3], "forward")

    assert rig.send("a", frame(EAPOL, A)) == {}
    assert rig.drops("a") == {"guarded": 1}


@pytest.mark.parametrize("tags", [(), (c(20),), (c(4095),)])
def test_a_neighbour_is_heard_whatever_vlans_a_port_is_of(lab, tags):
    rig = lab("a", "b")
    vlans(rig, a="trunk=10", b="trunk=10")
    heard = punting(rig, 0, 14)

    sent = [frame(EAPOL[:5] + bytes([n]), A, *tags) for n in (0, 14, 1)]
    assert rig.send("a", *sent, frame(ALL, A, *tags)) == {}

    assert heard == [("a", data) for data in sent[:2]]
    assert rig.drops("a") == {"reserved": 1, "vlan": 1}
    assert rig.stations() == {}
    assert rig.status("a").counters["punted"] == 2
