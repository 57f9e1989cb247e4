"""Captures of either format: which one it is, and what a format can do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Protocol

from vswitch.wire import pcap, pcapng
from vswitch.wire.record import Record


class Format(Protocol):
    """A format to be written; `pcap` and `pcapng` are two."""

    def file_header(self, name: str) -> bytes: ...

    def record(self, time_ns: int, frame: bytes) -> bytes: ...


FORMATS: Mapping[str, Format] = {"pcap": pcap, "pcapng": pcapng}


def read(data: bytes, source: str) -> Iterator[Record]:
    """The frames of the capture *data*, in its order; *source* is what errors call it.

    Raises:
        CaptureError: *data* is no capture, is cut off, or contradicts itself.
    """
    if data[:4] == pcapng.SECTION_BYTES:
        return pcapng.read(data, source)
    return pcap.read(data, source)


def format_of(path: str) -> str:
    """The format that a file of this name is to have: by its ending, pcap without one."""
    return "pcapng" if path.endswith((".pcapng", ".ntar")) else "pcap"
