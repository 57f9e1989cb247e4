"""A guest's driver of a vhost-user port: frames in and out, as a kernel has it (virtio 1.2, 5.1.6).

card = Card(datapath, packed=True)
card.send(frame)
datapath.poll(1)
card.receive()
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

from support.frames import FINISHED
from support.guest_memory import Memory
from support.virtio_ring import Buffer, PackedRing, SplitRing
from vswitch._fastpath import Datapath
from vswitch._guest import Guest
from vswitch._ports import add_vhost_port

AREA_BYTES = 70 << 10  # the longest record, with room


@dataclass(frozen=True)
class Shape:
    """What was negotiated."""

    packed: bool = False
    indirect: bool = False
    event_idx: bool = False
    mergeable: bool = True
    long_header: bool = True

    @property
    def header_len(self) -> int:
        return 12 if self.long_header else 10


class Pair:
    """A transmit and a receive queue of the guest's, with their buffers."""

    def __init__(self, memory: Memory, shape: Shape, size: int) -> None:
        self.memory, self.shape = memory, shape
        make = PackedRing if shape.packed else SplitRing
        self.rx, self.tx = (make(memory, size, event_idx=shape.event_idx) for _ in range(2))
        self._areas: list[int] = []
        self._sent: dict[int, int] = {}
        self._posted: dict[int, list[Buffer]] = {}
        self._spares: dict[int, list[int]] = {}

    # ------------------------------------------------------------------ out of the guest

    def send(
        self, frame: bytes, *, vnet: bytes = FINISHED, cuts: Sequence[int] = (), tail: int = 0,
        at: int | None = None, show: bool = True,
    ) -> bool:  # fmt: skip
        """Put a frame in, its record cut at *cuts*; the last *tail* pieces in an indirect table.

        Returns whether the device wants a kick. *at*: the guest address of the record.
        """
        self.reap()
        record = vnet.ljust(self.shape.header_len, b"\0") + frame
        if at is None:
            at = self._areas.pop() if self._areas else self.memory.allocate(AREA_BYTES)
            area: int | None = at
        else:
            area = None
        self.memory.write(at, record)
        ends = [*cuts, len(record)]
        chain = [
            Buffer(at + a, b - a) for a, b in zip([0, *ends[:-1]], ends, strict=True)
        ]  # fmt: skip
        ident = self.tx.add(chain, tail=tail)
        if area is not None:
            self._sent[ident] = area
        return self.tx.show() if show else False

    def reap(self) -> list[tuple[int, int]]:
        """Take back what the device has read."""
        got = self.tx.take()
        for ident, _ in got:
            if ident in self._sent:
                self._areas.append(self._sent.pop(ident))
        return got

    # ------------------------------------------------------------------ into the guest

    def post(self, *lengths: int, times: int = 1, tail: int = 0, at: int | None = None) -> bool:
        """Give the device *times* buffers, each in pieces of *lengths*."""
        for _ in range(times):
            size = sum(lengths)
            start = at
            if start is None:
                spares = self._spares.setdefault(size, [])
                start = spares.pop() if spares else self.memory.allocate(size)
            chain = []
            for length in lengths:
                chain.append(Buffer(start, length, writable=True))
                start += length
            self._posted[self.rx.add(chain, tail=tail)] = chain
        return self.rx.show()

    def receive(self) -> list[tuple[bytes, bytes]]:
        """(virtio-net header, frame) of what came, put together from its buffers."""
        got, used = [], self.rx.take()
        while used:
            record = self._contents(*used.pop(0))
            header_len = self.shape.header_len
            header = record[:header_len]
            if header_len == 12:
                for _ in range(int.from_bytes(header[10:12], "little") - 1):
                    record += self._contents(*used.pop(0))
            got.append((header, record[header_len:]))
        return got

    def _contents(self, ident: int, length: int) -> bytes:
        chain = self._posted.pop(ident)
        self._spares.setdefault(sum(b.len for b in chain), []).append(chain[0].gpa)
        data = b""
        for buffer in chain:
            data += self.memory.read(buffer.gpa, min(buffer.len, length - len(data)))
        assert len(data) == length
        return data


class Card:
    """A vhost-user port of *datapath*, its guest, and the driver in it; started."""

    def __init__(
        self, datapath: Datapath, *, size: int = 16, pairs: int = 1, offloads: int = 0,
        mtu: int = 1500, regions: Sequence[int] = (1 << 20, 3 << 20), base: int | None = None,
        memory: Memory | None = None,
        **shape: bool,
    ) -> None:  # fmt: skip
        self.shape = Shape(**shape)
        self.datapath = datapath
        self.memory = memory or Memory(*regions)
        self.number = add_vhost_port(datapath, queues=pairs, mtu=mtu)
        self.guest = Guest(datapath, self.number)
        self.calls = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2 * pairs)]
        self.pairs = [Pair(self.memory, self.shape, size) for _ in range(pairs)]
        self.guest.set_features(
            long_header=self.shape.long_header, mergeable=self.shape.mergeable,
            event_idx=self.shape.event_idx, indirect=self.shape.indirect,
            packed=self.shape.packed, offloads=offloads,
        )  # fmt: skip
        self.guest.set_memory(self.memory.regions())
        if base is None:
            base = 0x8000 if self.shape.packed else 0
        for i, ring in enumerate(self.rings):
            ring.begin(base)
            self.guest.set_call(i, self.calls[i])
            self.start(i, base)
            self.guest.enable(i, enabled=True)
        self.send, self.post, self.receive = (
            self.pairs[0].send, self.pairs[0].post, self.pairs[0].receive,
        )  # fmt: skip

    @property
    def rings(self) -> list[SplitRing | PackedRing]:
        """By number: receive queue of pair 0, transmit queue of pair 0, ..."""
        return [ring for pair in self.pairs for ring in (pair.rx, pair.tx)]

    def start(self, ring: int, base: int) -> None:
        r = self.rings[ring]
        self.guest.start(
            ring, size=r.size, desc=r.desc, driver=r.driver, device=r.device, base=base
        )

    def was_called(self, ring: int) -> bool:
        """Whether the device has called since the last time this was asked."""
        try:
            return os.eventfd_read(self.calls[ring]) > 0
        except BlockingIOError:
            return False

    @property
    def error(self) -> int:
        return self.datapath.port_error(self.number)

    def close(self) -> None:
        self.guest.set_memory([])
        self.datapath.remove_port(self.number)
        for fd in self.calls:
            os.close(fd)
        self.memory.close()
