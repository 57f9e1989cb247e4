"""VLANs of ports as ``bridge vlan show`` writes them, and as a table of ports and VLANs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from vswitch import vlanwords
from vswitch.text import WIDTH, fitted
from vswitch.vlans import VID_MAX, VID_MIN, VidSet

if TYPE_CHECKING:
    from vswitch.control.schema import PortVlansInfo, VlanCounters, VlansInfo

NAME_WIDTH = 15  # the longest of a device
HEAD = "port              vlan-id  "
HEAD_COUNTED = "port              vlan-id"  # bridge -s has no blanks at the end
INDENT = " " * 18
LEGEND = "U untagged, T tagged, P the VLAN of untagged frames that enter"
Row = tuple[int, int, list[str]]  # first and last VLAN, and their flags
Column = tuple[int, int]  # the same of a table


def members(vlans: VlansInfo) -> VidSet:
    """The VLANs of a port."""
    return _set(vlans.tagged) | _set(vlans.untagged)


def _set(listed: str) -> VidSet:
    return VidSet.parse(listed) if listed else VidSet()


def rows(vlans: VlansInfo, *, compressed: bool, vid: int | None = None) -> Iterator[Row]:
    """VLANs of a port with the flags of bridge(8), each alone or in rows of neighbours.

    *vid*: only that one, with its neighbours.
    """
    untagged = _set(vlans.untagged)
    pvid = VidSet() if not vlans.pvid else VidSet.of([vlans.pvid])
    found: list[Row] = []
    for some, flags in (
        (_set(vlans.tagged) - pvid, []),
        (untagged - pvid, ["Egress Untagged"]),
        (_set(vlans.tagged) & pvid, ["PVID"]),
        (untagged & pvid, ["PVID", "Egress Untagged"]),
    ):
        found += [(first, last, flags) for first, last in some.ranges()]
    for first, last, flags in sorted(found):
        if vid is not None and not first <= vid <= last:
            continue
        if compressed:
            yield first, last, flags
        else:
            alone = range(first, last + 1) if vid is None else [vid]
            yield from ((one, one, flags) for one in alone)


def is_listed(port: PortVlansInfo) -> bool:
    """Whether a port has VLANs of its own; bridge(8) has no word for one that has them all."""
    return port.vlans is not None and port.vlans.mode != "plain"


# ---------------------------------------------------------------------- as bridge vlan


def lines(ports: Sequence[PortVlansInfo], *, compressed: bool, vid: int | None) -> Iterator[str]:
    """What ``bridge vlan show`` prints."""
    yield HEAD
    for port in filter(is_listed, ports):
        assert port.vlans
        name = f"{port.port:<16}  "
        for first, last, flags in rows(port.vlans, compressed=compressed, vid=vid):
            yield " ".join([f"{name}{_range(first, last)}", *flags])
            name = INDENT


def keys(
    ports: Sequence[PortVlansInfo], *, compressed: bool, vid: int | None
) -> list[dict[str, object]]:
    """The same with the keys of ``bridge -j vlan show``."""
    shown: list[dict[str, object]] = []
    for port in filter(is_listed, ports):
        assert port.vlans
        vlans = [
            {
                "vlan": first,
                **({"vlanEnd": last} if last != first else {}),
                **({"flags": flags} if flags else {}),
            }
            for first, last, flags in rows(port.vlans, compressed=compressed, vid=vid)
        ]
        if vlans:
            shown.append({"ifname": port.port, "vlans": vlans})
    return shown


def counted_lines(ports: Sequence[PortVlansInfo], *, vid: int | None) -> Iterator[str]:
    """What ``bridge -s vlan show`` prints."""
    yield HEAD_COUNTED
    for port in filter(is_listed, ports):
        assert port.vlans
        name, counters = f"{port.port:<16}  ", _counters(port)
        for one, _, flags in rows(port.vlans, compressed=False, vid=vid):
            c = counters(one)
            yield " ".join([f"{name}{one}", *flags])
            yield f"{INDENT}  RX: {c.rx_bytes} bytes {c.rx_frames} packets"
            yield f"{INDENT}  TX: {c.tx_bytes} bytes {c.tx_frames} packets"
            name = INDENT


def counted_keys(ports: Sequence[PortVlansInfo], *, vid: int | None) -> list[dict[str, object]]:
    """The same with the keys of ``bridge -j -s vlan show``."""
    shown: list[dict[str, object]] = []
    for port in filter(is_listed, ports):
        assert port.vlans
        vlans, counters = [], _counters(port)
        for one, _, flags in rows(port.vlans, compressed=False, vid=vid):
            c = counters(one)
            vlans.append({
                "vid": one,
                **({"flags": flags} if flags else {}),
                "rx_bytes": c.rx_bytes, "rx_packets": c.rx_frames,
                "tx_bytes": c.tx_bytes, "tx_packets": c.tx_frames,
            })  # fmt: skip
        if vlans:
            shown.append({"ifname": port.port, "vlans": vlans})
    return shown


def _counters(port: PortVlansInfo) -> Callable[[int], VlanCounters]:
    """What says what a port counted in a VLAN."""
    from vswitch.control.schema import VlanCounters

    known = {c.vid: c for c in port.counters}
    return lambda vid: known.get(vid) or VlanCounters(vid, 0, 0, 0, 0)


def _range(first: int, last: int) -> str:
    return f"{first}" if first == last else f"{first}-{last}"


def changes(port: str, before: str, now: str) -> Iterator[str]:
    """What ``bridge monitor vlan`` prints when memberships were *before* and are *now*."""
    old, new = _flags(before), _flags(now)
    for verb, here, there in (("Deleted ", old, new), ("", new, old)):
        by_flags: dict[tuple[str, ...], list[int]] = {}
        for vid, flags in here.items():
            if vid not in there or (not verb and there[vid] != flags):
                by_flags.setdefault(flags, []).append(vid)
        rows = [
            (*pair, flags) for flags, vids in by_flags.items() for pair in VidSet.of(vids).ranges()
        ]
        for first, last, flags in sorted(rows):
            yield " ".join([f"{verb}{port:<16}  {_range(first, last)}", *flags])


def _flags(said: str) -> dict[int, tuple[str, ...]]:
    """VLANs of a port that were said, with their flags."""
    vlans = vlanwords.parse("vlans", said)
    if vlans is None or vlanwords.mode(vlans) == "plain":
        return {}
    return {
        vid: (
            *(("PVID",) if vid == vlans.pvid else ()),
            *(("Egress Untagged",) if vid in vlans.untagged else ()),
        )
        for vid in vlans.members
    }


# ---------------------------------------------------------------------- as a table


def matrix(ports: Sequence[PortVlansInfo]) -> str:
    """Ports and VLANs as a table, in pieces that fit a terminal; VLANs alike are one column."""
    listed = [port for port in ports if is_listed(port)]
    others = [port.port for port in ports if not is_listed(port)]
    columns = _columns([port.vlans for port in listed if port.vlans])
    names = [fitted(port.port, NAME_WIDTH) for port in listed]
    marks = [_marks(port.vlans, columns) for port in listed if port.vlans]
    width = max([len("port"), *map(len, names)])
    parts = []
    for piece in _pieces(columns, WIDTH - width) if listed else ():
        rows = [["port", *(_range(*column) for column in piece)]]
        for name, its in zip(names, marks, strict=True):
            rows.append([name, *(its[column] for column in piece)])
        widths = [width, *(len(head) for head in rows[0][1:])]
        widths = [max(w, *(len(row[i]) for row in rows)) for i, w in enumerate(widths)]
        parts.append("\n".join(_joined(row, widths) for row in rows))
    if parts:
        parts.append(LEGEND)
    if others:
        parts.append(f"all VLANs, as they are tagged: {', '.join(others)}")
    return "\n\n".join(parts)


def _joined(row: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(f"{cell:<{w}}" for cell, w in zip(row, widths, strict=True)).rstrip()


def _columns(ports: Sequence[VlansInfo]) -> list[Column]:
    """Rows of neighbours that are the same on every port, and that some port is of."""
    edges = {VID_MIN, VID_MAX + 1}
    for vlans in ports:
        for first, last, _ in rows(vlans, compressed=True):
            edges |= {first, last + 1}
    ordered, some = sorted(edges), VidSet()
    for vlans in ports:
        some |= members(vlans)
    return [(first, end - 1) for first, end in pairwise(ordered) if first in some]


def _pieces(columns: Sequence[Column], room: int) -> Iterator[list[Column]]:
    """*columns* in lists that need at most *room* characters."""
    piece: list[Column] = []
    left = room
    for column in columns:
        size = 2 + max(len(_range(*column)), len("UP"))
        if piece and size > left:
            yield piece
            piece, left = [], room
        piece.append(column)
        left -= size
    if piece or not columns:
        yield piece


def _marks(vlans: VlansInfo, columns: Sequence[Column]) -> dict[Column, str]:
    """What a port is in each column."""
    tagged, untagged = _set(vlans.tagged), _set(vlans.untagged)

    def mark(vid: int) -> str:
        said = "U" if vid in untagged else "T" if vid in tagged else "."
        return said + ("P" if vlans.pvid == vid else "")

    return {column: mark(column[0]) for column in columns}
