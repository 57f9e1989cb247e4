"""vhost-user messages: what is packed is read back, and any bytes are a message or a WireError."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vswitch.errors import WireError
from vswitch.wire import vhost_user as wire
from vswitch.wire.vhost_user import Request

u32, u64 = st.integers(0, 2**32 - 1), st.integers(0, 2**64 - 1)
regions = st.builds(wire.Region, u64, u64, u64, u64)


def packed(region: wire.Region) -> bytes:
    return struct.pack(
        "=QQQQ", region.guest_address, region.size, region.user_address, region.mmap_offset
    )


@given(st.integers(0, 2**30 - 1), u32, st.integers(0, wire.PAYLOAD_MAX))
def test_a_header_is_read_back(request, flags, size):
    flags = flags & ~wire.VERSION_MASK | wire.VERSION

    header = wire.decode_header(wire.HEADER.pack(request, flags, size))

    assert header == wire.Header(request, flags, size)
    assert header.wants_reply == bool(flags & wire.NEED_REPLY)


@pytest.mark.parametrize(("flags", "size"), [(0, 0), (2, 0), (3, 0), (1, wire.PAYLOAD_MAX + 1)])
def test_a_header_of_another_version_or_too_long_is_refused(flags, size):
    with pytest.raises(WireError):
        wire.decode_header(wire.HEADER.pack(1, flags, size))


@given(u32, u32)
def test_a_state_is_read_back(index, value):
    state = wire.VringState(index, value)

    assert wire.decode(Request.SET_VRING_NUM, wire.vring_state(state)) == state


@given(u64)
def test_a_number_is_read_back(value):
    assert wire.decode(Request.SET_FEATURES, wire.u64(value)) == value


@given(st.lists(regions, max_size=wire.FDS_MAX))
def test_a_memory_table_is_read_back(table):
    payload = struct.pack("=II", len(table), 0) + b"".join(map(packed, table))

    assert wire.decode(Request.SET_MEM_TABLE, payload) == tuple(table)


@given(regions)
def test_a_region_is_read_back(region):
    assert wire.decode(Request.ADD_MEM_REG, bytes(8) + packed(region)) == region


@pytest.mark.parametrize(("count", "given_"), [(1, 0), (9, 9), (0xFFFFFFFF, 8)])
def test_a_table_with_fewer_regions_than_said_or_too_many_is_refused(count, given_):
    with pytest.raises(WireError):
        wire.decode(Request.SET_MEM_TABLE, struct.pack("=II", count, 0) + bytes(32 * given_))


@given(u32, u32, u64, u64, u64, u64)
def test_an_address_is_read_back_in_its_order(index, flags, desc, used, avail, log):
    payload = struct.pack("=IIQQQQ", index, flags, desc, used, avail, log)

    assert wire.decode(Request.SET_VRING_ADDR, payload) == wire.VringAddress(
        index, flags, desc, used, avail, log
    )


@given(st.integers(0, 255), st.booleans())
def test_a_descriptor_that_is_not_there_is_said_by_bit_8(index, has_fd):
    payload = wire.u64(index | (0 if has_fd else wire.NO_FD))

    assert wire.decode(Request.SET_VRING_KICK, payload) == wire.VringFd(index, has_fd)


@given(u32, u32, st.binary(max_size=256))
def test_a_configuration_is_read_back(offset, flags, data):
    config = wire.Config(offset, len(data), flags, data)

    assert wire.decode(Request.GET_CONFIG, wire.config(config)) == config


@given(u32, st.binary(max_size=300))
def test_a_reply_says_whose_it_is(request, payload):
    message = wire.reply(request, payload)

    assert wire.decode_header(message[:12]) == wire.Header(request, 5, len(payload))
    assert message[12:] == payload


@given(st.sampled_from(sorted(Request)), st.binary(max_size=320))
def test_any_bytes_are_a_payload_or_a_wire_error(request, payload):
    try:
        said = wire.decode(request, payload)
    except WireError:
        return
    assert not isinstance(said, tuple) or len(said) <= wire.FDS_MAX


@given(st.binary(min_size=12, max_size=12))
def test_any_bytes_are_a_header_or_a_wire_error(data):
    try:
        header = wire.decode_header(data)
    except WireError:
        return
    assert header.size <= wire.PAYLOAD_MAX
