"""What clients ask, and at which port: an answer belongs to the port where it was asked first.

So nobody takes over what is another's by repeating what he heard. All is bounded: a port that asks
more than ASKING_MAX forgets what it asked first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

# Chosen by us.
ASKING_S = 60  # longer than clients take to repeat one question (RFC 2131 4.1, RFC 8415 15)
ASKING_MAX = 64  # per port


@dataclass(frozen=True, slots=True)
class _Question:
    port: str
    at_s: int


class Questions:
    """What clients asked, until it is too old; whoever asks most forgets his own.

    A key is all by which a question is told from others: VLAN, station, transaction, ...
    """

    def __init__(self) -> None:
        self._all: dict[Hashable, _Question] = {}
        self._by_port: dict[str, OrderedDict[Hashable, None]] = {}

    def add(self, port: str, key: Hashable, now_s: int) -> None:
        """That was asked at a port."""
        first = self._all.get(key)
        if first is not None and first.port != port and now_s - first.at_s < ASKING_S:
            return
        self._remove(key)
        its = self._by_port.setdefault(port, OrderedDict())
        if len(its) >= ASKING_MAX:
            self._remove(next(iter(its)))
        self._all[key] = _Question(port, now_s)
        its[key] = None

    def port_of(self, key: Hashable) -> str | None:
        """Where that was asked first."""
        found = self._all.get(key)
        return found.port if found else None

    def expire(self, now_s: int) -> None:
        """Forget what is too old."""
        for key in [k for k, one in self._all.items() if now_s - one.at_s >= ASKING_S]:
            self._remove(key)

    def leave(self, port: str) -> None:
        """Forget what was asked at a port."""
        for key in self._by_port.pop(port, ()):
            del self._all[key]

    def clear(self) -> None:
        """Forget everything."""
        self._all.clear()
        self._by_port.clear()

    def _remove(self, key: Hashable) -> None:
        if (was := self._all.pop(key, None)) is not None:
            del self._by_port[was.port][key]
