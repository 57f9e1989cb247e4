"""The threads of a switch: one for each poller, and one for what is not per frame."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Threads:
    """The threads of one switch, once they were started.

    Args:
        name: What their names begin with.
        poll: Forwards as the poller of a number, until the switch ends.
        control: Does the rest, for as long.
    """

    def __init__(
        self, name: str, *, poll: Callable[[int], object], control: Callable[[], None]
    ) -> None:
        self._name = name
        self._poll = poll
        self._control = control
        self._running: list[threading.Thread] = []

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._running)

    def start(self, pollers: int) -> None:
        """Begin to forward with so many pollers."""
        threads = [self._thread(f"poller-{i}", self._poll, i) for i in range(pollers)]
        for thread in (*threads, self._thread("control", self._control)):
            thread.start()
            self._running.append(thread)  # those that run are the ones to wait for

    def _thread(self, what: str, run: Callable[..., object], *args: int) -> threading.Thread:
        return threading.Thread(target=run, args=args, name=f"{self._name}-{what}", daemon=True)

    def join(self) -> None:
        """Wait until they have ended, except for the one that calls."""
        for thread in self._running:
            if thread is not threading.current_thread():  # of a punt handler
                thread.join()
