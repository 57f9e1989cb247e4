"""Where the poller in plain Python stands while the control plane changes something.

The twin of ``datapath/gate.h``.
"""

from __future__ import annotations

import threading


class Gate:
    """Open at first; `close` and `open` nest; `wait` returns once nobody is inside."""

    def __init__(self) -> None:
        self._change = threading.Condition()
        self._closed = 0  # how often
        self._inside = 0
        self._stopped = False

    def enter(self) -> bool:
        """Return once the gate is open; False: go home."""
        with self._change:
            self._change.wait_for(lambda: self._stopped or not self._closed)
            self._inside += not self._stopped
            return not self._stopped

    def stand(self) -> bool:
        """Between two rounds: wait here if the gate is closed; False: go home."""
        with self._change:
            if not self._closed and not self._stopped:
                return True
        self.leave()
        return self.enter()

    def leave(self) -> None:
        with self._change:
            self._inside -= 1
            self._change.notify_all()

    def close(self) -> None:
        with self._change:
            self._closed += 1

    def wait(self) -> None:
        with self._change:
            self._change.wait_for(lambda: not self._inside)

    def open(self) -> None:
        with self._change:
            self._closed -= 1
            self._change.notify_all()

    def stop(self) -> None:
        with self._change:
            self._stopped = True
            self._change.notify_all()
