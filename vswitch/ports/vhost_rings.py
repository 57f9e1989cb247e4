"""The rings of a guest, as its front-end tells of them; when each runs, see `vhost_session`."""

from __future__ import annotations

import os
from dataclasses import dataclass

from vswitch.errors import WireError
from vswitch.ports.vhost_descriptors import is_eventfd
from vswitch.ports.vhost_guest import Guest
from vswitch.ports.vhost_memory import GuestMemory
from vswitch.wire import vhost_user as wire


@dataclass(slots=True)
class Vring:
    """What is known of one ring."""

    size: int = 0
    base: int = 0
    address: wire.VringAddress | None = None
    kick: int = -1
    call: int = -1
    kicked: bool = False  # a kick descriptor was given, or it was said that there is none
    started: bool = False
    enabled: bool = False


class Rings:
    """Two for each of *pairs*: the one we fill, and the one we empty.

    Args:
        guest: The guest in the datapath, parked.
        memory: Where the rings are.
        pairs: How many there may be.
    """

    def __init__(self, guest: Guest, memory: GuestMemory, pairs: int) -> None:
        self._guest = guest
        self._memory = memory
        self._all = [Vring() for _ in range(2 * pairs)]

    @property
    def is_up(self) -> bool:
        """Frames can flow in both directions."""
        return all(ring.started and ring.enabled for ring in self._all[:2])

    @property
    def active_pairs(self) -> int:
        return sum(ring.started and ring.enabled for ring in self._all[::2])

    @property
    def running(self) -> list[int]:
        """The numbers of those that are started."""
        return [i for i, ring in enumerate(self._all) if ring.started]

    def __len__(self) -> int:
        return len(self._all)

    def __getitem__(self, index: int) -> Vring:
        if index >= len(self._all):
            raise WireError(f"ring {index} of {len(self._all)}")
        return self._all[index]

    def idle(self, index: int) -> Vring:
        """A ring that may be changed."""
        ring = self[index]
        if ring.started:
            raise WireError(f"ring {index} is changed while it runs")
        return ring

    def enable(self, index: int, *, enabled: bool) -> None:
        self[index].enabled = enabled
        self._guest.enable(index, enabled=enabled)

    def start(self, index: int) -> None:
        ring = self[index]
        if ring.address is None or not ring.size:
            raise WireError(f"ring {index} has no size or no address")
        logged = ring.address.flags & wire.VRING_LOG
        self._guest.set_log_address(index, ring.address.log if logged else 0)  # `start` writes
        self._guest.start(
            index,
            size=ring.size,
            desc=self._memory.guest_address(ring.address.desc),
            driver=self._memory.guest_address(ring.address.avail),
            device=self._memory.guest_address(ring.address.used),
            base=ring.base,
        )
        ring.started = True

    def stop(self, index: int) -> None:
        ring = self[index]
        if ring.started:
            ring.base = self._guest.stop(index)
            ring.started = False

    def set_kick(self, index: int, fd: int) -> None:
        """Have *fd*, which is ours from now on, wake us; -1: nothing does."""
        ring = self[index]
        if index % 2:  # of the other rings we fill what is there, and never wait
            try:
                self._guest.set_kick(index // 2, fd)
            except OSError:
                _replaced(fd, -1)
                raise
        ring.kick = _replaced(ring.kick, fd)

    def set_call(self, index: int, fd: int) -> None:
        """Wake the driver by *fd*, which is ours from now on; -1: it looks by itself."""
        ring = self[index]
        self._guest.set_call(index, fd)
        ring.call = _replaced(ring.call, fd)

    def end(self) -> None:
        """Be as in the beginning."""
        for i in range(len(self._all)):
            self.stop(i)
            self.enable(i, enabled=False)
            self.set_kick(i, -1)
            self.set_call(i, -1)
            self._all[i] = Vring()

    def forget(self) -> None:
        """The port is no more: only our descriptors are left to be given back."""
        for ring in self._all:
            ring.kick, ring.call = _replaced(ring.kick, -1), _replaced(ring.call, -1)


def taken(given: wire.VringFd, fds: list[int]) -> int:
    """The descriptor of a message, ours from now on; -1 if it is said that there is none."""
    if len(fds) != given.has_fd:
        raise WireError(f"{len(fds)} descriptors where {int(given.has_fd)} belong")
    if not given.has_fd:
        return -1
    fd = fds.pop()
    if not is_eventfd(fd):
        fds.append(fd)
        raise WireError("a kick or call descriptor that is no eventfd")
    return fd


def _replaced(old: int, new: int) -> int:
    if old >= 0:
        os.close(old)
    return new
