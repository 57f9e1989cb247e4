"""Ports that come and go with a connection: who knocks is let in, who left is removed.

The control thread, or `Switch.poll`, calls `admit` and `remove_ended`; no thread of its own.
"""

from __future__ import annotations

import logging
import os
import re
import socket
from collections.abc import Callable, Iterable, Mapping
from itertools import chain, count

from vswitch.core import Core
from vswitch.errors import PortError
from vswitch.links import REASONS
from vswitch.linux.peer import guest_name
from vswitch.members import Member
from vswitch.ports import Listener, Place, Port
from vswitch.status import ListenerStatus

log = logging.getLogger(__name__)

NAME_MAX = 48  # of 64 letters a port's name may have: room for a number
ADMIT_MAX = 64  # at a time: who hangs up and knocks again must not keep the control thread


def status(place: Place, ports: Iterable[Port]) -> ListenerStatus:
    """What there is to know about a place where VMs connect, now."""
    # A folder keeps its "/": that is how one is told from a socket.
    absolute = os.path.join(os.path.abspath(place.path), "") if place.path else ""
    return ListenerStatus(
        name=place.name,
        kind=place.kind,
        address=absolute if place.address.endswith("/") else absolute[:-1] or place.address,
        mtu=place.mtu,
        ports=sum(map(place.owns, ports)),
    )


class Listeners:
    """The listening sockets of one switch, whose lock its callers hold.

    Args:
        core: Where the ports are numbers.
        members: The ports by name.
        add: Connects a port, as `vswitch.Switch.add_port`.
        remove: Disconnects and closes the port of a name.
    """

    def __init__(
        self,
        core: Core,
        members: Mapping[str, Member],
        *,
        add: Callable[..., Port],
        remove: Callable[[str], None],
    ) -> None:
        self._core = core
        self._members = members
        self._add = add
        self._remove = remove
        self.all: list[Listener] = []
        self._tired = False  # no descriptor or place was left: not again before the next sweep

    def add(self, listener: Listener) -> None:
        self.all.append(listener)

    def remove(self, listener: Listener) -> None:
        """Admit nobody any more; who is there stays until it leaves."""
        self.all.remove(listener)
        listener.close()

    def close(self) -> None:
        for listener in self.all:
            listener.close()
        self.all.clear()

    def waiting_on(self) -> list[int]:
        """Descriptors to be watched now."""
        return [] if self._tired else [listener.fileno() for listener in self.all]

    def retry(self) -> None:
        """Once a second: there may be room again."""
        self._tired = False

    def admit(self) -> None:
        """Make a port of everyone who knocks."""
        for listener in self.all:
            for _ in range(ADMIT_MAX):
                if not self._admit_one(listener):
                    break

    def _admit_one(self, listener: Listener) -> bool:
        try:
            connection = listener.accept()
        except OSError as e:
            log.warning("cannot accept socket=%s error=%s", listener.address, e)
            self._tired = True
            return False
        if connection is None:
            return False
        port = listener.port(self._free_name(connection, listener.name), connection)
        try:
            self._add(port, listener.settings)
        except (PortError, OSError) as e:
            port.close()
            log.warning("refused socket=%s error=%s", listener.address, e)
            self._tired = True  # the next would not fare better, and each would be a line
            return False
        log.info("port joined name=%s socket=%s", port.name, listener.address)
        return True

    def _free_name(self, connection: socket.socket, base: str) -> str:
        # "vm1", or "vm1-2" for its second connection: the name is the VM's to choose, so it must
        # not be able to keep the number of anybody else's.
        guest = re.sub(r"[^A-Za-z0-9_.-]", "-", guest_name(connection)).lstrip("-.")[:NAME_MAX]
        names = (
            chain([guest], (f"{guest}-{i}" for i in count(2)))
            if guest
            else (f"{base}-{i}" for i in count(1))
        )
        return next(name for name in names if name not in self._members)

    def remove_ended(self) -> None:
        """Remove the ports whose connection ended."""
        for name, member in list(self._members.items()):
            error = member.port.passing and self._core.datapath.port_error(member.number)
            if error:
                stations = self._core.fdb.port_entries(member.number)
                self._remove(name)
                reason = REASONS.get(error) or os.strerror(error)
                log.info("port left name=%s reason=%r stations_flushed=%d", name, reason, stations)
