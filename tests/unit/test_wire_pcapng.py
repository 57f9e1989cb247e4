"""Captures of blocks: what is read, what is written, and what is refused in which words."""

from __future__ import annotations

import struct
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.utils import RawPcapNgReader

from support.captures import Blocks
from support.frames import BROADCAST, frame, mac
from vswitch.errors import CaptureError
from vswitch.wire import capture, pcapng
from vswitch.wire.record import TIME_MAX_NS, Record

HELLO = frame(BROADCAST, mac(1), b"hello")
LITTLE, BIG = Blocks("<"), Blocks(">")
START = LITTLE.section() + LITTLE.interface()  # 28 and 20 bytes

timed = st.tuples(st.integers(0, TIME_MAX_NS), st.binary(max_size=100))


def read(data: bytes) -> list[Record]:
    return list(capture.read(data, "in.pcapng"))


@pytest.mark.parametrize("of", [LITTLE, BIG], ids=["little", "big"])
def test_both_byte_orders_are_read(of):
    data = of.section() + of.interface() + of.enhanced(5 << 32 | 7, HELLO, wire_len=99)

    assert read(data) == [Record((5 << 32 | 7) * 1000, HELLO, 99)]


@given(st.lists(timed, max_size=5))
def test_what_is_written_is_read_back(frames):
    data = pcapng.file_header("tap0") + b"".join(pcapng.record(*t) for t in frames)

    assert read(data) == [Record(time_ns, f, len(f)) for time_ns, f in frames]


def test_the_bytes_are_those_of_the_draft():
    assert pcapng.file_header("tap0") == bytes.fromhex(
        "0a0d0d0a 1c000000 4d3c2b1a 0100 0000 ffffffffffffffff 1c000000"
        "01000000 28000000 0100 0000 20000100 0200 0400 74617030 0900 0100 09000000 0000 0000"
        "28000000"
    )
    assert pcapng.record(1 << 32 | 2, b"abcde") == bytes.fromhex(
        "06000000 28000000 00000000 01000000 02000000 05000000 05000000 6162636465 000000 28000000"
    )


@pytest.mark.parametrize(
    ("options", "stamp", "time_ns"),
    [
        ((), 3, 3000),
        (((9, b"\x09"),), 3, 3),
        (((9, b"\x00"),), 3, 3 * 10**9),
        (((9, b"\x0c"),), 3_999, 3),
        (((9, b"\x8a"),), 512, 5 * 10**8),
        (((9, b"\x03"), (14, struct.pack("<q", 100))), 1, 100_001_000_000),
        (((14, struct.pack("<q", -1)),), 1_000_001, 1000),
        (((2, b"eth0"), (0, b""), (9, b"\x09")), 3, 3000),
    ],
)
def test_an_interface_says_what_a_unit_of_time_is(options, stamp, time_ns):
    data = LITTLE.section() + LITTLE.interface(options=options) + LITTLE.enhanced(stamp, HELLO)

    assert [r.time_ns for r in read(data)] == [time_ns]


def test_several_interfaces_have_each_their_own_unit():
    data = START + LITTLE.interface(options=((9, b"\x09"),))
    data += LITTLE.enhanced(1, HELLO) + LITTLE.enhanced(1, HELLO, interface=1)

    assert [r.time_ns for r in read(data)] == [1000, 1]


def test_a_section_begins_anew():
    one = START + LITTLE.interface() + LITTLE.enhanced(1, HELLO, interface=1)
    data = one + BIG.section() + BIG.interface() + BIG.enhanced(2, b"x")

    assert [r.frame for r in read(data)] == [HELLO, b"x"]
    with pytest.raises(CaptureError, match="interface 1, which nothing describes"):
        read(data + BIG.enhanced(1, HELLO, interface=1))


def test_a_simple_packet_has_the_time_of_the_one_before():
    data = LITTLE.section() + LITTLE.interface(snaplen=60)
    data += LITTLE.simple(HELLO) + LITTLE.enhanced(9, HELLO) + LITTLE.simple(HELLO, wire_len=1500)

    assert read(data) == [
        Record(0, HELLO, 60),
        Record(9000, HELLO, 60),
        Record(9000, HELLO, 1500),
    ]


def test_an_obsolete_packet_is_a_packet():
    body = struct.pack("<HHIIII", 0, 65535, 0, 5, 60, 60) + HELLO

    assert read(START + LITTLE.block(2, body)) == [Record(5000, HELLO, 60)]


def test_other_blocks_are_passed_over():
    data = START + LITTLE.block(5, b"statistics..") + LITTLE.enhanced(1, HELLO)

    assert len(read(data + LITTLE.block(0x80000001, b""))) == 1


def test_another_link_type_matters_only_to_those_who_come_by_it():
    data = LITTLE.section() + LITTLE.interface(link=127) + LITTLE.interface()
    data += LITTLE.enhanced(1, HELLO, interface=1)

    assert len(read(data)) == 1
    with pytest.raises(CaptureError, match=r"link type 127 \(IEEE 802.11 with radiotap\)"):
        read(data + LITTLE.enhanced(1, HELLO))


def test_scapy_reads_the_same(tmp_path):
    path = tmp_path / "x.pcapng"
    times = [10**9 + 1, 2 * 10**9]
    records = b"".join(pcapng.record(t, HELLO) for t in times)
    path.write_bytes(pcapng.file_header("tap0") + records)

    with RawPcapNgReader(str(path)) as theirs:
        found = [(f, (m.tshigh << 32 | m.tslow), m.tsresol, m.ifname) for f, m in theirs]

    assert found == [(HELLO, t, 10**9, b"tap0") for t in times]
    assert [r.time_ns for r in read(path.read_bytes())] == times


def test_tcpdump_reads_what_is_written(tmp_path):
    path = tmp_path / "x.pcapng"
    records = pcapng.record(1_000_000_123, HELLO) + pcapng.record(2_000_000_000, HELLO + b"odd")
    path.write_bytes(pcapng.file_header("a-longer-name") + records)

    said = subprocess.run(
        ["tcpdump", "-r", path, "-e", "-n", "-tt", "--nano"],
        capture_output=True, text=True, check=True, timeout=20,
    )  # fmt: skip

    assert said.stdout.startswith("1.000000123 02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff")
    assert said.stdout.count("ethertype") == 2


PACKET = LITTLE.enhanced(1, HELLO)
LIES = struct.pack("<IIIII", 0, 0, 0, 61, 61) + HELLO


@pytest.mark.parametrize(
    ("data", "sentence"),
    [
        (START[:11], "offset 0: the file ends inside the header of a block"),
        (START[:20], "offset 0: the file ends inside the header of a section"),
        (START[:8] + bytes(4) + START[12:], "offset 8: a section in no byte order"),
        (LITTLE.section(major=2), "offset 12: version 2.0, and 1.0 is known"),
        (START + PACKET[:11], "offset 48: the file ends inside the header of a block"),
        (START + PACKET[:-1], "offset 48: a block has 92 bytes, and the file ends after 91"),
        (
            START + PACKET[:-4] + bytes(4),
            "offset 48: a block has 92 bytes at its begin and 0 at its end",
        ),
        (
            START + b"\7\0\0\0\15\0\0\0" + bytes(9),
            "offset 48: a block of type 0x7 cannot have 13 bytes",
        ),
        (START + bytes(12), "offset 48: a block of type 0x0 cannot have 0 bytes"),
        (
            START + LITTLE.block(6, bytes(16)),
            "offset 48: a block of type 0x6 cannot have 28 bytes",
        ),
        (
            START + LITTLE.block(6, LIES),
            "offset 76: a packet of 61 bytes in a block with room for 60",
        ),
        (
            START + LITTLE.simple(HELLO, wire_len=61),
            "offset 60: a packet of 61 bytes in a block with room for 60",
        ),
        (
            START + LITTLE.enhanced(1, HELLO, wire_len=59),
            "offset 48: captured 60 bytes of a frame that had 59",
        ),
        (
            START + LITTLE.simple(bytes(65_569)),
            "offset 48: 65569 bytes are no frame: it has 65568 at most",
        ),
        (
            LITTLE.section() + PACKET,
            "offset 28: a packet of interface 0, which nothing describes",
        ),
        (
            LITTLE.section() + LITTLE.interface(options=((13, b"\4"),)),
            "offset 28: its frames end with an FCS of 4 bytes, which no port carries",
        ),
        (
            LITTLE.section() + LITTLE.interface(options=((9, b"\4\4"),)),
            "offset 28: option 9 has 2 bytes",
        ),
        (
            LITTLE.section() + LITTLE.block(1, bytes(8) + b"\2\0\5\0abcd"),
            "offset 44: option 2 has 5 bytes, more than its block",
        ),
        (
            LITTLE.section()
            + LITTLE.interface(options=((14, struct.pack("<q", -9)),))
            + LITTLE.enhanced(1, HELLO),
            "offset 64: a time -9 s from 1970 cannot be",
        ),
        (
            START + LITTLE.enhanced((1 << 64) - 1, HELLO),
            "offset 48: a time 18446744073709 s from 1970 cannot be",
        ),
    ],
)
def test_what_cannot_be_is_refused_with_its_offset(data, sentence):
    with pytest.raises(CaptureError) as caught:
        read(data)

    assert str(caught.value) == f"in.pcapng: {sentence}"
