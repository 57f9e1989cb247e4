"""What a sender left to the device, finished in plain Python: checksums, and super-frames cut.

The twin of ``datapath/gso.h`` and ``fragment.h``, whose beginnings say which fields a segment
has of its own. A header that does not fit its frame (``datapath/vnet.h``) is left on it, for
`Datapath` to drop and count.
"""

from __future__ import annotations

import os
import struct
from dataclasses import dataclass

# From specifications: struct virtio_net_hdr (virtio 1.2, 5.1.6), little endian.
VNET = struct.Struct("<BBHHHH")  # flags, gso_type, hdr_len, gso_size, csum_start, csum_offset
FINISHED = bytes(VNET.size)
NEEDS_CSUM = 1
TCPV4, UDP_WHOLE, TCPV6, UDP_L4, ECN = 1, 3, 4, 5, 0x80
TAGS = (0x8100, 0x88A8)  # IEEE 802.1Q 9.5
IPV4, IPV6, TCP, UDP = 0x0800, 0x86DD, 6, 17
HOPOPTS, ROUTING, FRAGMENT, DSTOPTS = 0, 43, 44, 60  # IPv6 extension headers (RFC 8200 4)
EXTENSIONS = (HOPOPTS, ROUTING, DSTOPTS)
MORE_IPV4, MORE_IPV6 = 0x2000, 1
FIN, PSH, CWR = 0x01, 0x08, 0x80

# Chosen by us, and the same in datapath/*.h.
TAGS_MAX, EXTENSIONS_MAX = 2, 8
SEGMENTS_MAX = 65535 // 48
FRAME_MAX = 65568


@dataclass(frozen=True, slots=True)
class _Layout:
    """Where the headers are, as offsets into the frame."""

    l3: int
    l4: int
    payload: int
    is_v6: bool
    is_udp: bool
    fragmentable: int
    next_at: int  # IPv6: the byte that says what lies at fragmentable


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
        cut = _fragments if gso_type == UDP_WHOLE else _cut
        return [FINISHED + segment for segment in cut(frame, at, gso_size)]
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
        _, l4, protocol, *_ = _find_l4(frame)
    except (ValueError, IndexError):
        return True
    return l4 != start or protocol == UDP


def _word(frame: bytes | bytearray, at: int) -> int:
    if at + 2 > len(frame):
        raise ValueError("the frame ends before")
    return int.from_bytes(frame[at : at + 2], "big")


def _find_l4(frame: bytes) -> tuple[int, int, int, int, int]:
    """Where IP and what lies in it begin, what that is, and as `_Layout` has it: fragmentable and
    next_at, which is 0 for IP version 4."""
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
        return l3, l3 + size, frame[l3 + 9], l3 + size, 0
    if ethertype == IPV6 and room >= 40 and frame[l3] >> 4 == 6:
        return (l3, *_skip_extensions(frame, l3))
    raise ValueError("not IP")


def _skip_extensions(frame: bytes, l3: int) -> tuple[int, int, int, int]:
    at, following = l3 + 40, frame[l3 + 6]
    fragmentable, next_at = at, l3 + 6
    for _ in range(EXTENSIONS_MAX):
        if following not in EXTENSIONS or at + 8 > len(frame):
            break
        end = at + 8 * (frame[at + 1] + 1)
        if following != DSTOPTS:
            fragmentable, next_at = end, at
        following, at = frame[at], end
    if following in EXTENSIONS or at > len(frame):
        raise ValueError("extension headers without end")
    return at, following, fragmentable, next_at


def _layout(frame: bytes) -> _Layout:
    l3, l4, protocol, fragmentable, next_at = _find_l4(frame)
    size = 4 * (frame[l4 + 12] >> 4) if protocol == TCP else 8
    if protocol not in (TCP, UDP) or size < (20 if protocol == TCP else 8):
        raise ValueError("neither TCP nor UDP")
    if l4 + size > len(frame):
        raise ValueError("the frame ends before its payload")
    is_v6, is_udp = bool(next_at), protocol == UDP
    return _Layout(l3, l4, l4 + size, is_v6, is_udp, fragmentable, next_at)


def _check(at: _Layout, flags: int, gso_type: int, gso_size: int, start: int, offset: int) -> None:
    """Compare the virtio-net header with the frame it came with."""
    tcp = TCPV6 if at.is_v6 else TCPV4
    kinds = (UDP_L4, UDP_WHOLE) if at.is_udp else (tcp, tcp | ECN)
    if not flags & NEEDS_CSUM or not gso_size or gso_type not in kinds:
        raise ValueError("not what it says")
    if (start, offset) != (at.l4, 6 if at.is_udp else 16):
        raise ValueError("its checksum is elsewhere")
    if gso_type == UDP_WHOLE and gso_size & ~7 < at.payload - at.fragmentable:
        raise ValueError("its first fragment would not have all headers")


def _parts(data: bytes, size: int) -> list[bytes]:
    parts = [data[i : i + size] for i in range(0, len(data), size)] or [b""]
    if len(parts) > SEGMENTS_MAX:
        raise ValueError("too many segments")
    return parts


def _cut(frame: bytes, at: _Layout, gso_size: int) -> list[bytes]:
    parts = _parts(frame[at.payload :], gso_size)
    return [
        _segment(frame, at, i * gso_size, part, index=i, is_last=i == len(parts) - 1)
        for i, part in enumerate(parts)
    ]


def _fragments(frame: bytes, at: _Layout, gso_size: int) -> list[bytes]:
    """A UDP datagram as IP fragments: see ``datapath/fragment.h``."""
    frame = _summed(frame, at.l4, 6)
    head, rest = frame[: at.fragmentable], frame[at.fragmentable :]
    if len(rest) <= gso_size:
        return [_piece(head, at, b"", rest)]
    size = gso_size & ~7
    if at.is_v6 and at.fragmentable + 8 + size > FRAME_MAX:
        raise ValueError("a fragment would be too long")
    following, ident = frame[at.next_at], os.urandom(4)
    if at.is_v6:
        head = head[: at.next_at] + bytes([FRAGMENT]) + head[at.next_at + 1 :]
    pieces = []
    for i, part in enumerate(parts := _parts(rest, size)):
        more = i + 1 < len(parts)
        if at.is_v6:
            where = i * size | (MORE_IPV6 if more else 0)
            pieces.append(_piece(head, at, struct.pack(">BxH", following, where) + ident, part))
        else:
            where = i * size // 8 | (MORE_IPV4 if more else 0)
            fragment = head[: at.l3 + 6] + where.to_bytes(2, "big") + head[at.l3 + 8 :]
            pieces.append(_piece(fragment, at, b"", part))
    return pieces


def _piece(head: bytes, at: _Layout, header: bytes, part: bytes) -> bytes:
    """*part* behind the headers, with the length of both in them."""
    made = bytearray(head)
    if at.is_v6:
        struct.pack_into(">H", made, at.l3 + 4, len(head + header + part) - at.l3 - 40)
    else:
        _put_ipv4(made, at, len(part), 0)
    return bytes(made) + header + part


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
