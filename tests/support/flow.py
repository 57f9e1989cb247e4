"""Numbered frames between two memory ports of a switch with threads: none may be missing."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from support.frames import BROADCAST, frame, mac
from support.wait import wait_for
from vswitch import MemoryPort, Switch

SRC, DST = mac(0xA), mac(0xB)
BURST = 32  # the datapath's
FIRST = 14  # byte of the number


class Flow:
    """From a port to another, in order: every second burst to everybody, the others to one."""

    def __init__(self, switch: Switch) -> None:
        self._a = switch.add_port(MemoryPort("flow-a"))
        self._b = switch.add_port(MemoryPort("flow-b", size_bytes=1 << 22))
        self._stop = threading.Event()
        self.sent = 0
        self.got: list[int] = []

    @contextmanager
    def running(self) -> Iterator[None]:
        """Frames flow while the block runs; at its end every one has arrived, once, in order."""
        sender = threading.Thread(target=self._run, name="flow")
        sender.start()
        try:
            wait_for(lambda: self.sent > 10 * BURST, "frames flow")
            yield
        finally:
            self._stop.set()
            sender.join(60)
        assert self.got == list(range(self.sent))

    def _run(self) -> None:
        while not self._stop.is_set():
            to = BROADCAST if self.sent // BURST % 2 else DST
            numbers = range(self.sent, self.sent + BURST)
            burst = [frame(to, SRC, number.to_bytes(4, "big")) for number in numbers]
            assert self._a.send(burst) == BURST
            self.sent += BURST
            wait_for(self._all_are_there, "every frame of a burst", timeout_s=10)

    def _all_are_there(self) -> bool:
        # What the plugged port says comes here as well.
        ours = (f for f in self._b.receive() if f[6:12] == SRC)
        self.got += [int.from_bytes(f[FIRST : FIRST + 4], "big") for f in ours]
        return len(self.got) >= self.sent
