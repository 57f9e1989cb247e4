"""The mirrors of a switch: by names of ports, told to the datapath by their numbers."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager

from vswitch.core import Core
from vswitch.errors import MirrorExistsError, MirrorNotFoundError, PortNotFoundError
from vswitch.members import Member
from vswitch.mirrors import Mirror, Mirrored, check_together

log = logging.getLogger(__name__)


class Mirroring:
    """The mirrors of one switch; every public method may be called from any thread.

    Args:
        core: Where the ports are numbers.
        members: Its ports by name.
        lock: Held while anything changes.
        paused: Holds the pollers.
    """

    def __init__(
        self,
        core: Core,
        members: Mapping[str, Member],
        lock: threading.RLock,
        paused: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._core = core
        self._members = members
        self._lock = lock
        self._paused = paused
        self._mirrors: dict[str, Mirror] = {}

    @property
    def all(self) -> list[Mirror]:
        """Those there are, the oldest first."""
        with self._lock:
            return [*self._mirrors.values()]

    def add(self, mirror: Mirror) -> None:
        """Have one more, from the next frame on.

        Its target takes nothing else from now on, and forgets its stations.

        Raises:
            ConfigError: it cannot be beside the others.
            MirrorExistsError: there is one of that name.
            PortNotFoundError: there is no port that it names.
        """
        with self._lock:
            if mirror.name in self._mirrors:
                raise MirrorExistsError(f"mirror {mirror.name} is there already")
            check_together([*self._mirrors.values(), mirror])
            for name in mirror.ports:
                if name not in self._members:
                    raise PortNotFoundError(
                        f"mirror {mirror.name}: no port {name}",
                        hint=f"ports are: {', '.join(self._members) or 'none yet'}",
                    )
            self._mirrors[mirror.name] = mirror
            self._apply(self._members.values())
            self._core.fdb.flush(self._members[mirror.target].number)
        log.info("mirror added what=%r", mirror.text)

    def remove(self, name: str) -> None:
        """End a mirror; its target is a port as others again, unless another mirror has it.

        Raises:
            MirrorNotFoundError: there is none.
        """
        with self._lock:
            if name not in self._mirrors:
                raise MirrorNotFoundError(
                    f"no mirror {name}", hint=f"mirrors are: {', '.join(self._mirrors) or 'none'}"
                )
            del self._mirrors[name]
            self._apply(self._members.values())
        log.info("mirror removed name=%s", name)

    def port_added(self) -> None:
        """There is one more port: those that look at all look at it, too.  The lock is held."""
        if self._mirrors:
            self._apply(self._members.values())

    def port_leaves(self, name: str) -> None:
        """A port is about to go: mirrors do without it, or end.  The lock is held."""
        before, self._mirrors = self._mirrors, {}
        for mirror in before.values():
            left = mirror.without(name)
            if left is None:
                log.info("mirror removed name=%s reason=%r", mirror.name, f"port {name} goes")
            else:
                self._mirrors[mirror.name] = left
        if before:
            self._apply(member for port, member in self._members.items() if port != name)

    def _apply(self, members: Iterable[Member]) -> None:
        numbers = {member.port.name: member.number for member in members}
        targets = {mirror.target for mirror in self._mirrors.values()}
        every = frozenset(number for name, number in numbers.items() if name not in targets)
        told = [_mirrored(mirror, numbers, every) for mirror in self._mirrors.values()]
        with self._paused():
            self._core.set_mirrors(told)
        for name, member in self._members.items():
            member.aside = name in targets


def _mirrored(mirror: Mirror, numbers: Mapping[str, int], every: frozenset[int]) -> Mirrored:
    def those(direction: str) -> frozenset[int]:
        if not mirror.sources:
            return every
        return frozenset(
            numbers[source.port]
            for source in mirror.sources
            if source.direction in (direction, "both")
        )

    return Mirrored(numbers[mirror.target], those("in"), those("out"), mirror.vids)
