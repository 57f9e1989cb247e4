"""What happened, kept for a while: bounded, the oldest goes first.

Records of stations are kept as the datapath wrote them (``datapath/event.h``), 32 bytes each, and
read when somebody asks: so a storm of new stations costs the control thread a copy. What is
reported of stations, and everything else, is each kept apart: no storm of stations, nor thousands
that flap, can push out when a port came.

Each record has what was before. So the forwarding database as it was at a time is the one of now,
with every station that changed since put back to what was before its first change.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import NamedTuple

from vswitch.events import GROUPS, Event

RECORD = struct.Struct("=QQIHHBB6x")  # struct vsw_event
KIND_AT = 24
KIND_NAMES = ("", "learned", "moved", "expired", "flushed", "deleted", "pinned", "refused", "held")
MOVED, EXPIRED, PINNED, REFUSED, HELD = (
    KIND_NAMES.index(name) for name in ("moved", "expired", "pinned", "refused", "held")
)
STAYED = ("refused", "held")  # the state is as before: not told, and nothing to put back
WAS_STATIC, IS_STATIC, BY_COMMAND, IS_LOCKED, WAS_LOCKED = 1, 2, 4, 8, 16
IS_STICKY, WAS_STICKY = 32, 64
NOWHERE = 0xFFFF

STATIONS_MAX = 100_000  # records, 3.2 MB
OTHERS_MAX = 10_000  # events; as many again that are reported of stations
CHUNKS_MAX = 10_000  # where ports come and go between any two stations; 5 MB
CHUNK_BYTES = 1 << 16  # records that came together or soon after share their names
WALL_STEP_S = 0.01  # a wall clock that was set by more begins a chunk of its own

Key = tuple[int, bytes]  # VLAN, address


class State(NamedTuple):
    """Where a station was."""

    port: str
    static: bool
    locked: bool = False
    sticky: bool = False


@dataclass(slots=True)
class Chunk:
    """Records that came together, and what is needed to read them."""

    records: bytearray
    names: Mapping[int, str]  # of the ports then
    wall_s: float  # the wall clock minus the monotonic one
    hand_s: int | None  # of a switch that is polled by hand: its clock

    def events(self, *, key: int | None = None) -> Iterator[tuple[int, Event]]:
        """The events with their place in the order of things; of one station, if given."""
        for record in RECORD.iter_unpack(self.records):
            if key in (None, record[0] & ~0xFFFF):
                yield from self._read(*record)

    def _read(
        self, key: int, ns: int, at_s: int, port: int, old: int, kind: int, flags: int
    ) -> Iterator[tuple[int, Event]]:
        time_s = self._time_s(ns, at_s, flags)
        if kind == EXPIRED:
            time_s = float(at_s)
        event = Event(
            KIND_NAMES[kind],
            time_s,
            time_s + self.wall_s,
            port=self._name(port),
            old_port=self._name(old),
            mac=mac_of(key),
            vid=key >> 1 & 0xFFF,
            static=bool(flags & IS_STATIC),
            was_static=bool(flags & WAS_STATIC),
            locked=bool(flags & IS_LOCKED),
            was_locked=bool(flags & WAS_LOCKED),
            sticky=bool(flags & IS_STICKY),
            was_sticky=bool(flags & WAS_STICKY),
        )
        if flags & BY_COMMAND and old != NOWHERE and at_s <= time_s:
            # It was dead before the command found it.
            died = replace(
                event, kind="expired", port=None, static=False, locked=False, sticky=False
            )
            yield ns, replace(died, time_s=float(at_s), wall_s=at_s + self.wall_s)
            event = replace(event, old_port=None)
        if port != NOWHERE or event.old_port is not None:
            yield ns, event

    def _time_s(self, ns: int, at_s: int, flags: int) -> float:
        if self.hand_s is None:
            return ns / 1e9
        return float(self.hand_s if flags & BY_COMMAND else at_s)

    def forget_names(self) -> None:
        """Know only the ports that records are about: of a thousand, a chunk may need one."""
        used = {number for record in RECORD.iter_unpack(self.records) for number in record[3:5]}
        self.names = {number: self.names[number] for number in used & self.names.keys()}

    def time_s(self, at: int) -> float:
        """When the record at byte *at* was written."""
        _, ns, at_s, _, _, _, flags = RECORD.unpack_from(self.records, at)
        return self._time_s(ns, at_s, flags)

    def _name(self, number: int) -> str | None:
        return None if number == NOWHERE else self.names.get(number, f"#{number}")


class Journal:
    """What happened in one switch since *now_s*; its users hold the switch's lock, or a copy."""

    def __init__(
        self, now_s: float, *, stations_max: int = STATIONS_MAX, others_max: int = OTHERS_MAX
    ) -> None:
        self.complete_since_s = now_s  # nothing of what happened to stations since is missing
        self.recorded = 0  # records of stations, ever
        self.dropped = 0  # of them, because they were the oldest
        self.lost = 0  # never came here, as the datapath had no room for them
        self._max = stations_max
        self._chunks: deque[Chunk] = deque()
        self._reports: deque[Event] = deque(maxlen=others_max)  # of stations
        self._others: deque[Event] = deque(maxlen=others_max)

    def __len__(self) -> int:
        return self.recorded - self.dropped

    # ------------------------------------------------------------ writing

    def add(self, event: Event) -> None:
        """Keep what the control plane tells."""
        kept = self._reports if event.kind in GROUPS["fdb"] else self._others
        kept.append(event)

    def record(self, chunk: Chunk) -> None:
        """Keep what the datapath wrote."""
        self.recorded += len(chunk.records) // RECORD.size
        last = self._chunks[-1] if self._chunks else None
        if last and _alike(last, chunk):
            last.records += chunk.records
        else:
            if last and last.names is not chunk.names:
                last.forget_names()
            self._chunks.append(replace(chunk, records=bytearray(chunk.records)))
        self._drop_oldest(len(self) - self._max)
        if len(self._chunks) > CHUNKS_MAX:
            self._drop_oldest(len(self._chunks[0].records) // RECORD.size)

    def note_lost(self, total: int, now_s: float) -> None:
        """The datapath has lost so many records, ever."""
        if total > self.lost:
            self.lost = total
            self.complete_since_s = now_s

    def _drop_oldest(self, n: int) -> None:
        while n > 0:
            first = self._chunks[0]
            here = min(n, len(first.records) // RECORD.size)
            newest_s = first.time_s((here - 1) * RECORD.size)
            self.complete_since_s = max(self.complete_since_s, newest_s)
            del first.records[: here * RECORD.size]
            if not first.records:
                self._chunks.popleft()
            self.dropped += here
            n -= here

    # ------------------------------------------------------------ reading

    def copy(self) -> Journal:
        """The journal of now, to be read while the other is written."""
        copied = copy(self)
        copied._chunks = deque(
            replace(chunk, records=bytearray(chunk.records)) for chunk in self._chunks
        )
        copied._reports, copied._others = self._reports.copy(), self._others.copy()
        return copied

    def events(self, *, mac: bytes | None = None) -> list[Event]:
        """What is kept, the oldest first; of one address, if given."""
        stations = [event for _, event in self._stations(mac) if event.kind not in STAYED]
        others = [event for event in (*self._reports, *self._others) if mac in (None, event.mac)]
        return sorted(stations + others, key=lambda event: event.time_s)

    def rewound(self, present: Mapping[Key, State], time_s: float) -> dict[Key, State]:
        """The stations at *time_s*, given those of now."""
        table, changed = dict(present), set[Key]()
        for _, event in self._stations(None):
            if event.time_s <= time_s or event.kind in STAYED or event.mac is None:
                continue
            key = event.vid, event.mac
            if key in changed:
                continue
            changed.add(key)
            if event.old_port is None:
                table.pop(key, None)
            else:
                table[key] = State(
                    event.old_port, event.was_static, event.was_locked, event.was_sticky
                )
        return table

    def _stations(self, mac: bytes | None) -> list[tuple[int, Event]]:
        key = None if mac is None else key_of(mac)
        found = (event for chunk in self._chunks for event in chunk.events(key=key))
        return sorted(found, key=lambda one: one[0])


def _alike(last: Chunk, chunk: Chunk) -> bool:
    return (
        len(last.records) < CHUNK_BYTES
        and last.names is chunk.names
        and last.hand_s == chunk.hand_s
        and abs(last.wall_s - chunk.wall_s) < WALL_STEP_S
    )


def kinds_of(records: bytearray) -> bytearray:
    """The kind of each record."""
    return records[KIND_AT :: RECORD.size]


def merged(taken: Sequence[bytes]) -> bytearray:
    """Records of several writers as one, the oldest first."""
    if len(taken) == 1:
        return bytearray(taken[0])
    cut = (one[at : at + RECORD.size] for one in taken for at in range(0, len(one), RECORD.size))
    found = bytearray()
    for _, record in sorted((int.from_bytes(one[8:16], "little"), one) for one in cut):
        found += record
    return found


def of_kind(records: bytearray, kind: int, at_most: int) -> bytearray:
    """The first *at_most* records of a kind."""
    kinds, found, at = kinds_of(records), bytearray(), -1
    while len(found) < at_most * RECORD.size and (at := kinds.find(kind, at + 1)) >= 0:
        found += records[at * RECORD.size : (at + 1) * RECORD.size]
    return found


def mac_of(key: int) -> bytes:
    """The address in the key of a station (datapath/fdb_read.h)."""
    return (key >> 32).to_bytes(4, "little") + (key >> 16 & 0xFFFF).to_bytes(2, "little")


def key_of(mac: bytes) -> int:
    """The part of a key that is the address."""
    return int.from_bytes(mac[:4], "little") << 32 | int.from_bytes(mac[4:], "little") << 16
