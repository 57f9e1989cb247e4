"""Any bytes as a capture: frames, or one error in words, and nothing else."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from support.budget import examples
from support.captures import Blocks, classic_header, classic_record
from vswitch.errors import CaptureError
from vswitch.wire import capture
from vswitch.wire.record import LENGTH_MAX, TIME_MAX_NS

LITTLE, BIG = Blocks("<"), Blocks(">")
PIECES = [
    *[p for b in (LITTLE, BIG) for p in (
        b.section(), b.interface(options=((9, b"\x8a"), (14, bytes(8)))), b.interface(link=113),
        b.enhanced(1 << 40, bytes(61)), b.simple(bytes(60)), b.block(2, bytes(40)), b.block(5, b""),
    )],
    *[p for sign in "<>" for p in (
        classic_header(sign=sign), classic_header(sign=sign, magic=0xA1B23C4D),
        classic_record(1, 2, bytes(60), sign=sign),
    )],
]  # fmt: skip


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Pieces of captures, some bytes of which are others now."""
    first = st.sampled_from([p for p in PIECES if p[:2] in (b"\n\r", b"\xa1\xb2", b"\xd4\xc3")])
    parts = [draw(first), *draw(st.lists(st.sampled_from(PIECES), max_size=6))]
    data = bytearray(b"".join(parts))
    for at in draw(st.lists(st.integers(0, len(data) - 1), max_size=4)):
        data[at] = draw(st.sampled_from([0, 1, 4, 0x7F, 0x80, 0xFF]))
    return bytes(data[: draw(st.integers(0, len(data)))] if draw(st.booleans()) else data)


@settings(max_examples=examples(500), deadline=None)
@given(st.one_of(damaged(), st.binary(max_size=200)))
@example(
    LITTLE.section() + LITTLE.interface(options=((9, b"\xff"),)) + LITTLE.enhanced(2**64 - 1, b"")
)
@example(
    LITTLE.section() + LITTLE.interface(options=((9, b"\x7f"),)) + LITTLE.enhanced(2**64 - 1, b"")
)
def test_any_bytes_are_frames_or_one_error(data):
    records, error = [], None
    try:
        records.extend(capture.read(data, "x"))
    except CaptureError as e:
        error = e

    for record in records:
        assert 0 <= record.time_ns <= TIME_MAX_NS
        assert len(record.frame) <= min(LENGTH_MAX, record.wire_len)
        assert record.frame in data
    if error:
        assert 0 <= error.offset <= len(data)
        assert str(error).startswith(f"x: offset {error.offset}: ")
