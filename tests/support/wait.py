"""Waiting for a condition, with a deadline and a sentence."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

# Only a test that fails waits so long. On a machine with other work it takes seconds until a
# process of ours has started, and a condition that asks one has to have its turn at all.
PATIENCE_S = 30


def wait_for(condition: Callable[[], T], what: str, *, timeout_s: float = PATIENCE_S) -> T:
    """Ask until *condition* is true and return what it said; AssertionError after *timeout_s*."""
    deadline = time.monotonic() + timeout_s
    pause_s = 0.001
    while not (answer := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(pause_s)
        pause_s = min(pause_s * 2, 0.02)
    return answer
