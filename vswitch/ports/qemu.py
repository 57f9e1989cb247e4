"""Ports over stream sockets: QEMU's ``-netdev stream``, passt, or another vswitch.

    lan = switch.listen(QemuListener(Path("/tmp/lan.sock")))     # any number of VMs
    vm = switch.add_port(QemuPort.connect("vm", Path("/tmp/vm.sock")))  # a QEMU that listens

    qemu-system-x86_64 ... -device virtio-net,netdev=n0 \\
        -netdev stream,id=n0,server=off,addr.type=unix,addr.path=/tmp/lan.sock

Every frame travels behind its length, 4 bytes, big endian (QEMU, net/stream_data.c); there are no
offloads on this wire, the switch finishes frames before. None of it needs root. The same travels
over TCP: ``("192.0.2.1", 1234)`` for the path.
"""

from __future__ import annotations

import errno
import logging
import socket
from contextlib import suppress
from pathlib import Path

from vswitch.errors import DeviceError, PortError
from vswitch.linux import inet
from vswitch.linux.dial import MAY_PASS, Dialler
from vswitch.linux.socketfile import BACKLOG, SocketFile
from vswitch.options import path_text
from vswitch.ports.base import Core, LinkState, Port
from vswitch.portsettings import DEFAULT, PortSettings

log = logging.getLogger(__name__)

EXPOSED = "frames travel neither encrypted nor authenticated port=%s address=%s"
Place = Path | inet.Address
CONNECT_S = 5.0  # for one attempt, if it is the only one
_FIRST = "start its QEMU or passt first, or leave retry=off away"
_HINTS = {
    errno.ENOENT: _FIRST,
    errno.ECONNREFUSED: _FIRST,
    errno.ENOTSOCK: "give the path of a unix socket",
    errno.EPROTOTYPE: "that socket is none for streams: see --port dgram:PATH,remote=PATH",
    errno.EACCES: "whoever may write to the socket's file may connect: see its mode and owner",
}


class QemuPort(Port):
    """One connection. The port's life ends with it, unless it is one that calls (`connect`).

    Args:
        name: The port's name.
        connection: A connected stream socket, unix or TCP; closed with the port. None: there is
            none yet.
        mtu: Longest payload it takes, bytes.
        passing: It is removed when the connection ends, as one that was accepted is. Otherwise
            it stays, as gone.
    """

    kind = "qemu"
    vnet_header = False

    def __init__(
        self, name: str, connection: socket.socket | None, *, mtu: int = 1500, passing: bool = False
    ) -> None:
        super().__init__(name, mtu=mtu, offloads=())
        self.passing = passing
        self._connection = connection
        self._dialler: Dialler | None = None
        if connection:
            connection.setblocking(False)

    @classmethod
    def connect(cls, name: str, place: Place, *, mtu: int = 1500, retry: bool = True) -> QemuPort:
        """Connect to a QEMU (``server=on``) or passt that listens at *place*.

        Args:
            name: The port's name.
            place: The path of a unix socket, or a host and a TCP port.
            mtu: Longest payload it takes, bytes.
            retry: Nobody needs to listen there yet: the port is down until it is answered, and
                calls again whenever the connection ended. Otherwise this is the only attempt.

        Raises:
            DeviceError: it can never be (no socket, not for us, no such host); or, without
                *retry*, nobody listens.
        """
        try:
            dialler = Dialler(place)
        except OSError as e:
            raise DeviceError(name, f"connect to {place_text(place)}", e) from e
        port = cls(name, None, mtu=mtu)
        port.remote, port.calls = place_text(place), retry
        port._dialler = dialler
        try:
            port._connection = dialler.begin() if retry else dialler.connect(CONNECT_S)
        except OSError as e:
            if not retry or e.errno not in MAY_PASS:
                hint = _HINTS.get(e.errno or 0)
                raise DeviceError(name, f"connect to {port.remote}", e, hint=hint) from e
        if dialler.is_exposed:
            log.warning(EXPOSED, name, port.remote)
        return port

    def attach(self, core: Core) -> int:
        return core.add_stream_port(self.fileno(), mtu=self.mtu)

    def link(self) -> LinkState:
        return LinkState(up=self.is_connected, mtu=self.mtu)

    def set_mtu(self, mtu: int) -> None:
        self.mtu = mtu

    def fileno(self) -> int:
        """The connection's descriptor, -1 without one."""
        return self._connection.fileno() if self._connection else -1

    @property
    def is_connected(self) -> bool:
        return self._connection is not None

    @property
    def calling_fd(self) -> int:
        """What becomes writable when the peer answers a call; -1 when no call is under way."""
        return self._dialler.fileno() if self._dialler else -1

    def call(self) -> bool:
        """Begin to connect; whether it has been answered at once.

        Raises:
            OSError: nobody is there.
        """
        assert self._dialler
        self._connection = self._dialler.begin()
        return self.is_connected

    def answered(self) -> bool:
        """Whether the call under way was answered.

        Raises:
            OSError: it failed.
        """
        assert self._dialler
        self._connection = self._dialler.answered()
        return self.is_connected

    def hang_up(self) -> None:
        """End the connection, and the call under way."""
        if self._connection:
            self._connection.close()
            self._connection = None
        if self._dialler:
            self._dialler.give_up()

    def close(self) -> None:
        self.hang_up()


def place_text(place: Place) -> str:
    """A place as it is written: a path, or HOST:PORT."""
    return path_text(place) if isinstance(place, Path) else inet.text(place)


def accept(listener: socket.socket) -> socket.socket | None:
    """The next connection, None if nobody knocks.

    Raises:
        OSError: there is one, and it cannot be had now (EMFILE).
    """
    try:
        return listener.accept()[0]
    except (BlockingIOError, ConnectionAbortedError):
        return None


def accepted(name: str, connection: socket.socket, *, address: str, mtu: int) -> QemuPort:
    """The port of a connection that was accepted at *address*."""
    port = QemuPort(name, connection, mtu=mtu, passing=True)
    port.address = address
    if connection.family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):  # gone again
            inet.make_ready(connection)
            port.remote = inet.text(connection.getpeername())
    return port


class QemuListener:
    """A place where VMs connect; each becomes a port.

    The port is called as the VM's QEMU calls it (``-name``), if that can be seen and is free;
    otherwise ``<name>-1``, ``<name>-2``, ...

    Args:
        place: The path of a unix socket (`SocketFile` says what becomes of a file that is there),
            or a host and a TCP port.
        name: What the ports are called after; by default the file's name without ``.sock``, or
            ``tcp1234``.
        mode: Permissions of the file, 0660 if not given: who may write may connect.
        owner: User id of the file, -1: ours.
        group: Group id, -1: ours.
        mtu: Longest payload of the ports, bytes.
        settings: Of each port.

    Raises:
        PortError: it cannot be.
    """

    kind = "qemu"

    def __init__(
        self,
        place: Place,
        *,
        name: str | None = None,
        mode: int | None = None,
        owner: int = -1,
        group: int = -1,
        mtu: int = 1500,
        settings: PortSettings = DEFAULT,
    ) -> None:
        self.mtu = mtu
        self.settings = settings
        self._file: SocketFile | None = None
        if isinstance(place, Path):
            self.name = name or place.name.removesuffix(".sock")
            self._file = SocketFile(place, socket.SOCK_STREAM, mode=mode, owner=owner, group=group)
            self._socket = self._file.socket
        else:
            self.name = name or f"tcp{place[1]}"
            self._socket = _listening(place)
        self.path = self._file.path if self._file else None
        self.address = place_text(self.path or self._socket.getsockname())

    def owns(self, port: Port) -> bool:
        return port.passing and port.address == self.address

    def fileno(self) -> int:
        return self._socket.fileno()

    def accept(self) -> socket.socket | None:
        return accept(self._socket)

    def port(self, name: str, connection: socket.socket) -> QemuPort:
        return accepted(name, connection, address=self.address, mtu=self.mtu)

    def close(self) -> None:
        """Accept nobody any more, and remove the file; a second call does nothing."""
        self._socket.close()
        if self._file:
            self._file.close()


def _listening(address: inet.Address) -> socket.socket:
    try:
        listener = inet.listening(address, BACKLOG)
    except OSError as e:
        raise PortError(f"cannot listen at {inet.text(address)}: {e.strerror}") from e
    if not inet.is_loopback(listener.getsockname()):
        log.warning(EXPOSED, "who connects", inet.text(address))
    return listener
