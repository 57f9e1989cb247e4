"""Neighbours in plain Python: which questions the switch answers itself, and which it keeps back.

``datapath/suppress.h`` is the fast twin, and says what each has to do with the Linux bridge.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

from vswitch.neighbours import NEIGHBOURS_MAX, Key, Neighbour
from vswitch.reference_frame import Admitted
from vswitch.wire.neighbour import Notice, answer, said

BURST = 128  # frames of one, answers included


class Neighbours:
    """Those that a switch knows."""

    def __init__(self) -> None:
        self._known: dict[Key, Neighbour] = {}
        self._room = 0  # for answers, of the burst at hand
        self._answers: list[Admitted] = []
        self.answered = 0  # questions
        self.suppressed = 0  # frames not sent everywhere, the same included

    def set(self, neighbour: Neighbour) -> bool:
        """Know one; False: there is no room."""
        if neighbour.key not in self._known and len(self._known) >= NEIGHBOURS_MAX:
            return False
        self._known[neighbour.key] = neighbour
        return True

    def unset(self, neighbour: Neighbour) -> bool:
        """Forget who has the address of one; whether it was known."""
        return self._known.pop(neighbour.key, None) is not None

    def begin(self, frames: int) -> None:
        """A burst of so many frames is about to be decided."""
        self._room = BURST - frames

    def taken(self) -> list[Admitted]:
        """The answers since it was asked last, for who asked."""
        answers, self._answers = self._answers, []
        return answers

    def is_kept_back(
        self,
        a: Admitted,
        port_of: Callable[[bytes], int | None],
        suppressing: Collection[int],
        *,
        may_answer: bool,
    ) -> bool:
        """Whether a frame, to be flooded, is not for ports with neigh_suppress; answer it, maybe.

        Args:
            a: It came in by a port without.
            port_of: Where a station of its VLAN is.
            suppressing: The ports with neigh_suppress.
            may_answer: Whether the port it came in by sends in its VLAN.
        """
        question = said(a.bare)
        if question is None:
            return False
        if not isinstance(question, Notice):
            known = self._known.get((a.vid, question.ip))
            at = port_of(known.mac) if known else None
            if known is None or at is None:
                return False
            if at in suppressing:
                if not may_answer or self._room <= 0:
                    return False
                frame = answer(question, known.mac, router=known.router)
                self._answers.append(Admitted(frame, frame, a.vid, a.priority))
                self._room -= 1
                self.answered += 1
        self.suppressed += 1
        return True
