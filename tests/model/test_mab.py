"""Locked ports under any traffic and any commands: the datapath, its twin and the Linux bridge.

What `test_against_bridge.BridgeMachine` meets now and then is all that happens here: some of three
ports are locked from the start, and three stations speak at all of them.
"""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.budget import examples
from tests.model.test_against_bridge import Trio, bridge, frame
from tests.model.traffic import STATIONS

__all__ = ["bridge"]  # the fixture

pytestmark = pytest.mark.netns

ports = st.integers(0, 2)
stations = st.sampled_from(STATIONS[:3])
locks = st.sampled_from([(False, False), (True, False), (True, True)])
speaks = st.tuples(st.just("speaks"), ports, stations, stations)
steps = st.one_of(
    *[speaks] * 6,
    st.tuples(st.just("pin"), stations, ports),
    st.tuples(st.just("stick"), stations, ports),
    st.tuples(st.just("lock"), ports, locks),
    st.tuples(st.just("flush"), ports),
)


def do(trio: Trio, step: tuple) -> None:
    match step:
        case "speaks", port, source, destination:
            trio.send(port, frame(destination, source))
        case "pin", mac, port:
            trio.pin(mac, port)
        case "stick", mac, port:
            trio.stick(mac, port)
        case "lock", port, (locked, mab):
            trio.lock(port, locked=locked, mab=mab)
        case "flush", port:
            trio.bridge.ip(f"link set p{port} type bridge_slave fdb_flush")
            trio.flush(port)


@settings(max_examples=examples(60), deadline=None, suppress_health_check=list(HealthCheck))
@given(first=st.tuples(locks, locks, locks), story=st.lists(steps, min_size=10, max_size=40))
def test_locked_ports_do_the_same_in_three_switches(bridge, first, story):
    trio = Trio(bridge, 3, frozenset())
    for port, lock in enumerate(first):
        do(trio, ("lock", port, lock))

    for step in story:
        do(trio, step)

    trio.assert_the_same_stations_are_known()
