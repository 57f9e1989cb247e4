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

    def precise_s(self) -> float:
        """The same moment with its fraction: for rates, not for the datapath."""
        return time.monotonic()

    def now_ns(self) -> int:
        """The same moment in nanoseconds."""
        return time.monotonic_ns()

    def wall_s(self) -> float:
        """Seconds since 1970: what people call the time; it can be set."""
        return time.time()


class FakeClock(Clock):
    """A clock that stands still until told otherwise; for tests, lessons and replays."""

    def __init__(self, now_s: int = 0) -> None:
        self._now_s = now_s

    def now_s(self) -> int:
        return self._now_s

    def precise_s(self) -> float:
        return float(self._now_s)

    def now_ns(self) -> int:
        return self._now_s * 1_000_000_000

    def wall_s(self) -> float:
        return float(self._now_s)

    def advance(self, seconds: int) -> None:
        """Let *seconds* (>= 0) pass."""
        if seconds < 0:
            raise ValueError(f"time does not go back: {seconds} s")
        self._now_s += seconds


def time_of_day() -> str:
    """The local time as 23:59:59, for people."""
    return time.strftime("%H:%M:%S")
