"""Captures of blocks (.pcapng): sections, each of several interfaces, in any unit of time.

Every block (draft-ietf-opsawg-pcapng section 3.1), in the byte order of its section::

    type (4 bytes), length of all of it (4), body, padding to 4 bytes, the length again (4)

What is read of the bodies (section 4):

    4.1 Section Header      byte order magic, version; who wrote it does not matter
    4.2 Interface           link type (2), reserved (2), snaplen (4), options
    4.3 Enhanced Packet     interface (4), time (8, upper half first), captured (4), length (4),
                            the frame, padding, options
    4.4 Simple Packet       length (4), the frame up to interface 0's snaplen
    A   Packet (obsolete)   as 4.3, interface (2) and drops (2)

and of the options of an interface: 9 if_tsresol, the unit of time (10^-n, or 2^-n with the upper
bit set; 10^-6 by default), 13 if_fcslen, 14 if_tsoffset, seconds to be added. Blocks of other
types are passed over, their lengths checked. A Simple Packet has no time: it gets that of the
frame before it.

We write one section of one interface, little endian, nanoseconds, Enhanced Packets.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from vswitch.errors import CaptureError
from vswitch.wire.record import (
    ETHERNET,
    LENGTH_MAX,
    NS_PER_S,
    TIME_MAX_NS,
    Record,
    check_lengths,
    check_link_type,
    check_no_fcs,
)

# From draft-ietf-opsawg-pcapng.
SECTION, INTERFACE, PACKET, SIMPLE, ENHANCED = 0x0A0D0D0A, 1, 2, 3, 6
SECTION_BYTES = SECTION.to_bytes(4, "big")  # the same in either byte order
BYTE_ORDERS = {(0x1A2B3C4D).to_bytes(4, "little"): "<", (0x1A2B3C4D).to_bytes(4, "big"): ">"}
FRAME_LEN = 12  # type and both lengths of a block
SECTION_LEN = 28  # of the shortest section header
OPT_END, IF_NAME, IF_TSRESOL, IF_FCSLEN, IF_TSOFFSET = 0, 2, 9, 13, 14
LENGTH_UNKNOWN = 0xFFFF_FFFF_FFFF_FFFF  # of a section
BODY_MIN = {SECTION: 16, INTERFACE: 8, PACKET: 20, SIMPLE: 4, ENHANCED: 20}  # bytes

_ENHANCED = struct.Struct("<IIIIIII")
_U32 = struct.Struct("<I")


@dataclass(frozen=True, slots=True)
class Interface:
    """What a packet needs to know of the interface it was captured on."""

    link_type: int
    snaplen: int  # 0: whole frames
    units_per_s: int = 1_000_000
    offset_ns: int = 0

    def time_ns(self, stamp: int) -> int:
        return stamp * NS_PER_S // self.units_per_s + self.offset_ns


def read(data: bytes, source: str) -> Iterator[Record]:
    """The frames of the capture *data*, in its order; *source* is what errors call it.

    Raises:
        CaptureError: *data* is no such capture, is cut off, or contradicts itself.
    """
    return _Reader(data, source).records()


class _Reader:
    def __init__(self, data: bytes, source: str) -> None:
        self._data = data
        self._source = source
        self._use("<")
        self._interfaces: list[Interface] = []
        self._last_ns = 0

    def _use(self, sign: str) -> None:
        """Read in this byte order from now on."""
        self._sign = sign
        self._header = struct.Struct(sign + "II").unpack_from
        self._u32 = struct.Struct(sign + "I").unpack_from
        self._enhanced = struct.Struct(sign + "IIIII").unpack_from
        self._obsolete = struct.Struct(sign + "HxxIIII").unpack_from

    def records(self) -> Iterator[Record]:
        at = 0
        if self._data[:4] != SECTION_BYTES:
            raise self._error(0, "not a capture (pcap or pcapng)")
        while at < len(self._data):
            kind, end = self._block(at)
            if kind in (ENHANCED, PACKET):
                yield self._packet(at, end, obsolete=kind == PACKET)
            elif kind == SIMPLE:
                yield self._simple_packet(at, end)
            elif kind == INTERFACE:
                self._interfaces.append(self._interface(at, end))
            elif kind == SECTION:
                self._interfaces.clear()
            at = end

    def _block(self, at: int) -> tuple[int, int]:
        """(type, end) of the block at *at*, which lies in the file as a whole."""
        data, left = self._data, len(self._data) - at
        if left < FRAME_LEN:
            raise self._error(at, "the file ends inside the header of a block")
        if data[at : at + 4] == SECTION_BYTES:
            self._begin_section(at)
        kind, length = self._header(data, at)
        if length % 4 or length < FRAME_LEN + BODY_MIN.get(kind, 0):
            raise self._error(at, f"a block of type {kind:#x} cannot have {length} bytes")
        if length > left:
            raise self._error(at, f"a block has {length} bytes, and the file ends after {left}")
        (again,) = self._u32(data, at + length - 4)
        if again != length:
            raise self._error(at, f"a block has {length} bytes at its begin and {again} at its end")
        return kind, at + length

    def _begin_section(self, at: int) -> None:
        magic = self._data[at + 8 : at + 12]
        if magic not in BYTE_ORDERS:
            raise self._error(at + 8, "a section in no byte order")
        self._use(BYTE_ORDERS[magic])
        if len(self._data) - at < SECTION_LEN:
            raise self._error(at, "the file ends inside the header of a section")
        major, minor = struct.unpack_from(self._sign + "HH", self._data, at + 12)
        if major != 1:
            raise self._error(at + 12, f"version {major}.{minor}, and 1.0 is known")

    def _interface(self, at: int, end: int) -> Interface:
        link_type, snaplen = struct.unpack_from(self._sign + "H2xI", self._data, at + 8)
        options = self._options(at + 16, end - 4)
        check_no_fcs(self._number(options, IF_FCSLEN, "B", at) or 0, self._source, at)
        offset_s = self._number(options, IF_TSOFFSET, "q", at) or 0
        resolution = self._number(options, IF_TSRESOL, "B", at)
        if resolution is None:
            resolution = 6
        units_per_s = (2 if resolution & 0x80 else 10) ** (resolution & 0x7F)
        return Interface(link_type, snaplen, units_per_s, offset_s * NS_PER_S)

    def _options(self, at: int, end: int) -> dict[int, bytes]:
        """The options between *at* and *end* (section 3.5); of several of a kind the last."""
        found: dict[int, bytes] = {}
        while end - at >= 4:
            code, length = struct.unpack_from(self._sign + "HH", self._data, at)
            if code == OPT_END:
                break
            if length > end - at - 4:
                raise self._error(at, f"option {code} has {length} bytes, more than its block")
            found[code] = self._data[at + 4 : at + 4 + length]
            at += 4 + (length + 3 & ~3)
        return found

    def _number(self, options: dict[int, bytes], code: int, form: str, at: int) -> int | None:
        if code not in options:
            return None
        layout = struct.Struct(self._sign + form)
        if len(options[code]) != layout.size:
            raise self._error(at, f"option {code} has {len(options[code])} bytes")
        return int(layout.unpack(options[code])[0])

    def _packet(self, at: int, end: int, *, obsolete: bool) -> Record:
        unpack = self._obsolete if obsolete else self._enhanced
        number, high, low, captured, on_wire = unpack(self._data, at + 8)
        interface = self._interface_of(number, at)
        check_lengths(captured, on_wire, interface.snaplen, self._source, at)
        time_ns = interface.time_ns(high << 32 | low)
        if not 0 <= time_ns <= TIME_MAX_NS:
            raise self._error(at, f"a time {time_ns // NS_PER_S} s from 1970 cannot be")
        self._last_ns = time_ns
        return Record(time_ns, self._bytes(at + 28, captured, end), on_wire)

    def _simple_packet(self, at: int, end: int) -> Record:
        interface = self._interface_of(0, at)
        (on_wire,) = self._u32(self._data, at + 8)
        captured = min(on_wire, interface.snaplen or on_wire)
        check_lengths(captured, on_wire, 0, self._source, at)
        return Record(self._last_ns, self._bytes(at + 12, captured, end), on_wire)

    def _interface_of(self, number: int, at: int) -> Interface:
        if number >= len(self._interfaces):
            raise self._error(at, f"a packet of interface {number}, which nothing describes")
        interface = self._interfaces[number]
        if interface.link_type != ETHERNET:
            check_link_type(interface.link_type, self._source, at)
        return interface

    def _bytes(self, begin: int, length: int, end: int) -> bytes:
        if length > end - 4 - begin:
            room = end - 4 - begin
            raise self._error(begin, f"a packet of {length} bytes in a block with room for {room}")
        return self._data[begin : begin + length]

    def _error(self, offset: int, what: str) -> CaptureError:
        return CaptureError(self._source, offset, what)


def file_header(name: str) -> bytes:
    """How a capture of the interface *name* begins: a section, and its interface."""
    section = struct.pack("<IHHQ", 0x1A2B3C4D, 1, 0, LENGTH_UNKNOWN)
    options = _option(IF_NAME, name.encode()) + _option(IF_TSRESOL, b"\x09") + bytes(4)
    interface = struct.pack("<HHI", ETHERNET, 0, LENGTH_MAX) + options
    return _block(SECTION, section) + _block(INTERFACE, interface)


def record(time_ns: int, frame: bytes) -> bytes:
    """A whole frame that was captured at *time_ns*."""
    size = len(frame)
    padding = -size % 4
    length = FRAME_LEN + 20 + size + padding
    head = _ENHANCED.pack(
        ENHANCED, length, 0, time_ns >> 32, time_ns & 0xFFFF_FFFF, size, size
    )  # fmt: skip
    return head + frame + bytes(padding) + _U32.pack(length)


def _block(kind: int, body: bytes) -> bytes:
    length = FRAME_LEN + len(body)
    return struct.pack("<II", kind, length) + body + struct.pack("<I", length)


def _option(code: int, value: bytes) -> bytes:
    return struct.pack("<HH", code, len(value)) + value + bytes(-len(value) % 4)
