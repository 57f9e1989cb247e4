"""Stations that move to and fro: reported once, and again when they have settled.

    unknown --moves--> watched --MOVES_MIN within WINDOW_S--> flapping
    watched --a quiet window--> unknown <--a quiet window-- flapping

A quiet window has less than MOVES_MIN moves. At most STATIONS_MAX are watched; the one that has
been watched for the longest without flapping gives way.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from vswitch.events import Event

MOVES_MIN = 5
WINDOW_S = 10
STATIONS_MAX = 4096


@dataclass(slots=True)
class _Watched:
    began_s: float  # the window
    last: Event
    moves: int = 0  # in the window
    total: int = 0  # while it has been flapping
    flapping: bool = False
    since_s: float = 0.0  # that


@dataclass(frozen=True, slots=True)
class Flap:
    """A station that began to flap, or ended it."""

    move: Event  # its last
    rate: float  # moves a second
    moves: int
    ended: bool


class Flapping:
    """The stations of one switch that move."""

    def __init__(self) -> None:
        self._watched: OrderedDict[tuple[int, bytes | None], _Watched] = OrderedDict()

    def moved(self, move: Event) -> Flap | None:
        """A station moved; what is to be reported."""
        key = move.vid, move.mac
        one = self._watched.get(key)
        if one is None:
            if len(self._watched) >= STATIONS_MAX and not self._give_way():
                return None
            one = self._watched[key] = _Watched(move.time_s, move)
        one.last = move
        one.moves += 1
        one.total += one.flapping
        if one.flapping or one.moves < MOVES_MIN:
            return None
        one.flapping, one.since_s, one.total = True, move.time_s, one.moves
        return Flap(move, one.moves / max(1.0, move.time_s - one.began_s), one.moves, ended=False)

    def hides(self, event: Event) -> bool:
        """Whether *event* is one of the many moves of a station that was reported."""
        one = self._watched.get((event.vid, event.mac)) if event.kind == "moved" else None
        return one is not None and one.flapping and event.time_s > one.since_s

    def look(self, now_s: float) -> list[Flap]:
        """Begin the next window of those whose window is over; those that ended."""
        ended = []
        for key, one in list(self._watched.items()):
            if now_s - one.began_s < WINDOW_S:
                continue
            if one.moves < MOVES_MIN:
                del self._watched[key]
                if one.flapping:
                    ended.append(Flap(one.last, 0.0, one.total, ended=True))
            else:
                one.began_s, one.moves = now_s, 0
        return ended

    @property
    def due_s(self) -> float | None:
        """When `look` has something to do at the earliest."""
        return min((one.began_s + WINDOW_S for one in self._watched.values()), default=None)

    def _give_way(self) -> bool:
        key = next((key for key, one in self._watched.items() if not one.flapping), None)
        if key is not None:
            del self._watched[key]
        return key is not None
