"""Mirrors in plain Python: who gets a copy of a frame (``datapath/mirror.h`` is the fast twin)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol, TypeVar

from vswitch.mirrors import Mirrored


class Passing(Protocol):
    """A frame on its way."""

    @property
    def vid(self) -> int: ...
    @property
    def seen(self) -> set[int]:
        """The targets that have it."""
        ...


Frame = TypeVar("Frame", bound=Passing)


class Mirrors:
    """The mirrors of one switch."""

    def __init__(self, mirrors: Sequence[Mirrored] = ()) -> None:
        self._mirrors = tuple(mirrors)
        self.targets = frozenset(mirror.target for mirror in mirrors)

    def entering(self, port: int, frames: Iterable[Frame]) -> Iterator[tuple[int, list[Frame]]]:
        """Targets, and what each gets of *frames*, which enter by *port*."""
        return self._copies((m for m in self._mirrors if port in m.into), frames)

    def leaving(self, port: int, frames: Iterable[Frame]) -> Iterator[tuple[int, list[Frame]]]:
        """The same of frames that leave by *port*."""
        return self._copies((m for m in self._mirrors if port in m.out), frames)

    def _copies(
        self, mirrors: Iterable[Mirrored], frames: Iterable[Frame]
    ) -> Iterator[tuple[int, list[Frame]]]:
        frames = list(frames)
        for mirror in mirrors:
            wanted = [
                frame
                for frame in frames
                if mirror.target not in frame.seen
                and (mirror.vids is None or frame.vid in mirror.vids)
            ]
            for frame in wanted:
                frame.seen.add(mirror.target)
            if wanted:
                yield mirror.target, wanted
