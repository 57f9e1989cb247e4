"""Segments as scapy sees them: whole, in order, and with every checksum right."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from support.budget import examples
from support.judge import finished, is_fragment, reassembled
from support.super_frames import Finisher, build, datagrams, super_frames


@pytest.fixture(scope="module")
def finisher(tmp_path_factory) -> Iterator:
    with Finisher(tmp_path_factory.mktemp("finisher")) as finisher:
        yield finisher


def recomputed(segment: bytes) -> bytes:
    """The segment with its lengths and checksums as scapy would have written them."""
    packet = Ether(segment)
    for layer, fields in (
        (IP, ("len", "chksum")),
        (IPv6, ("plen",)),
        (TCP, ("chksum",)),
        (UDP, ("len", "chksum")),
    ):
        if layer in packet:
            for field in fields:
                packet[layer].delfieldval(field)
    return bytes(packet)


def same_but_zero(field: int, ours: bytes, scapys: bytes) -> bool:
    """Equal, 0 and 0xffff being the same checksum: scapy may write either."""
    if ours[field : field + 2] == b"\0\0" != scapys[field : field + 2]:
        ours = ours[:field] + b"\xff\xff" + ours[field + 2 :]
    return ours == scapys


def tcp_of(segment: bytes) -> Packet:
    return Ether(segment)[TCP]


@settings(deadline=None, max_examples=examples(50))
@given(s=super_frames())
def test_segments_are_what_scapy_would_build(finisher, s):
    segments = finisher.finish(s.vnet, s.frame)

    field = s.l4 + (6 if s.is_udp else 16)
    assert b"".join(f[s.payload :] for f in segments) == s.frame[s.payload :]
    assert {len(f) - s.payload for f in segments[:-1]} == {s.gso_size}
    assert 0 < len(segments[-1]) - s.payload <= s.gso_size
    for f in segments:
        assert same_but_zero(field, f, recomputed(f))


@settings(deadline=None, max_examples=examples(50))
@given(s=datagrams())
def test_fragments_are_the_datagram_for_who_reassembles_them(finisher, s):
    fragments = finisher.finish(s.vnet, s.frame)

    whole = reassembled(fragments) if is_fragment(fragments[0]) else finished(*fragments)
    assert bytes(whole)[8:] == s.frame[s.payload :]
    assert bytes(whole)[:6] == s.frame[s.l4 : s.l4 + 6]
    assert len({len(f) for f in fragments[:-1]}) <= 1
    assert len(fragments) == max(1, -(-(len(s.frame) - s.l4) // s.gso_size))


@settings(deadline=None, max_examples=examples(25))
@given(s=super_frames().filter(lambda s: not s.is_udp))
def test_tcp_segments_continue_one_another(finisher, s):
    segments = [tcp_of(f) for f in finisher.finish(s.vnet, s.frame)]
    whole = tcp_of(s.frame)

    for i, t in enumerate(segments):
        last = i == len(segments) - 1
        assert t.seq == (whole.seq + i * s.gso_size) % 2**32
        here = {"F": last, "P": last, "C": i == 0}
        assert (t.ack, t.window, t.options) == (whole.ack, whole.window, whole.options)
        for flag in "FSRPAUECN":
            expected = getattr(whole.flags, flag) and here.get(flag, True)
            assert getattr(t.flags, flag) == expected


@settings(deadline=None, max_examples=examples(25))
@given(s=super_frames().filter(lambda s: not s.is_v6))
def test_ipv4_segments_count_their_identification(finisher, s):
    segments = finisher.finish(s.vnet, s.frame)

    first = Ether(s.frame)[IP].id
    assert [Ether(f)[IP].id for f in segments] == [
        (first + i) % 2**16 for i in range(len(segments))
    ]


@settings(deadline=None, max_examples=examples(40))
@given(
    is_v6=st.booleans(),
    is_udp=st.booleans(),
    tags=st.integers(0, 2),
    payload_len=st.integers(0, 1500),
    seed=st.integers(0, 0xFFFF),
)
def test_a_finished_checksum_is_the_one_scapy_computes(finisher, **shape):
    s = build(gso=False, **shape)

    (finished,) = finisher.finish(s.vnet, s.frame)

    assert same_but_zero(s.l4 + (6 if s.is_udp else 16), finished, recomputed(finished))
    assert len(finished) == len(s.frame)


@settings(deadline=None, max_examples=examples(100))
@given(
    vnet=st.binary(min_size=10, max_size=10),
    frame=st.binary(min_size=14, max_size=200),
    flags=st.sampled_from([0, 1]),
    gso_type=st.sampled_from([0, 1, 3, 4, 5]),
)
def test_arbitrary_bytes_are_refused_or_finished(finisher, vnet, frame, flags, gso_type):
    finished = finisher.finish(bytes([flags, gso_type]) + vnet[2:], frame)

    assert finished is None or [len(f) for f in finished] == [len(frame)]


@settings(deadline=None, max_examples=examples(50))
@given(
    s=super_frames() | datagrams(),
    hits=st.lists(st.tuples(st.integers(0, 150), st.integers(0, 255)), max_size=3),
)
def test_damaged_super_frames_are_refused_or_finished(finisher, s, hits):
    """The C side runs under sanitizers: it ends, and every later test fails, if it strays."""
    damaged = bytearray(s.vnet + s.frame)
    for at, value in hits:
        damaged[at % len(damaged)] = value

    finished = finisher.finish(bytes(damaged[:10]), bytes(damaged[10:]))

    assert finished is None or sum(map(len, finished)) >= len(s.frame)
