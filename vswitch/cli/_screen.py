"""A terminal that is drawn again and again, and answers to single keys."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

TICK_S = 0.25  # how soon a terminal that was made larger is drawn anew


def usable() -> bool:
    """Whether somebody sits there: what we say goes to a terminal that can be drawn on."""
    return os.environ.get("TERM", "dumb") != "dumb" and _is_terminal(1)


def _is_terminal(fd: int) -> bool:
    try:
        return os.isatty(fd)
    except OSError:
        return False


@contextmanager
def keys() -> Iterator[Keys]:
    """Single keys, without echo, while the block runs."""
    fd = sys.stdin.fileno() if sys.stdin and _is_terminal(0) else -1
    if fd < 0:
        yield Keys(fd)
        return
    before = termios.tcgetattr(fd)
    tty.setcbreak(fd)
    try:
        yield Keys(fd)
    finally:
        termios.tcsetattr(fd, termios.TCSADRAIN, before)


class Keys:
    """The keys of the terminal *fd*; of none, if there is none."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def wait(self, seconds: float) -> str:
        """The next key, or nothing after so many seconds."""
        watched = [self._fd] if self._fd >= 0 else []
        if not select.select(watched, [], [], max(0.0, seconds))[0]:
            return ""
        key = os.read(self._fd, 1)
        if not key:  # the terminal is gone
            return "q"
        return key.decode("ascii", "replace")
