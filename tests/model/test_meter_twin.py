"""The token bucket of ``meter.h`` against the one in plain Python: the same frames, at any time."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from vswitch import _fastpath, _ports, _rules
from vswitch.meters import Meter, Meters
from vswitch.rates import RATE_MAX, SIZE_MAX
from vswitch.reference_meter import Bucket

A, B = bytes([2, 0, 0, 0, 0, 1]), bytes([2, 0, 0, 0, 0, 2])
START_S = 2**32 - 50  # the datapath's seconds wrap, its nanoseconds do not
meters = st.builds(
    Meter,
    rate=st.integers(1, 100_000) | st.integers(1, RATE_MAX) | st.just(RATE_MAX),
    in_bytes=st.booleans(),
    burst=st.integers(1, 20_000) | st.integers(1, SIZE_MAX),
)
lengths = st.integers(60, 1518) | st.sampled_from([9014, 65_539])
# Seconds that pass, and what arrives then.
arrivals = st.lists(
    st.tuples(st.sampled_from([0, 1, 2, 40, 3600, 10**7]), st.lists(lengths, max_size=20)),
    max_size=20,
)


@settings(deadline=None, max_examples=200)
@given(meter=meters, arrivals=arrivals)
def test_both_let_the_same_frames_pass(meter, arrivals):
    datapath = _fastpath.Datapath()
    wires = []
    for _ in range(2):
        number = _ports.add_memory_port(datapath, fd=-1, offloads=0, mtu=65_521, size=1 << 22)
        wires.append(_ports.Wire(datapath, number))
    _rules.set_meters(datapath, 0, Meters(police=meter))
    twin, now_s = Bucket(meter), START_S

    for seconds, frames in arrivals:
        now_s += seconds
        for length in frames:
            wires[0].send(bytes(10) + (B + A).ljust(length, b"\0"))
        while datapath.poll(now_s % 2**32):
            pass

        expected = [length for length in frames if twin.take(length, 1, now_s * 10**9)]
        assert [len(frame) for _, frame in wires[1].receive()] == expected
