"""What a sender left to the device, finished in plain Python: checksums, and super-frames cut.

The twin of ``datapath/gso.h``, whose beginning says which fields a segment has of its own. A header
that does not fit its frame (``datapath/vnet.h``) is left on it, for `Datapath` to drop and count.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

# From specifications: struct virtio_net_hdr (virtio 1.2, 5.1.6), little endian.
VNET = struct.Struct("<BBHHHH")  # flags, gso_type, hdr_len, gso_size, csum_start, csum_offset
FINISHED = bytes(VNET.size)
NEEDS_CSUM = 1
TCPV4, TCPV6, UDP_L4, ECN = 1, 4, 5, 0x80
TAGS = (0x8100, 0x88A8)  # IEEE 802.1Q 9.5
IPV4, IPV6, TCP, UDP = 0x0800, 0x86DD, 6, 17
EXTENSIONS = (0, 60, 43)  # IPv6: hop-by-hop, destination options, routing (RFC 8200 4)
FIN, PSH, CWR = 0x01, 0x08, 0x80

# Chosen by us, and the same in datapath/*.h.
TAGS_MAX, EXTENSIONS_MAX = 2, 8
SEGMENTS_MAX = 65535 // 48


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the headers are, as offsets into the frame."""

    l3: int
    l4: int
    payload: int
    is_v6: bool
    is_udp: bool


def finish(record: bytes) -> list[bytes]:
    """The finished records of one; itself, if there is nothing to do, or it cannot be done."""
    if len(record) < VNET.size:
        return [record[VNET.size :]]
    flags, gso_type, _, gso_size, start, offset = VNET.unpack_from(record)
    frame = record[VNET.size :]
    if not flags & NEEDS_CSUM and not gso_type:
        return [record]
    try:
        if not gso_type:
            return [FINISHED + _summed(frame, start, offset)]
        at = _layout(frame)
        _check(at, flags, gso_type, gso_size, start, offset)
        return [FINISHED + segment for segment in _cut(frame, at, gso_size)]
    except (ValueError, IndexError, struct.error):
        return [record]


def ones_sum(data: bytes | bytearray) -> int:
    """The ones' complement sum of 16-bit words, folded (RFC 1071)."""
    total: int = sum(struct.unpack(f">{(len(data) + 1) // 2}H", data + bytes(len(data) % 2)))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total


def _summed(frame: bytes, start: int, offset: int) -> bytes:
    field = start + offset
    if start < 14 or field + 2 > len(frame):
        raise ValueError("the checksum is outside of the frame")
    csum = 0xFFFF - ones_sum(frame[start:])
    if not csum and offset == 6 and _may_be_udp(frame, start):
        csum = 0xFFFF  # 0 means none (RFC 768)
    return frame[:field] + csum.to_bytes(2, "big") + frame[field + 2 :]


def _may_be_udp(frame: bytes, start: int) -> bool:
    try:
        _, l4, protocol, _ = _find_l4(frame)
    except (ValueError, IndexError):
        return True
    return l4 != start or protocol == UDP


def _word(frame: bytes | bytearray, at: int) -> int:
    if at + 2 > len(frame):
        raise ValueError("the frame ends before")
    return int.from_bytes(frame[at : at + 2], "big")


def _find_l4(frame: bytes) -> tuple[int, int, int, bool]:
    """Where IP and what lies in it begin, what that is, and whether IP is version 6."""
    type_at = 12
    while (ethertype := _word(frame, type_at)) in TAGS:
        type_at += 4
        if type_at > 12 + 4 * TAGS_MAX:
            raise ValueError("too many tags")
    l3 = type_at + 2
    room = len(frame) - l3
    if ethertype == IPV4 and 20 <= room <= 65535 and frame[l3] >> 4 == 4:
        size = 4 * (frame[l3] & 15)
        if not 20 <= size <= room or _word(frame, l3 + 6) & 0x3FFF:
            raise ValueError("a fragment, or not whole")
        return l3, l3 + size, frame[l3 + 9], False
    if ethertype == IPV6 and room >= 40 and frame[l3] >> 4 == 6:
        return (l3, *_skip_extensions(frame, l3 + 40, frame[l3 + 6]), True)
    raise ValueError("not IP")


def _skip_extensions(frame: bytes, at: int, following: int) -> tuple[int, int]:
    for _ in range(EXTENSIONS_MAX):
        if following not in EXTENSIONS:
            return at, following
        if at + 8 > len(frame):
            break
        following, at = frame[at], at + 8 * (frame[at + 1] + 1)
        if at > len(frame):
            break
    if following in EXTENSIONS or at > len(frame):
        raise ValueError("extension headers without end")
    return at, following


def _layout(frame: bytes) -> _Layout:
    l3, l4, protocol, is_v6 = _find_l4(frame)
    size = 4 * (frame[l4 + 12] >> 4) if protocol == TCP else 8
    if protocol not in (TCP, UDP) or size < (20 if protocol == TCP else 8):
        raise ValueError("neither TCP nor UDP")
    if l4 + size > len(frame):
        raise ValueError("the frame ends before its payload")
    return _Layout(l3, l4, l4 + size, is_v6, protocol == UDP)


def _check(at: _Layout, flags: int, gso_type: int, gso_size: int, start: int, offset: int) -> None:
    """Compare the virtio-net header with the frame it came with."""
    kind = UDP_L4 if at.is_udp else (TCPV6 if at.is_v6 else TCPV4) | (gso_type & ECN)
    if not flags & NEEDS_CSUM or not gso_size or gso_type != kind:
        raise ValueError("not what it says")
    if (start, offset) != (at.l4, 6 if at.is_udp else 16):
        raise ValueError("its checksum is elsewhere")


def _cut(frame: bytes, at: _Layout, gso_size: int) -> list[bytes]:
    payload = frame[at.payload :]
    parts = [payload[i : i + gso_size] for i in range(0, len(payload), gso_size)] or [b""]
    if len(parts) > SEGMENTS_MAX:
        raise ValueError("too many segments")
    return [
        _segment(frame, at, i * gso_size, part, index=i, is_last=i == len(parts) - 1)
        for i, part in enumerate(parts)
    ]


def _segment(
    frame: bytes, at: _Layout, done: int, part: bytes, *, index: int, is_last: bool
) -> bytes:
    head = bytearray(frame[: at.payload])
    length = at.payload - at.l4 + len(part)
    if at.is_v6:
        struct.pack_into(">H", head, at.l3 + 4, at.l4 - at.l3 - 40 + length)
    else:
        _put_ipv4(head, at, length, index)
    # The checksum field holds the sum of the pseudo header, with the length of all.
    field = at.l4 + (6 if at.is_udp else 16)
    old = _word(frame, at.l4 + 4) if at.is_udp else len(frame) - at.l4
    if at.is_udp:
        struct.pack_into(">H", head, at.l4 + 4, length)
    else:
        _put_tcp(head, at.l4, done, is_last=is_last)
    csum = 0xFFFF - ones_sum(
        head[at.l4 :] + part + bytes(len(part) % 2) + struct.pack(">HH", 0xFFFF - old, length)
    )
    struct.pack_into(">H", head, field, csum or 0xFFFF if at.is_udp else csum)
    return bytes(head) + part


def _put_ipv4(head: bytearray, at: _Layout, length: int, index: int) -> None:
    ident = _word(head, at.l3 + 4) + index & 0xFFFF
    struct.pack_into(">HH", head, at.l3 + 2, at.l4 - at.l3 + length, ident)
    struct.pack_into(">H", head, at.l3 + 10, 0)
    struct.pack_into(">H", head, at.l3 + 10, 0xFFFF - ones_sum(head[at.l3 : at.l4]))


def _put_tcp(head: bytearray, l4: int, done: int, *, is_last: bool) -> None:
    seq = int.from_bytes(head[l4 + 4 : l4 + 8], "big") + done & 0xFFFFFFFF
    struct.pack_into(">I", head, l4 + 4, seq)
    if not is_last:
        head[l4 + 13] &= ~(FIN | PSH) & 0xFF
    if done:
        head[l4 + 13] &= ~CWR & 0xFF
