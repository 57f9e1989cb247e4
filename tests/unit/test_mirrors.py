"""Mirrors: who gets a copy, in which form, and who else; on both cores."""

from __future__ import annotations

import struct

import pytest

from support.frames import FINISHED, unfinished
from support.judge import finished
from vswitch.errors import (
    ConfigError,
    MirrorExistsError,
    MirrorNotFoundError,
    PortNotFoundError,
)
from vswitch.metrics import exposition
from vswitch.mirrors import Mirror, Mirrored, Source, parse_sources, sources_text
from vswitch.vlanwords import parse

A, B, C = (bytes([2, 0, 0, 0, 0, n]) for n in (1, 2, 3))
ALL = b"\xff" * 6

both_cores = pytest.mark.parametrize("lab", ["c", "python"], indirect=True)


def frame(dst, src, *vids, payload=b"hello"):
    head = b"".join(struct.pack("!HH", 0x8100, vid) for vid in vids)
    return dst + src + head + b"\x88\xb5" + payload.ljust(46, b"\0")


def mirror(rig, name, sources="", *, vlans="", to):
    rig.switch.mirrors.add(Mirror.parse(name, sources=sources, vlans=vlans, target=to))


def learned(rig):
    """Let it know who is behind a and b, and nobody else."""
    rig.send("a", frame(ALL, A))
    rig.send("b", frame(ALL, B))
    return rig


# ---------------------------------------------------------------------- who gets what


@both_cores
def test_what_enters_a_port_is_copied(lab):
    rig = learned(lab("a", "b", "mon"))
    mirror(rig, "m", "a,in", to="mon")

    assert rig.send("a", frame(B, A)) == {"b": [frame(B, A)], "mon": [frame(B, A)]}
    assert rig.send("b", frame(A, B)) == {"a": [frame(A, B)]}


@both_cores
def test_what_leaves_a_port_is_copied(lab):
    rig = learned(lab("a", "b", "mon"))
    mirror(rig, "m", "a,out", to="mon")

    assert rig.send("a", frame(B, A)) == {"b": [frame(B, A)]}
    assert rig.send("b", frame(A, B)) == {"a": [frame(A, B)], "mon": [frame(A, B)]}


@both_cores
def test_a_frame_that_several_mirrors_want_is_copied_once(lab):
    rig = lab("a", "b", "c", "mon", "other")
    mirror(rig, "in", "a,in", to="mon")
    mirror(rig, "out", "a,b,c,out", to="mon")
    mirror(rig, "else", "a,b", to="other")
    flooded = frame(ALL, A)

    assert rig.send("a", flooded) == {name: [flooded] for name in ("b", "c", "mon", "other")}


@both_cores
def test_copies_keep_the_order_of_frames(lab):
    rig = learned(lab("a", "b", "mon"))
    mirror(rig, "m", "b,out", to="mon")
    row = [frame(B, A, payload=bytes([n])) for n in range(50)]

    assert rig.send("a", *row)["mon"] == row


@both_cores
def test_what_goes_nowhere_is_copied_as_it_enters(lab):
    rig = lab("a", "mon")
    mirror(rig, "m", "a", to="mon")
    pause = bytes.fromhex("0180c2000002") + A + b"\x88\x09" + bytes(46)

    assert rig.send("a", frame(B, A), pause) == {"mon": [frame(B, A), pause]}
    assert rig.drops("a") == {"no_egress": 1, "reserved": 1}


@both_cores
def test_what_is_no_frame_is_not_copied(lab):
    rig = lab("a", "mon")
    mirror(rig, "m", "a", to="mon")

    assert rig.send("a", frame(B, ALL), b"runt") == {}


@both_cores
def test_what_a_blocked_port_hears_is_not_copied(lab):
    rig = lab("a", "mon")
    mirror(rig, "m", "a", to="mon")
    rig.switch.set_port("a", forwarding=False)

    assert rig.send("a", frame(B, A)) == {}


@both_cores
def test_who_may_not_enter_is_copied_all_the_same(lab):
    rig = lab("a", "b", "mon")
    mirror(rig, "m", "a", to="mon")
    rig.switch.set_port("a", locked=True)

    assert rig.send("a", frame(B, A)) == {"mon": [frame(B, A)]}


# ---------------------------------------------------------------------- VLANs


@both_cores
def test_a_copy_has_the_form_of_its_source(lab):
    rig = lab("access", "trunk", "mon")
    rig.switch.set_port("access", vlans=parse("access", "access=10"))
    rig.switch.set_port("trunk", vlans=parse("trunk", "trunk=10"))
    mirror(rig, "enters", "access,in", to="mon")
    assert rig.send("access", frame(ALL, A))["mon"] == [frame(ALL, A)]
    rig.switch.mirrors.remove("enters")
    mirror(rig, "leaves", "trunk,out", to="mon")

    assert rig.send("access", frame(ALL, A))["mon"] == [frame(ALL, A, 10)]


@both_cores
def test_each_copy_has_the_form_of_its_own_source_within_one_burst(lab):
    rig = lab("a", "t1", "plain", "t2", "m1", "m2", "m3")
    for name in ("t1", "t2"):
        rig.switch.set_port(name, vlans=parse(name, "trunk=10"))
    for name in ("a", "plain"):
        rig.switch.set_port(name, vlans=parse(name, "access=10"))
    mirror(rig, "one", "t1,out", to="m1")
    mirror(rig, "two", "plain,out", to="m2")
    mirror(rig, "three", "t2,out", to="m3")

    got = rig.send("a", frame(ALL, A))

    assert (got["m1"], got["m2"], got["m3"]) == (
        [frame(ALL, A, 10)],
        [frame(ALL, A)],
        [frame(ALL, A, 10)],
    )


@both_cores
def test_a_mirror_of_a_vlan_takes_it_from_all_ports(lab):
    rig = lab("a", "b", "t", "mon")
    for name, text in {"a": "access=10", "b": "access=20", "t": "trunk=10,20"}.items():
        rig.switch.set_port(name, vlans=parse(name, text))
    mirror(rig, "m", vlans="10", to="mon")

    assert rig.send("a", frame(ALL, A))["mon"] == [frame(ALL, A)]
    assert "mon" not in rig.send("b", frame(ALL, B))
    assert rig.send("t", frame(C, B, 10))["mon"] == [frame(C, B, 10)]


@both_cores
def test_ports_and_vlans_together_are_what_both_want(lab):
    rig = lab("t", "u", "mon")
    for name in "tu":
        rig.switch.set_port(name, vlans=parse(name, "trunk=10,20"))
    mirror(rig, "m", "t,in", vlans="20", to="mon")

    assert "mon" not in rig.send("t", frame(ALL, A, 10))
    assert "mon" in rig.send("t", frame(ALL, A, 20))
    assert "mon" not in rig.send("u", frame(ALL, B, 20))


@both_cores
def test_a_port_that_comes_later_is_looked_at_by_who_looks_at_all(lab):
    rig = lab("a", "mon")
    rig.switch.set_port("a", vlans=parse("a", "access=10"))
    mirror(rig, "m", vlans="10", to="mon")
    rig.add("late")

    assert rig.send("late", frame(ALL, B, 10))["mon"] == [frame(ALL, B, 10)]


# ---------------------------------------------------------------------- the target


@both_cores
def test_the_target_takes_nothing_else_and_says_nothing(lab):
    rig = lab("a", "b", "mon")
    rig.send("mon", frame(ALL, C))
    mirror(rig, "m", "b,in", to="mon")

    assert rig.send("a", frame(ALL, A)) == {"b": [frame(ALL, A)]}
    assert rig.send("a", frame(C, A)) == {"b": [frame(C, A)]}  # nobody knows where C is any more
    assert rig.send("mon", frame(ALL, C)) == {}
    assert rig.drops("mon") == {"blocked": 1}
    assert rig.stations() == {A: "a"}
    assert rig.status("mon").state == "mirror"


@both_cores
def test_a_target_is_a_port_again_when_its_last_mirror_ends(lab):
    rig = lab("a", "b", "mon")
    mirror(rig, "m", "a", to="mon")
    mirror(rig, "n", "b", to="mon")
    rig.switch.mirrors.remove("m")
    assert rig.send("mon", frame(ALL, C)) == {}
    rig.switch.mirrors.remove("n")

    assert set(rig.send("mon", frame(ALL, C))) == {"a", "b"}
    assert rig.status("mon").state == "forwarding"


@both_cores
def test_a_full_target_costs_the_source_nothing(lab):
    rig = learned(lab("a", "b"))
    rig.add("mon", size_bytes=1 << 18)
    mirror(rig, "m", "a,in", to="mon")
    row = [frame(B, A, payload=bytes(1400)) for _ in range(500)]

    got = rig.send("a", *row)

    assert got["b"] == row
    assert 0 < len(got["mon"]) < 500
    assert rig.status("mon").drops["tx_full"] == 500 - len(got["mon"])
    assert rig.drops("a") == {}


@both_cores
def test_a_target_that_is_blocked_gets_nothing(lab):
    rig = lab("a", "b", "mon")
    mirror(rig, "m", "a", to="mon")
    rig.switch.set_port("mon", forwarding=False)

    assert rig.send("a", frame(ALL, A)) == {"b": [frame(ALL, A)]}


@both_cores
def test_what_is_longer_than_the_target_may_send_is_lost_there_only(lab):
    rig = lab("a", "b")
    rig.add("mon", mtu=100)
    mirror(rig, "m", "a,in", to="mon")
    long = frame(ALL, A, payload=bytes(1000))

    assert rig.send("a", long) == {"b": [long]}
    assert rig.status("mon").drops["too_long"] == 1


@pytest.mark.parametrize("lab", ["c"], indirect=True)
def test_a_super_frame_is_cut_for_a_target_that_cannot_take_it(lab):
    rig = lab("a", "b")
    mon = rig.add("mon", offloads=())
    mirror(rig, "m", "a,in", to="mon")
    payload = bytes(i * 7 % 251 for i in range(9001))
    header, sent = unfinished(B, A, version=4, protocol="tcp", payload=payload, gso_size=1400)

    rig.ports["a"].send([sent], vnet=header)
    rig.switch.poll()

    copies = mon.receive_with_header()
    assert rig.ports["b"].receive_with_header() == [(header, sent)]
    assert [h for h, _ in copies] == [FINISHED] * 7
    assert b"".join(bytes(finished(copy).payload) for _, copy in copies) == payload


# ---------------------------------------------------------------------- ports that go


@both_cores
def test_a_port_that_goes_leaves_its_mirrors(lab):
    rig = lab("a", "b", "c", "mon")
    mirror(rig, "m", "a,b,in", to="mon")
    rig.switch.remove_port("a")
    del rig.ports["a"]

    assert [m.text for m in rig.switch.mirrors.all] == ["m from b,in to mon"]
    assert rig.send("b", frame(ALL, B)) == {"c": [frame(ALL, B)], "mon": [frame(ALL, B)]}


@both_cores
@pytest.mark.parametrize("gone", ["a", "mon"])
def test_a_mirror_without_a_source_or_without_its_target_ends(lab, gone):
    rig = lab("a", "b", "mon")
    mirror(rig, "m", "a", to="mon")
    rig.switch.remove_port(gone)
    del rig.ports[gone]
    rig.add("new")  # has the number of the one that went

    assert rig.switch.mirrors.all == []
    assert set(rig.send("b", frame(ALL, B))) == {"a", "mon", "new"} - {gone}


# ---------------------------------------------------------------------- what cannot be


@both_cores
def test_what_cannot_be_is_said_and_changes_nothing(lab):
    rig = lab("a", "b", "mon")
    mirror(rig, "m", "a", to="mon")

    with pytest.raises(MirrorExistsError, match="mirror m is there already"):
        mirror(rig, "m", "b", to="mon")
    with pytest.raises(PortNotFoundError, match="mirror n: no port x"):
        mirror(rig, "n", "x", to="mon")
    with pytest.raises(ConfigError, match="mon is the target of mirror m"):
        mirror(rig, "n", "mon", to="b")
    with pytest.raises(ConfigError, match="a is the target of mirror n"):
        mirror(rig, "n", "b", to="a")
    with pytest.raises(MirrorNotFoundError, match="no mirror x"):
        rig.switch.mirrors.remove("x")
    assert [m.name for m in rig.switch.mirrors.all] == ["m"]


@both_cores
def test_the_datapath_copies_no_copies(lab):
    rig = lab("a", "b")
    core = rig.switch._core

    with pytest.raises(ValueError, match="port 0 is the target of a mirror"):
        core.set_mirrors([Mirrored(0, into=frozenset([1, 0]))])
    with pytest.raises(ValueError, match=r"0\.\.32 mirrors"):
        core.set_mirrors([Mirrored(0)] * 33)
    with pytest.raises(ValueError, match="no port 7"):
        core.set_mirrors([Mirrored(7)])


def test_a_mirror_of_nothing_or_of_itself_is_none():
    with pytest.raises(ConfigError, match="what it mirrors is missing"):
        Mirror.parse("m", target="a")
    with pytest.raises(ConfigError, match="a cannot be mirrored to itself"):
        Mirror.parse("m", sources="a,b", target="a")
    with pytest.raises(ConfigError, match="port a is given twice"):
        Mirror.parse("m", sources="a,in,a,out", target="b")
    with pytest.raises(ConfigError, match="a name has"):
        Mirror.parse("m m", sources="a", target="b")


def test_sources_are_ports_with_directions_behind_them():
    text = "a,in,b,c,out,d,both"

    assert parse_sources("m", text) == (
        Source("a", "in"),
        Source("b"),
        Source("c", "out"),
        Source("d"),
    )


def test_a_port_may_be_called_as_a_direction():
    sources = (Source("a"), Source("in"), Source("out", "in"))

    assert parse_sources("m", sources_text(sources)) == sources


def test_metrics_tell_who_gets_copies(lab):
    rig = lab("a", "mon")
    mirror(rig, "watch", "a", to="mon")

    text = exposition(rig.switch)[0].decode()

    for port, copies in (("a", "0.0"), ("mon", "1.0")):
        assert f'vswitch_port_mirror{{port="{port}",switch="{rig.switch.name}"}} {copies}' in text
        assert f'vswitch_port_up{{port="{port}",switch="{rig.switch.name}"}} 1.0' in text
