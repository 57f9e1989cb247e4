"""Loops through the ports of a switch: what follows from probes that come back.

No clock and no I/O: ports are numbers, probes that were heard, rounds of probes and the time come
in, and what is to be done goes out. For each port:

    free --heard, and the higher of the two ports--> held
    held --no probe came back for some rounds--> free: tried
    tried --heard again soon--> held, and the rounds are more

Of two ports the one with the higher number is held, so one always stays; a port that hears itself
is held itself. While a port is held its probes go on, so that a loop that is still there is seen
without frames having to circle in it again. When only reporting, a loop is told when it is found,
and when no probe came back for QUIET rounds.

Several switches may look for the same loop, and hold different cables of it: then no probe comes
back to any of them, as if the cable had been pulled. So silence is what frees a port, and not time:
a hold that hears nothing is not needed. Who is freed first is left to chance, QUIET rounds and up
to BY_CHANCE more; the others hear their own probes again from then on, through the port that was
freed, and stay. One cable is held in the end, whatever ring it is of, and nobody has to believe
what another switch says, who may be a stranger, or of another make (loop-protect of ArubaOS-CX and
RouterOS let time alone free a port, and know nothing of each other). A loop that comes again soon
is met with more patience: `hold_s`, then twice as long each time, of which at most half is left to
chance.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

# Chosen by us.
PROBE_S = 0.25  # between two rounds of probes
QUIET = 8  # rounds without a probe that comes back: there is no loop any more
# Two switches are freed in one round, which closes the loop for that long, one time in eight.
BY_CHANCE = 16
HOLD_MAX_S = 300.0


@dataclass(frozen=True, slots=True)
class Loop:
    """Two ports that hear one another; they may be the same."""

    port: int  # the one that is held, or would be
    other: int
    vid: int  # the VLAN in which it was found


@dataclass(frozen=True, slots=True)
class Found:
    """There is a loop; *quiet_s*: hold its port until no probe comes back for so long; None: only
    say so."""

    loop: Loop
    quiet_s: float | None


@dataclass(frozen=True, slots=True)
class Over:
    """A loop is over; its port, if it was held, is free."""

    loop: Loop


Action = Found | Over


@dataclass(slots=True)
class _Known:
    loop: Loop
    hold_s: float  # 0 the first time
    patience: int  # rounds
    silent: int = 0  # rounds since a probe came back


class LoopGuard:
    """The loops of one switch.

    Args:
        hold_s: How long the silence is after which a port is free, of a loop that came again; 0 to
            hold none and only report.
        chance: A number in 0..1, another one each time.
    """

    def __init__(self, hold_s: float, *, chance: Callable[[], float] = random.random) -> None:
        self.hold_s = hold_s
        self._chance = chance
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

    def heard(self, sender: int, port: int, vid: int, now_s: float) -> list[Action]:
        """A probe that left by *sender* came back to *port*."""
        for one in (port, sender):
            if known := self._known.get(one):  # what breaks this loop, or will
                known.silent = 0
                return []
        loop = Loop(max(sender, port), min(sender, port), vid)
        known = self._known[loop.port] = self._met(loop, now_s)
        return [Found(loop, known.patience * PROBE_S if self.hold_s else None)]

    def _met(self, loop: Loop, now_s: float) -> _Known:
        if not self.hold_s:
            return _Known(loop, 0.0, QUIET)
        last = self._tried.pop(loop.port, None)
        if last is None or now_s - last[0] > max(last[1], self.hold_s):
            return _Known(loop, 0.0, QUIET + round(BY_CHANCE * self._chance()))
        hold_s = max(self.hold_s, min(2 * last[1], HOLD_MAX_S))
        return _Known(loop, hold_s, round(hold_s * (1 - self._chance() / 2) / PROBE_S))

    def turn(self, now_s: float) -> list[Action]:
        """A round of probes is about to be sent: free the ports that have heard none for long."""
        over: list[Action] = []
        for port, known in list(self._known.items()):
            if known.silent < known.patience:
                known.silent += 1
                continue
            self._tried[port] = (now_s, known.hold_s)
            del self._known[port]
            over.append(Over(known.loop))
        return over

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
