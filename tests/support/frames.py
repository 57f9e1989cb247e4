"""Frames and virtio-net headers as bytes."""

from __future__ import annotations

import socket
import struct

BROADCAST = b"\xff" * 6
FINISHED = bytes(10)
EXPERIMENTAL = 0x88B5  # IEEE 802 local experimental EtherType: no kernel sends it by itself

# <linux/virtio_net.h>
NEEDS_CSUM, DATA_VALID = 1, 2
GSO_NONE, GSO_TCPV4, GSO_UDP, GSO_TCPV6, GSO_UDP_L4, GSO_ECN = 0, 1, 3, 4, 5, 0x80


def mac(number: int) -> bytes:
    """The address of station *number*: locally administered, unicast."""
    return b"\x02" + number.to_bytes(5, "big")


def frame(
    dst: bytes, src: bytes, payload: bytes = b"", *, ethertype: int = EXPERIMENTAL, pad_to: int = 60
) -> bytes:
    """An Ethernet frame of at least *pad_to* bytes."""
    return (dst + src + struct.pack(">H", ethertype) + payload).ljust(pad_to, b"\0")


def vnet(
    flags: int = 0,
    gso_type: int = GSO_NONE,
    *,
    hdr_len: int = 0,
    gso_size: int = 0,
    csum_start: int = 0,
    csum_offset: int = 0,
) -> bytes:
    """A virtio-net header (virtio 1.2, 5.1.6), little endian, without num_buffers."""
    return struct.pack("<BBHHHH", flags, gso_type, hdr_len, gso_size, csum_start, csum_offset)


def asks_for_nothing(header: bytes) -> bool:
    """Whether a virtio-net header leaves no work undone."""
    return not header[0] & NEEDS_CSUM and header[1] == GSO_NONE


def unfinished(
    dst: bytes, src: bytes, *, version: int, protocol: str, payload: bytes, gso_size: int = 0,
    tags: int = 0, port: int = 4000, whole: bool = False, ends: tuple[str, str] | None = None,
) -> tuple[bytes, bytes]:  # fmt: skip
    """(virtio-net header, frame) of TCP or UDP as a sender with offloads makes it.

    The checksum field holds the sum of the pseudo header; with *gso_size* the payload is that
    of several segments, or with *whole* that of one datagram to be fragmented. It goes to
    port 5001. *ends*: the IP addresses of source and destination.
    """
    is_tcp = protocol == "tcp"
    number = 6 if is_tcp else 17
    if is_tcp:
        l4 = struct.pack(">HHIIBBHHH", port, 5001, 1000, 2000, 0x50, 0x18, 512, 0, 0)
    else:
        l4 = struct.pack(">HHHH", port, 5001, (8 + len(payload)) & 0xFFFF, 0)
    at = 16 if is_tcp else 6
    length = len(l4) + len(payload)
    if version == 4:
        addresses = _packed(socket.AF_INET, ends or ("192.0.2.1", "192.0.2.2"))
        head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + length, 7, 0x4000, 64, number, 0)
        l3 = head[:10] + struct.pack(">H", 0xFFFF - ones_sum(head + addresses)) + addresses
        pseudo = ones_sum(addresses + struct.pack(">HH", number, length))
    else:
        addresses = _packed(socket.AF_INET6, ends or ("2001:db8::1", "2001:db8::2"))
        l3 = struct.pack(">IHBB", 6 << 28, length, number, 64) + addresses
        pseudo = ones_sum(addresses + struct.pack(">II", length, number))
    l4 = l4[:at] + struct.pack(">H", pseudo) + l4[at + 2 :]
    ethertype = struct.pack(">H", 0x0800 if version == 4 else 0x86DD)
    front = dst + src + b"\x81\x00\x00\x05" * tags + ethertype + l3
    gso_type = GSO_NONE
    if gso_size:
        gso_type = (GSO_TCPV4 if version == 4 else GSO_TCPV6) if is_tcp else GSO_UDP_L4
        gso_type = GSO_UDP if whole else gso_type
    header = vnet(
        NEEDS_CSUM, gso_type, hdr_len=len(front) + len(l4), gso_size=gso_size,
        csum_start=len(front), csum_offset=at,
    )  # fmt: skip
    return header, front + l4 + payload


def _packed(family: int, addresses: tuple[str, str]) -> bytes:
    return b"".join(socket.inet_pton(family, address) for address in addresses)


def ones_sum(data: bytes) -> int:
    """The folded ones-complement sum of 16-bit words (RFC 1071); not complemented."""
    words = struct.unpack(f">{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2))
    total = sum(words)
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total
