"""A guest's memory: files that both sides map, seen by guest physical address."""

from __future__ import annotations

import mmap
import os
import struct
from dataclasses import dataclass

from vswitch._guest import Mapping

BASE = 0x10000
USER = 0x7F00_0000_0000  # what the front-end adds to a guest address to get its own


@dataclass(frozen=True)
class Piece:
    """One region, in a file of its own."""

    gpa: int
    size: int
    fd: int
    data: mmap.mmap


class Memory:
    """Regions of the given sizes, one behind the other in the guest's address space."""

    def __init__(self, *sizes: int) -> None:
        self.pieces: list[Piece] = []
        self._next = gpa = BASE
        for size in sizes:
            fd = os.memfd_create("guest", os.MFD_CLOEXEC)
            os.ftruncate(fd, size)
            self.pieces.append(Piece(gpa, size, fd, mmap.mmap(fd, size)))
            gpa += size
        self.end = gpa

    def close(self) -> None:
        for piece in self.pieces:
            piece.data.close()
            os.close(piece.fd)

    def allocate(self, size: int, align: int = 64) -> int:
        at = -(-self._next // align) * align
        self._next = at + size
        assert self._next <= self.end, "the guest has no memory left"
        return at

    def regions(self) -> list[tuple[int, Mapping, int, int]]:
        """As `Guest.set_memory` takes them."""
        return [(p.gpa, Mapping(p.fd, size=p.size), 0, p.size) for p in self.pieces]

    def read(self, gpa: int, size: int) -> bytes:
        got = b""
        while len(got) < size:
            piece, offset = self._at(gpa + len(got))
            got += piece.data[offset : offset + size - len(got)]
        return got

    def write(self, gpa: int, data: bytes) -> None:
        while data:
            piece, offset = self._at(gpa)
            n = min(len(data), piece.size - offset)
            piece.data[offset : offset + n] = data[:n]
            gpa, data = gpa + n, data[n:]

    def u16(self, gpa: int) -> int:
        piece, offset = self._at(gpa)
        return struct.unpack_from("<H", piece.data, offset)[0]

    def set_u16(self, gpa: int, value: int) -> None:
        # In one store, as the device may read it any time: struct.pack_into() writes zeroes first.
        piece, offset = self._at(gpa)
        memoryview(piece.data)[offset : offset + 2].cast("H")[0] = value & 0xFFFF

    def _at(self, gpa: int) -> tuple[Piece, int]:
        for piece in self.pieces:
            if 0 <= gpa - piece.gpa < piece.size:
                return piece, gpa - piece.gpa
        raise AssertionError(f"{gpa:#x} is not in the guest's memory")


class GuardedMemory(Memory):
    """One region in the middle of its file, which is mapped whole: what lies around it is the
    guest's file, but no memory it has told us of."""

    GUARD = 1 << 16

    def __init__(self, size: int) -> None:
        super().__init__()
        fd = os.memfd_create("guarded", os.MFD_CLOEXEC)
        os.ftruncate(fd, size + 2 * self.GUARD)
        self.pieces = [Piece(BASE, size, fd, mmap.mmap(fd, size, offset=self.GUARD))]
        self.end = BASE + size
        self._filling = os.urandom(self.GUARD)
        for at in (0, self.GUARD + size):
            os.pwrite(fd, self._filling, at)

    def regions(self) -> list[tuple[int, Mapping, int, int]]:
        [p] = self.pieces
        return [(p.gpa, Mapping(p.fd, size=p.size + 2 * self.GUARD), self.GUARD, p.size)]

    def is_intact(self) -> bool:
        """Nothing was written around the region."""
        [p] = self.pieces
        return all(
            os.pread(p.fd, self.GUARD, at) == self._filling for at in (0, self.GUARD + p.size)
        )
