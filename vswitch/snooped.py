"""What is known of the dialogues of one version of DHCP: questions, and the leases they led to."""

from __future__ import annotations

from vswitch.bindings import Bindings
from vswitch.questions import Questions


class Snooped:
    """What snooping.py and snooping6.py have in common: how both are forgotten."""

    def __init__(self) -> None:
        self.bindings = Bindings()
        self._questions = Questions()

    def expire(self, now_s: int) -> set[str]:
        """Forget what is over; the ports whose leases changed."""
        self._questions.expire(now_s)
        return self.bindings.expire(now_s)

    def leave(self, port: str) -> set[str]:
        """Forget what belongs to a port; it, if it had leases."""
        self._questions.leave(port)
        return self.bindings.leave(port)

    def clear(self) -> set[str]:
        """Forget everything; the ports whose leases changed."""
        self._questions.clear()
        return self.bindings.clear()
