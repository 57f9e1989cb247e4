"""How much may enter a port in a second, and leave it, as facts."""

from __future__ import annotations

from dataclasses import dataclass

from vswitch import rates
from vswitch.portsettings import PortSettings

# Chosen by us. A TCP flow of a network as short as ours falls silent for 200 ms, Linux's least
# retransmission time-out, whenever the bucket runs dry: what a bucket could not hold of that time
# is lost. Half a second of the rate also outlasts the second time-out, which is twice as long.
POLICE_BURST_S = 0.5
STORM_BURST_S = 0.1  # floods are short: an ARP request for each of a host's neighbours
BURST_BYTES_MIN = 128 << 10  # two super-frames
BURST_PACKETS_MIN = 10
# What leaves too early would have to wait elsewhere; what a poller that sleeps too long could have
# sent is lost. Epoll counts in milliseconds, and a busy machine is late by some more.
SHAPE_BURST_S = 0.02
SHAPE_BURST_MIN = 1514  # bytes: one frame, the bucket may be overdrawn by a super-frame
# Deep enough for TCP to fill the wire after it has halved its rate, where round trips take up to
# as long; not so deep that a call over the same port suffers.
SHAPE_QUEUE_S = 0.05
SHAPE_QUEUE_MIN = 2 * rates.QUEUE_MIN  # bytes: two super-frames
SHAPE_QUEUE_MAX = 8 << 20  # bytes, unless more is said


@dataclass(frozen=True, slots=True)
class Meter:
    """A token bucket."""

    rate: int  # a second: bits if in_bytes, otherwise packets
    in_bytes: bool
    burst: int  # bytes, or packets


@dataclass(frozen=True, slots=True)
class Meters:
    """Those of one port; None: there is no limit."""

    police: Meter | None = None  # all that enters
    broadcast: Meter | None = None  # what is flooded of it
    multicast: Meter | None = None
    unknown: Meter | None = None  # unicast for stations not known

    @property
    def any(self) -> bool:
        """Whether there is one of them."""
        return self != NO_METERS


@dataclass(frozen=True, slots=True)
class Shape:
    """What leaves a port waits for its turn."""

    rate: int  # bits a second
    burst: int  # bytes that leave at once
    queue: int  # bytes that may wait


NO_METERS = Meters()


def meters_of(settings: PortSettings) -> Meters:
    """What is set of a port."""
    return Meters(
        police=_meter(settings.police, POLICE_BURST_S, settings.police_burst),
        broadcast=_meter(settings.storm_broadcast, STORM_BURST_S),
        multicast=_meter(settings.storm_multicast, STORM_BURST_S),
        unknown=_meter(settings.storm_unknown, STORM_BURST_S),
    )


def _meter(text: str, burst_s: float, burst: int = 0) -> Meter | None:
    """The meter of a rate; *burst* 0: what passes in *burst_s* seconds."""
    found = rates.parse(text)
    if found is None:
        return None
    rate, in_bytes = found
    least = BURST_BYTES_MIN if in_bytes else BURST_PACKETS_MIN
    usual = int(rate * burst_s) // (8 if in_bytes else 1)
    return Meter(rate, in_bytes, burst or min(max(usual, least), rates.SIZE_MAX))


def shape_of(settings: PortSettings) -> Shape | None:
    """What is set of a port about what leaves it."""
    found = rates.parse(settings.shape)
    if found is None:
        return None
    rate, _ = found
    usual = min(max(int(rate * SHAPE_QUEUE_S) // 8, SHAPE_QUEUE_MIN), SHAPE_QUEUE_MAX)
    return Shape(
        rate,
        settings.shape_burst
        or max(min(int(rate * SHAPE_BURST_S) // 8, rates.SIZE_MAX), SHAPE_BURST_MIN),
        settings.shape_queue or usual,
    )
