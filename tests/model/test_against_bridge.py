"""The datapath and its plain-Python twin against the Linux bridge of this machine.

One topology, one sequence of commands and frames, three switches; all send the same frames by
the same ports in the same order, and end up knowing the same stations in the same places.  The
bridge's ports are TAPs, of which the test holds the file ends: a write(2) there returns when the
bridge has put the frame wherever it goes, so nothing has to be waited for.

Where we differ on purpose, the comparison leaves the case out, and says so beside it:

- We learn a whole burst before deciding any of it; so frames come here one at a time.
- A tag that the kernel keeps beside the frame does not count against the MTU there; see LENGTHS.
- A station whose time is over is dead to us at once; the bridge forwards to it until its next
  sweep (test_a_silent_station_is_forgotten waits for that).
- A reserved address that goes no further teaches the bridge its source at a locked port, too, and
  opens that for it, unless its option no_linklocal_learn is on; here nobody gets in by that.
- Ageing time 0 means for ever here; the bridge then does not remember anyone.
"""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from support.budget import examples
from support.wait import wait_for
from tests.model.kernel_bridge import MTU, N_PORTS, Bridge, run
from tests.model.traffic import RESERVED, STATIONS, frames, stations
from vswitch._fastpath import Datapath
from vswitch._ports import Wire, add_memory_port
from vswitch._rules import set_flags, set_reserved
from vswitch._tables import Fdb
from vswitch.errors import ConfigError
from vswitch.portsettings import PortSettings
from vswitch.reference import ReferenceSwitch

pytestmark = pytest.mark.netns

# 1518 is the longest that passes with or without a tag.  A tagged frame of up to 1522 bytes
# passes the bridge, whose tag is not in the frame when its length is compared; ours does not.
LENGTHS = [60, 60, 61, 64, 1514, 1515, 1518]
FINISHED = bytes(10)


@pytest.fixture(scope="module")
def bridge() -> Iterator[Bridge]:
    namespace = f"vsw-{os.getpid()}-bridge"
    run("ip", "netns", "add", namespace)
    try:
        made = Bridge(namespace)
        try:
            yield made
        finally:
            made.close()
    finally:
        run("ip", "netns", "del", namespace)


class Trio:
    """The three switches with the same ports."""

    def __init__(self, bridge: Bridge, n_ports: int, forwarded: frozenset[int]) -> None:
        self.bridge, self.n_ports = bridge, n_ports
        self.datapath = Datapath()
        self.reference = ReferenceSwitch()
        self.fdb = Fdb(self.datapath)
        self.wires = []
        for n in range(n_ports):
            add_memory_port(self.datapath, fd=-1, offloads=0, mtu=MTU, size=1 << 20)
            self.wires.append(Wire(self.datapath, n))
            self.reference.add_port()
        for nibble in forwarded:
            set_reserved(self.datapath, [nibble], "forward")
            self.reference.reserved[nibble] = "forward"
        bridge.start_over(n_ports, sum(1 << nibble for nibble in forwarded))
        self.now_s = 0
        self.passed = {0, *forwarded}  # reserved addresses, by their last digit

    def send(self, port: int, frame: bytes) -> list[list[bytes]]:
        """Send one frame; return what each port then sends, which is the same for all three."""
        self.bridge.send(port, frame)
        assert self.wires[port].send(FINISHED + frame)
        self.datapath.poll(self.now_s)
        sent = self.reference.receive(port, [frame], self.now_s)

        expected = [sent.get(n, []) for n in range(self.n_ports)]
        assert [[f for _, f in wire.receive()] for wire in self.wires] == expected
        assert self.bridge.receive() == expected + [[]] * (N_PORTS - self.n_ports)
        return expected

    def set_state(self, port: int, *, learning: bool, forwarding: bool) -> None:
        self.datapath.set_port(port, learning=learning, forwarding=forwarding)
        self.reference.ports[port].learning = learning
        self.reference.ports[port].forwarding = forwarding

    def lock(self, port: int, *, locked: bool, mab: bool) -> None:
        """Lock a port, which learns from now on; *mab*: and note who knocks."""
        was = self.reference.ports[port].flags
        self.bridge.locks.set(self.bridge.indexes[port], learning=True, locked=locked, mab=mab)
        flags = PortSettings(locked=locked, mab=mab)
        set_flags(self.datapath, port, flags)
        self.reference.set_flags(port, flags)
        if was.mab and not mab:
            assert self.fdb.flush_locked(port) == self.reference.fdb.flush_locked(port)

    def teaches_nobody_here(self, port: int, frame: bytes) -> bool:
        """Whether a frame would open a locked port of the bridge's, see above."""
        locked = self.reference.ports[port].flags.locked
        return locked and frame[:5] == RESERVED[0][:5] and frame[5] not in self.passed

    def flush(self, port: int | None) -> None:
        assert self.fdb.flush(port) == self.reference.fdb.flush(port)

    def set_link(self, port: int, state: str) -> None:
        self.bridge.ip(f"link set p{port} {state}")
        if state == "up":
            self.bridge.wait_until_forwarding(port)
        else:
            self.flush(port)
        self.set_state(port, learning=state == "up", forwarding=state == "up")

    def pin(self, mac: bytes, port: int) -> None:
        # Without "sticky" a static station does not age, but moves.
        address = mac.hex(":")
        self.bridge.bridge(*f"fdb replace {address} dev p{port} master static sticky".split())
        self.fdb.pin(0, mac, port)
        self.reference.fdb.pin(0, mac, port)

    def stick(self, mac: bytes, port: int) -> None:
        address = mac.hex(":")
        self.bridge.bridge(*f"fdb replace {address} dev p{port} master dynamic sticky".split())
        self.fdb.stick(0, mac, port, self.now_s)
        self.reference.fdb.stick(0, mac, port, self.now_s)

    def assert_the_same_stations_are_known(self) -> None:
        known = {row.mac: (row.port, row.static) for row in self.reference.fdb.rows(self.now_s)}
        assert self.bridge.stations() == known
        locked = {row.mac for row in self.reference.fdb.rows(self.now_s) if row.locked}
        assert self.bridge.locks.locked() == locked
        for mac in STATIONS:
            assert self.fdb.lookup(0, mac, self.now_s) == known.get(mac, (None,))[0]


ports = st.integers(0, N_PORTS - 1)
arrivals = st.tuples(ports, frames(st.sampled_from(LENGTHS)))
runts = st.binary(max_size=13)


class BridgeMachine(RuleBasedStateMachine):
    def __init__(self, bridge: Bridge) -> None:
        super().__init__()
        self.bridge = bridge
        self.trio: Trio | None = None

    @initialize(
        n_ports=st.integers(1, N_PORTS),
        # The bridge does not let anyone choose for 00, 01 and 02.
        forwarded=st.frozensets(st.integers(3, 15), max_size=4),
    )
    def make(self, n_ports, forwarded):
        self.trio = Trio(self.bridge, n_ports, forwarded)
        self.down = set()

    @rule(burst=st.lists(arrivals, min_size=5, max_size=30))
    def frames_arrive(self, burst):
        for port, frame in burst:
            if not self.trio.teaches_nobody_here(port % self.trio.n_ports, frame):
                self.trio.send(port % self.trio.n_ports, frame)

    @rule(port=ports, runt=runts)
    def a_runt_arrives(self, port, runt):
        assert not any(self.trio.send(port % self.trio.n_ports, runt))

    @rule(port=ports, mac=stations)
    def pin(self, port, mac):
        self.trio.pin(mac, port % self.trio.n_ports)

    @rule(port=ports, mac=stations)
    def stick(self, port, mac):
        port %= self.trio.n_ports
        if port not in self.down:  # there the bridge takes static entries only
            self.trio.stick(mac, port)

    @rule(port=ports, learning=st.booleans())
    def learning_is_switched(self, port, learning):
        port %= self.trio.n_ports
        mab = self.trio.reference.ports[port].flags.mab  # it needs learning
        if port not in self.down and (learning or not mab):
            switch = "on" if learning else "off"
            self.bridge.ip(f"link set p{port} type bridge_slave learning {switch}")
            self.trio.set_state(port, learning=learning, forwarding=True)

    @rule(port=ports, locked=st.booleans(), mab=st.booleans())
    def a_port_is_locked_or_opened(self, port, locked, mab):
        port %= self.trio.n_ports
        self.trio.lock(port, locked=locked, mab=locked and mab)
        if port not in self.down:
            self.trio.set_state(port, learning=True, forwarding=True)

    @rule(port=ports)
    def a_port_is_flushed(self, port):
        port %= self.trio.n_ports
        self.bridge.ip(f"link set p{port} type bridge_slave fdb_flush")
        self.trio.flush(port)

    @rule()
    def all_is_flushed(self):
        self.bridge.ip("link set br0 type bridge fdb_flush")
        self.trio.flush(None)

    @rule(port=ports)
    def a_link_goes_down_or_comes_up(self, port):
        port %= self.trio.n_ports
        self.bridge.ip(f"link set p{port} type bridge_slave learning on")
        self.trio.set_link(port, "up" if port in self.down else "down")
        self.down ^= {port}

    def teardown(self):
        if self.trio:
            self.trio.assert_the_same_stations_are_known()


def test_three_switches_do_the_same(bridge):
    run_state_machine_as_test(
        lambda: BridgeMachine(bridge),
        settings=settings(
            max_examples=examples(25),
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            # A counterexample is shrunk in some hundred runs, at ten a second.
            phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
        ),
    )


def frame(destination: bytes, source: bytes) -> bytes:
    return destination + source + b"\x88\xb5" + bytes(46)


# Listening stands for blocking, which a bridge without STP does not keep up.
@pytest.mark.parametrize("state", ["listening", "learning"])
def test_a_port_that_is_not_forwarding_lets_nothing_through(bridge, state):
    number = {"listening": "1", "learning": "2"}[state]
    a, b, c = STATIONS[:3]
    trio = Trio(bridge, 3, frozenset())
    bridge.bridge("link", "set", "dev", "p0", "state", number)
    trio.set_state(0, learning=state == "learning", forwarding=False)

    assert trio.send(0, frame(b, a)) == [[], [], []]
    assert trio.send(0, frame(bytes.fromhex("0180c2000000"), a)) == [[], [], []]
    assert trio.send(0, frame(bytes.fromhex("0180c200000e"), b)) == [[], [], []]
    sent_to_a = trio.send(1, frame(a, c))

    # Known behind a port that may not send it: nobody gets it.  Unknown: the others do.
    assert sent_to_a == ([[], [], []] if state == "learning" else [[], [], [frame(a, c)]])
    trio.assert_the_same_stations_are_known()


@pytest.mark.parametrize("nibble", range(16))
def test_a_reserved_address_goes_nowhere_but_teaches_its_source(bridge, nibble):
    a, b = STATIONS[:2]
    reserved = bytes.fromhex("0180c20000") + bytes([nibble])
    trio = Trio(bridge, 3, frozenset())

    sent = trio.send(0, frame(reserved, a))
    answer = trio.send(1, frame(a, b))

    assert bool(sent[1]) == (nibble == 0)  # BPDUs pass while STP is off
    assert bool(answer[2]) == (nibble == 1)  # nothing is learned from a pause frame


def test_who_knocks_at_a_locked_port_is_noted_and_let_in_by_command(bridge):
    a, b, c = STATIONS[:3]
    trio = Trio(bridge, 3, frozenset())
    trio.lock(0, locked=True, mab=True)
    trio.lock(2, locked=True, mab=True)

    assert trio.send(0, frame(b, a)) == [[], [], []]
    trio.assert_the_same_stations_are_known()
    assert bridge.locks.locked() == {a}
    assert trio.send(1, frame(a, c)) == [[frame(a, c)], [], []]  # it is sent what is for it
    assert trio.send(2, frame(b, a)) == [[], [], []]  # and does not move to another locked port
    trio.pin(a, 0)
    assert trio.send(0, frame(b, a)) == [[], [frame(b, a)], [frame(b, a)]]
    trio.assert_the_same_stations_are_known()
    assert bridge.locks.locked() == set()


def test_who_knocked_is_learned_at_an_open_port_and_stays_there(bridge):
    a, b = STATIONS[:2]
    trio = Trio(bridge, 3, frozenset())
    trio.lock(0, locked=True, mab=True)
    trio.send(0, frame(b, a))

    assert trio.send(1, frame(b, a)) == [[frame(b, a)], [], [frame(b, a)]]
    trio.assert_the_same_stations_are_known()
    trio.send(0, frame(b, a))
    assert bridge.stations()[a] == (1, False)
    trio.assert_the_same_stations_are_known()


def test_without_mab_those_who_knocked_are_forgotten(bridge):
    a, b, c = STATIONS[:3]
    trio = Trio(bridge, 3, frozenset())
    trio.lock(0, locked=True, mab=True)
    trio.lock(2, locked=True, mab=True)
    for port, source in ((0, a), (1, b), (2, c)):
        trio.send(port, frame(source, source))

    trio.lock(0, locked=True, mab=False)
    trio.assert_the_same_stations_are_known()
    assert bridge.locks.locked() == {c}
    trio.lock(2, locked=False, mab=False)
    trio.assert_the_same_stations_are_known()
    assert set(bridge.stations()) == {b}


def test_who_knocks_ages_like_others(bridge):
    a, b = STATIONS[:2]
    trio = Trio(bridge, 3, frozenset())
    bridge.ip("link set br0 type bridge ageing_time 100")
    trio.fdb.set_ageing(1)
    trio.reference.fdb.ageing_s = 1
    trio.lock(0, locked=True, mab=True)
    trio.send(0, frame(b, a))

    wait_for(lambda: a not in bridge.stations(), "the bridge forgets")
    trio.now_s += 1
    assert trio.send(0, frame(b, a)) == [[], [], []]
    assert bridge.locks.locked() == {a}
    trio.assert_the_same_stations_are_known()


@pytest.mark.parametrize(
    ("before", "flags"),
    [
        ({}, {"mab": True}),
        ({}, {"mab": True, "locked": True, "learning": False}),
        ({"mab": True, "locked": True}, {"locked": False}),
        ({"mab": True, "locked": True}, {"learning": False}),
    ],
)
def test_the_kernel_refuses_what_we_refuse(bridge, before, flags):
    bridge.start_over(1, 0)
    if before:
        bridge.locks.set(bridge.indexes[0], **before)

    with pytest.raises(OSError, match="Invalid argument"):
        bridge.locks.set(bridge.indexes[0], **flags)
    with pytest.raises(ConfigError):
        PortSettings(**before | flags).check("port p0")


def test_a_silent_station_is_forgotten(bridge):
    a, b = STATIONS[:2]
    trio = Trio(bridge, 3, frozenset())
    bridge.ip("link set br0 type bridge ageing_time 100")  # centiseconds
    trio.fdb.set_ageing(1)
    trio.reference.fdb.ageing_s = 1
    trio.send(0, frame(b, a))

    # The sweep comes up to a few seconds after its time is over.
    wait_for(lambda: a not in bridge.stations(), "the bridge forgets")
    trio.now_s += 1

    assert trio.send(1, frame(a, b)) == [[frame(a, b)], [], [frame(a, b)]]


def test_a_sticky_station_does_not_move_and_is_forgotten(bridge):
    a, b = STATIONS[:2]
    trio = Trio(bridge, 3, frozenset())
    bridge.ip("link set br0 type bridge ageing_time 100")
    trio.fdb.set_ageing(1)
    trio.reference.fdb.ageing_s = 1
    trio.stick(a, 0)

    assert trio.send(1, frame(b, a)) == [[frame(b, a)], [], [frame(b, a)]]
    trio.assert_the_same_stations_are_known()
    wait_for(lambda: a not in bridge.stations(), "the bridge forgets")
    trio.now_s += 1
    trio.send(1, frame(b, a))

    assert bridge.stations()[a] == (1, False)
    trio.assert_the_same_stations_are_known()


def test_a_static_station_outlives_its_time(bridge):
    a, b, c = STATIONS[:3]
    trio = Trio(bridge, 3, frozenset())
    bridge.ip("link set br0 type bridge ageing_time 100")
    trio.fdb.set_ageing(1)
    trio.reference.fdb.ageing_s = 1
    trio.pin(a, 0)
    trio.send(1, frame(a, b))

    wait_for(lambda: b not in bridge.stations(), "the bridge forgets")
    trio.now_s += 1

    assert trio.send(1, frame(a, c)) == [[frame(a, c)], [], []]
