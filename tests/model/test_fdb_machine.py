"""The forwarding database against its plain-Python twin.

The table holds any stations up to its limits and forgets none; so both sides must be equal after
every step, to the last counter.  Few stations, ports and seconds make the rare paths usual, and
the clock wraps within the first minute.
"""

from __future__ import annotations

import struct
from types import ModuleType, SimpleNamespace

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from support.budget import examples
from vswitch import _fastpath, _ports, _slowpath, _tables, reference_fdb
from vswitch.errors import FdbFullError

ROW = struct.Struct("=6sHHBBI")
N_PORTS = 4
VIDS = (0, 7)
MACS = [bytes([2, 0, 0, 0, 0, n]) for n in range(8)]
START_S = 2**32 - 30

macs, vids, ports = st.sampled_from(MACS), st.sampled_from(VIDS), st.integers(0, N_PORTS - 1)


class FdbMachine(RuleBasedStateMachine):
    core: ModuleType | SimpleNamespace

    @initialize(limit=st.integers(1, 8), ageing_s=st.sampled_from([0, 1, 10]), salt=st.binary())
    def make_both(self, limit, ageing_s, salt):
        self.datapath = self.core.Datapath(
            fdb_limit=limit, ageing_s=ageing_s, salt=salt[:16].ljust(16, b"\0")
        )
        for _ in range(N_PORTS):
            self.core.add_memory_port(self.datapath, fd=-1, offloads=0, mtu=1500, size=1 << 18)
        self.fdb = self.core.Fdb(self.datapath)
        self.twin = reference_fdb.Fdb(limit=limit, ageing_s=ageing_s)
        self.now_s = START_S

    @property
    def now32_s(self):
        return self.now_s % 2**32 if self.core is not _slowpath else self.now_s

    @rule(vid=vids, mac=macs, port=ports)
    def learn(self, vid, mac, port):
        self.fdb.learn(vid, mac, port, self.now32_s)
        self.twin.learn(vid, mac, port, self.now_s)

    @rule(heard=st.lists(st.tuples(vids, macs, ports), max_size=16))
    def learn_many(self, heard):
        for station in heard:
            self.learn(*station)

    @rule(vid=vids, mac=macs, port=ports)
    def pin(self, vid, mac, port):
        def is_pinned(fdb):
            try:
                fdb.pin(vid, mac, port)
            except FdbFullError:
                return False
            return True

        assert is_pinned(self.fdb) == is_pinned(self.twin)

    @rule(vid=vids, mac=macs)
    def delete(self, vid, mac):
        assert self.fdb.delete(vid, mac) == self.twin.delete(vid, mac)

    @rule(port=ports | st.none(), with_static=st.booleans())
    def flush(self, port, with_static):
        gone = self.fdb.flush(port, with_static=with_static)

        assert gone == self.twin.flush(port, with_static=with_static)

    @rule(seconds=st.integers(1, 12))
    def wait(self, seconds):
        self.now_s += seconds

    @rule()
    def expire(self):
        assert self.fdb.expire(self.now32_s) == self.twin.expire(self.now_s)

    @rule(ageing_s=st.sampled_from([0, 1, 10]))
    def set_ageing(self, ageing_s):
        self.fdb.set_ageing(ageing_s)
        self.twin.ageing_s = ageing_s

    @rule(port=ports, limit=st.integers(0, 3))
    def set_port_limit(self, port, limit):
        self.datapath.set_port(port, fdb_limit=limit)
        self.twin.port_limit[port] = limit

    @invariant()
    def every_station_is_where_the_twin_has_it(self):
        for vid in VIDS:
            for mac in MACS:
                found = self.fdb.lookup(vid, mac, self.now32_s)
                assert found == self.twin.lookup(vid, mac, self.now_s)

    @invariant()
    def rows_are_equal(self):
        rows = sorted(ROW.iter_unpack(self.fdb.rows(self.now32_s)))

        assert rows == sorted(
            (r.mac, r.vid, r.port, r.static, r.flags, r.age_s) for r in self.twin.rows(self.now_s)
        )

    @invariant()
    def counters_are_equal(self):
        assert self.fdb.counters() == {
            "entries": len(self.twin),
            "limit": self.twin.limit,
            "learned": self.twin.learned,
            "moved": self.twin.moved,
            "expired": self.twin.expired,
            "refused": self.twin.refused,
            "crowded": 0,
        }
        for port in range(N_PORTS):
            assert self.fdb.port_entries(port) == self.twin.port_entries[port]


class CompiledFdbMachine(FdbMachine):
    core = SimpleNamespace(Datapath=_fastpath.Datapath, Fdb=_tables.Fdb, **vars(_ports))


class PythonFdbMachine(FdbMachine):
    core = _slowpath


CompiledFdbMachine.TestCase.settings = settings(
    max_examples=examples(40), stateful_step_count=40, deadline=None
)
PythonFdbMachine.TestCase.settings = settings(
    max_examples=examples(10), stateful_step_count=30, deadline=None
)
TestCompiledFdb = CompiledFdbMachine.TestCase
TestPythonFdb = PythonFdbMachine.TestCase


@pytest.mark.parametrize(
    ("vid", "mac"), [(0, b"12345"), (0, b"1234567"), (4096, MACS[0]), (0, b"")]
)
@pytest.mark.parametrize("machine", [CompiledFdbMachine, PythonFdbMachine])
def test_what_is_not_a_station_is_refused(machine, vid, mac):
    fdb = machine.core.Fdb(machine.core.Datapath())

    with pytest.raises(ValueError, match="a station is 6 bytes"):
        fdb.lookup(vid, mac, 0)


@pytest.mark.parametrize("machine", [CompiledFdbMachine, PythonFdbMachine])
def test_a_station_cannot_be_on_a_port_that_is_not_there(machine):
    datapath = machine.core.Datapath()
    fdb = machine.core.Fdb(datapath)

    for call in (
        lambda: fdb.learn(0, MACS[0], 0, 0),
        lambda: fdb.pin(0, MACS[0], 5000),
        lambda: fdb.flush(1),
        lambda: fdb.port_entries(1),
    ):
        with pytest.raises(ValueError, match="no port"):
            call()
