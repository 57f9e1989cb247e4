"""Questions about neighbours on both cores and in plain Python: any of them, much asked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet6 import ICMPv6ND_NA, IPv6
from scapy.layers.l2 import ARP, Ether

from support.budget import examples
from tests.model.neighbours import neighbours, questions
from tests.model.traffic import STATIONS
from vswitch import _fastpath, _neigh, _ports, _rules, _slowpath
from vswitch.portsettings import PortSettings
from vswitch.reference import ReferenceSwitch
from vswitch.vlans import PLAIN, PortVlans, VidSet
from vswitch.wire.neighbour import Question, answer, said

COMPILED = SimpleNamespace(
    **{**vars(_ports), **vars(_rules), **vars(_neigh), "Datapath": _fastpath.Datapath}
)
CORES = pytest.mark.parametrize("core", [COMPILED, _slowpath], ids=["c", "python"])
FINISHED = bytes(10)
PORTS, SUPPRESSED = 4, (1, 2)
TAGGED = PortVlans(pvid=8, members=VidSet.of([7, 8]), untagged=VidSet.of([8]))


@CORES
@settings(max_examples=examples(400), deadline=None)
@given(
    known=st.lists(neighbours, max_size=6),
    frames=st.lists(questions(), min_size=1, max_size=32),
    vlans=st.sampled_from([None, None, PLAIN, TAGGED]),
    heard=st.lists(st.sampled_from(range(PORTS)), min_size=3, max_size=3),
    hairpin=st.booleans(),
)
def test_both_answer_the_same(core, known, frames, vlans, heard, hairpin):
    datapath, twin = core.Datapath(), ReferenceSwitch()
    wires = []
    for number in range(PORTS):
        flags = PortSettings(neigh_suppress=number in SUPPRESSED, hairpin=hairpin)
        core.add_memory_port(datapath, fd=-1, offloads=0, mtu=1500, size=1 << 20)
        twin.add_port()
        wires.append(core.Wire(datapath, number))
        core.set_flags(datapath, number, flags)
        twin.set_flags(number, flags)
        core.set_vlans(datapath, number, vlans)
        twin.set_vlans(number, vlans)
    for one in known:
        assert core.set_neighbour(datapath, one)
        assert twin.neighbours.set(one)
    for mac, at in zip(STATIONS, heard, strict=False):
        for tag in (b"", b"\x81\0\0\7"):
            exchange(core, datapath, twin, wires, at, [b"\xff" * 6 + mac + tag + b"\x88\xb5"])

    exchange(core, datapath, twin, wires, 0, frames)
    exchange(core, datapath, twin, wires, 1, frames)


def exchange(core, datapath, twin, wires, port, frames):
    for frame in frames:
        assert wires[port].send(FINISHED + frame)
    datapath.poll(1000)
    sent = {number: [] for number in range(PORTS)} | twin.receive(port, frames, 1000)
    assert [wire.receive() for wire in wires] == [
        [(FINISHED, frame) for frame in sent[number]] for number in range(PORTS)
    ]
    counters = core.neighbour_counters(datapath)
    assert counters == (twin.neighbours.answered, twin.neighbours.suppressed)


@settings(max_examples=examples(300), deadline=None)
@given(frame=questions(), router=st.booleans())
def test_an_answer_is_one_to_others(frame, router):
    question = said(frame)
    if not isinstance(question, Question):
        return

    made = Ether(answer(question, STATIONS[4], router=router))
    assert made.build() == bytes(made)
    assert bytes.fromhex(made.dst.replace(":", "")) == question.sender_mac
    if len(question.ip) == 4:
        assert (made[ARP].op, made[ARP].psrc) == (2, ".".join(map(str, question.ip)))
    else:
        checksum = made[ICMPv6ND_NA].cksum
        del made[ICMPv6ND_NA].cksum
        assert Ether(made.build())[ICMPv6ND_NA].cksum == checksum
        assert made[IPv6].hlim == 255
        assert bool(made[ICMPv6ND_NA].R) is router


@given(frame=st.binary(min_size=14, max_size=100))
def test_whatever_is_no_question_makes_nothing(frame):
    said(frame)
