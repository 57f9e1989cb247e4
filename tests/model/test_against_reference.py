"""The datapath against the switch in plain Python: the same topology, commands and frames.

After every step both have sent the same frames by the same ports in the same order, punted the
same, counted the same, and know the same stations.  The compiled core is the one in question; the
plain-Python core runs through the same steps, which checks what lies between it and
`vswitch.reference`.
"""

from __future__ import annotations

import struct
from types import ModuleType, SimpleNamespace

from hypothesis import assume, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

from support.budget import examples
from tests.model.neighbours import neighbours, questions
from tests.model.policies import (
    any_vids,
    port_flags,
    port_guards,
    port_meters,
    port_shapes,
    port_vlans,
    vids,
)
from tests.model.traffic import LONGEST, RESERVED, frames, stations
from vswitch import (
    _fastpath,
    _guarding,
    _inject,
    _mirror,
    _neigh,
    _ports,
    _rules,
    _slowpath,
    _tables,
)
from vswitch.errors import FdbFullError
from vswitch.mirrors import Mirrored
from vswitch.neighbours import NEIGHBOURS_MAX
from vswitch.reference import COUNTERS, RX_DROPS, ReferenceSwitch
from vswitch.reference_loop import Probes
from vswitch.reference_mirror import Mirrors
from vswitch.vlans import PLAIN
from vswitch.wire.loop import Probe, packed

COMPILED = SimpleNamespace(
    **{
        **vars(_ports),
        **vars(_rules),
        **vars(_guarding),
        **vars(_mirror),
        **vars(_inject),
        **vars(_neigh),
        "Datapath": _fastpath.Datapath,
        "Fdb": _tables.Fdb,
    }
)
ROW = struct.Struct("=6sHHBBI")
WORDS = 32  # struct vsw_counters
BURST = 32
PORTS_MOST = 5
RING_SIZE = 1 << 22  # no step below fills it
FINISHED = bytes(10)
START_S = 2**32 - 100

mtus = st.sampled_from([68, 1496, 1500, 9000, LONGEST - 18])
# Around the lengths that the MTUs allow, with a tag's worth more or less.
lengths = st.sampled_from([60, 60, 60, 86, 87, 1514, 1515, 1518, 1519, 9018, 9019, LONGEST])
OURS, OTHERS = b"our own!", b"theirs!!"
TAGS = [b"", b"\x81\0\0\7", b"\x88\xa8\0\7\x81\0\0\7", b"\x81\0\0\7" * 3]


def probe(switch_id, tags, port, end):
    frame = packed(Probe(switch_id, port, 0, 1), b"key")
    return (frame[:12] + tags + frame[12:])[:end]


probes = st.builds(
    probe,
    st.sampled_from([OURS, OTHERS]),
    st.sampled_from(TAGS),
    st.integers(0, 3),
    st.sampled_from([None, None, 29, 33]),
)
any_frames = st.one_of(*[frames(lengths)] * 5, probes, questions(), st.binary(max_size=14))
any_port = st.integers(0, PORTS_MOST - 1)
some_mirrors = st.lists(
    st.tuples(any_port, st.frozensets(any_port), st.frozensets(any_port), any_vids | st.none()),
    max_size=3,
)


class SwitchMachine(RuleBasedStateMachine):
    core: ModuleType | SimpleNamespace

    @initialize(
        n_ports=st.integers(1, PORTS_MOST),
        fdb_limit=st.sampled_from([2, 4, 64]),
        ageing_s=st.sampled_from([0, 10, 300]),
    )
    def make_both(self, n_ports, fdb_limit, ageing_s):
        self.datapath = self.core.Datapath(fdb_limit=fdb_limit, ageing_s=ageing_s)
        self.fdb = self.core.Fdb(self.datapath)
        self.twin = ReferenceSwitch(fdb_limit=fdb_limit, ageing_s=ageing_s)
        self.wires = {}
        self.now_s = START_S
        self.vlan_aware = False
        for _ in range(n_ports):
            self.add_port()

    @property
    def now32_s(self):
        # The datapath's clock is 32 bits wide and wraps; the twin's numbers do not end.
        return self.now_s % 2**32 if self.core is COMPILED else self.now_s

    def some_port(self, number):
        """One of the ports there are."""
        return sorted(self.twin.ports)[number % len(self.twin.ports)]

    # ------------------------------------------------------------ traffic

    @rule(
        arrivals=st.dictionaries(any_port, st.lists(any_frames, min_size=1, max_size=8), max_size=3)
    )
    def frames_arrive(self, arrivals):
        self.exchange({p: queue for p, queue in arrivals.items() if p in self.twin.ports})

    @rule(known=st.lists(neighbours, min_size=1, max_size=3), forget=st.booleans())
    def neighbours_change(self, known, forget):
        for one in known:
            if forget:
                gone = self.core.unset_neighbour(self.datapath, one)
                assert gone == self.twin.neighbours.unset(one)
            else:
                assert self.core.set_neighbour(self.datapath, one)
                assert self.twin.neighbours.set(one)

    @precondition(lambda self: self.twin.ports)
    @rule(port=any_port, queue=st.lists(questions(), min_size=1, max_size=10))
    def stations_ask(self, port, queue):
        self.exchange({self.some_port(port): queue})

    @precondition(lambda self: self.twin.ports)
    @rule(port=any_port, queue=st.lists(frames(st.just(60)), min_size=1, max_size=5))
    def more_than_a_burst_arrives(self, port, queue):
        self.exchange({self.some_port(port): queue * 20})

    def exchange(self, arrivals):
        sent = {number: [] for number in self.twin.ports}
        for number, queue in arrivals.items():
            for frame in queue:
                assert self.wires[number].send(FINISHED + frame)
        while any(arrivals.values()):
            waiting = sum(len(queue[:BURST]) for queue in arrivals.values())
            assert self.datapath.poll(self.now32_s) == waiting
            self.release(sent)
            for number in sorted(arrivals):
                burst, arrivals[number] = arrivals[number][:BURST], arrivals[number][BURST:]
                for egress, out in self.twin.receive(number, burst, self.now_s).items():
                    sent[egress] += out

        assert self.datapath.poll(self.now32_s) == 0
        self.release(sent)
        assert {n: wire.receive() for n, wire in self.wires.items()} == {
            n: [(FINISHED, frame) for frame in out] for n, out in sent.items()
        }
        assert self.core.punted(self.datapath) == [(n, FINISHED, f) for n, f in self.twin.punted]
        self.twin.punted = []

    def release(self, sent):
        for egress, out in self.twin.release(self.now_s * 10**9).items():
            sent[egress] += out

    @rule(seconds=st.sampled_from([0, 1, 5, 100]))
    def what_waited_leaves(self, seconds):
        self.now_s += seconds
        self.exchange({})

    # ------------------------------------------------------------ time and commands

    @rule(seconds=st.sampled_from([1, 5, 9, 10, 11, 300]), expire=st.booleans())
    def time_passes(self, seconds, expire):
        self.now_s += seconds
        if expire:
            assert self.fdb.expire(self.now32_s) == self.twin.fdb.expire(self.now_s)

    @precondition(lambda self: self.twin.ports)
    @rule(
        port=any_port,
        learning=st.booleans(),
        forwarding=st.booleans(),
        mtu=mtus | st.none(),
        fdb_limit=st.sampled_from([None, 0, 1, 2]),
    )
    def port_changes(self, port, learning, forwarding, mtu, fdb_limit):
        number = self.some_port(port)
        self.datapath.set_port(
            number, learning=learning, forwarding=forwarding, mtu=mtu, fdb_limit=fdb_limit
        )
        twin = self.twin.ports[number]
        twin.learning, twin.forwarding = learning, forwarding
        twin.mtu = twin.mtu if mtu is None else mtu
        if fdb_limit is not None:
            self.twin.fdb.port_limit[number] = fdb_limit

    @precondition(lambda self: len(self.twin.ports) < PORTS_MOST)
    @rule()
    def add_port(self):
        number = self.core.add_memory_port(
            self.datapath, fd=-1, offloads=0, mtu=1500, size=RING_SIZE
        )
        self.wires[number] = self.core.Wire(self.datapath, number)
        assert number == self.twin.add_port()
        if self.vlan_aware:
            self.set_vlans(number, PLAIN)

    @precondition(lambda self: self.twin.ports)
    @rule(port=any_port)
    def remove_port(self, port):
        number = self.some_port(port)
        self.mirror([])
        self.datapath.remove_port(number)
        self.twin.remove_port(number)
        self.twin.probes.ports -= {number}
        del self.wires[number]

    @precondition(lambda self: self.twin.ports)
    @rule(port=any_port, vlans=port_vlans)
    def vlans_change(self, port, vlans):
        if not self.vlan_aware:
            self.set_all_vlans(PLAIN)
        self.set_vlans(self.some_port(port), vlans)
        self.vlan_aware = True

    @precondition(lambda self: self.vlan_aware)
    @rule()
    def vlans_end(self):
        self.set_all_vlans(None)
        self.vlan_aware = False

    def set_all_vlans(self, vlans):
        for number in self.twin.ports:
            self.set_vlans(number, vlans)

    def set_vlans(self, number, vlans):
        self.core.set_vlans(self.datapath, number, vlans)
        self.twin.set_vlans(number, vlans)

    @precondition(lambda self: self.twin.ports)
    @rule(port=any_port, flags=port_flags, backup=any_port | st.none())
    def flags_change(self, port, flags, backup):
        number = self.some_port(port)
        backup = None if backup is None else self.some_port(backup)
        self.core.set_flags(self.datapath, number, flags)
        self.core.set_backup(self.datapath, number, backup)
        self.twin.set_flags(number, flags, backup=backup)

    @precondition(lambda self: self.twin.ports)
    @rule(port=any_port, guard=port_guards, hold_s=st.sampled_from([None, 0, 5, 100]))
    def guards_change(self, port, guard, hold_s):
        number = self.some_port(port)
        self.core.set_guard(self.datapath, number, guard)
        self.twin.ports[number].guard = guard
        if hold_s is not None:
            self.fdb.set_hold(hold_s)
            self.twin.fdb.hold_s = hold_s

    @precondition(lambda self: self.twin.ports)
    @rule(port=any_port, meters=port_meters)
    def meters_change(self, port, meters):
        number = self.some_port(port)
        self.core.set_meters(self.datapath, number, meters)
        self.twin.ports[number].meters.change(meters)

    @precondition(lambda self: self.twin.ports)
    @rule(port=any_port, shape=port_shapes)
    def a_shape_changes(self, port, shape):
        number = self.some_port(port)
        self.core.set_shaper(self.datapath, number, shape)
        self.twin.set_shape(number, shape)

    @precondition(lambda self: self.twin.ports)
    @rule(mirrors=some_mirrors)
    def mirrors_change(self, mirrors):
        targets = {self.some_port(target) for target, *_ in mirrors}
        self.mirror([
            Mirrored(
                self.some_port(target),
                frozenset(map(self.some_port, into)) - targets,
                frozenset(map(self.some_port, out)) - targets,
                vids,
            )
            for target, into, out, vids in mirrors
        ])  # fmt: skip

    @rule(ports=st.frozensets(any_port), switch_id=st.sampled_from([OURS, OURS, None]))
    def probes_are_looked_for(self, ports, switch_id):
        ports = frozenset(map(self.some_port, ports)) if self.twin.ports else frozenset()
        self.core.set_probed(self.datapath, ports, switch_id)
        self.twin.probes = Probes(switch_id, ports)

    @precondition(lambda self: self.twin.ports)
    @rule(port=any_port, vid=vids, priority=st.sampled_from([0, 15]), frame=frames(lengths))
    def the_control_plane_says_something(self, port, vid, priority, frame):
        number = self.some_port(port)
        assume(14 <= len(frame) <= LONGEST)
        vid = vid or 7 * self.vlan_aware
        taken = self.core.inject(self.datapath, number, frame, vid=vid, priority=priority)
        sent = {n: [] for n in self.twin.ports}
        sent |= self.twin.inject(number, frame, vid=vid, priority=priority)
        assert taken == bool(sent[number])
        assert {n: wire.receive() for n, wire in self.wires.items()} == {
            n: [(FINISHED, f) for f in out] for n, out in sent.items()
        }

    def mirror(self, mirrors):
        self.core.set_mirrors(self.datapath, mirrors)
        self.twin.mirrors = Mirrors(mirrors)

    @rule(
        nibbles=st.lists(st.integers(0, len(RESERVED) - 1), min_size=1, max_size=4),
        verdict=st.sampled_from(["forward", "drop", "punt"]),
    )
    def reserved_address_changes(self, nibbles, verdict):
        self.core.set_reserved(self.datapath, nibbles, verdict)
        for nibble in nibbles:
            self.twin.reserved[nibble] = verdict

    @precondition(lambda self: self.twin.ports)
    @rule(vid=vids, mac=stations, port=any_port)
    def pin(self, vid, mac, port):
        def is_pinned(fdb):
            try:
                fdb.pin(vid, mac, self.some_port(port))
            except FdbFullError:
                return False
            return True

        assert is_pinned(self.fdb) == is_pinned(self.twin.fdb)

    @precondition(lambda self: self.twin.ports)
    @rule(vid=vids, mac=stations, port=any_port)
    def stick(self, vid, mac, port):
        def is_stuck(fdb, now_s):
            try:
                fdb.stick(vid, mac, self.some_port(port), now_s)
            except FdbFullError:
                return False
            return True

        assert is_stuck(self.fdb, self.now32_s) == is_stuck(self.twin.fdb, self.now_s)

    @rule(vid=vids, mac=stations)
    def delete(self, vid, mac):
        assert self.fdb.delete(vid, mac) == self.twin.fdb.delete(vid, mac)

    @rule(port=any_port | st.none(), with_static=st.booleans())
    def flush(self, port, with_static):
        if port is None or port in self.twin.ports:
            gone = self.fdb.flush(port, with_static=with_static)
            assert gone == self.twin.fdb.flush(port, with_static=with_static)

    @rule(port=any_port)
    def flush_locked(self, port):
        if port in self.twin.ports:
            assert self.fdb.flush_locked(port) == self.twin.fdb.flush_locked(port)

    @rule(ageing_s=st.sampled_from([0, 10, 300]))
    def set_ageing(self, ageing_s):
        self.fdb.set_ageing(ageing_s)
        self.twin.fdb.ageing_s = ageing_s

    # ------------------------------------------------------------ what must be equal

    def counters(self, number):
        words = memoryview(self.datapath.counter_memory).cast("B").cast("Q")
        mine = words[number * WORDS : (number + 1) * WORDS].tolist()
        assert not any(mine[len(COUNTERS) :])
        return dict(zip(COUNTERS, mine, strict=False))

    @invariant()
    def counters_are_equal(self):
        for number, port in self.twin.ports.items():
            assert self.counters(number) == port.counters

    @invariant()
    def vlans_count_the_same(self):
        for number, port in self.twin.ports.items():
            mine = self.core.vlan_counters(self.datapath, number)
            twins = port.vlan_counters if port.vlans else {}
            assert mine == {vid: tuple(counts) for vid, counts in twins.items()}

    @invariant()
    def as_many_questions_were_answered(self):
        twin = self.twin.neighbours
        mine = self.core.neighbour_counters(self.datapath)
        assert mine == (twin.answered, twin.suppressed)

    @invariant()
    def every_received_frame_is_accounted_for(self):
        for number in self.twin.ports:
            c = self.counters(number)
            dropped = sum(c[reason] for reason in RX_DROPS)
            assert c["rx_frames"] == c["forwarded"] + c["punted"] + dropped

    @invariant()
    def the_same_stations_are_known(self):
        table, twin = self.fdb.counters(), self.twin.fdb
        assert sorted(ROW.iter_unpack(self.fdb.rows(self.now32_s))) == sorted(
            (r.mac, r.vid, r.port, r.static, r.flags, r.age_s) for r in twin.rows(self.now_s)
        )
        assert table == {
            "entries": len(twin),
            "limit": twin.limit,
            "learned": twin.learned,
            "moved": twin.moved,
            "expired": twin.expired,
            "refused": twin.refused,
            "crowded": 0,
        }


class CompiledMachine(SwitchMachine):
    core = COMPILED


class PythonMachine(SwitchMachine):
    core = _slowpath


CompiledMachine.TestCase.settings = settings(
    max_examples=examples(60), stateful_step_count=40, deadline=None
)
PythonMachine.TestCase.settings = settings(
    max_examples=examples(15), stateful_step_count=30, deadline=None
)
TestCompiled = CompiledMachine.TestCase
TestPython = PythonMachine.TestCase


def test_counters_lie_in_memory_in_the_order_of_the_reference():
    assert COUNTERS[9:] == tuple(name for name, _, _ in _fastpath.DROP_REASONS)
    assert tuple(name for name, where, _ in _fastpath.DROP_REASONS if where == "rx") == RX_DROPS


def test_the_limits_of_both_cores_are_the_same():
    assert _neigh.NEIGH_LIMIT == NEIGHBOURS_MAX
    for name in ("PORTS_MAX", "QUEUES_MAX", "FDB_LIMIT_MAX", "FRAME_MAX"):
        assert getattr(_fastpath, name) == getattr(_slowpath, name)
