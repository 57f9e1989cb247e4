"""A guest's memory, as its front-end tells of it: regions, and the log of the pages we wrote.

Each region is a file, mapped for as long as the front-end does not take it back.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence
from dataclasses import dataclass

from vswitch._guest import Mapping
from vswitch.errors import WireError
from vswitch.ports.vhost_guest import Guest
from vswitch.wire import vhost_user as wire

# Chosen by us: a file may be said to be of any size, and a process has 128 TiB of addresses.
MEMORY_MAX_BYTES = 4 << 40  # of files mapped for one guest
LOG_MAX_BYTES = 1 << 30  # tells of 32 TiB of the guest's addresses


@dataclass(frozen=True, slots=True)
class Piece:
    """A region and where it is mapped."""

    region: wire.Region
    memory: Mapping


class GuestMemory:
    """The memory of *guest*, whose rings are stopped while regions change."""

    def __init__(self, guest: Guest) -> None:
        self._guest = guest
        self._pieces: list[Piece] = []
        self._log: tuple[Mapping, int] | None = None

    def with_all(self, regions: Sequence[wire.Region], fds: Sequence[int]) -> list[Piece]:
        """What there is after SET_MEM_TABLE; nothing is changed yet, as in the next two.

        Raises:
            WireError: it cannot be.
            OSError: it cannot be mapped.
        """
        if len(fds) != len(regions):
            raise WireError(f"{len(regions)} regions with {len(fds)} descriptors")
        _check_size(regions)
        return [_piece(r, fd) for r, fd in zip(regions, fds, strict=True)]

    def with_one(self, region: wire.Region, fds: Sequence[int]) -> list[Piece]:
        """The same after ADD_MEM_REG."""
        if len(fds) != 1:
            raise WireError(f"a region with {len(fds)} descriptors")
        _check_size([*(piece.region for piece in self._pieces), region])
        return [*self._pieces, _piece(region, fds[0])]

    def without(self, region: wire.Region) -> list[Piece]:
        """The same after REM_MEM_REG."""
        left = [piece for piece in self._pieces if _key(piece.region) != _key(region)]
        if len(left) == len(self._pieces):
            raise WireError("a region to be removed that is not there")
        return left

    def replace(self, pieces: list[Piece]) -> None:
        """Have these; the others are unmapped.

        Raises:
            ValueError: they cannot be.
        """
        self._pieces = pieces
        self._guest.set_memory(
            [
                (p.region.guest_address, p.memory, p.region.mmap_offset, p.region.size)
                for p in pieces
            ]
        )

    def guest_address(self, user_address: int) -> int:
        """Where the guest has what its front-end has at *user_address*.

        Raises:
            WireError: nowhere.
        """
        for piece in self._pieces:
            offset = user_address - piece.region.user_address
            if 0 <= offset < piece.region.size:
                return piece.region.guest_address + offset
        raise WireError(f"{user_address:#x} is in none of the guest's regions")

    def set_log(self, log: wire.Log, fds: Sequence[int]) -> None:
        """Have a place for the log; `use_log` decides whether it is used."""
        if len(fds) != 1:
            raise WireError(f"a log with {len(fds)} descriptors")
        if log.offset:
            raise WireError(f"a log at offset {log.offset} of its file")
        if log.size > LOG_MAX_BYTES:
            raise WireError(f"a log of {log.size} bytes, more than {LOG_MAX_BYTES}")
        self._log = _mapping(fds[0], log.size), log.size

    def use_log(self, *, wanted: bool) -> None:
        self._guest.set_log(*(self._log if wanted and self._log else (None, 0)))

    def forget(self) -> None:
        """Unmap all."""
        self._guest.set_log(None)
        self._guest.set_memory([])
        self._pieces, self._log = [], None


def _key(region: wire.Region) -> tuple[int, int, int]:
    return region.guest_address, region.user_address, region.size


def _check_size(regions: Sequence[wire.Region]) -> None:
    if sum(r.mmap_offset + r.size for r in regions) > MEMORY_MAX_BYTES:
        raise WireError(f"more than {MEMORY_MAX_BYTES >> 40} TiB of memory")


def _piece(region: wire.Region, fd: int) -> Piece:
    """Map a region's file from its beginning: an offset need not be one of whole (huge) pages."""
    return Piece(region, _mapping(fd, region.mmap_offset + region.size))


def _mapping(fd: int, size: int) -> Mapping:
    try:
        return Mapping(fd, size=size)
    except OSError as e:
        if e.errno == errno.EMEDIUMTYPE:
            raise WireError(
                "its memory is no memfd, no huge pages and no file of ext4, xfs, btrfs or overlay"
            ) from e
        raise
