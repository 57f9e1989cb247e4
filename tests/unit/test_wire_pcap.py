"""Classic captures: what is read, what is written, and what is refused in which words."""

from __future__ import annotations

import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import RawPcapReader

from support.captures import classic_header, classic_record
from support.frames import BROADCAST, frame, mac
from vswitch._fastpath import FRAME_MAX
from vswitch.errors import CaptureError
from vswitch.wire import capture, pcap
from vswitch.wire.record import LENGTH_MAX, Record

HELLO = frame(BROADCAST, mac(1), b"hello")
MICRO, NANO = 0xA1B2C3D4, 0xA1B23C4D
VARIANTS = [(sign, magic) for sign in "<>" for magic in (MICRO, NANO)]

timed = st.tuples(st.integers(0, (1 << 32) * 10**9 - 1), st.binary(max_size=100))


def read(data: bytes) -> list[Record]:
    return list(capture.read(data, "in.pcap"))


@pytest.mark.parametrize(("sign", "magic"), VARIANTS)
def test_both_byte_orders_and_both_units_are_read(sign, magic):
    unit = 1 if magic == NANO else 1000
    data = classic_header(sign=sign, magic=magic)
    data += classic_record(7, 5, HELLO, sign=sign) + classic_record(8, 0, b"", sign=sign)

    assert read(data) == [Record(7 * 10**9 + 5 * unit, HELLO, 60), Record(8 * 10**9, b"", 0)]


@given(st.lists(timed, max_size=5))
def test_what_is_written_is_read_back(frames):
    data = pcap.file_header("any") + b"".join(pcap.record(*t) for t in frames)

    assert read(data) == [Record(time_ns, f, len(f)) for time_ns, f in frames]


def test_the_bytes_are_those_of_the_draft():
    assert pcap.file_header("x") == bytes.fromhex(
        "4d3cb2a1 0200 0400 00000000 00000000 20000100 01000000"
    )
    assert pcap.record(3_000_000_004, b"ab") == bytes.fromhex(
        "03000000 04000000 02000000 02000000 6162"
    )


@pytest.mark.parametrize(("sign", "magic"), VARIANTS)
def test_scapy_reads_the_same(tmp_path, sign, magic):
    path = tmp_path / "x.pcap"
    records = [classic_record(10 + i, i, HELLO, sign=sign, wire_len=60 + i) for i in range(3)]
    path.write_bytes(classic_header(sign=sign, magic=magic) + b"".join(records))

    with RawPcapReader(str(path)) as theirs:
        unit = 1 if theirs.nano else 1000
        found = [Record(m.sec * 10**9 + m.usec * unit, f, m.wirelen) for f, m in theirs]

    assert read(path.read_bytes()) == found


def test_tcpdump_reads_what_is_written(tmp_path):
    path = tmp_path / "x.pcap"
    path.write_bytes(pcap.file_header("x") + pcap.record(1_000_000_123, HELLO))

    said = subprocess.run(
        ["tcpdump", "-r", path, "-e", "-n", "-tt", "--nano"],
        capture_output=True, text=True, check=True, timeout=20,
    )  # fmt: skip

    assert said.stdout.startswith("1.000000123 02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff")
    assert said.stdout.count("ethertype") == 1


def test_a_frame_that_was_cut_keeps_the_length_it_had():
    data = classic_header(snaplen=60) + classic_record(1, 0, HELLO, wire_len=1514)

    assert read(data) == [Record(10**9, HELLO, 1514)]


def test_the_longest_frame_is_the_datapaths():
    assert LENGTH_MAX == FRAME_MAX


ONE = classic_header() + classic_record(1, 0, HELLO)


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (b"", "offset 0: not a capture (pcap or pcapng)"),
        (b"\xa1\xb2", "offset 0: not a capture (pcap or pcapng)"),
        (b"#!/bin/sh", "offset 0: not a capture (pcap or pcapng)"),
        (classic_header()[:23], "offset 0: the file ends inside its header"),
        (classic_header(version=3), "offset 4: version 3.4, and 2.4 is known"),
        (
            classic_header(link=113),
            "offset 20: link type 113 (Linux cooked, tcpdump -i any), "
            "and a switch takes Ethernet (1) only",
        ),
        (
            classic_header(link=9999),
            "offset 20: link type 9999, and a switch takes Ethernet (1) only",
        ),
        (
            classic_header(link=2 << 28 | 1 << 26 | 1),
            "offset 20: its frames end with an FCS of 4 bytes, which no port carries",
        ),
        (ONE[:-61], "offset 24: the file ends inside the header of a record"),
        (ONE[:-1], "offset 40: a record has 60 bytes, and the file ends after 59"),
        (ONE + ONE[24:40], "offset 116: a record has 60 bytes, and the file ends after 0"),
        (
            classic_header() + classic_record(1, 1_000_000, HELLO),
            "offset 24: 1000000 of 1000000 parts of a second have passed",
        ),
        (
            classic_header() + classic_record(1, 0, HELLO, wire_len=59),
            "offset 24: captured 60 bytes of a frame that had 59",
        ),
        (
            classic_header(snaplen=59) + classic_record(1, 0, HELLO),
            "offset 24: captured 60 bytes where 59 are the most (snaplen)",
        ),
        (
            classic_header(snaplen=0) + classic_record(1, 0, bytes(65_569)),
            "offset 24: 65569 bytes are no frame: it has 65568 at most",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_offset(data, sentence):
    with pytest.raises(CaptureError) as caught:
        read(data)

    assert str(caught.value) == f"in.pcap: {sentence}"


def test_fcs_bits_without_their_flag_say_nothing():
    assert len(read(classic_header(link=2 << 28 | 1) + classic_record(1, 0, HELLO))) == 1


def test_a_time_after_2106_is_no_record():
    with pytest.raises(ValueError, match="pcap knows no time after 2106"):
        pcap.record((1 << 32) * 10**9, b"")
