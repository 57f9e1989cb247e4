"""Connecting without waiting: to a unix socket by its path, or to a host and port over TCP.

    idle --begin--> under way --answered--> connected, and the caller's (take)
      ^                 |
      +---- OSError, give_up

A unix socket answers at once. A name is resolved once, when the dialler is made; if it has several
addresses each attempt goes on with the next.
"""

from __future__ import annotations

import errno
import os
import select
import socket
import stat
from contextlib import suppress
from pathlib import Path

from vswitch.linux import inet

# Nobody is there, or not for us now: this may be better the next time.
MAY_PASS = frozenset({
    errno.ENOENT, errno.ECONNREFUSED, errno.ECONNRESET, errno.ECONNABORTED, errno.EAGAIN,
    errno.ETIMEDOUT, errno.EHOSTUNREACH, errno.EHOSTDOWN, errno.ENETUNREACH, errno.ENETDOWN,
})  # fmt: skip


class Dialler:
    """Attempts to connect to *place*, one at a time.

    Raises:
        OSError: a host's name is not known.
    """

    def __init__(self, place: Path | inet.Address) -> None:
        self._targets: list[tuple[int, str | inet.SockAddr]]
        if isinstance(place, Path):
            self._targets = [(socket.AF_UNIX, os.fspath(place))]
        else:
            self._targets = [*inet.resolve(place, socket.SOCK_STREAM)]
        self._next = 0
        self._socket: socket.socket | None = None

    @property
    def is_exposed(self) -> bool:
        """Whether others can listen to what we say: an address of TCP beyond this host."""
        return any(
            not inet.is_loopback(there) for _, there in self._targets if isinstance(there, tuple)
        )

    def fileno(self) -> int:
        """The descriptor that becomes writable with the answer; -1 when nothing is under way."""
        return self._socket.fileno() if self._socket else -1

    def begin(self) -> socket.socket | None:
        """Call the next address; the connection, if it is there at once.

        Raises:
            OSError: it failed at once.
        """
        self.give_up()
        family, there = self._targets[self._next]
        self._next = (self._next + 1) % len(self._targets)
        if isinstance(there, str):
            _check_socket(there)
        self._socket = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            if family != socket.AF_UNIX:
                inet.make_ready(self._socket)
            self._socket.connect(there)
        except OSError as e:
            if e.errno == errno.EINPROGRESS:
                return None
            self.give_up()  # EAGAIN, too: a unix socket where too many knock
            raise
        return self._take()

    def answered(self) -> socket.socket | None:
        """The connection, if it has come; None while it is under way.

        Raises:
            OSError: it failed.
        """
        assert self._socket
        waiter = select.poll()
        waiter.register(self._socket, select.POLLOUT)
        if not waiter.poll(0):
            return None
        if error := self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.give_up()
            raise OSError(error, os.strerror(error))
        return self._take()

    def connect(self, timeout_s: float) -> socket.socket:
        """Call each address in turn, and wait for its answer.

        Raises:
            OSError: the last one failed.
        """
        for _ in self._targets[1:]:
            with suppress(OSError):
                return self._connect(timeout_s)
        return self._connect(timeout_s)

    def _connect(self, timeout_s: float) -> socket.socket:
        connection = self.begin()
        if connection is None:
            waiter = select.poll()
            waiter.register(self.fileno(), select.POLLOUT)
            waiter.poll(1000 * timeout_s)
            connection = self.answered()
        if connection is None:
            self.give_up()
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        return connection

    def give_up(self) -> None:
        """End what is under way; does nothing if there is nothing."""
        if self._socket:
            self._socket.close()
            self._socket = None

    def _take(self) -> socket.socket:
        connection, self._socket = self._socket, None
        assert connection
        # Where nobody listens on this host, TCP may pick for us the very port we call, and connect
        # us with ourselves (RFC 9293 3.5, simultaneous open): who calls for ever will see it.
        if connection.family != socket.AF_UNIX and _calls_itself(connection):
            connection.close()
            raise OSError(errno.ECONNREFUSED, os.strerror(errno.ECONNREFUSED))
        return connection


def _calls_itself(connection: socket.socket) -> bool:
    try:
        return bool(connection.getsockname() == connection.getpeername())
    except OSError:  # hung up on already, which the first read will tell
        return False


def _check_socket(path: str) -> None:
    """Tell what can be no socket from one that nobody listens at: connect() says the same."""
    if not stat.S_ISSOCK(os.stat(path).st_mode):
        raise OSError(errno.ENOTSOCK, os.strerror(errno.ENOTSOCK))
