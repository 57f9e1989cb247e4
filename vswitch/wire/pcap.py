"""Classic captures (.pcap): a header, then each frame behind 16 bytes of time and lengths.

File Header, 24 bytes (draft-ietf-opsawg-pcap section 4), in the byte order of whoever wrote it::

    magic    A1B2C3D4 microseconds, A1B23C4D nanoseconds
    version  2.4 (two 16-bit numbers)
    reserved 8 bytes
    snaplen  longest that is captured of a frame
    link     type in the lower 16 bits; bit 26: bits 28 to 31 are the length of an FCS, in words

Packet Record, 16 bytes and the frame (section 5)::

    seconds since 1970, micro- or nanoseconds, captured length, length on the wire

We read all four variants and write one: little endian, nanoseconds.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

from vswitch.errors import CaptureError
from vswitch.wire.record import (
    ETHERNET,
    LENGTH_MAX,
    NS_PER_S,
    Record,
    check_lengths,
    check_link_type,
    check_no_fcs,
)

# From draft-ietf-opsawg-pcap.
MICROSECONDS, NANOSECONDS = 0xA1B2C3D4, 0xA1B23C4D
VERSION = (2, 4)
FILE_HEADER_LEN, RECORD_HEADER_LEN = 24, 16
FCS_PRESENT = 1 << 26
SECONDS_END = 1 << 32  # of the time stamp: the year 2106

# Magic number as the file has it -> byte order for struct, nanoseconds in a unit of time.
VARIANTS = {
    struct.pack(sign + "I", magic): (sign, unit)
    for magic, unit in ((MICROSECONDS, 1000), (NANOSECONDS, 1))
    for sign in "<>"
}
_RECORD = struct.Struct("<IIII")


def read(data: bytes, source: str) -> Iterator[Record]:
    """The frames of the capture *data*, in its order; *source* is what errors call it.

    Raises:
        CaptureError: *data* is no such capture, is cut off, or contradicts itself.
    """
    sign, unit, snaplen = _read_header(data, source)
    unpack = struct.Struct(sign + "IIII").unpack_from
    at, end, units = FILE_HEADER_LEN, len(data), NS_PER_S // unit
    while at < end:
        begin = at + RECORD_HEADER_LEN
        if begin > end:
            raise CaptureError(source, at, "the file ends inside the header of a record")
        seconds, fraction, captured, on_wire = unpack(data, at)
        if fraction >= units:
            raise CaptureError(source, at, f"{fraction} of {units} parts of a second have passed")
        check_lengths(captured, on_wire, snaplen, source, at)
        at = begin + captured
        if at > end:
            what = f"a record has {captured} bytes, and the file ends after {end - begin}"
            raise CaptureError(source, begin, what)
        yield Record(seconds * NS_PER_S + fraction * unit, data[begin:at], on_wire)


def _read_header(data: bytes, source: str) -> tuple[str, int, int]:
    """(byte order, nanoseconds in a unit, snaplen)"""
    if data[:4] not in VARIANTS:
        raise CaptureError(source, 0, "not a capture (pcap or pcapng)")
    if len(data) < FILE_HEADER_LEN:
        raise CaptureError(source, 0, "the file ends inside its header")
    sign, unit = VARIANTS[data[:4]]
    *version, _, _, snaplen, link = struct.unpack_from(sign + "4xHHIIII", data)
    if version[0] != VERSION[0]:
        raise CaptureError(source, 4, f"version {version[0]}.{version[1]}, and 2.4 is known")
    check_link_type(link & 0xFFFF, source, 20)
    if link & FCS_PRESENT:
        check_no_fcs(2 * (link >> 28), source, 20)
    return sign, unit, snaplen


def file_header(name: str) -> bytes:
    """How a capture begins; this format has no place for the *name* of the interface."""
    return struct.pack("<IHHIIII", NANOSECONDS, *VERSION, 0, 0, LENGTH_MAX, ETHERNET)


def record(time_ns: int, frame: bytes) -> bytes:
    """A whole frame that was captured at *time_ns*.

    Raises:
        ValueError: it is too late a time for this format.
    """
    seconds, ns = divmod(time_ns, NS_PER_S)
    if seconds >= SECONDS_END:
        raise ValueError(f"pcap knows no time after 2106, as {seconds} s is: use pcapng")
    return _RECORD.pack(seconds, ns, len(frame), len(frame)) + frame
