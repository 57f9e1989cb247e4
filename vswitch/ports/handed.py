"""Ports of descriptors that another process opened: no privilege is needed for any of them.

What a descriptor is, it says itself: a queue of a TAP, a packet socket, a connected stream socket
(as ``qemu:``), a connected datagram socket (as ``dgram:``); or, for a listener, a listening one. A
descriptor is made non-blocking, for the process that opened it as well if it keeps it.
"""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

from vswitch.errors import DeviceError, PortError
from vswitch.linux import descriptor, inet, packet, tun
from vswitch.linux.descriptor import Descriptor
from vswitch.ports.base import Core, LinkState, Port
from vswitch.ports.dgram import DgramPort
from vswitch.ports.ends import DeviceEnd, FileEnd, InterfaceEnd
from vswitch.ports.qemu import QemuPort, accept, accepted
from vswitch.ports.settings import is_tun
from vswitch.portsettings import DEFAULT, PortSettings

TAKES = "a port is a TAP, a packet socket, or a connected stream or datagram socket"


class HandedPort(Port):
    """One end of a device that another process opened and configures: it is left as it is.

    Args:
        name: The port's name.
        end: The open end; closed with the port.
        kind: As the port kind that opens such ends itself.
        mtu: What it must be, if the device has one that we can see; bytes.
        blind_mtu: What it is believed to be, if it is in a namespace that we may not look into.
        offloads: What it takes unfinished.
        queues: How many descriptors the end has.

    Raises:
        DeviceError: the device is gone.
        PortError: its MTU is another.
    """

    has_link = True

    def __init__(
        self,
        name: str,
        end: DeviceEnd,
        *,
        kind: str,
        mtu: int | None,
        blind_mtu: int,
        offloads: Sequence[str],
        queues: int = 1,
    ) -> None:
        self.kind = kind
        self.end = end.word
        self.driver = "tap" if kind == "tap" else ""
        self._end = end
        super().__init__(name, mtu=blind_mtu, offloads=offloads, queues=queues)
        try:
            device = end.current_name()
            self.mtu = self.link().mtu
        except OSError as e:
            raise DeviceError(name, "look at its device", e) from e
        if mtu not in (None, self.mtu):
            raise PortError(
                f"{name}: its device {device} was handed in with an MTU of {self.mtu}, not {mtu}",
                hint=f"ip link set dev {device} mtu {mtu}",
            )

    def attach(self, core: Core) -> int:
        return self._end.attach(core, offloads=self.offload_bits, mtu=self.mtu)

    def link(self) -> LinkState:
        try:
            return self._end.link()
        except OSError as e:
            if e.errno != errno.EACCES:
                raise
            return LinkState(up=True, mtu=self.mtu)

    def watch(self) -> None:
        self._end.watch()

    def set_mtu(self, mtu: int) -> None:
        raise PortError(
            f"{self.name}: its device is configured by whoever handed it in",
            hint=f"ip link set dev NAME mtu {mtu}: the port follows",
        )

    def close(self) -> None:
        self._end.close()


class HandedListener:
    """A listening stream socket that another process made: who connects becomes a port.

    Its file, if it has one, is that process's to remove.

    Args:
        name: What the ports are called after.
        fds: The descriptor, one; closed with the listener.
        mtu: Longest payload of the ports, bytes.
        settings: Of each port.

    Raises:
        PortError: it is no such socket.
    """

    kind = "qemu"

    def __init__(
        self, name: str, fds: Sequence[int], *, mtu: int = 1500, settings: PortSettings = DEFAULT
    ) -> None:
        found = _one(_look(fds))
        if found.kind != "listener":
            raise PortError(
                f"descriptor {found.fd} is {found.what}: nobody can connect there",
                hint=f"hand in a listening stream socket, or make it a port: --port fd:{found.fd}",
            )
        self.name = name
        self.mtu = mtu
        self.settings = settings
        self._socket = socket.socket(fileno=found.fd)
        self._socket.setblocking(False)
        self.address = _text(self._socket.getsockname())
        is_file = self._socket.family == socket.AF_UNIX and not self.address.startswith("@")
        self.path = Path(self.address) if is_file else None

    def owns(self, port: Port) -> bool:
        return port.passing and port.address == self.address

    def fileno(self) -> int:
        return self._socket.fileno()

    def accept(self) -> socket.socket | None:
        return accept(self._socket)

    def port(self, name: str, connection: socket.socket) -> QemuPort:
        return accepted(name, connection, address=self.address, mtu=self.mtu)

    def close(self) -> None:
        self._socket.close()


def open_handed(
    name: str,
    fds: Sequence[int],
    *,
    mtu: int | None = None,
    socket_mtu: int = 1500,
    offloads: bool = True,
) -> Port:
    """Make the right kind of port of descriptors that were handed in; it closes them.

    Args:
        name: The port's name.
        fds: One, or the queues of one TAP.
        mtu: What the MTU of a device must be; None: as it is.
        socket_mtu: Longest payload of a port over a socket, bytes.
        offloads: Take checksums and segments unfinished, where there are devices.

    Raises:
        PortError: a descriptor is not open, or none that a port can be made of.
    """
    found = _look(fds)
    kinds = {d.kind for d in found}
    if kinds == {"tap"}:
        return _open_tap(name, fds, mtu=mtu, blind_mtu=socket_mtu, offloads=offloads)
    one = _one(found)
    if one.kind == "packet":
        return _open_packet(name, one.fd, mtu=mtu, blind_mtu=socket_mtu, offloads=offloads)
    if one.kind not in _SOCKETS:
        _refuse(one)
    return _SOCKETS[one.kind](name, socket.socket(fileno=one.fd), socket_mtu)


def _look(fds: Sequence[int]) -> list[Descriptor]:
    found = []
    for fd in fds:
        try:
            found.append(descriptor.look(fd))
        except OSError as e:
            raise PortError(f"descriptor {fd} is not open") from e
    return found


def _one(found: Sequence[Descriptor]) -> Descriptor:
    if len(found) > 1:
        other = next(d for d in found if d.kind != "tap" or d is found[-1])
        raise PortError(
            f"descriptor {other.fd} is {other.what}: several of a port are queues of one TAP",
            hint="a --port, or --listen, for each",
        )
    return found[0]


def _refuse(found: Descriptor) -> NoReturn:
    if found.kind == "tun":
        raise is_tun(f"descriptor {found.fd}", tun.current_name(found.fd))
    if found.kind == "listener":
        raise PortError(
            f"descriptor {found.fd} is a listening socket, where ports come from",
            hint=f"--listen fd:{found.fd}",
        )
    raise PortError(f"descriptor {found.fd} is {found.what}", hint=TAKES)


def _open_tap(
    name: str, fds: Sequence[int], *, mtu: int | None, blind_mtu: int, offloads: bool
) -> Port:
    devices = {tun.current_name(fd) for fd in fds}
    if len(devices) > 1:
        raise PortError(
            f"{name}: its descriptors are queues of {' and '.join(sorted(devices))}",
            hint="a --port for each TAP",
        )
    if len(fds) > 1 and not tun.flags(fds[0]) & tun.IFF_MULTI_QUEUE:
        raise PortError(
            f"{name}: the TAP {devices.pop()} was opened with one queue, not {len(fds)}",
            hint="open it with IFF_MULTI_QUEUE, or hand in one descriptor",
        )
    queues = [tun.adopt_queue(name, fd, offloads=offloads) for fd in fds]
    return HandedPort(
        name,
        FileEnd(fds),
        kind="tap",
        mtu=mtu,
        blind_mtu=blind_mtu,
        offloads=queues[0].offloads,
        queues=len(fds),
    )


def _open_packet(name: str, fd: int, *, mtu: int | None, blind_mtu: int, offloads: bool) -> Port:
    s = socket.socket(fileno=fd)
    try:
        packet.adopt_packet(name, s)
        return HandedPort(
            name,
            InterfaceEnd([s]),
            kind="netdev",
            mtu=mtu,
            blind_mtu=blind_mtu,
            offloads=packet.offloads() if offloads else (),
        )
    except PortError:
        s.detach()  # it stays open, as it was
        raise


def _open_stream(name: str, s: socket.socket, mtu: int) -> Port:
    if s.family in (socket.AF_INET, socket.AF_INET6):
        inet.make_ready(s)
    port = QemuPort(name, s, mtu=mtu)
    port.remote = _text(s.getpeername())
    return port


def _open_dgram(name: str, s: socket.socket, mtu: int) -> Port:
    port = DgramPort(name, s, mtu=mtu)
    port.address, port.remote = _text(s.getsockname()), _text(s.getpeername())
    return port


_SOCKETS: Mapping[str, Callable[[str, socket.socket, int], Port]] = {
    "stream": _open_stream,
    "dgram": _open_dgram,
}


def _text(address: object) -> str:
    """An address of any family: a path, @NAME of an abstract one (unix(7)), or HOST:PORT."""
    if isinstance(address, tuple):
        return inet.text(address)
    if not isinstance(address, (str, bytes)):
        return str(address)
    path = os.fsdecode(address)
    return f"@{path[1:]}" if path.startswith("\0") else path
