"""vhost-user ports: a virtual machine's network card through shared memory, without root.

    port = switch.add_port(VhostUserPort("vm1", Path("/tmp/vm1.sock")))

    qemu-system-x86_64 ... -chardev socket,id=c0,path=/tmp/vm1.sock,reconnect=1 \\
        -netdev vhost-user,id=n0,chardev=c0 -device virtio-net-pci,netdev=n0 \\
        -m 1G -object memory-backend-memfd,id=m0,size=1G,share=on -numa node,memdev=m0

The socket carries messages about memory and rings (`vswitch.wire.vhost_user`, `vhost_session`);
frames never pass it. The control thread reads it when it has something to say (`vswitch.guests`).
"""

from __future__ import annotations

import errno
import os
import socket
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from pathlib import Path

from vswitch.errors import DeviceError, WireError
from vswitch.linux.dial import MAY_PASS, Dialler
from vswitch.linux.socketfile import SocketFile
from vswitch.ports.base import Core, LinkState, Port
from vswitch.ports.vhost_descriptors import close_all, close_aside, is_prompt, receive
from vswitch.ports.vhost_session import Session
from vswitch.wire import vhost_user as wire

MESSAGES_MAX = 64  # at a time: who talks without end must not keep the control thread
# In a second, connections included: each may park all pollers. QEMU says about 12 for a ring, so a
# start of 16 pairs fits; who says more is heard in the next second.
MESSAGES_PER_S = 1024
KNOCKS_MAX = 64  # at a time, for the same reason
Paused = Callable[[], AbstractContextManager[None]]


class Conversation:
    """Messages over one connection: put together from pieces, answered one by one."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._data = b""
        self._fds: list[int] = []
        self.strange: list[int] = []  # closed aside, after the conversation
        connection.setblocking(False)

    def fileno(self) -> int:
        return self._connection.fileno()

    def take(self) -> tuple[wire.Header, bytes, list[int]] | None:
        """The next message, None while it is not there; its descriptors are the caller's.

        Raises:
            WireError: it is not one.
            OSError: the connection ended; ECONNRESET if it was hung up.
        """
        while (missing := self._missing()) > 0:
            try:
                # Never behind the end of a message: descriptors come with its first byte.
                data, fds, more = receive(self._connection, missing, wire.FDS_MAX)
            except BlockingIOError:
                return None
            self.strange += fds
            for fd in filter(is_prompt, fds):
                self.strange.remove(fd)
                self._fds.append(fd)
            if self.strange:
                raise WireError(
                    "a descriptor that is no eventfd, memfd, huge pages or file of "
                    "ext4, xfs, btrfs or overlay that we see, too"
                )
            if more or len(self._fds) > wire.FDS_MAX:
                raise WireError(f"more than {wire.FDS_MAX} descriptors in a message")
            if not data:
                raise ConnectionResetError(errno.ECONNRESET, "it hung up")
            self._data += data
        header = wire.decode_header(self._data[: wire.HEADER.size])
        payload, fds = self._data[wire.HEADER.size :], self._fds
        self._data, self._fds = b"", []
        return header, payload, fds

    def _missing(self) -> int:
        if len(self._data) < wire.HEADER.size:
            return wire.HEADER.size - len(self._data)
        header = wire.decode_header(self._data[: wire.HEADER.size])
        return wire.HEADER.size + header.size - len(self._data)

    def answer(self, reply: bytes) -> None:
        """Send a reply.

        Raises:
            WireError: the peer does not read.
            OSError: it is gone.
        """
        try:
            sent = self._connection.send(reply)
        except BlockingIOError:
            sent = 0
        if sent != len(reply):
            raise WireError("it does not read what it is answered")

    def close(self) -> None:
        close_all(self._fds)
        with suppress(OSError):  # it has hung up itself
            # Who polls it in another thread keeps it from ending by `close` alone.
            self._connection.shutdown(socket.SHUT_RDWR)
        self._connection.close()


class VhostUserPort(Port):
    """One virtual machine's card, with up to *queues* pairs of queues.

    Args:
        name: The port's name.
        path: Of the unix socket.
        server: We listen there, for one front-end at a time; otherwise one listens there, and we
            call, again and again.
        queues: Queue pairs it may have, 1..16.
        mtu: Longest payload it takes, bytes.
        offloads: Exchange unfinished frames with it, as far as its driver wants that.
        mode: Permissions of the socket's file, if it is ours: who may write may connect.
        owner: User id of the file, -1: ours.
        group: Group id, -1: ours.

    Raises:
        PortError: *path* cannot be had, or is no socket to connect to.
    """

    kind = "vhost-user"
    talks = True

    def __init__(
        self,
        name: str,
        path: Path,
        *,
        server: bool = True,
        queues: int = 1,
        mtu: int = 1500,
        offloads: bool = True,
        mode: int | None = None,
        owner: int = -1,
        group: int = -1,
    ) -> None:
        super().__init__(name, mtu=mtu, offloads=(), queues=queues)
        self._wants_offloads = offloads
        self._session: Session | None = None
        self._conversation: Conversation | None = None
        self._file: SocketFile | None = None
        self._dialler: Dialler | None = None
        self._patience = MESSAGES_PER_S
        self._closer: threading.Thread | None = None
        if server:
            self._file = SocketFile(path, socket.SOCK_STREAM, mode=mode, owner=owner, group=group)
            self.address = os.fspath(path)
        else:
            self._dialler = Dialler(path)
            self.remote = os.fspath(path)
            self.calls = True
            self._call_first()

    def _call_first(self) -> None:
        """The first call tells what can never be from what may come."""
        try:
            self.call()
        except OSError as e:
            if e.errno not in MAY_PASS:
                hint = "a front-end that listens, as QEMU does with server=on, makes a socket there"
                raise DeviceError(self.name, f"connect to {self.remote}", e, hint=hint) from e

    def attach(self, core: Core) -> int:
        try:
            number = core.add_vhost_port(queues=self.queues, mtu=self.mtu)
        except OSError as e:
            hint = "that takes asynchronous I/O (io_setup), of which a machine has fs.aio-max-nr"
            raise DeviceError(self.name, "call a guest", e, hint=hint) from e
        self._session = Session(
            core.guest(number), pairs=self.queues, mtu=self.mtu, offloads=self._wants_offloads
        )
        return number

    def link(self) -> LinkState:
        return LinkState(up=bool(self._session and self._session.rings.is_up), mtu=self.mtu)

    @property
    def queues_used(self) -> int:
        return self._session.rings.active_pairs if self._session else 0

    @property
    def is_connected(self) -> bool:
        return self._conversation is not None

    @property
    def lost_memory(self) -> bool:
        """A file behind the guest's memory was shrunk."""
        return bool(self._session and self._session.guest.lost)

    def waiting_on(self, *, knocks: bool = True) -> list[int]:
        """Descriptors that become readable when there is something for `attend`, or `admit`."""
        if not self._patience or self._is_closing:
            return []
        doors = [self._file.socket.fileno()] if self._file and knocks else []
        return doors + ([self._conversation.fileno()] if self._conversation else [])

    @property
    def _is_closing(self) -> bool:
        """What the last front-end sent is not closed yet: nobody can send more meanwhile."""
        return self._closer is not None and self._closer.is_alive()

    def admit(self) -> int:
        """Begin with a front-end that knocks; how many had to be sent away since one is there.

        Raises:
            OSError: it cannot be had now (EMFILE).
        """
        refused = 0
        for _ in range(KNOCKS_MAX if self._patience and not self._is_closing else 0):
            if not self._file:
                break
            try:
                connection = self._file.socket.accept()[0]
            except (BlockingIOError, ConnectionAbortedError):
                break
            if self._conversation:
                connection.close()
                refused += 1
            else:
                self._conversation = Conversation(connection)
                self._patience -= 1
        return refused

    def call(self) -> None:
        """Connect to the front-end.

        Raises:
            OSError: nobody is there.
        """
        assert self._dialler
        if self._is_closing:
            raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        connection = self._dialler.begin()
        assert connection  # a unix socket answers at once
        self._conversation = Conversation(connection)

    def attend(self, paused: Paused) -> None:
        """Do what the front-end said; *paused* holds the pollers.

        Raises:
            WireError: it broke the protocol.
            OSError: it hung up.
        """
        for _ in range(min(MESSAGES_MAX, self._patience)):
            message = self._conversation.take() if self._conversation else None
            if message is None:
                return
            self._patience -= 1
            self._handle(*message, paused)

    def be_patient(self) -> None:
        """Another second has begun."""
        self._patience = MESSAGES_PER_S

    def _handle(self, header: wire.Header, payload: bytes, fds: list[int], paused: Paused) -> None:
        assert self._session
        assert self._conversation
        try:
            with paused() if self._session.is_deed(header) else nullcontext():
                reply = self._session.handle(header, payload, fds)
        finally:
            close_all(fds)
        self.offloads = self._session.offload_names
        if reply is not None:
            self._conversation.answer(reply)

    def hang_up(self, paused: Paused) -> None:
        """End the connection, and forget the guest."""
        if self._session:
            with paused():
                self._session.end()
        self._end_conversation()
        self.offloads = ()

    def _end_conversation(self) -> None:
        if self._conversation:
            self._conversation.close()
            self._closer = close_aside(self._conversation.strange)
        self._conversation = None

    def close(self) -> None:
        if self._session:
            self._session.rings.forget()
            self._session = None  # and with it the guest's memory
        self._end_conversation()
        if self._file:
            self._file.close()
