"""Long frames from guest to guest: copied once, and judged by heads that were copied first."""

from __future__ import annotations

import os
import random
from itertools import product

import pytest

from support.frames import (
    BROADCAST,
    DATA_VALID,
    FINISHED,
    GSO_TCPV6,
    NEEDS_CSUM,
    frame,
    mac,
    unfinished,
    vnet,
)
from support.guest_memory import Memory
from support.guest_rig import Rig
from support.virtio_driver import Card
from vswitch._ports import punted
from vswitch._rules import set_reserved

FORMATS = pytest.mark.parametrize("packed", [False, True], ids=["split", "packed"])
GUEST, OTHER = mac(1), mac(2)
WIRE = 0  # the number of a rig's memory port
HEAD = 128  # VSW_HEAD in pieces.h
LENGTHS = [60, 127, 128, 129, 255, 256, 257, 258, 1514, 9018, 65_000]
BODY = bytes(i * 7 % 251 for i in range(66_000))


def long_frame(n: int, length: int = 1514, *, dst: bytes = BROADCAST) -> bytes:
    return frame(dst, GUEST, n.to_bytes(4, "big") + BODY[n : n + length - 18])


class SharedMemory(Memory):
    """That of two guests, who map the same file."""

    owners = 2

    def close(self) -> None:
        self.owners -= 1
        if not self.owners:
            super().close()


def guests_only(rig) -> Rig:
    """Where a flooded frame reaches no port that it has to be put together for."""
    net = rig()
    net.datapath.set_port(WIRE, forwarding=False)
    return net


def two(rig, **options: object) -> tuple[Rig, Card, Card]:
    net = guests_only(rig)
    a, b = (net.card(mtu=65_550, **options) for _ in range(2))
    b.post(2048, times=40)
    return net, a, b


def frames_of(card: Card) -> list[bytes]:
    return [f for _, f in card.receive()]


@FORMATS
@pytest.mark.parametrize("long_header", [False, True], ids=["legacy", "modern"])
@pytest.mark.parametrize("length", LENGTHS)
def test_a_frame_of_any_length_arrives_as_it_was(rig, packed, long_header, length):
    net = guests_only(rig)
    shape = {"packed": packed, "long_header": long_header, "mergeable": False}
    a, b = (net.card(mtu=65_550, **shape) for _ in range(2))
    b.post(66_000)
    a.send(long_frame(1, length))

    net.poll()

    assert frames_of(b) == [long_frame(1, length)]
    assert len(a.pairs[0].reap()) == 1


@FORMATS
@pytest.mark.parametrize("pieces", [2, 7, 8, 9, 63, 64, 65, 66, 67, 130])
@pytest.mark.parametrize("length", [257, 1514, 9000])
def test_a_frame_in_any_number_of_pieces_arrives_as_it_was(rig, packed, pieces, length):
    net, a, b = two(rig, packed=packed, size=512)
    cuts = sorted(random.Random(pieces).sample(range(1, length), pieces - 1))
    a.send(long_frame(1, length), cuts=cuts)
    a.send(long_frame(2, length), cuts=cuts)

    net.poll(2)

    assert frames_of(b) == [long_frame(1, length), long_frame(2, length)]
    assert len(a.pairs[0].reap()) == 2


@FORMATS
@pytest.mark.parametrize("cut", [12, 13, 100, 139, 140, 141, 142, 1513])
def test_a_frame_may_be_cut_around_its_head(rig, packed, cut):
    net, a, b = two(rig, packed=packed, size=64)
    a.send(long_frame(1), cuts=[cut])

    net.poll()

    assert frames_of(b) == [long_frame(1)]


@FORMATS
@pytest.mark.parametrize("first", ["wire", "guest"])
def test_a_flooded_frame_is_the_same_at_every_kind_of_port(rig, packed, first):
    net, a, b = two(rig, packed=packed, size=64)
    net.datapath.set_port(WIRE, forwarding=True)
    spread, whole = net.card(packed=not packed, size=64), net.card(mergeable=False)
    spread.post(100, times=60)
    whole.post(1000, 1000, times=5)
    sent = [long_frame(n, length) for n, length in enumerate([1514, 60, 300, 1500])]
    b.send(frame(mac(3), OTHER))
    net.from_guest()
    for card in (spread, whole):
        card.receive()
    # A burst is sent to ports in the order of its frames.
    own = [long_frame(9, dst=OTHER)] if first == "guest" else []
    for f in own:
        a.send(f)
    for f in sent:
        a.send(f, cuts=[50, 70])

    assert net.from_guest() == sent  # of a port that takes no pieces

    assert frames_of(b) == own + sent
    assert frames_of(spread) == frames_of(whole) == sent


@FORMATS
def test_a_long_frame_is_copied_when_it_is_sent_and_its_head_before(rig, packed):
    """The buffer that the first frame is written to lies over the second one: where that is copied
    from the arena, it arrives as it was."""
    net = guests_only(rig)
    memory = SharedMemory(4 << 20)
    a, b = net.card(memory=memory, packed=packed), net.card(memory=memory, packed=packed)
    at = memory.allocate(4096)
    b.post(2048, at=at)
    b.post(2048)
    first, second = long_frame(1), long_frame(2)
    a.send(first)
    a.send(second, at=at)

    net.poll()

    assert frames_of(b) == [first, second[:HEAD] + first[HEAD:]]
    assert not a.error
    assert not b.error


@FORMATS
def test_buffers_that_overlap_harm_nobody_else(rig, packed):
    net = guests_only(rig)
    memory = SharedMemory(4 << 20)
    a, b = net.card(memory=memory, packed=packed), net.card(memory=memory, packed=packed)
    other = net.card(packed=packed)
    other.post(2048)
    at = memory.allocate(8192)
    b.post(2048, at=at + 100)
    a.send(long_frame(1), at=at)

    net.poll()

    [got] = frames_of(b)
    assert got[:HEAD] == long_frame(1)[:HEAD]
    [got] = frames_of(other)
    assert (got[:HEAD], len(got)) == (long_frame(1)[:HEAD], 1514)
    assert net.counters(b)["tx_bytes"] == 1514


@FORMATS
def test_who_takes_the_end_of_a_frame_away_is_lost_and_nobody_else(rig, packed):
    net, a, b = two(rig, packed=packed, size=64, regions=(1 << 20, 1 << 16))
    end = a.memory.pieces[1].gpa
    a.send(long_frame(1), at=end - 12 - 200)
    os.ftruncate(a.memory.pieces[1].fd, 0)

    net.poll()

    assert frames_of(b) == [long_frame(1)[:200] + bytes(1514 - 200)]
    assert a.guest.lost
    assert not b.guest.lost
    assert not b.error
    a.memory.pieces[1].data.close()


@FORMATS
def test_a_senders_remarks_stay_here(rig, packed):
    net, a, b = two(rig, packed=packed, size=64)
    a.send(long_frame(1), vnet=vnet(DATA_VALID))

    net.poll()

    assert b.receive() == [(FINISHED + b"\1\0", long_frame(1))]


@FORMATS
def test_a_long_frame_for_the_control_plane_is_whole(rig, packed):
    net, a, b = two(rig, packed=packed, size=64)
    set_reserved(net.datapath, [14], "punt")
    f = long_frame(1, dst=bytes.fromhex("0180c200000e"))
    a.send(f, cuts=[200, 900])

    net.poll()

    assert punted(net.datapath) == [(a.number, bytes(10), f)]
    assert frames_of(b) == []
    assert len(a.pairs[0].reap()) == 1


@FORMATS
@pytest.mark.parametrize(("version", "protocol"), list(product((4, 6), ("tcp", "udp"))))
@pytest.mark.parametrize("gso_size", [0, 1000])
def test_work_left_undone_is_done_on_the_whole_frame(rig, packed, version, protocol, gso_size):
    """Each card gets what it gets of the same frame from a port that delivers it whole."""
    net, a, b = two(rig, packed=packed, size=64)
    takes = net.card(packed=packed, size=64, offloads=31)
    takes.post(2048, times=20)
    header, f = unfinished(
        BROADCAST, GUEST, version=version, protocol=protocol, payload=BODY[:5000],
        gso_size=gso_size, tags=2,
    )  # fmt: skip
    net.datapath.set_port(WIRE, forwarding=True)
    net.to_guest(f, vnet=header)
    net.datapath.set_port(WIRE, forwarding=False)
    expected = [card.receive() for card in (b, takes)]
    a.receive()

    a.send(f, vnet=header, cuts=[300, 3000])
    net.poll()

    assert [card.receive() for card in (b, takes)] == expected
    assert len(expected[0]) == (5 if gso_size else 1)


def with_options(options: int) -> tuple[bytes, bytes]:
    """A TCP super-frame with so many bytes of IPv6 options."""
    _, f = unfinished(BROADCAST, GUEST, version=6, protocol="tcp", payload=BODY[:3000])
    extension = bytes([6, options // 8 - 1]) + bytes(options - 2)
    f = f[:20] + b"\0" + f[21:54] + extension + f[54:]
    header = vnet(
        NEEDS_CSUM, GSO_TCPV6, gso_size=1000, csum_start=54 + options, csum_offset=16
    )  # fmt: skip
    return header, f


@FORMATS
@pytest.mark.parametrize("options", [8, 16, 64, 128, 1024])
def test_headers_longer_than_a_head_are_judged_as_a_whole(rig, packed, options):
    net = rig()
    a = net.card(packed=packed)
    header, f = with_options(options)
    a.send(f, vnet=header, cuts=[500])

    net.poll()

    assert net.wire.receive() == [(header, f)]


@FORMATS
def test_headers_that_go_on_behind_where_they_are_said_to_end_are_refused(rig, packed):
    net = rig()
    a = net.card(packed=packed)
    header, f = with_options(512)
    a.send(f, vnet=header[:6] + (54).to_bytes(2, "little") + header[8:])

    net.poll()

    assert net.wire.receive() == []
    assert net.counters(a)["bad_offload"] == 1
    assert len(a.pairs[0].reap()) == 1


@FORMATS
def test_buffers_come_back_whatever_becomes_of_their_frames(rig, packed):
    """Bad source; hairpin; blocked; no room; ring disabled."""
    net, a, b = two(rig, packed=packed, size=64)
    own, bad = long_frame(2, dst=OTHER), BROADCAST + BROADCAST + BODY[:1000]
    a.send(frame(BROADCAST, OTHER, BODY[:500]))
    net.poll()
    b.receive()
    given = len(a.pairs[0].reap())
    for f in (bad, own, own, bad):
        a.send(f)
        net.poll()
        given += len(a.pairs[0].reap())
    net.datapath.set_port(a.number, forwarding=False)
    a.send(long_frame(3))
    net.poll()
    net.datapath.set_port(a.number, forwarding=True)
    given += len(a.pairs[0].reap())
    for n in range(41):
        a.send(long_frame(n))
        net.poll()
        given += len(a.pairs[0].reap())
    a.guest.enable(1, enabled=False)
    a.send(long_frame(4))
    net.poll()

    assert given + len(a.pairs[0].reap()) == 1 + 4 + 1 + 41 + 1
    drops = net.counters(a)
    assert (drops["bad_source"], drops["hairpin"], drops["blocked"]) == (2, 2, 1)
    assert net.counters(b)["tx_full"] == 41 - 39


@FORMATS
def test_a_ring_stopped_and_started_neither_loses_nor_repeats_a_buffer(rig, packed):
    net, a, b = two(rig, packed=packed, size=64)
    given, got = 0, []
    for n in range(60):
        a.send(long_frame(n), cuts=[700])
        a.send(long_frame(n, 100))
        if n % 3 == 0:  # between two rounds, with both waiting
            a.start(1, a.guest.stop(1))
        net.poll()
        given += len(a.pairs[0].reap())
        got += frames_of(b)
        b.post(2048, times=2)

    assert got == [long_frame(n, length) for n in range(60) for length in (1514, 100)]
    assert given == 120
    assert a.pairs[0].tx.room() == 64


@FORMATS
def test_a_burst_of_long_frames_is_one_call(rig, packed):
    net, a, _ = two(rig, packed=packed, size=64)
    for n in range(8):
        a.send(long_frame(n))

    net.poll()

    assert os.eventfd_read(a.calls[1]) == 1


@FORMATS
def test_a_receiver_that_goes_keeps_nothing_of_the_senders(rig, packed):
    net, a, b = two(rig, packed=packed, size=64)
    gone = Card(net.datapath, packed=packed)
    for n in range(4):
        a.send(long_frame(n))
    net.poll()
    given = len(a.pairs[0].reap())
    gone.close()
    for n in range(4, 8):
        a.send(long_frame(n))
    net.poll()

    assert given == len(a.pairs[0].reap()) == 4
    assert frames_of(b) == [long_frame(n) for n in range(8)]
