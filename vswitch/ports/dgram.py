"""Ports over datagram sockets, a frame in each: QEMU's ``-netdev dgram``, and UDP.

    qemu-system-x86_64 ... -netdev dgram,id=n0,local.type=unix,local.path=/tmp/vm,\\
        remote.type=unix,remote.path=/tmp/switch

for ``DgramPort.unix("vm", Path("/tmp/switch"), remote=Path("/tmp/vm"))``. The peer may come later,
go, and come again: until then frames for it count as ``tx_error``. There are no offloads on these
wires, the switch finishes frames before. None of it needs root.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from vswitch.errors import DeviceError, PortError
from vswitch.linux.inet import Address, SockAddr, is_any, is_of_one_host, resolve, text
from vswitch.linux.socketfile import PATH_MAX_BYTES, SocketFile
from vswitch.options import path_text
from vswitch.ports.base import Core, LinkState, Port


class DgramPort(Port):
    """Datagrams to and from one peer.

    Args:
        name: The port's name.
        datagrams: A datagram socket that is connected, as one end of a ``socketpair()``; closed
            with the port.
        mtu: Longest payload it takes, bytes.
    """

    kind = "dgram"
    vnet_header = False

    def __init__(self, name: str, datagrams: socket.socket, *, mtu: int = 1500) -> None:
        super().__init__(name, mtu=mtu, offloads=())
        self._socket = datagrams
        self._file: SocketFile | None = None
        self._peer = b""  # path of the peer, if the socket is not connected
        datagrams.setblocking(False)

    @classmethod
    def unix(
        cls,
        name: str,
        local: Path,
        *,
        remote: Path,
        mode: int | None = None,
        owner: int = -1,
        group: int = -1,
        mtu: int = 1500,
    ) -> DgramPort:
        """Receive at the unix socket *local*, send to *remote*, which may not be there yet.

        Raises:
            PortError: *local* cannot be had, or *remote* can be no socket.
        """
        peer = os.fsencode(remote)
        if not 1 <= len(peer) <= PATH_MAX_BYTES:
            raise PortError(f"the path of a socket has 1 to {PATH_MAX_BYTES} bytes: {remote}")
        file = SocketFile(local, socket.SOCK_DGRAM, mode=mode, owner=owner, group=group)
        port = cls(name, file.socket, mtu=mtu)
        port._file, port._peer = file, peer
        port.address, port.remote = path_text(local), path_text(remote)
        return port

    @classmethod
    def udp(cls, name: str, local: Address, *, remote: Address, mtu: int = 1500) -> DgramPort:
        """Frames in UDP datagrams between *local* and *remote*; others are not heard.

        *local* may be any of our addresses, 0.0.0.0 or ::, and is then the one that leads there.

        Raises:
            DeviceError: an address is not known, not ours, or in use.
            PortError: an address is not that of one host.
        """
        datagrams: socket.socket | None = None
        try:
            family, here = resolve(local, socket.SOCK_DGRAM)[0]
            _, there = resolve(remote, socket.SOCK_DGRAM, family)[0]
            _check_udp(name, here, there)
            datagrams = socket.socket(family, socket.SOCK_DGRAM)
            datagrams.bind(here)
            datagrams.connect(there)
        except OSError as e:
            if datagrams:
                datagrams.close()
            raise DeviceError(name, f"use UDP from {text(local)} to {text(remote)}", e) from e
        port = cls(name, datagrams, mtu=mtu)
        port.kind = "udp"
        port.address, port.remote = text(datagrams.getsockname()), text(datagrams.getpeername())
        return port

    def attach(self, core: Core) -> int:
        return core.add_dgram_port(self._socket.fileno(), peer=self._peer, mtu=self.mtu)

    def link(self) -> LinkState:
        return LinkState(up=True, mtu=self.mtu)

    def set_mtu(self, mtu: int) -> None:
        self.mtu = mtu

    def close(self) -> None:
        self._socket.close()
        if self._file:
            self._file.close()


def _check_udp(name: str, here: SockAddr, there: SockAddr) -> None:
    """Raise PortError unless both are addresses of one host; *here* may be any of ours."""
    for address in (there,) if is_any(here) else (here, there):
        if not is_of_one_host(address):
            raise PortError(
                f"{name}: {text(address)} is not the address of one host",
                hint="a wire of UDP has two ends: give it the address of each",
            )
