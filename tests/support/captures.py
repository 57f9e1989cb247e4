"""Captures as bytes, built by hand: formats as the drafts have them, in any byte order."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from pathlib import Path

from vswitch import captures
from vswitch.wire import pcap

Timed = tuple[int, bytes]  # nanoseconds since 1970, frame


def write_pcap(path: Path, frames: Iterable[Timed]) -> Path:
    """A capture as vswitch writes it."""
    path.write_bytes(pcap.file_header("") + b"".join(pcap.record(*timed) for timed in frames))
    return path


def read_back(path: Path) -> list[Timed]:
    """The frames of a capture, as vswitch reads them."""
    return [(record.time_ns, record.frame) for record in captures.load(path)]


def classic_header(
    *,
    sign: str = "<",
    magic: int = 0xA1B2C3D4,
    version: int = 2,
    snaplen: int = 65535,
    link: int = 1,
) -> bytes:
    return struct.pack(sign + "IHHIIII", magic, version, 4, 0, 0, snaplen, link)


def classic_record(
    seconds: int, fraction: int, frame: bytes, *, sign: str = "<", wire_len: int | None = None
) -> bytes:
    on_wire = len(frame) if wire_len is None else wire_len
    return struct.pack(sign + "IIII", seconds, fraction, len(frame), on_wire) + frame


class Blocks:
    """Blocks of a pcapng file, in the byte order *sign*."""

    def __init__(self, sign: str = "<") -> None:
        self.sign = sign

    def pack(self, form: str, *values: int) -> bytes:
        return struct.pack(self.sign + form, *values)

    def block(self, kind: int, body: bytes) -> bytes:
        body += bytes(-len(body) % 4)
        return self.pack("II", kind, len(body) + 12) + body + self.pack("I", len(body) + 12)

    def section(self, *, major: int = 1) -> bytes:
        return self.block(0x0A0D0D0A, self.pack("IHHq", 0x1A2B3C4D, major, 0, -1))

    def interface(
        self, *, link: int = 1, snaplen: int = 0, options: Sequence[tuple[int, bytes]] = ()
    ) -> bytes:
        body = self.pack("HHI", link, 0, snaplen)
        for code, value in options:
            body += self.pack("HH", code, len(value)) + value + bytes(-len(value) % 4)
        return self.block(1, body + (self.pack("HH", 0, 0) if options else b""))

    def enhanced(
        self, stamp: int, frame: bytes, *, interface: int = 0, wire_len: int | None = None
    ) -> bytes:
        on_wire = len(frame) if wire_len is None else wire_len
        head = (interface, stamp >> 32, stamp & 0xFFFF_FFFF, len(frame), on_wire)
        return self.block(6, self.pack("IIIII", *head) + frame)

    def simple(self, frame: bytes, *, wire_len: int | None = None) -> bytes:
        return self.block(3, self.pack("I", len(frame) if wire_len is None else wire_len) + frame)
