"""The far end of a memory port, and what was punted, of the datapath in plain Python."""

from __future__ import annotations

import os
import threading
import weakref
from typing import Protocol

from vswitch._slowports import FINISHED, VNET_LEN, SlowMemoryPort, SlowPort, signal
from vswitch.reference import FRAME_MAX, ReferenceSwitch

Bytes = bytes | bytearray | memoryview


class Datapath(Protocol):
    """What is around it."""

    lock: threading.RLock

    @property
    def switch(self) -> ReferenceSwitch: ...

    def port_at(self, port: int) -> SlowPort: ...


class Wire:
    """The far end of a memory port; one thread at a time sends, one receives."""

    def __init__(self, datapath: Datapath, port: int) -> None:
        memory = datapath.port_at(port)
        if not isinstance(memory, SlowMemoryPort):
            raise ValueError(f"port {port} is not a memory port")
        self._lock = datapath.lock
        self._memory = memory
        # Its own: the port's may be closed, and its number another file's, while we send.
        self._fd = -1 if memory.fds[0] < 0 else os.dup(memory.fds[0])
        if self._fd >= 0:
            weakref.finalize(self, os.close, self._fd)

    def send(self, record: Bytes) -> bool:
        """Put one frame in; False when the ring is full.

        *record* is the 10 bytes of the virtio-net header and the frame.
        """
        if not VNET_LEN <= len(record) <= VNET_LEN + FRAME_MAX:
            raise ValueError(f"record must have 10..{VNET_LEN + FRAME_MAX} bytes")
        with self._lock:
            if not self._memory.inbound.put(bytes(record)):
                return False
        signal(self._fd)
        return True

    def receive(self) -> list[tuple[bytes, bytes]]:
        """Take what the switch sent: a list of (virtio-net header, frame)."""
        with self._lock:
            ring = self._memory.outbound
            records = [ring.take() for _ in range(len(ring))]
        return [(record[:VNET_LEN], record[VNET_LEN:]) for record in records]

    def replay(self, times: int, *, discard: bool, copied: bool = False) -> None:
        """Let the switch receive what waits here *times* more; *discard*: only count what it sends.

        For benchmarks.  Only while the poller is parked. Frames are copied here, *copied* or not.
        """
        self._memory.replays = times
        self._memory.discard = bool(discard)


def punted(datapath: Datapath) -> list[tuple[int, bytes, bytes]]:
    """Take the frames for the control plane: a list of (port, virtio-net header, frame)."""
    with datapath.lock:
        frames, datapath.switch.punted = datapath.switch.punted, []
    return [(port, FINISHED, frame) for port, frame in frames]
