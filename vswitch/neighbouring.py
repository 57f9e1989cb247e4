"""The neighbours of a running switch: what is said of them, told to the datapath.

    by hand ── add, remove, flush ─┐
    leases, allow-ip ── guards.py ─┴─ Claims ── what is believed of an address ── parked ──> neigh.h

What the datapath has no place for is not kept here either, and counted: of a port's addresses they
are tried again when something about the port's guard changes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

from vswitch.core import Core
from vswitch.errors import NeighbourExistsError, NeighbourFullError, NeighbourNotFoundError
from vswitch.neighbours import NEIGHBOURS_MAX, Claims, Key, Known, Neighbour, named

log = logging.getLogger(__name__)
BY_HAND = ""  # no port is called so


class Neighbouring:
    """The neighbours of one switch; every public method may be called from any thread.

    Args:
        core: What answers for them.
        lock: Held while anything changes.
        paused: Holds the pollers, and that lock.
    """

    def __init__(
        self,
        core: Core,
        lock: threading.RLock,
        paused: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._core = core
        self._lock = lock
        self._paused = paused
        self._claims = Claims()
        self._refused = 0

    @property
    def all(self) -> list[Known]:
        """What is known, in order of VLAN and address."""
        with self._lock:
            return self._claims.all()

    def counters(self) -> dict[str, int]:
        """How many are known and can be; so far refused, questions answered, frames kept back."""
        with self._lock:
            answered, suppressed = self._core.neighbour_counters()
            return {
                "entries": len(self._claims),
                "limit": NEIGHBOURS_MAX,
                "refused": self._refused,
                "answered": answered,
                "suppressed": suppressed,
            }

    # ------------------------------------------------------------ by hand

    def add(self, neighbour: Neighbour, *, replace: bool = False) -> None:
        """Know one by hand, whatever else is said of its address.

        *replace*: also if something is said by hand already.

        Raises:
            NeighbourExistsError: something is.
            NeighbourFullError: there is no place for it.
        """
        with self._paused():
            known = self._claims.said(BY_HAND, neighbour.key)
            if known and not replace:
                raise NeighbourExistsError(
                    f"neighbour {named(neighbour.key)} is there already", hint="replace it"
                )
            if not self._put(BY_HAND, Known(neighbour)):
                raise NeighbourFullError(
                    f"no room for neighbour {named(neighbour.key)}: the switch knows "
                    f"{len(self._claims)} of {NEIGHBOURS_MAX}",
                    hint="remove some first: vswitch neigh del, vswitch neigh flush",
                )
        log.info("neighbour %s what=%r", "replaced" if known else "added", neighbour.text)

    def remove(self, ip: bytes, vid: int) -> None:
        """Say nothing by hand of an address any more.

        Raises:
            NeighbourNotFoundError: nothing is.
        """
        key = (vid, ip)
        with self._paused():
            if self._claims.said(BY_HAND, key) is None:
                known = self._claims.of(key)
                raise NeighbourNotFoundError(
                    f"no neighbour {named(key)} was added by hand",
                    hint=f"it is known from {known.origin}" if known else None,
                )
            self._drop(BY_HAND, key)
        log.info("neighbour removed what=%r", named(key))

    def flush(self, vid: int | None = None) -> int:
        """Say nothing by hand any more, of addresses in one VLAN only if given; how many it was."""
        with self._paused():
            keys = [key for key in self._claims.by(BY_HAND) if vid in (None, key[0])]
            for key in keys:
                self._drop(BY_HAND, key)
        if keys:
            log.info("neighbours flushed neighbours=%d", len(keys))
        return len(keys)

    # ------------------------------------------------------------ from ports

    def learn(self, port: str, known: Iterable[Known]) -> None:
        """Know *known* from a port, and nothing else from there."""
        wanted = {one.neighbour.key: one for one in known}
        with self._lock:
            gone = self._claims.by(port) - wanted.keys()
            new = [one for key, one in wanted.items() if self._claims.said(port, key) != one]
            if not gone and not new:
                return
            with self._paused():
                for key in gone:
                    self._drop(port, key)
                for one in new:
                    self._put(port, one)

    # ------------------------------------------------------------ the datapath

    def _put(self, source: str, known: Known) -> bool:
        """Take what a source says, if there is room; whether there was."""
        key = known.neighbour.key
        was, before = self._claims.of(key), self._claims.said(source, key)
        self._claims.put(source, known)
        if self._tell(key, was):
            return True
        self._claims.drop(source, key)
        if before is not None:
            self._claims.put(source, before)
        self._refused += 1
        return False

    def _drop(self, source: str, key: Key) -> None:
        was = self._claims.of(key)
        self._claims.drop(source, key)
        self._tell(key, was)

    def _tell(self, key: Key, was: Known | None) -> bool:
        """Tell the datapath what is believed of an address now; False: it has no room."""
        now = self._claims.of(key)
        if now is not None:
            same = was is not None and was.neighbour == now.neighbour
            return same or self._core.set_neighbour(now.neighbour)
        if was is not None:
            self._core.unset_neighbour(was.neighbour)
        return True
