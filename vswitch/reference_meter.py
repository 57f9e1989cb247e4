"""Token buckets in plain Python, to be read: how much may enter a port in a second.

A bucket holds *burst* and fills at *rate*. A frame passes while there is anything in it, and takes
what it costs, be that more than there is: who comes next waits until that is paid back. So no
longer frame than the bucket is excluded, and in any time t no more passes than t times the rate,
the burst and one frame.

What is kept is only the moment at which the bucket will be full again. All of it is integers: a
tick is 1/16 ns, and what a unit costs, a byte or a packet, has 24 binary digits behind the point.
So the result is that of ``datapath/meter.h`` to the last bit.
"""

from __future__ import annotations

from dataclasses import dataclass

from vswitch.meters import Meter, Meters

TICKS = 16  # a nanosecond
NS_PER_S = 1_000_000_000
SHIFT = 24
COST_MAX = 1 << 60  # ticks, two years


@dataclass(slots=True)
class Bucket:
    """What is left of a `Meter`."""

    meter: Meter
    full_at: int = 0  # ticks

    @property
    def scale(self) -> int:
        """What a byte, or packet, takes, in ticks, with SHIFT binary digits behind the point."""
        second = TICKS * NS_PER_S * (8 if self.meter.in_bytes else 1) << SHIFT
        return (second + self.meter.rate // 2) // self.meter.rate

    @property
    def burst(self) -> int:
        """What it holds, in ticks."""
        return max(self.cost(self.meter.burst), 1)  # a burst may be less than a tick

    def cost(self, units: int) -> int:
        """What so many bytes, or packets, take, in ticks."""
        return min((units * self.scale + (1 << SHIFT - 1)) >> SHIFT, COST_MAX)

    def is_of(self, meter: Meter) -> bool:
        """Whether it would be the same with another meter: in ticks, so nearly the same will do."""
        other = Bucket(meter)
        mine = self.scale, self.burst, self.meter.in_bytes
        return mine == (other.scale, other.burst, meter.in_bytes)

    def take(self, length: int, packets: int, now_ns: int) -> bool:
        """Whether *packets* of *length* bytes together pass at *now_ns*; they are paid for then."""
        now = now_ns * TICKS
        used = max(self.full_at - now, 0)
        if used >= self.burst:
            return False
        self.full_at = now + used + self.cost(length if self.meter.in_bytes else packets)
        return True


class PortMeters:
    """The buckets of a port, by what they are for: ``police``, or a kind of flooding."""

    def __init__(self) -> None:
        self.now_ns = 0  # when what is asked about came in
        self._buckets: dict[str, Bucket] = {}

    def change(self, meters: Meters) -> None:
        """Use other ones; those that are as before stay as full as they are."""
        wanted = {
            "police": meters.police,
            "unicast": meters.unknown,
            "multicast": meters.multicast,
            "broadcast": meters.broadcast,
        }
        before, self._buckets = self._buckets, {}
        for kind, meter in wanted.items():
            if meter:
                had = before.get(kind)
                self._buckets[kind] = had if had and had.is_of(meter) else Bucket(meter)

    def drops(self, kind: str, length: int) -> bool:
        """Whether a frame of *length* bytes is more than may enter now."""
        bucket = self._buckets.get(kind)
        return bucket is not None and not bucket.take(length, 1, self.now_ns)
