"""Port kinds of the datapath in plain Python: a TAP, and memory (see ``_slowpath.py``)."""

from __future__ import annotations

import errno
import os
from abc import abstractmethod
from collections import deque
from collections.abc import Sequence
from contextlib import suppress

from vswitch import reference
from vswitch.reference import FRAME_MAX

# From specifications: struct virtio_net_hdr (virtio 1.2, 5.1.6).
VNET_LEN = 10
FINISHED = bytes(VNET_LEN)

# Chosen by us, and the same in datapath/*.h.
BURST = 32
RECORD_HEADER = 16  # bytes in front of a frame in a ring


class SlowPort(reference.Port):
    """A port with queues to read from; *fds* tell the poller when, -1 for never."""

    def __init__(self, fds: Sequence[int], *, mtu: int) -> None:
        super().__init__(mtu=mtu)
        self.fds = list(fds)
        self.errors = [0] * len(fds)

    @abstractmethod
    def read(self, queue: int) -> list[bytes]:
        """Some records of virtio-net header and frame, [] for none; OSError: no more will come."""

    def close(self) -> None:
        """The port is removed: give back what is not the caller's."""


class SlowTapPort(SlowPort):
    """The file end of a TAP: one record per read and write, see ``datapath/port_tap.c``."""

    def read(self, queue: int) -> list[bytes]:
        records: list[bytes] = []
        while len(records) < BURST:
            try:
                records.append(os.read(self.fds[queue], VNET_LEN + FRAME_MAX + 1))
            except BlockingIOError:
                break
            except OSError:
                if records:  # a lasting error comes back on the next burst
                    break
                raise
        return records

    def send(self, frame: bytes) -> str | None:
        try:
            os.write(self.fds[0], FINISHED + frame)
        except OSError as e:
            full = e.errno in (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM)
            return "tx_full" if full else "tx_error"
        return None


class Ring:
    """Records waiting between two threads, as many as ``datapath/ring.h`` has room for."""

    def __init__(self, size: int) -> None:
        self._room = size
        self._records: deque[bytes] = deque()

    def __len__(self) -> int:
        return len(self._records)

    def put(self, record: bytes) -> bool:
        if self._size(record) > self._room:
            return False
        self._room -= self._size(record)
        self._records.append(record)
        return True

    def take(self) -> bytes:
        record = self._records.popleft()
        self._room += self._size(record)
        return record

    @staticmethod
    def _size(record: bytes) -> int:
        return -(-(RECORD_HEADER + len(record) - VNET_LEN) // 16) * 16


class SlowMemoryPort(SlowPort):
    """A port whose wire is two rings; the program holds their other ends as a `Wire`."""

    def __init__(self, fd: int, *, mtu: int, size: int) -> None:
        super().__init__([fd], mtu=mtu)
        self.inbound, self.outbound = Ring(size), Ring(size)
        self.replays, self.discard = 0, False
        self._replayed: list[bytes] = []

    def read(self, queue: int) -> list[bytes]:
        if not self.inbound:
            self._refill()
        records = [self.inbound.take() for _ in range(min(len(self.inbound), BURST))]
        if self.replays:
            self._replayed += records
        return records

    def _refill(self) -> None:
        """Nothing is left: start over, or clear the wake-up."""
        if self.replays:
            self.replays -= 1
            again, self._replayed = self._replayed, []
            for record in again:
                self.inbound.put(record)
        elif self.fds[0] >= 0:
            clear(self.fds[0])

    def send(self, frame: bytes) -> str | None:
        return None if self.discard or self.outbound.put(FINISHED + frame) else "tx_full"


def signal(fd: int) -> None:
    # BlockingIOError: the count is at its maximum, so the descriptor is readable anyway.
    if fd >= 0:
        with suppress(BlockingIOError):
            os.eventfd_write(fd, 1)


def clear(fd: int) -> None:
    with suppress(BlockingIOError):
        os.eventfd_read(fd)
