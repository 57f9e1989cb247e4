"""Loops through the ports of a switch: what follows from probes that come back.

No clock and no I/O: ports are numbers, probes that were heard and the time come in, and what is to
be done goes out. For each port:

    free --heard, and the higher of the two ports--> held, for hold_s
    held --its time is over, probes still come back--> held, for twice as long
    held --its time is over, none came for QUIET_S---> free: tried
    tried --heard again before it was free for as long--> held, for twice as long

Of two ports the one with the higher number is held, so one always stays; a port that hears itself
is held itself. While a port is held its probes go on, so that a loop that is still there is seen
without frames having to circle in it again. When only reporting, a loop is told when it is found,
and when no probe came back for QUIET_S.
"""

from __future__ import annotations

from dataclasses import dataclass

# Chosen by us.
PROBE_S = 0.25  # between two probes of a port
QUIET_S = 8 * PROBE_S  # without one that comes back, there is no loop any more
HOLD_MAX_S = 300.0


@dataclass(frozen=True, slots=True)
class Loop:
    """Two ports that hear one another; they may be the same."""

    port: int  # the one that is held, or would be
    other: int
    vid: int  # the VLAN in which it was found


@dataclass(frozen=True, slots=True)
class Found:
    """There is a loop; *hold_s*: hold its port down, for about so long; None: only say so."""

    loop: Loop
    hold_s: float | None


@dataclass(frozen=True, slots=True)
class Over:
    """A loop is over; its port, if it was held, is free."""

    loop: Loop


Action = Found | Over


@dataclass(slots=True)
class _Known:
    loop: Loop
    heard_s: float
    until_s: float  # the end of its hold
    hold_s: float


class LoopGuard:
    """The loops of one switch.

    Args:
        hold_s: How long a port is held at first; 0 to hold none and only report.
    """

    def __init__(self, hold_s: float) -> None:
        self.hold_s = hold_s
        self._known: dict[int, _Known] = {}  # by the port that is held, or would be
        self._tried: dict[int, tuple[float, float]] = {}  # free since, and its last hold

    @property
    def held(self) -> frozenset[int]:
        """The ports that are held."""
        return frozenset(self._known) if self.hold_s else frozenset()

    @property
    def looped(self) -> frozenset[int]:
        """The ports that are held, or would be."""
        return frozenset(self._known)

    def vids(self, port: int) -> list[int]:
        """The VLANs in which loops through *port* were found."""
        loops = [known.loop for known in self._known.values()]
        return [loop.vid for loop in loops if port in (loop.port, loop.other)]

    @property
    def due_s(self) -> float | None:
        """When `look` has something to do at the earliest."""
        return min(map(self._due_s, self._known.values()), default=None)

    def heard(self, sender: int, port: int, vid: int, now_s: float) -> list[Action]:
        """A probe that left by *sender* came back to *port*."""
        for one in (port, sender):
            if known := self._known.get(one):  # what breaks this loop, or will
                known.heard_s = now_s
                return []
        loop = Loop(max(sender, port), min(sender, port), vid)
        hold_s = self._next_hold_s(loop.port, now_s)
        self._known[loop.port] = _Known(loop, now_s, now_s + hold_s, hold_s)
        return [Found(loop, hold_s or None)]

    def _next_hold_s(self, port: int, now_s: float) -> float:
        since_s, last_s = self._tried.pop(port, (now_s, 0.0))
        if now_s - since_s > last_s:
            return self.hold_s
        return self._longer_s(last_s) if self.hold_s else 0.0

    def _longer_s(self, last_s: float) -> float:
        return max(self.hold_s, min(2 * last_s, HOLD_MAX_S))

    def look(self, now_s: float) -> list[Action]:
        """Free the ports whose time is over, if nothing came back lately."""
        over: list[Action] = []
        for port, known in list(self._known.items()):
            if now_s < self._due_s(known):
                continue
            if self.hold_s and now_s - known.heard_s < QUIET_S:
                known.hold_s = self._longer_s(known.hold_s)
                known.until_s = now_s + known.hold_s
                continue
            self._tried[port] = (now_s, known.hold_s)
            del self._known[port]
            over.append(Over(known.loop))
        return over

    def _due_s(self, known: _Known) -> float:
        return known.until_s if self.hold_s else known.heard_s + QUIET_S

    def forget(self, port: int) -> list[Action]:
        """A port is gone, or is not to be looked at any more; loops through it are over."""
        self._tried.pop(port, None)
        gone = [n for n, known in self._known.items() if port in (n, known.loop.other)]
        return [Over(self._known.pop(n).loop) for n in gone]

    def end(self) -> list[Action]:
        """All loops are over, as nobody looks any more."""
        over: list[Action] = [Over(known.loop) for known in self._known.values()]
        self._known.clear()
        self._tried.clear()
        return over
