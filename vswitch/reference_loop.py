"""Probes of the loop detector in plain Python: which frames are ours (``datapath/loop.h``)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol, TypeVar

from vswitch.wire.loop import is_from


class Came(Protocol):
    """A frame that came in."""

    @property
    def frame(self) -> bytes: ...


Frame = TypeVar("Frame", bound=Came)


@dataclass(frozen=True)
class Probes:
    """The ports at which probes of one switch are heard."""

    switch_id: bytes | None = None  # None: nowhere
    ports: frozenset[int] = field(default=frozenset())

    def sorted_out(self, port: int, frames: Iterable[Frame]) -> tuple[list[Frame], list[Frame]]:
        """The probes among *frames*, which came in by *port*, and all others."""
        ours: list[Frame] = []
        others: list[Frame] = []
        if self.switch_id is None or port not in self.ports:
            return ours, [*frames]
        for frame in frames:
            (ours if is_from(frame.frame, self.switch_id) else others).append(frame)
        return ours, others
