"""What happened to a station, of the readable core: records as of ``datapath/event.h``.

`reference_fdb.Fdb` is there to be read, and knows nothing of this; here what it does is looked at
from outside, before and after.
"""

from __future__ import annotations

import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from vswitch.reference_fdb import Fdb, Station

# struct vsw_event: key, ns, at_s, port, old port, kind, flags
RECORD = struct.Struct("=QQIHHBB6x")
LEARNED, MOVED, EXPIRED, FLUSHED, DELETED, PINNED, REFUSED, HELD = range(1, 9)
WAS_STATIC, IS_STATIC, BY_COMMAND, IS_LOCKED, WAS_LOCKED = 1, 2, 4, 8, 16
IS_STICKY, WAS_STICKY = 32, 64
NOWHERE = 0xFFFF
NEVER_S = 0xFFFF_FFFF
WAITING_MAX = 1 << 14  # as a ring of the compiled datapath


class State(NamedTuple):
    """Where a station was at some moment."""

    port: int
    dead_s: int = NEVER_S  # the second in which it is to be dead
    static: bool = False
    locked: bool = False
    sticky: bool = False


ABSENT = State(NOWHERE)


class ToldFdb(Fdb):
    """The forwarding database, and a bounded queue of what happened in it.

    Args:
        bell: Called at an event, unless `rest` was not since it was called last.
    """

    def __init__(self, *, limit: int, ageing_s: int, bell: Callable[[], None]) -> None:
        super().__init__(limit=limit, ageing_s=ageing_s)
        self.ageing_since_s = 0
        self.lost = 0
        self._bell = bell
        self._asked = False
        self._waiting = bytearray()
        self._cause = DELETED
        self._told_s: dict[tuple[int, int], int] = {}  # by kind and port: when that was told last

    # ------------------------------------------------------------ what is told

    def learn(self, vid: int, mac: bytes, port: int, now_s: int, *, locked: bool = False) -> None:
        before, refused = self._state(vid, mac), self.refused
        learned = self.learned
        super().learn(vid, mac, port, now_s, locked=locked)
        if self.refused > refused:
            self._put_once(REFUSED, vid, mac, before, port, now_s)
        elif self.hold_s and not before.static and self.is_held_elsewhere(vid, mac, port, now_s):
            self._put_once(HELD, vid, mac, before, port, now_s)
        elif self.learned > learned:
            if before != ABSENT:
                self._put(EXPIRED, vid, mac, before, ABSENT, before.dead_s)
            self._put(LEARNED, vid, mac, ABSENT, self._state(vid, mac), now_s)
        elif before.port != self._state(vid, mac).port:
            self._put(MOVED, vid, mac, before, self._state(vid, mac), now_s)

    def pin(self, vid: int, mac: bytes, port: int) -> None:
        before = self._state(vid, mac)
        super().pin(vid, mac, port)
        self._put(PINNED, vid, mac, before, self._state(vid, mac), before.dead_s, BY_COMMAND)

    def stick(self, vid: int, mac: bytes, port: int, now_s: int) -> None:
        before = self._state(vid, mac)
        super().stick(vid, mac, port, now_s)
        self._put(PINNED, vid, mac, before, self._state(vid, mac), before.dead_s, BY_COMMAND)

    def delete(self, vid: int, mac: bytes) -> bool:
        before = self._state(vid, mac)
        if not super().delete(vid, mac):
            return False
        flags = 0 if self._cause == EXPIRED else BY_COMMAND
        self._put(self._cause, vid, mac, before, ABSENT, before.dead_s, flags)
        return True

    def flush(self, port: int | None = None, *, with_static: bool = False) -> int:
        with self._because(FLUSHED):
            return super().flush(port, with_static=with_static)

    def flush_locked(self, port: int) -> int:
        with self._because(FLUSHED):
            return super().flush_locked(port)

    def expire(self, now_s: int) -> int:
        with self._because(EXPIRED):
            return super().expire(now_s)

    @contextmanager
    def _because(self, cause: int) -> Iterator[None]:
        self._cause = cause
        try:
            yield
        finally:
            self._cause = DELETED

    def _state(self, vid: int, mac: bytes) -> State:
        station = self._stations.get((vid, mac))
        if station is None:
            return ABSENT
        dead_s = self._dead_s(station)
        return State(station.port, dead_s, station.static, station.locked, station.sticky)

    def _dead_s(self, station: Station) -> int:
        if station.static or not self.ageing_s:
            return NEVER_S
        return max(station.heard_s + self.ageing_s, self.ageing_since_s)

    # ------------------------------------------------------------ the queue

    def _put_once(
        self, kind: int, vid: int, mac: bytes, before: State, port: int, now_s: int
    ) -> None:
        if self._told_s.get((kind, port)) != now_s:
            self._told_s[kind, port] = now_s
            self._put(kind, vid, mac, before, State(port), now_s)

    def _put(
        self,
        kind: int,
        vid: int,
        mac: bytes,
        before: State,
        after: State,
        at_s: int,
        flags: int = 0,
    ) -> None:
        if len(self._waiting) >= WAITING_MAX * RECORD.size:
            self.lost += 1
            return
        flags |= (WAS_STATIC if before.static else 0) | (IS_STATIC if after.static else 0)
        flags |= (WAS_LOCKED if before.locked else 0) | (IS_LOCKED if after.locked else 0)
        flags |= (WAS_STICKY if before.sticky else 0) | (IS_STICKY if after.sticky else 0)
        key, ns, at_s = key_of(vid, mac), time.monotonic_ns(), at_s & NEVER_S
        self._waiting += RECORD.pack(key, ns, at_s, after.port, before.port, kind, flags)
        if not self._asked:
            self._asked = True
            self._bell()

    def take(self) -> bytes:
        """What waits."""
        records = bytes(self._waiting)
        self._waiting.clear()
        return records

    def rest(self) -> bool:
        """Have the bell rung at the next event; False when there are some already."""
        self._asked = bool(self._waiting)
        return not self._asked


def key_of(vid: int, mac: bytes) -> int:
    """The key of a station: its bytes as a little-endian machine reads them (fdb_read.h)."""
    high, low = int.from_bytes(mac[:4], "little"), int.from_bytes(mac[4:], "little")
    return high << 32 | low << 16 | vid << 1 | 1
