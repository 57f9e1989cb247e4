"""A datapath with guests' cards and a memory port: nothing but what the frames cross."""

from __future__ import annotations

from contextlib import ExitStack

from support.frames import FINISHED
from support.virtio_driver import Card
from vswitch import _ports
from vswitch._fastpath import DROP_REASONS, Datapath
from vswitch.core import COUNTER_WORDS

COUNTERS = ("rx_frames", "rx_bytes", "tx_frames", "tx_bytes", "forwarded")
FIRST_DROP = 9  # struct vsw_counters


class Rig:
    """`wire` is the far end of a memory port, which takes every offload and long frames."""

    def __init__(self, *, pollers: int = 1) -> None:
        self.datapath = Datapath(pollers=pollers)
        self.stack = ExitStack()
        number = _ports.add_memory_port(self.datapath, fd=-1, offloads=31, mtu=9100, size=1 << 20)
        self.wire = _ports.Wire(self.datapath, number)

    def card(self, **options: object) -> Card:
        card = Card(self.datapath, **options)
        self.stack.callback(card.close)
        return card

    def poll(self, times: int = 1) -> None:
        for _ in range(times):
            self.datapath.poll(1)

    def to_guest(self, *frames: bytes, vnet: bytes = FINISHED) -> None:
        for frame in frames:
            assert self.wire.send(vnet + frame)
        self.poll()

    def from_guest(self) -> list[bytes]:
        self.poll()
        return [frame for _, frame in self.wire.receive()]

    def counters(self, card: Card) -> dict[str, int]:
        """What is not zero of the port's counters, by name; drops by reason."""
        words = memoryview(self.datapath.counter_memory).cast("B").cast("Q")
        own = words[card.number * COUNTER_WORDS :]
        named = dict(zip(COUNTERS, own, strict=False))
        for i, (reason, _, _) in enumerate(DROP_REASONS):
            named[reason] = own[FIRST_DROP + i]
        return {name: n for name, n in named.items() if n}
