"""What both formats of captures say about a frame, and what neither may say."""

from __future__ import annotations

from typing import NamedTuple

from vswitch.errors import CaptureError

# From specifications.
ETHERNET = 1  # LINKTYPE_ETHERNET, in the registry that both formats refer to
TIME_MAX_NS = (1 << 64) - 1  # of an Enhanced Packet Block, counted in nanoseconds: the year 2554
NS_PER_S = 1_000_000_000
LINK_TYPES = {
    0: "BSD loopback",
    9: "PPP",
    12: "raw IP",
    14: "raw IP",
    101: "raw IP",
    105: "IEEE 802.11",
    108: "OpenBSD loopback",
    113: "Linux cooked, tcpdump -i any",
    127: "IEEE 802.11 with radiotap",
    189: "USB",
    192: "IEEE 802.11 with PPI",
    195: "IEEE 802.15.4",
    201: "Bluetooth",
    228: "raw IPv4",
    229: "raw IPv6",
    276: "Linux cooked 2, tcpdump -i any",
}

# Chosen by us: the longest frame that may enter the switch, VSW_FRAME_MAX in datapath/frame.h.
LENGTH_MAX = 65_568


class Record(NamedTuple):
    """A frame of a capture. A tuple, because there are millions of them."""

    time_ns: int  # since 1970, 0..TIME_MAX_NS
    frame: bytes  # what was captured of it, at most LENGTH_MAX bytes
    wire_len: int  # bytes it had on the wire, at least len(frame)


def check_link_type(number: int, source: str, offset: int) -> None:
    """Raise CaptureError unless frames of link type *number* are Ethernet's."""
    if number != ETHERNET:
        name = LINK_TYPES.get(number)
        what = f"{number} ({name})" if name else str(number)
        raise CaptureError(
            source, offset, f"link type {what}, and a switch takes Ethernet (1) only",
            hint="capture on one Ethernet interface",
        )  # fmt: skip


def check_no_fcs(length: int, source: str, offset: int) -> None:
    """Raise CaptureError unless frames end with their payload."""
    if length:
        raise CaptureError(
            source, offset, f"its frames end with an FCS of {length} bytes, which no port carries"
        )  # fmt: skip


def check_lengths(captured: int, on_wire: int, snaplen: int, source: str, offset: int) -> None:
    """Raise CaptureError unless the lengths that a record states can be true.

    *snaplen* 0: none was set.
    """
    if captured > on_wire:
        what = f"captured {captured} bytes of a frame that had {on_wire}"
    elif snaplen and captured > snaplen:
        what = f"captured {captured} bytes where {snaplen} are the most (snaplen)"
    elif captured > LENGTH_MAX:
        what = f"{captured} bytes are no frame: it has {LENGTH_MAX} at most"
    else:
        return
    raise CaptureError(source, offset, what)
