"""Probes of the loop detector as bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.errors import WireError
from vswitch.wire.loop import Probe, is_from, packed, parsed

KEY, ID = b"k" * 32, b"12345678"
PROBE = Probe(ID, port=3, vid=10, number=77)
TAG = b"\x81\x00\x00\x0a"


def test_a_probe_as_it_is_on_the_wire():
    frame = packed(PROBE, KEY)

    assert frame[:42].hex(" ", 2) == (
        "0356 5357 4c50 0231 3233 0003 9000 0000 0100 0000 0100 3132 3334 3536 3738 0003 000a "
        "0000 0000 0000 004d"
    )
    assert len(frame) == 58


@pytest.mark.parametrize("tags", [b"", TAG, TAG + TAG])
def test_a_probe_is_read_whatever_tags_it_got(tags):
    frame = packed(PROBE, KEY)
    frame = frame[:12] + tags + frame[12:] + bytes(9)  # padding

    assert parsed(frame, KEY) == PROBE
    assert is_from(frame, ID)
    assert not is_from(frame, b"87654321")


def test_one_of_another_key_is_none():
    with pytest.raises(WireError, match="another key"):
        parsed(packed(PROBE, b"other"), KEY)


@given(st.integers(14, 57), st.integers(1, 255))
def test_a_changed_byte_is_noticed(at, change):
    frame = bytearray(packed(PROBE, KEY))
    frame[at] ^= change

    with pytest.raises(WireError):
        parsed(bytes(frame), KEY)


@given(st.binary(max_size=70))
def test_any_bytes_are_refused(data):
    with pytest.raises(WireError):
        parsed(data, KEY)
    with pytest.raises(WireError):
        parsed(packed(PROBE, KEY)[: len(data) % 58], KEY)
