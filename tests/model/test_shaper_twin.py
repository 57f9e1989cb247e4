"""The shaper of ``shaper.h`` against the one in plain Python: the same leaves at the same time."""

from __future__ import annotations

from dataclasses import asdict, replace
from types import SimpleNamespace

from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.budget import examples
from vswitch import _fastpath, _ports, _rules, _slowpath
from vswitch.meters import Shape
from vswitch.rates import RATE_MAX
from vswitch.reference import COUNTERS, TX_DROPS

A, B = bytes([2, 0, 0, 0, 0, 1]), bytes([2, 0, 0, 0, 0, 2])
COMPILED = SimpleNamespace(**{**vars(_ports), **vars(_rules), "Datapath": _fastpath.Datapath})
START_S = 2**32 - 50  # the compiled one's seconds wrap, its nanoseconds do not
RING_SIZE = 1 << 22
queues = st.sampled_from([100, 3000, 65_568, 200_000])
# With round numbers a bucket is often just empty, or just not.
round_numbers = st.sampled_from([100, 1000])
shapes = st.builds(
    Shape,
    rate=round_numbers.map(lambda n: 8 * n)
    | st.integers(1, 100_000)
    | st.integers(1, RATE_MAX)
    | st.just(RATE_MAX),
    burst=st.sampled_from([100, 101, 1001]) | st.integers(1, 3000) | st.integers(1, 1 << 30),
    queue=queues,
)
lengths = round_numbers | st.integers(60, 1518) | st.sampled_from([9014, 65_539])
changes = st.fixed_dictionaries({"queue": queues}) | shapes.map(asdict) | st.just({"rate": 0})
# Seconds that pass, what arrives then, and what changes of the shaper afterwards, if anything.
steps = st.lists(
    st.tuples(
        st.sampled_from([0, 0, 1, 2, 40, 3600]),
        st.lists(lengths, max_size=20),
        st.just({}) | changes,
    ),
    max_size=20,
)


class Shaped:
    """Two ports, of which the second is shaped."""

    def __init__(self, core, shape, wraps):
        self.core = core
        self.wraps = wraps
        self.datapath = core.Datapath()
        self.wires = []
        for _ in range(2):
            number = core.add_memory_port(
                self.datapath, fd=-1, offloads=0, mtu=65_521, size=RING_SIZE
            )
            self.wires.append(core.Wire(self.datapath, number))
        core.set_shaper(self.datapath, 1, shape)

    def step(self, now_s, frames):
        """What left then, and what the port has counted."""
        for frame in frames:
            assert self.wires[0].send(bytes(10) + frame)
        while self.datapath.poll(now_s % 2**32 if self.wraps else now_s):
            pass
        words = memoryview(self.datapath.counter_memory).cast("B").cast("Q")[32:64]
        counted = dict(zip(COUNTERS, words, strict=False))
        return [frame for _, frame in self.wires[1].receive()], counted


@settings(deadline=None, max_examples=examples(150))
@example(  # so nearly the same that the bucket is: 100 and 101 bytes are 32 ticks
    shape=Shape(RATE_MAX, 101, 100),
    steps=[(0, [], {"burst": 100}), (0, [100], {"burst": 101}), (0, [100], {})],
)
@given(shape=shapes, steps=steps)
def test_both_send_the_same_frames_at_the_same_time(shape, steps):
    both = Shaped(COMPILED, shape, wraps=True), Shaped(_slowpath, shape, wraps=False)
    now_s, n, sent = START_S, 0, 0

    for seconds, arrivals, change in steps:
        now_s += seconds
        frames = [
            (B + A + b"\x88\xb5" + (n + i).to_bytes(4)).ljust(length, b"\0")
            for i, length in enumerate(arrivals)
        ]
        n += len(frames)

        (left, counted), twin = (one.step(now_s, frames) for one in both)

        assert (left, counted) == twin
        sent += len(left)
        assert counted["tx_frames"] == sent
        shape = replace(shape, **change)
        for one in both:
            one.core.set_shaper(one.datapath, 1, shape if shape.rate else None)

    for one in both:
        one.core.set_shaper(one.datapath, 1, None)
        left, counted = one.step(now_s, [])
        assert left == []
        assert sum(counted[reason] for reason in TX_DROPS) == counted["tx_full"] == n - sent
