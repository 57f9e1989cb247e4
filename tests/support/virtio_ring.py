"""The driver's side of a virtqueue, slow and obvious (virtio 1.2: 2.7 split, 2.8 packed).

A chain is a list of `Buffer`; `add` puts one in, `show` lets the device see all that were, `take`
collects what the device has handed back.
"""

from __future__ import annotations

import struct
from abc import ABC, abstractmethod
from collections import deque
from typing import NamedTuple

from support.guest_memory import Memory

NEXT, WRITE, INDIRECT, AVAIL, USED = 1, 2, 4, 1 << 7, 1 << 15
ENABLE, DISABLE, AT_DESCRIPTOR = 0, 1, 2
TABLE_MAX = 64  # descriptors of an indirect table


class Buffer(NamedTuple):
    gpa: int
    len: int
    writable: bool = False


def event_passed(event: int, new: int, old: int) -> bool:
    """Whether *event* is among the indices old, old + 1 .. new - 1."""
    return event in {i & 0xFFFF for i in range(old, old + ((new - old) & 0xFFFF))}


class _Ring(ABC):
    driver_size = device_size = 0
    driver_align = 4

    def __init__(self, memory: Memory, size: int, *, event_idx: bool = False) -> None:
        self.memory, self.size, self.event_idx = memory, size, event_idx
        self.desc = memory.allocate(16 * size, 16)
        self.driver = memory.allocate(self.driver_size or 6 + 2 * size, self.driver_align)
        self.device = memory.allocate(self.device_size or 6 + 8 * size, 4)
        self.held: dict[int, list[int]] = {}  # by id: slots of a chain the device has
        self._tables: dict[int, int] = {}

    def _direct(self, head: int, chain: list[Buffer], tail: int) -> list[tuple[int, int, int]]:
        """(address, length, flags) in the ring, the last *tail* of the chain in a table."""
        descs = [(b.gpa, b.len, WRITE * b.writable) for b in chain]
        if not tail:
            return descs
        assert tail <= TABLE_MAX
        table = self._tables.setdefault(head, 0) or self.memory.allocate(16 * TABLE_MAX, 16)
        self._tables[head] = table
        self._write_table(table, descs[-tail:])
        return [*descs[:-tail], (table, 16 * tail, INDIRECT)]

    @abstractmethod
    def _write_table(self, table: int, descs: list[tuple[int, int, int]]) -> None:
        """Write an indirect table."""


class SplitRing(_Ring):
    packed = False
    driver_align = 2

    def __init__(self, memory: Memory, size: int, *, event_idx: bool = False) -> None:
        super().__init__(memory, size, event_idx=event_idx)
        self.free = deque(range(size))
        self.avail = self.shown = self.seen = 0

    def begin(self, base: int) -> None:
        """Be as a ring that was used before."""
        self.avail = self.shown = self.seen = base & 0xFFFF
        self.memory.set_u16(self.driver + 2, base)
        self.memory.set_u16(self.device + 2, base)

    @property
    def base(self) -> int:
        return self.seen

    def room(self) -> int:
        return len(self.free)

    def add(self, chain: list[Buffer], *, tail: int = 0) -> int:
        head = self.free[0]
        direct = self._direct(head, chain, tail)
        slots = [self.free.popleft() for _ in direct]
        for i, (gpa, length, flags) in enumerate(direct):
            last = i + 1 == len(direct)
            after = 0 if last else slots[i + 1]
            flags |= 0 if last else NEXT
            self.memory.write(
                self.desc + 16 * slots[i], struct.pack("<QIHH", gpa, length, flags, after)
            )
        self.memory.set_u16(self.driver + 4 + 2 * (self.avail % self.size), head)
        self.avail = self.avail + 1 & 0xFFFF
        self.held[head] = slots
        return head

    def _write_table(self, table: int, descs: list[tuple[int, int, int]]) -> None:
        for i, (gpa, length, flags) in enumerate(descs):
            flags |= NEXT if i + 1 < len(descs) else 0
            self.memory.write(table + 16 * i, struct.pack("<QIHH", gpa, length, flags, i + 1))

    def show(self) -> bool:
        """Let the device see them; whether it wants a kick (2.7.13)."""
        old, self.shown = self.shown, self.avail
        self.memory.set_u16(self.driver + 2, self.avail)
        if self.event_idx:
            return event_passed(self.memory.u16(self.device + 4 + 8 * self.size), self.avail, old)
        return not self.memory.u16(self.device) & 1

    def take(self) -> list[tuple[int, int]]:
        """(id, bytes written) of what the device is done with."""
        got = []
        while self.seen != self.memory.u16(self.device + 2):
            at = self.device + 4 + 8 * (self.seen % self.size)
            head, length = struct.unpack("<II", self.memory.read(at, 8))
            self.free.extend(self.held.pop(head))
            self.seen = self.seen + 1 & 0xFFFF
            got.append((head, length))
        return got

    def want_calls(self, wanted: bool) -> None:
        self.memory.set_u16(self.driver, not wanted)

    def call_at(self, n: int) -> None:
        """Want a call when the device has handed back *n* more, counted from what was taken."""
        self.memory.set_u16(self.driver + 4 + 2 * self.size, self.seen + n - 1)


class PackedRing(_Ring):
    packed = True
    driver_size = device_size = 4

    def __init__(self, memory: Memory, size: int, *, event_idx: bool = False) -> None:
        super().__init__(memory, size, event_idx=event_idx)
        self.ids = deque(range(size))
        self.next = self.tail = 0
        self.next_wrap = self.tail_wrap = 1
        self.first: list[tuple[int, int]] = []  # flags not yet written, by slot
        self.order: deque[int] = deque()  # ids, as they were made available
        self.shown = (0, 1)

    def begin(self, base: int) -> None:
        self.next = self.tail = base & 0x7FFF
        self.next_wrap = self.tail_wrap = base >> 15 & 1
        self.shown = (self.next, self.next_wrap)
        for slot in range(self.size):  # as if used before, in this round or in the last one
            wrap = self.next_wrap if slot < self.next else 1 - self.next_wrap
            self.memory.set_u16(self.desc + 16 * slot + 14, (AVAIL | USED) * wrap)

    @property
    def base(self) -> int:
        return self.tail | self.tail_wrap << 15

    def room(self) -> int:
        return self.size - sum(map(len, self.held.values()))

    def add(self, chain: list[Buffer], *, tail: int = 0) -> int:
        ident = self.ids.popleft()
        direct = self._direct(ident, chain, tail)
        slots = []
        for i, (gpa, length, flags) in enumerate(direct):
            flags |= (AVAIL if self.next_wrap else USED) | (NEXT if i + 1 < len(direct) else 0)
            at = self.desc + 16 * self.next
            self.memory.write(at, struct.pack("<QIH", gpa, length, ident))
            if i:
                self.memory.set_u16(at + 14, flags)
            else:
                self.first.append((at + 14, flags))
            slots.append(self.next)
            self.next += 1
            if self.next == self.size:
                self.next, self.next_wrap = 0, 1 - self.next_wrap
        self.held[ident] = slots
        self.order.append(ident)
        return ident

    def _write_table(self, table: int, descs: list[tuple[int, int, int]]) -> None:
        for i, (gpa, length, flags) in enumerate(descs):
            self.memory.write(table + 16 * i, struct.pack("<QIHH", gpa, length, 0, flags))

    def show(self) -> bool:
        """The same; 2.8.21.3.1."""
        for at, flags in reversed(self.first):
            self.memory.set_u16(at, flags)
        self.first = []
        old, self.shown = self.shown, (self.next, self.next_wrap)
        flags = self.memory.u16(self.device + 2)
        if flags != AT_DESCRIPTOR:
            return flags == ENABLE
        where = self.memory.u16(self.device)
        position, passed = old, set()
        while position != self.shown:
            passed.add(position)
            slot, wrap = position
            position = (slot + 1, wrap) if slot + 1 < self.size else (0, 1 - wrap)
        return (where & 0x7FFF, where >> 15) in passed

    def take(self) -> list[tuple[int, int]]:
        got = []
        while True:
            _, length, ident, flags = struct.unpack(
                "<QIHH", self.memory.read(self.desc + 16 * self.tail, 16)
            )
            if not self.held or {bool(flags & AVAIL), bool(flags & USED)} != {bool(self.tail_wrap)}:
                return got
            self.tail += len(self.held.pop(ident))
            if self.tail >= self.size:
                self.tail, self.tail_wrap = self.tail - self.size, 1 - self.tail_wrap
            self.ids.append(ident)
            self.order.remove(ident)
            got.append((ident, length))

    def want_calls(self, wanted: bool) -> None:
        self.memory.set_u16(self.driver + 2, ENABLE if wanted else DISABLE)

    def call_at(self, n: int) -> None:
        slot = self.held[self.order[n - 1]][0]
        wrap = self.tail_wrap if slot >= self.tail else 1 - self.tail_wrap
        self.memory.set_u16(self.driver, slot | wrap << 15)
        self.memory.set_u16(self.driver + 2, AT_DESCRIPTOR)
