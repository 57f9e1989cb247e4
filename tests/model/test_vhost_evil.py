"""A guest that keeps to no rule, beside one that does: only its own port suffers."""

from __future__ import annotations

import errno
import struct
import threading
import time
from collections.abc import Callable

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from support.budget import examples
from support.frames import BROADCAST, frame, mac
from support.guest_memory import BASE, GuardedMemory
from support.guest_rig import Rig
from support.virtio_driver import Card
from support.virtio_ring import AVAIL, INDIRECT, NEXT, USED, WRITE, Buffer

SIZE = 1 << 18
FORMATS = pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
GOOD, FROM_WIRE = frame(BROADCAST, mac(1), b"good"), frame(BROADCAST, mac(2), b"wire")

# ------------------------------------------------------------------ single misdeeds

Ring = object
Misdeed = Callable[[Card, Ring], None]


def put(card: Card, ring, slot: int, gpa: int, length: int, flags: int, other: int = 0) -> None:
    """Any descriptor, made available if it is one of a packed ring."""
    third, fourth = (other, flags | AVAIL) if ring.packed else (flags, other)
    at = ring.desc + 16 * slot
    card.memory.write(at, struct.pack("<QIHH", gpa % 2**64, length, third, fourth))


def offer(card: Card, ring, head: int = 0, n: int = 1) -> None:
    """Make it available in a split ring."""
    if not ring.packed:
        card.memory.set_u16(ring.driver + 4, head)
        card.memory.set_u16(ring.driver + 2, n)


def way(card: Card, ring) -> int:
    return WRITE if ring is card.rings[0] else 0


def table(card: Card, *descs: tuple[int, int, int, int]) -> int:
    at = card.memory.allocate(16 * len(descs), 16)
    for i, desc in enumerate(descs):
        card.memory.write(at + 16 * i, struct.pack("<QIHH", *desc))
    return at


def outside(gpa: int, length: int = 2000) -> Misdeed:
    def do(card: Card, ring) -> None:
        put(card, ring, 0, gpa, length, way(card, ring))
        offer(card, ring)

    return do


def wrong_way(card: Card, ring) -> None:
    put(card, ring, 0, BASE, 2000, way(card, ring) ^ WRITE)
    offer(card, ring)


def mixed(card: Card, ring) -> None:
    put(card, ring, 1, BASE, 2000, way(card, ring) ^ WRITE)
    put(card, ring, 0, BASE, 4, way(card, ring) | NEXT, other=1)
    offer(card, ring)


def without_end(card: Card, ring) -> None:
    """Split: a loop. Packed: every slot goes on."""
    for slot in reversed(range(ring.size)):
        after = slot if ring.packed else (slot + 1) % ring.size
        put(card, ring, slot, BASE, 0, way(card, ring) | NEXT, other=after)
    offer(card, ring)


def indirect(length: int, flags: int = 0, *descs: tuple[int, int, int, int]) -> Misdeed:
    def do(card: Card, ring) -> None:
        rows = descs or ((BASE, 2000, way(card, ring), 0),)
        put(card, ring, 0, table(card, *rows), length, INDIRECT | flags)
        offer(card, ring)

    return do


def nested(card: Card, ring) -> None:
    inner = table(card, (BASE, 2000, way(card, ring), 0))
    flags = (0, INDIRECT) if ring.packed else (INDIRECT, 0)
    put(card, ring, 0, table(card, (inner, 16, *flags)), 16, INDIRECT)
    offer(card, ring)


def table_of_nothing(card: Card, ring) -> None:
    """Longer than any walk."""
    row = struct.pack("<QIHH", BASE, 0, *((0, way(card, ring)) if ring.packed else (NEXT, 0)))
    at = card.memory.allocate(16 * 2000, 16)
    for i in range(2000):
        flags = row if ring.packed else row[:12] + struct.pack("<HH", way(card, ring) | NEXT, i + 1)
        card.memory.write(at + 16 * i, flags)
    put(card, ring, 0, at, 16 * 2000, INDIRECT)
    offer(card, ring)


def far_index(card: Card, ring) -> None:
    card.memory.set_u16(ring.driver + 2, ring.size + 1)


def far_head(card: Card, ring) -> None:
    offer(card, ring, head=ring.size)


def far_next(card: Card, ring) -> None:
    put(card, ring, 0, BASE, 1, way(card, ring) | NEXT, other=ring.size)
    offer(card, ring)


MISDEEDS: dict[str, Misdeed] = {
    "before": outside(BASE - 1),
    "behind": outside(BASE + SIZE),
    "across": outside(BASE + SIZE - 5),
    "zero": outside(0),
    "wraps": outside(2**64 - 4),
    "longest": outside(BASE + SIZE - 4, 2**32 - 1),
    "wrong_way": wrong_way,
    "mixed": mixed,
    "without_end": without_end,
    "nested": nested,
    "table_of_nothing": table_of_nothing,
    "table_empty": indirect(0),
    "table_odd": indirect(17),
    "table_outside": indirect(SIZE + 16),
    "table_and_next": indirect(16, NEXT),
    "table_next_far": indirect(16, 0, (BASE, 1, NEXT | WRITE, 1)),
}
SPLIT_ONLY = {"far_index": far_index, "far_head": far_head, "far_next": far_next}
CASES = [(name, deed, packed) for name, deed in MISDEEDS.items() for packed in (False, True)]
CASES = [c for c in CASES if c[0] != "table_next_far" or not c[2]]
CASES += [(name, deed, False) for name, deed in SPLIT_ONLY.items()]


@pytest.mark.parametrize("way_in", [True, False], ids=["rx", "tx"])
@pytest.mark.parametrize(
    ("deed", "packed"),
    [c[1:] for c in CASES],
    ids=[f"{name}-{'packed' if p else 'split'}" for name, _, p in CASES],
)
def test_who_breaks_a_rule_loses_its_port_and_nothing_else(rig, deed, packed, way_in):
    net = rig()
    evil = net.card(packed=packed, indirect=True, memory=GuardedMemory(SIZE), size=8)
    good = net.card(packed=packed)
    deed(evil, evil.rings[1 if way_in else 0])
    good.post(1600, times=3)

    net.to_guest(FROM_WIRE)

    assert evil.error == errno.EPROTO
    assert evil.memory.is_intact()
    before = net.counters(evil)
    evil.send(GOOD)
    net.to_guest(FROM_WIRE)
    good.send(GOOD)
    net.poll()
    after = net.counters(evil)
    assert after.get("rx_frames", 0) == before.get("rx_frames", 0)
    assert after.get("tx_frames", 0) == before.get("tx_frames", 0) or way_in
    assert [f for _, f in good.receive()][:2] == [FROM_WIRE] * 2
    assert [f for _, f in net.wire.receive()] == [GOOD]


@FORMATS
def test_what_came_before_a_broken_rule_is_still_delivered(rig, packed):
    net = rig()
    evil = net.card(packed=packed, size=8)
    for _ in range(3):
        evil.send(GOOD)
    ring = evil.rings[1]
    put(evil, ring, 3, 0, 100, 0)
    if not packed:
        evil.memory.set_u16(ring.driver + 4 + 6, 3)
        evil.memory.set_u16(ring.driver + 2, 4)

    assert net.from_guest() == [GOOD] * 3
    net.poll()
    assert evil.error == errno.EPROTO


@FORMATS
def test_tables_without_indirect_descriptors_negotiated_are_refused(rig, packed):
    net = rig()
    evil = net.card(packed=packed, indirect=False, memory=GuardedMemory(SIZE))
    indirect(16)(evil, evil.rings[1])

    net.poll()

    assert evil.error == errno.EPROTO


@FORMATS
def test_the_longest_walks_do_not_hold_the_others(rig, packed):
    """1000 empty pieces before every frame, in all the chains there are."""
    net = rig()
    evil = net.card(packed=packed, indirect=True, memory=GuardedMemory(1 << 20), size=128)
    pair = evil.pairs[0]
    flags = lambda i, way: (0, way) if packed else (way | NEXT * (i < 1000), i + 1)  # noqa: E731
    rows = [(BASE, 0, *flags(i, WRITE)) for i in range(1000)]
    at = table(evil, *rows, (BASE, 1, *flags(1000, WRITE)))
    for _ in range(127):
        pair.rx.add([Buffer(at, 16 * 1001)])
    for slot in range(127):
        where = pair.rx.desc + 16 * slot + (14 if packed else 12)
        evil.memory.set_u16(where, INDIRECT | AVAIL * packed)
    evil.memory.set_u16(pair.rx.driver + 2, 127 if not packed else 0)
    records = [FROM_WIRE] * 32

    began = time.thread_time()
    net.to_guest(*records)
    took_s = time.thread_time() - began

    # All of 127 chains for each of 32 frames would be four million steps, some 20 ms.
    assert evil.error == errno.EPROTO
    assert took_s < 1


@FORMATS
def test_long_walks_end_a_burst_early(rig, packed):
    """A frame of a thousand pieces is as dear as many others: one to a round is enough."""
    net = rig()
    card = net.card(packed=packed, indirect=True, size=32)
    table_rows = [
        (BASE, 0, *((0, 0) if packed else (NEXT, i + 1))) for i in range(1000)
    ]  # fmt: skip
    at = table(card, *table_rows, (BASE, 72, 0, 0))
    for _ in range(8):
        card.rings[1].add([Buffer(at, 16 * 1001)])
    card.rings[1].show()
    for slot in range(8):
        where = card.rings[1].desc + 16 * slot + (14 if packed else 12)
        flags = INDIRECT | AVAIL if packed else INDIRECT
        card.memory.set_u16(where, flags)

    net.poll()

    assert len(card.rings[1].take()) == 2  # the one that passes the limit is the last
    net.poll(3)
    assert len(card.rings[1].take()) == 6


@FORMATS
def test_memory_that_changes_while_it_is_read_harms_nobody(rig, packed):
    net = rig()
    evil = net.card(packed=packed, indirect=True, memory=GuardedMemory(SIZE), size=8)
    good = net.card(packed=packed)
    done = threading.Event()
    ring = evil.rings[1]

    def scribble() -> None:
        rows = [struct.pack("<QIHH", BASE + 64 * i, 60, 0, AVAIL) for i in range(4)]
        rows += [struct.pack("<QIHH", 2**40, 2**31, NEXT | INDIRECT, AVAIL | USED)]
        i = 0
        while not done.is_set():
            i += 1
            evil.memory.write(ring.desc + 16 * (i % 8), rows[i % 5])
            evil.memory.set_u16(ring.driver + 2, i)

    thread = threading.Thread(target=scribble)
    thread.start()
    try:
        for n in range(400):
            good.post(1600)
            good.send(GOOD)
            net.to_guest(FROM_WIRE)
            assert GOOD in [f for _, f in net.wire.receive()]
            assert FROM_WIRE in [f for _, f in good.receive()]
            if evil.error and n % 3 == 0:
                evil.start(1, 0x8000 if packed else 0)
                evil.guest.set_kick(0, -1)  # forgets the error
    finally:
        done.set()
        thread.join()

    assert evil.memory.is_intact()


# ------------------------------------------------------------------ any misdeeds in any order

bytes_at = st.integers(0, SIZE - 1) | st.integers(0, 0x1000)
addresses = (
    st.integers(BASE, BASE + SIZE)
    | st.integers(BASE, BASE + 0x400)
    | st.sampled_from([0, BASE - 1, BASE + SIZE - 1, 2**64 - 1, 2**63])
)
lengths = st.integers(0, 200) | st.sampled_from([16, 32, 1600, SIZE, 2**31, 2**32 - 1])
some_flags = st.integers(0, 7) | st.integers(0, 0xFFFF)


class EvilGuest(RuleBasedStateMachine):
    """Writes what it likes, where it likes, between any two polls."""

    @initialize(packed=st.booleans(), event_idx=st.booleans(), mergeable=st.booleans())
    def begin(self, packed: bool, event_idx: bool, mergeable: bool) -> None:
        self.net = Rig()
        shape = {"packed": packed, "event_idx": event_idx, "mergeable": mergeable, "size": 8}
        self.evil = self.net.card(indirect=True, memory=GuardedMemory(SIZE), **shape)
        self.good = self.net.card(**shape)
        self.broken_at: int | None = None

    @rule(offset=bytes_at, data=st.binary(min_size=1, max_size=40))
    def scribble(self, offset: int, data: bytes) -> None:
        self.evil.memory.write(BASE + offset, data[: SIZE - offset])

    @rule(
        ring=st.integers(0, 1), slot=st.integers(0, 7), gpa=addresses, length=lengths,
        flags=some_flags, other=st.integers(0, 9),
    )  # fmt: skip
    def write_descriptor(self, ring, slot, gpa, length, flags, other) -> None:
        put(self.evil, self.evil.rings[ring], slot, gpa, length, flags, other)

    @rule(ring=st.integers(0, 1), ahead=st.integers(0, 9), head=st.integers(0, 9))
    def offer_any(self, ring: int, ahead: int, head: int) -> None:
        r = self.evil.rings[ring]
        if not r.packed:
            at = self.evil.memory.u16(r.driver + 2)
            self.evil.memory.set_u16(r.driver + 4 + 2 * (at % 8), head)
            self.evil.memory.set_u16(r.driver + 2, at + ahead)

    @rule(slot=st.integers(0, 30), gpa=addresses, length=lengths, flags=some_flags)
    def write_table(self, slot: int, gpa: int, length: int, flags: int) -> None:
        at = BASE + 0x4000 + 16 * slot
        self.evil.memory.write(at, struct.pack("<QIHH", gpa, length, flags, flags))

    @rule(ring=st.integers(0, 1), n=st.integers(0, 31))
    def name_table(self, ring: int, n: int) -> None:
        put(self.evil, self.evil.rings[ring], 0, BASE + 0x4000, 16 * n, INDIRECT)

    @rule(ring=st.integers(0, 1), base=st.integers(0, 2**32 - 1) | st.integers(0, 7))
    def restart(self, ring: int, base: int) -> None:
        self.evil.guest.stop(ring)
        try:
            self.evil.start(ring, base)
        except ValueError:
            self.evil.start(ring, 0)
        self.evil.guest.set_kick(0, -1)
        self.broken_at = None

    @rule(times=st.integers(1, 3))
    def poll(self, times: int) -> None:
        self.net.poll(times)

    @invariant()
    def nobody_else_is_harmed(self) -> None:
        if not hasattr(self, "net"):
            return
        self.net.wire.receive()
        self.good.receive()
        while self.good.rings[0].room():
            self.good.post(1600)
        self.good.send(GOOD)
        self.net.to_guest(FROM_WIRE)
        assert GOOD in [f for _, f in self.net.wire.receive()]
        assert FROM_WIRE in [f for _, f in self.good.receive()]
        assert self.good.error == 0
        assert self.evil.memory.is_intact()

    @invariant()
    def what_is_broken_stays_so(self) -> None:
        if not hasattr(self, "net"):
            return
        assert self.evil.error in (0, errno.EPROTO)
        received = self.net.counters(self.evil).get("rx_frames", 0)
        assert self.broken_at in (None, received)
        if self.evil.error:
            self.broken_at = received

    def teardown(self) -> None:
        if hasattr(self, "net"):
            self.net.stack.close()


EvilGuest.TestCase.settings = settings(
    max_examples=examples(20), stateful_step_count=40, deadline=None
)
TestEvilGuest = EvilGuest.TestCase
