"""Time, as a thing one can hold: the only module that asks the system for it.

The datapath counts seconds of the monotonic clock (CLOCK_MONOTONIC; pollers read its coarse
form in ``datapath/poller.h``, which ticks at the same rate).
"""

from __future__ import annotations

import time


class Clock:
    """The system's monotonic clock."""

    def now_s(self) -> int:
        """Whole seconds since an arbitrary moment."""
        return int(time.monotonic())


class FakeClock(Clock):
    """A clock that stands still until told otherwise; for tests, lessons and replays."""

    def __init__(self, now_s: int = 0) -> None:
        self._now_s = now_s

    def now_s(self) -> int:
        return self._now_s

    def advance(self, seconds: int) -> None:
        """Let *seconds* (>= 0) pass."""
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds} s")
        self._now_s += seconds
