"""Ports that come and go with a connection: who knocks is let in, who left is removed.

The control thread, or `Switch.poll`, calls `admit` and `remove_ended`; no thread of its own.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Mapping

from vswitch.core import Core
from vswitch.errors import PortError
from vswitch.links import Member
from vswitch.ports import Listener, Port
from vswitch.status import ListenerStatus

log = logging.getLogger(__name__)

# What a poller's read ended with (datapath/port_stream.c), in words.
REASONS = {
    errno.ECONNRESET: "it hung up",
    errno.EPROTO: "it sent a length that no frame has",
}
ADMIT_MAX = 64  # at a time: who hangs up and knocks again must not keep the control thread


class Listeners:
    """The listening sockets of one switch, whose lock its callers hold.

    Args:
        core: Where the ports are numbers.
        members: The ports by name.
        add: Connects a port with a limit of stations.
        remove: Disconnects and closes the port of a name.
    """

    def __init__(
        self,
        core: Core,
        members: Mapping[str, Member],
        *,
        add: Callable[[Port, int], object],
        remove: Callable[[str], None],
    ) -> None:
        self._core = core
        self._members = members
        self._add = add
        self._remove = remove
        self._all: list[Listener] = []
        self._tired = False  # no descriptor was left: not again before the next sweep

    def add(self, listener: Listener) -> None:
        self._all.append(listener)

    def close(self) -> None:
        for listener in self._all:
            listener.close()
        self._all.clear()

    def status(self) -> list[ListenerStatus]:
        """What there is to know about each now."""
        return [
            ListenerStatus(
                name=listener.name,
                kind=listener.kind,
                address=listener.address,
                mtu=listener.mtu,
                ports=sum(self._is_of(member.port, listener) for member in self._members.values()),
            )
            for listener in self._all
        ]

    @staticmethod
    def _is_of(port: Port, listener: Listener) -> bool:
        return port.passing and port.address == listener.place

    def waiting_on(self) -> list[int]:
        """Descriptors to be watched now."""
        return [] if self._tired else [listener.fileno() for listener in self._all]

    def retry(self) -> None:
        """Once a second: there may be descriptors again."""
        self._tired = False

    def admit(self) -> None:
        """Make a port of everyone who knocks."""
        for listener in self._all:
            for _ in range(ADMIT_MAX):
                if not self._admit_one(listener):
                    break

    def _admit_one(self, listener: Listener) -> bool:
        try:
            connection = listener.accept()
        except OSError as e:
            log.warning("cannot accept socket=%s error=%s", listener.place, e)
            self._tired = True
            return False
        if connection is None:
            return False
        port = listener.port(self._free_name(listener.name), connection)
        try:
            self._add(port, listener.fdb_limit)
        except (PortError, OSError) as e:
            port.close()
            log.warning("refused socket=%s error=%s", listener.place, e)
        else:
            log.info("port joined name=%s socket=%s", port.name, listener.place)
        return True

    def _free_name(self, base: str) -> str:
        return next(
            name for i in range(1, len(self._members) + 2)
            if (name := f"{base}-{i}") not in self._members
        )  # fmt: skip

    def remove_ended(self) -> None:
        """Remove the ports whose connection ended."""
        for name, member in list(self._members.items()):
            error = member.port.passing and self._core.datapath.port_error(member.number)
            if error:
                stations = self._core.fdb.port_entries(member.number)
                self._remove(name)
                reason = REASONS.get(error) or os.strerror(error)
                log.info("port left name=%s reason=%r stations_flushed=%d", name, reason, stations)
