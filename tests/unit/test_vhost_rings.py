"""Frames through a guest's rings, of every shape that can be negotiated."""

from __future__ import annotations

import os
import random
from itertools import product

import pytest

from support.frames import BROADCAST, DATA_VALID, frame, mac, unfinished, vnet
from support.judge import reassembled
from support.virtio_ring import WRITE

SHAPES = pytest.mark.parametrize(
    "shape",
    [
        dict(zip(("packed", "indirect", "event_idx", "mergeable"), bits, strict=True))
        for bits in product((False, True), repeat=4)
    ],
    ids=lambda s: "-".join([k for k, v in s.items() if v]) or "split",
)
FORMATS = pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
SPANS_MAX, CHAINS_MAX = 256, 128  # pieces of memory, and buffers, that a frame may go to
GUEST, WIRE = mac(1), mac(2)
BODY = bytes(i * 7 % 251 for i in range(66000))


def numbered(n: int, length: int = 60) -> bytes:
    return frame(BROADCAST, GUEST, n.to_bytes(4, "big") + BODY[: length - 18])


def tail_of(shape: dict[str, bool], pieces: int, rng: random.Random) -> int:
    return rng.randint(0, pieces) if shape["indirect"] else 0


@SHAPES
def test_frames_leave_the_guest_whole_and_in_order(rig, shape):
    net = rig()
    card = net.card(**shape, size=8)
    rng = random.Random(1)
    sent, got = [], []
    for n in range(150):
        f = numbered(n, rng.choice([60, 61, 590, 1514]))
        cuts = sorted(rng.sample(range(1, len(f)), rng.randint(0, 3)))
        card.send(f, cuts=cuts, tail=tail_of(shape, len(cuts) + 1, rng))
        sent.append(f)
        if rng.random() < 0.6 or card.pairs[0].tx.room() < 4:
            got += net.from_guest()
            card.pairs[0].reap()

    got += net.from_guest()

    assert got == sent
    assert card.error == 0


@SHAPES
def test_frames_reach_the_guest_whole_and_in_order(rig, shape):
    net = rig()
    card = net.card(**shape, size=8)
    rng = random.Random(2)
    sent, got = [], []
    for n in range(100):
        while card.pairs[0].rx.room() >= 4:
            pieces = [rng.choice([5, 12, 80]), 1530, 40][: rng.randint(2, 3)]
            card.post(*pieces, tail=tail_of(shape, len(pieces), rng))
        f = frame(BROADCAST, WIRE, n.to_bytes(4, "big") + BODY[: rng.choice([42, 1000, 1496])])
        net.to_guest(f)
        sent.append(f)
        got += card.receive()

    assert [f for _, f in got] == sent
    assert {header[:10] for header, _ in got} == {bytes(10)}
    assert {header[10:] for header, _ in got} == {b"\1\0"}


@FORMATS
@pytest.mark.parametrize("size", [1, 2, 4, 64])
def test_indices_wrap_around_many_times(rig, packed, size):
    net = rig()
    base = 0xFF00 if not packed else 0x8000
    card = net.card(packed=packed, size=size, base=base)
    for n in range(600):
        card.post(1600)
        card.send(numbered(n))
        net.to_guest(frame(BROADCAST, WIRE, n.to_bytes(4, "big")))

        assert [f[14:18] for _, f in net.wire.receive()] == [n.to_bytes(4, "big")]
        assert [f[14:18] for _, f in card.receive()] == [n.to_bytes(4, "big")]


@pytest.mark.parametrize("size", [3, 5, 7])
def test_a_packed_ring_of_any_size_wraps_within_chains(rig, size):
    net = rig()
    card = net.card(packed=True, size=size)
    for n in range(100):
        card.send(numbered(n), cuts=[13, 40][: size - 2])
        card.post(20, 1600)

        net.to_guest(numbered(n))

        assert [f for _, f in net.wire.receive()] == [numbered(n)]
        assert [f for _, f in card.receive()] == [numbered(n)]


@FORMATS
@pytest.mark.parametrize("long_header", [False, True])
@pytest.mark.parametrize("cut", [1, 5, 9, 10, 11, 12, 13])
def test_a_header_may_be_cut_anywhere(rig, packed, long_header, cut):
    net = rig()
    card = net.card(packed=packed, long_header=long_header, mergeable=False)
    card.send(numbered(1), vnet=vnet(DATA_VALID), cuts=[cut])
    card.post(cut, 2000)

    net.to_guest(numbered(2))

    assert [f for _, f in net.wire.receive()] == [numbered(1)]
    assert card.receive() == [(bytes(10) + b"\1\0" * long_header, numbered(2))]


@FORMATS
def test_a_buffer_may_cross_the_border_of_regions(rig, packed):
    net = rig()
    card = net.card(packed=packed, regions=(1 << 16, 3 * 4096, 1 << 16))
    border = card.memory.pieces[1].gpa
    card.send(numbered(1, 4000), at=border - 3)
    card.post(1600, at=border + 3 * 4096 - 20)

    net.to_guest(numbered(2))

    assert [f for _, f in net.wire.receive()] == [numbered(1, 4000)]
    assert card.receive() == [(bytes(10) + b"\1\0", numbered(2))]


def test_a_header_that_dpdk_says_may_be_written_is_read(rig):
    net = rig()
    card = net.card(packed=True, indirect=True)
    ring = card.pairs[0].tx

    card.send(numbered(1), cuts=[12], tail=2, show=False)
    table = int.from_bytes(card.memory.read(ring.desc, 8), "little")
    card.memory.set_u16(table + 14, WRITE)
    ring.show()

    assert net.from_guest() == [numbered(1)]


@FORMATS
def test_a_super_frame_of_64_kib_crosses_as_one(rig, packed):
    net = rig()
    shape = {"packed": packed, "indirect": True, "offloads": 31, "size": 64}
    a, b = net.card(**shape), net.card(**shape)
    header, f = unfinished(
        BROADCAST, GUEST, version=4, protocol="tcp", payload=BODY[:65000], gso_size=1448
    )
    b.post(1536, times=60)
    a.send(f, vnet=header, cuts=range(1000, 60000, 4000), tail=16)

    net.poll()

    assert net.wire.receive() == [(header, f)]
    [(got_header, got)] = b.receive()
    assert got == f
    assert got_header == header + (43).to_bytes(2, "little")  # num_buffers, 5.1.6.4


@FORMATS
def test_a_datagram_crosses_whole_or_is_fragmented_as_the_guest_wants_it(rig, packed):
    net = rig()
    old = net.card(packed=packed, offloads=63, size=64)
    new = net.card(packed=packed, offloads=31, size=64)
    for card in (old, new):
        card.post(1536, times=60)
    header, f = unfinished(
        BROADCAST, GUEST, version=6, protocol="udp", payload=BODY[:60000], gso_size=1448, whole=True
    )
    net.card(packed=packed).send(f, vnet=header)

    net.poll()

    [(got_header, got)] = old.receive()
    assert (got_header[:10], got) == (header, f)
    fragments = new.receive()
    assert {h for h, _ in fragments} == {bytes(10) + b"\1\0"}
    assert bytes(reassembled([data for _, data in fragments]).payload) == BODY[:60000]


@FORMATS
def test_only_work_left_undone_is_told_to_the_guest(rig, packed):
    net = rig()
    card = net.card(packed=packed, offloads=31)
    header, f = unfinished(BROADCAST, WIRE, version=6, protocol="udp", payload=b"x" * 99)
    card.post(2000, times=3)

    net.to_guest(f, vnet=header)
    net.to_guest(f, vnet=vnet(DATA_VALID))

    assert [h for h, _ in card.receive()] == [header + b"\1\0", bytes(10) + b"\1\0"]


@FORMATS
def test_a_guest_without_offloads_gets_finished_frames(rig, packed):
    net = rig()
    card = net.card(packed=packed, offloads=0)
    header, f = unfinished(
        BROADCAST, WIRE, version=4, protocol="tcp", payload=BODY[:3000], gso_size=1000
    )
    card.post(2000, times=3)

    net.to_guest(f, vnet=header)

    assert [h for h, _ in card.receive()] == [bytes(10) + b"\1\0"] * 3


@FORMATS
def test_a_buffer_too_small_is_an_error_and_stays_the_guests(rig, packed):
    net = rig()
    card = net.card(packed=packed, mergeable=False)
    card.post(100)

    net.to_guest(numbered(1, 200), numbered(2, 60))

    assert [f for _, f in card.receive()] == [numbered(2, 60)]
    assert net.counters(card) == {"tx_frames": 1, "tx_bytes": 60, "tx_error": 1}
    assert card.error == 0


@FORMATS
def test_without_buffers_a_frame_is_dropped_as_full(rig, packed):
    net = rig()
    card = net.card(packed=packed, mergeable=True)
    card.post(100)

    net.to_guest(numbered(1, 200))  # would need three
    net.to_guest(numbered(2, 60), numbered(3, 60))

    assert [f for _, f in card.receive()] == [numbered(2, 60)]
    assert net.counters(card) == {"tx_frames": 1, "tx_bytes": 60, "tx_full": 2}


@FORMATS
def test_a_mergeable_frame_takes_as_many_buffers_as_it_needs(rig, packed):
    net = rig()
    card = net.card(packed=packed, mergeable=True)
    card.post(100, times=8)

    net.to_guest(numbered(1, 188), numbered(2, 189), numbered(3, 60))

    assert [(h[10], f) for h, f in card.receive()] == [
        (2, numbered(1, 188)), (3, numbered(2, 189)), (1, numbered(3, 60)),
    ]  # fmt: skip


@FORMATS
@pytest.mark.parametrize(
    ("buffer", "buffers", "most"),
    [
        ([1] * (SPANS_MAX + 1), 1, SPANS_MAX),
        ([1] * 12, 22, SPANS_MAX),
        ([12], CHAINS_MAX + 1, 12 * CHAINS_MAX),
        ([6, 6], CHAINS_MAX + 1, 12 * CHAINS_MAX),
    ],
    ids=["in pieces", "in pieces of buffers", "in buffers", "both"],
)
def test_a_frame_may_be_scattered_so_far_and_no_farther(rig, packed, buffer, buffers, most):
    """Over as many pieces of the guest's memory as there may be, or a byte more."""
    net = rig()
    card = net.card(packed=packed, mergeable=buffers > 1, size=512, mtu=1600)
    fits, lost = numbered(1, most - 12), numbered(2, most - 12 + 1)
    card.post(*buffer, times=buffers)

    net.to_guest(lost)
    assert card.receive() == []
    assert net.counters(card) == {"tx_error": 1}

    net.to_guest(fits)
    assert [f for _, f in card.receive()] == [fits]
    assert card.error == 0


@FORMATS
def test_runts_and_giants_are_dropped_at_admission(rig, packed):
    net = rig()
    card = net.card(packed=packed)
    card.send(b"")
    card.send(BODY[:13])
    card.send(BODY[:65569])
    card.send(numbered(1))
    net.poll()  # a giant is a burst of its own

    assert net.from_guest() == [numbered(1)]
    assert net.counters(card)["runt"] == 3
    assert len(card.pairs[0].reap()) == 4


@FORMATS
@pytest.mark.parametrize("n", [1, 3, 7, 12])
def test_a_guest_is_called_when_the_chosen_frame_has_passed(rig, packed, n):
    """Of the batches 5, 1, 1, 5 with the one that has the n-th chain, and with no other."""
    net = rig()
    card = net.card(packed=packed, event_idx=True, base=0x8005 if packed else 0xFFFA)
    model = [at < n <= at + batch for at, batch in ((0, 5), (5, 1), (6, 1), (7, 5))]
    for _ in range(9):
        card.post(1600, times=12)
        card.pairs[0].rx.call_at(n)
        called = []
        for batch in (5, 1, 1, 5):
            net.to_guest(*(numbered(i) for i in range(batch)))
            called.append(card.was_called(0))

        assert called == model
        assert len(card.receive()) == 12


@FORMATS
def test_calls_for_what_was_sent_follow_the_same_rule(rig, packed):
    net = rig()
    card = net.card(packed=packed, event_idx=True, base=0x8005 if packed else 0xFFFA)
    for _ in range(20):
        for i in range(6):
            card.send(numbered(i), cuts=[20], show=False)
        card.pairs[0].tx.call_at(6)
        card.pairs[0].tx.show()
        net.poll()

        assert card.was_called(1)
        assert len(card.pairs[0].reap()) == 6


@FORMATS
@pytest.mark.parametrize("event_idx", [False, True])
def test_a_guest_that_wants_no_calls_gets_none(rig, packed, event_idx):
    net = rig()
    card = net.card(packed=packed, event_idx=event_idx and packed)
    for wanted in (True, False, True):
        for ring in card.rings:
            ring.want_calls(wanted)
        card.post(1600)
        card.send(numbered(1))

        net.to_guest(numbered(2))

        assert [card.was_called(0), card.was_called(1)] == [wanted, wanted]
        card.receive()


@FORMATS
def test_a_burst_is_one_call(rig, packed):
    net = rig()
    card = net.card(packed=packed)
    card.post(1600, times=8)
    for i in range(8):
        card.send(numbered(i))

    net.to_guest(*(numbered(i) for i in range(8)))

    assert [os.eventfd_read(fd) for fd in card.calls] == [1, 1]


@FORMATS
def test_a_ring_stopped_and_started_goes_on_at_the_same_place(rig, packed):
    net = rig()
    card = net.card(packed=packed, size=4)
    sent, got, into = [], [], []
    for n in range(30):
        card.send(numbered(n), cuts=[20])
        sent.append(numbered(n))
        card.post(1600)
        if n % 3 == 0:  # with one frame waiting that was not taken
            bases = [card.guest.stop(i) for i in range(2)]
            net.poll()
            for i in range(2):
                card.start(i, bases[i])
        net.to_guest(numbered(n))
        got += [f for _, f in net.wire.receive()]
        into += [f for _, f in card.receive()]

    assert got == sent
    assert into == sent


@pytest.mark.parametrize("size", [1, 2, 7, 8])
def test_a_packed_ring_goes_on_after_a_crash_where_its_slots_say(rig, size):
    net = rig()
    card = net.card(packed=True, size=size)
    sent, got, into = [], [], []
    for n in range(50):
        card.send(numbered(n))
        sent.append(numbered(n))
        card.post(1600, times=card.pairs[0].rx.room())
        if n % 3 == 0:
            crash(card)
        net.to_guest(numbered(n))
        got += [f for _, f in net.wire.receive()]
        into += [f for _, f in card.receive()]

    assert got == into == sent


@pytest.mark.parametrize("count", range(2, 8))
@pytest.mark.parametrize("before", range(20))
def test_a_packed_ring_goes_on_after_a_crash_while_it_published(rig, before, count):
    net = rig()
    card = net.card(packed=True, size=8)
    ring = card.pairs[0].tx
    for n in range(before):
        card.send(numbered(n))
        net.from_guest()
    card.pairs[0].reap()
    for n in range(count):
        card.send(numbered(n))
    flags_at = ring.desc + 16 * ring.tail + 14
    flags = card.memory.u16(flags_at)
    assert len(net.from_guest()) == count
    card.memory.set_u16(flags_at, flags)

    crash(card)
    net.poll()

    assert len(card.pairs[0].reap()) == count
    card.send(numbered(99))
    assert net.from_guest() == [numbered(99)]


def crash(card) -> None:
    """The switch is killed; QEMU says of its packed rings that they are at the beginning."""
    for i in range(2):
        card.guest.stop(i)
    card.guest.set_memory([])
    card.guest.set_memory(card.memory.regions())
    for i in range(2):
        card.start(i, 0x8000)


@FORMATS
def test_a_stopped_ring_neither_gives_nor_takes(rig, packed):
    net = rig()
    card = net.card(packed=packed)
    card.send(numbered(1))
    card.post(1600)
    for i in range(2):
        card.guest.stop(i)

    net.to_guest(numbered(2))

    assert net.wire.receive() == []
    assert card.receive() == []
    assert net.counters(card) == {"tx_error": 1}


@FORMATS
def test_a_disabled_ring_discards_what_the_guest_sends(rig, packed):
    net = rig()
    card = net.card(packed=packed)
    for i in range(2):
        card.guest.enable(i, enabled=False)
    card.send(numbered(1))
    card.post(1600)
    net.to_guest(numbered(2))
    assert net.wire.receive() == []
    assert card.receive() == []
    assert len(card.pairs[0].reap()) == 1

    for i in range(2):
        card.guest.enable(i, enabled=True)
    card.send(numbered(3))
    net.to_guest(numbered(4))

    assert [f for _, f in net.wire.receive()] == [numbered(3)]
    assert [f for _, f in card.receive()] == [numbered(4)]


def test_each_poller_sends_to_its_own_pair_while_there_is_one(rig):
    net = rig(pollers=2)
    card = net.card(pairs=3)
    for n, pair in enumerate(card.pairs):
        pair.post(1600)
        pair.send(numbered(n))

    assert sorted(net.from_guest()) == [numbered(n) for n in range(3)]
    net.to_guest(numbered(9))  # of the memory port's poller, the first
    assert [len(pair.receive()) for pair in card.pairs] == [1, 0, 0]

    card.guest.enable(0, enabled=False)
    card.pairs[1].post(1600)
    net.to_guest(numbered(10))
    assert [[f for _, f in pair.receive()] for pair in card.pairs] == [[], [numbered(10)], []]


def test_a_guest_hears_nothing_of_its_own_frames(rig):
    net = rig()
    card = net.card(pairs=2)
    for pair in card.pairs:
        pair.post(1600)

    card.send(numbered(1))
    net.poll()

    assert [pair.receive() for pair in card.pairs] == [[], []]
