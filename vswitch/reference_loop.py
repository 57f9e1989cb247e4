"""Probes of the loop detector in plain Python: which frames are ours (``datapath/loop.h``)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol, TypeVar

from vswitch.wire.loop import is_from


class Came(Protocol):
    """A frame that came in."""

    @property
    def frame(self) -> bytes: ...


Frame = TypeVar("Frame", bound=Came)
A_SECOND = 2048  # probes that are heard; more tell nothing new


@dataclass
class Probes:
    """The ports at which probes of one switch are heard."""

    switch_id: bytes | None = None  # None: nowhere
    ports: frozenset[int] = frozenset()
    _second: int | None = None
    _left: int = 0  # that may still be heard in it

    def sorted_out(
        self, port: int, frames: Iterable[Frame], now_s: int
    ) -> tuple[list[Frame], list[Frame], list[Frame]]:
        """Of *frames*, which came in by *port*: probes that are heard, too many, and all others."""
        ours: list[Frame] = []
        others: list[Frame] = []
        if self.switch_id is None or port not in self.ports:
            return ours, [], [*frames]
        for frame in frames:
            (ours if is_from(frame.frame, self.switch_id) else others).append(frame)
        if now_s != self._second:
            self._second, self._left = now_s, A_SECOND
        heard, too_many = ours[: self._left], ours[self._left :]
        self._left -= len(heard)
        return heard, too_many, others
