"""Frames that the datapath gives to the control plane, and whoever wants them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from vswitch.core import COPY, Core
from vswitch.members import Member

log = logging.getLogger(__name__)
Punt = tuple[str, bytes]  # the port it came from, and the frame


class Punts:
    """The punted frames of one switch.

    Args:
        core: Its datapath.
        members: Its ports by name.
        lock: The switch's. A handler is called without it: it may ask, and change, the switch.
        handler: Who wants them now, if anybody.
        copies: Who wants what was copied for the control plane, and went on; called with the lock.
        ours: Takes those that are the switch's own business, by the number of the port; whether
            it was one. The lock is held.
    """

    def __init__(
        self,
        core: Core,
        members: Mapping[str, Member],
        lock: threading.RLock,
        *,
        handler: Callable[[], Callable[[str, bytes], None] | None],
        copies: Callable[[list[Punt]], None],
        ours: Callable[[int, bytes], bool],
    ) -> None:
        self._core = core
        self._members = members
        self._lock = lock
        self._handler = handler
        self._copies = copies
        self._ours = ours

    def take(self) -> list[Punt]:
        """What was punted, by the names its ports have now."""
        with self._lock:
            names = {member.number: name for name, member in self._members.items()}
            taken = self._core.punted()
            if copies := [
                (names[n & ~COPY], frame)
                for n, _, frame in taken
                if n & COPY and n & ~COPY in names
            ]:
                self._copies(copies)
            return [
                (names[n], frame)
                for n, _, frame in taken
                if n in names and not self._ours(n, frame)
            ]

    def deliver(self, punts: list[Punt]) -> None:
        """Give them to the handler; what it raises is logged."""
        for name, frame in punts:
            try:
                if handler := self._handler():
                    handler(name, frame)
            except Exception:  # a stranger's frame met a stranger's mistake: go on
                log.exception("punt handler failed port=%s", name)
