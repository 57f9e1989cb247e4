"""The journal against what was seen: led back to any second, the table is what it was then.

Few stations, ports and seconds make the rare paths usual: stations that die and are heard again
before their place is freed, ports that go and come with another number, limits, pins over the
dead.
"""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from support.budget import examples
from support.frames import FINISHED
from support.lab import Lab
from vswitch.errors import FdbFullError

NAMES = ("a", "b", "c")
MACS = [bytes([2, 0, 0, 0, 0, n]) for n in range(5)]

names, macs = st.sampled_from(NAMES), st.sampled_from(MACS)


class JournalMachine(RuleBasedStateMachine):
    core: str

    @initialize(limit=st.integers(1, 6), ageing_s=st.sampled_from([0, 1, 3]))
    def make(self, limit, ageing_s):
        pollers = 2 if self.core == "c" else 1
        self.lab = Lab(*NAMES, core=self.core, fdb_limit=limit, ageing_s=ageing_s, pollers=pollers)
        self.switch = self.lab.switch
        self.seen: dict[int, list[tuple[bytes, int, str, bool]]] = {}

    def teardown(self):
        if not hasattr(self, "lab"):
            return
        try:
            for second, stations in self.seen.items():
                past = self.switch.observer.stations_at(float(second))
                assert [(p.mac, p.vid, p.port, p.static) for p in past] == stations, second
            assert self.switch.observer.journal.complete_since_s == 1000
            assert not self.switch.observer.take()
        finally:
            self.lab.switch.close()

    @rule(heard=st.lists(st.tuples(names, macs), min_size=1, max_size=8))
    def hear(self, heard):
        for name, mac in heard:
            if name in self.lab.ports:
                self.lab.ports[name].send([b"\xff" * 6 + mac + b"\x08\x00"], vnet=FINISHED)
        self.switch.poll()

    @rule(seconds=st.integers(1, 4))
    def wait(self, seconds):
        for _ in range(seconds):
            self.lab.clock.advance(1)
            self.note_what_is_there()

    @rule(seconds=st.integers(1, 4))
    def wait_and_sweep(self, seconds):
        self.wait(seconds)
        self.switch.poll()

    @rule(name=names, mac=macs)
    def pin(self, name, mac):
        if name in self.lab.ports:
            try:
                self.switch.pin(mac, name)
            except FdbFullError:
                return

    @rule(mac=macs)
    def unpin(self, mac):
        self.switch.unpin(mac)

    @rule(name=names | st.none(), mac=macs | st.none())
    def flush(self, name, mac):
        if name is None or name in self.lab.ports:
            self.switch.flush(name, mac=mac)

    @rule(ageing_s=st.sampled_from([0, 1, 3]))
    def set_ageing(self, ageing_s):
        self.switch.set_ageing(ageing_s)

    @rule(name=names, limit=st.integers(0, 2))
    def limit_port(self, name, limit):
        if name in self.lab.ports:
            self.switch.set_port(name, fdb_limit=limit)

    @precondition(lambda self: len(self.lab.ports) > 1)
    @rule(name=names)
    def remove(self, name):
        if self.lab.ports.pop(name, None):
            self.switch.remove_port(name)

    @rule(name=names)
    def add(self, name):
        if name not in self.lab.ports:
            self.lab.add(name)

    @invariant()
    def note_what_is_there(self):
        if hasattr(self, "lab"):
            self.seen[self.lab.clock.now_s()] = [
                (s.mac, s.vid, s.port, s.static) for s in self.switch.stations()
            ]


class CompiledJournalMachine(JournalMachine):
    core = "c"


class PythonJournalMachine(JournalMachine):
    core = "python"


CompiledJournalMachine.TestCase.settings = settings(
    max_examples=examples(50), stateful_step_count=40, deadline=None
)
PythonJournalMachine.TestCase.settings = settings(
    max_examples=examples(20), stateful_step_count=40, deadline=None
)
TestCompiledJournal = CompiledJournalMachine.TestCase
TestPythonJournal = PythonJournalMachine.TestCase
