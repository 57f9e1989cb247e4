"""Somebody who wants to hear of events: a bounded queue between the control thread and him."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable

from vswitch.events import KINDS, STATION_KINDS, Event

WAITING_MAX = 5000


class Subscription:
    """The events of *kinds*, of one port or address if given, that were not taken yet.

    Args:
        wake: Called from any thread when there is something to `take` after there was nothing.
    """

    def __init__(
        self,
        wake: Callable[[], None],
        *,
        kinds: Collection[str] = KINDS,
        port: str | None = None,
        mac: bytes | None = None,
    ) -> None:
        self._wake = wake
        self._kinds = frozenset(kinds)
        self._port = port
        self._mac = mac
        self._lock = threading.Lock()
        self._waiting: deque[Event] = deque()
        self._lost = 0
        self.wants_stations = bool(self._kinds & {*STATION_KINDS})

    def offer(self, events: Iterable[Event], *, lost: int = 0) -> None:
        """Queue what is wanted of *events*; *lost* more there were that nobody looked at."""
        wanted = [event for event in events if self._wants(event)]
        lost = lost if self.wants_stations else 0
        with self._lock:
            was_empty = not self._waiting and not self._lost
            room = WAITING_MAX - len(self._waiting)
            self._waiting.extend(wanted[:room])
            self._lost += lost + max(0, len(wanted) - room)
            rings = was_empty and bool(self._waiting or self._lost)
        if rings:
            self._wake()

    def take(self) -> tuple[list[Event], int]:
        """What waits, and how many events were lost behind it."""
        with self._lock:
            events, lost = list(self._waiting), self._lost
            self._waiting.clear()
            self._lost = 0
        return events, lost

    def _wants(self, event: Event) -> bool:
        return (
            event.kind in self._kinds
            and self._port in (None, event.port, event.old_port)
            and self._mac in (None, event.mac)
        )
