"""Ports over stream sockets: QEMU's ``-netdev stream``, passt, or another vswitch.

    lan = switch.listen(QemuListener(Path("/tmp/lan.sock")))     # any number of VMs

    qemu-system-x86_64 ... -device virtio-net,netdev=n0 \\
        -netdev stream,id=n0,server=off,addr.type=unix,addr.path=/tmp/lan.sock

Every frame travels behind its length, 4 bytes, big endian (QEMU, net/stream_data.c); there are no
offloads on this wire, the switch finishes frames before. None of it needs root.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from vswitch.errors import DeviceError
from vswitch.linux.socketfile import SocketFile
from vswitch.ports.base import Core, LinkState, Port

BACKLOG = 128  # VMs that knock at once


class QemuPort(Port):
    """One connection; the port's life ends with it.

    Args:
        name: The port's name.
        connection: A connected stream socket, unix or TCP; closed with the port.
        mtu: Longest payload it takes, bytes.
        passing: It is removed when the connection ends, as one that was accepted is. Otherwise
            it stays, as gone.
    """

    kind = "qemu"
    vnet_header = False

    def __init__(
        self, name: str, connection: socket.socket, *, mtu: int = 1500, passing: bool = False
    ) -> None:
        super().__init__(name, mtu=mtu, offloads=())
        self.passing = passing
        self._connection = connection
        connection.setblocking(False)

    @classmethod
    def connect(cls, name: str, path: Path, *, mtu: int = 1500) -> QemuPort:
        """Connect to a QEMU (``server=on``) or passt that listens at *path*.

        Raises:
            DeviceError: nobody listens there, or we may not.
        """
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            connection.connect(os.fspath(path))
        except OSError as e:
            connection.close()
            hint = f"start its QEMU or passt first, or let it come to us: --listen qemu:{path}"
            raise DeviceError(name, f"connect to {path}", e, hint=hint) from e
        port = cls(name, connection, mtu=mtu)
        port.remote = os.fspath(path)
        return port

    def attach(self, core: Core) -> int:
        return core.add_stream_port(self._connection.fileno(), mtu=self.mtu)

    def link(self) -> LinkState:
        return LinkState(up=True, mtu=self.mtu)

    def close(self) -> None:
        self._connection.close()


class QemuListener:
    """A unix socket where VMs connect; each becomes a port ``<name>-1``, ``<name>-2``, ...

    Args:
        path: Where; `SocketFile` says what becomes of a file that is there.
        name: What the ports are called after; by default the file's name without ``.sock``.
        mode: Permissions of the file: who may write may connect.
        owner: User id of the file, -1: ours.
        group: Group id, -1: ours.
        mtu: Longest payload of the ports, bytes.
        fdb_limit: Stations behind each, 0 for no limit of its own.

    Raises:
        PortError: it cannot be.
    """

    kind = "qemu"

    def __init__(
        self,
        path: Path,
        *,
        name: str | None = None,
        mode: int = 0o660,
        owner: int = -1,
        group: int = -1,
        mtu: int = 1500,
        fdb_limit: int = 0,
    ) -> None:
        self.name = name or path.name.removesuffix(".sock")
        self.path = path
        self.mtu = mtu
        self.fdb_limit = fdb_limit
        self._file = SocketFile(path, socket.SOCK_STREAM, mode=mode, owner=owner, group=group)
        self._file.socket.listen(BACKLOG)

    @property
    def place(self) -> str:
        return os.fspath(self.path)

    @property
    def address(self) -> str:
        return os.path.abspath(self.path)

    def fileno(self) -> int:
        return self._file.socket.fileno()

    def accept(self) -> socket.socket | None:
        """The next connection, None if nobody knocks.

        Raises:
            OSError: there is one, and it cannot be had now (EMFILE).
        """
        try:
            return self._file.socket.accept()[0]
        except (BlockingIOError, ConnectionAbortedError):
            return None

    def port(self, name: str, connection: socket.socket) -> QemuPort:
        """The port of an accepted connection."""
        port = QemuPort(name, connection, mtu=self.mtu, passing=True)
        port.address = os.fspath(self.path)
        return port

    def close(self) -> None:
        """Accept nobody any more, and remove the file; a second call does nothing."""
        self._file.close()
