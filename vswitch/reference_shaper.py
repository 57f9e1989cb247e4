"""What leaves a port no faster than a rate, in plain Python, to be read.

    nothing waits, and the bucket is not empty -> sent at once
    something waits, or it is                  -> to the end of the queue
    the queue is full                          -> dropped, tx_full

The bucket is that of ``reference_meter.py``. What waits and is due leaves when `due` is asked, so
before anything else that happens at that time. The twin of ``datapath/shaper.h``, to the last bit.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator

from vswitch.meters import Meter, Shape
from vswitch.reference_meter import NS_PER_S, TICKS, Bucket


class Shaper:
    """The queue of one port, and its bucket; *before*: the shaper it had, whose queue it takes.

    A bucket whose rate and burst are as before is as empty.
    """

    def __init__(self, shape: Shape, before: Shaper | None = None) -> None:
        meter = Meter(shape.rate, in_bytes=True, burst=shape.burst)
        self._bucket: Bucket = Bucket(meter)
        if before and before._bucket.is_of(meter):
            self._bucket = before._bucket
        self.shape = shape
        self._waiting: deque[bytes] = deque()
        self._queued = 0  # bytes of them
        self.lost = sum(not self._put(frame) for frame in before._waiting) if before else 0

    @property
    def n_waiting(self) -> int:
        """How many frames wait."""
        return len(self._waiting)

    def take(self, frame: bytes, now_ns: int) -> str | None:
        """What becomes of a frame that is to leave: ``waits``, ``tx_full``; None: send it now."""
        if not self._waiting and self._pays(frame, now_ns):
            return None
        return "waits" if self._put(frame) else "tx_full"

    def due(self, now_ns: int) -> Iterator[bytes]:
        """Take what waited until now out of the queue."""
        while self._waiting and self._pays(self._waiting[0], now_ns):
            frame = self._waiting.popleft()
            self._queued -= len(frame)
            yield frame

    def due_ns(self, now_ns: int) -> int | None:
        """When the next frame is due; None: none waits."""
        if not self._waiting:
            return None
        ahead = self._bucket.full_at - now_ns * TICKS - self._bucket.burst
        return now_ns if ahead < 0 else now_ns + ahead // TICKS + 1

    def _pays(self, frame: bytes, now_ns: int) -> bool:
        return self._bucket.take(len(frame), 1, now_ns)

    def _put(self, frame: bytes) -> bool:
        if self._queued + len(frame) > self.shape.queue:
            return False
        self._waiting.append(frame)
        self._queued += len(frame)
        return True


def due_in_s(shapers: Iterable[Shaper | None], now_ns: int) -> float | None:
    """How long until one of them has something to send; None: nothing waits."""
    due = [due_ns for s in shapers if s and (due_ns := s.due_ns(now_ns)) is not None]
    return (min(due) - now_ns) / NS_PER_S if due else None
