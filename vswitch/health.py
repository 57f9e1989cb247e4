"""Whether a switch forwards: every thread of it makes a round when it is woken.

A poller that has nothing to do sleeps, for hours, and is well; so it is woken and its count of
rounds is seen to move. Frames wait for that no longer than for any other wake-up. What it finds: a
thread that has ended, or that stands somewhere in the middle of a round.
"""

from __future__ import annotations

from collections.abc import Callable

from vswitch.switch import Switch

# A round takes microseconds, or as long as its burst of frames does. A second is what a busy host
# may need until it gives a thread its turn.
TRIES, PAUSE_S = 100, 0.01
PATIENCE = "1 s"


class Checkup:
    """One look at a switch; neither waits for its lock nor takes it."""

    def __init__(self, switch: Switch) -> None:
        self._switch = switch
        self._before = switch.rounds()
        switch.wake()

    @property
    def late(self) -> list[str]:
        """The threads that have not made a round since."""
        now = self._switch.rounds()
        return [name for name, rounds in self._before.items() if now[name] == rounds]


def late(switch: Switch, pause: Callable[[float], object]) -> list[str]:
    """The threads that make no round within PATIENCE; *pause* waits for so many seconds."""
    checkup = Checkup(switch)
    for _ in range(TRIES):
        if not checkup.late:
            break
        pause(PAUSE_S)
    return checkup.late


def sentence(threads: list[str]) -> str:
    """What is to be said of threads that were late."""
    return f"{', '.join(threads)} made no round within {PATIENCE}"
