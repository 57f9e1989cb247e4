"""The two ends of a device, followed through their descriptors wherever the device goes.

A device is renamed, moved into a namespace, set down and deleted by others. What holds one of its
ends goes on holding it, and can be asked.
"""

from __future__ import annotations

import errno
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from vswitch._fastpath import RING_SLOT
from vswitch.errors import DeviceError
from vswitch.linux import device, netlink, packet, tun
from vswitch.ports.base import Core, LinkState
from vswitch.ports.settings import set_mtu

LOOKS = 5  # at a device that changes while we look


class DeviceEnd(ABC):
    """One end of a device that is open."""

    word: str  # which of the two

    @abstractmethod
    def attach(self, core: Core, *, offloads: int, mtu: int) -> int:
        """Become a port of *core* and return the number."""

    @abstractmethod
    def current_name(self) -> str:
        """The device's name now.

        Raises:
            OSError: EBADFD when the device is gone.
        """

    @abstractmethod
    def namespace(self) -> int:
        """A descriptor of the network namespace the device is in; the caller closes it.

        Raises:
            OSError: EPERM without CAP_NET_ADMIN there.
        """

    @abstractmethod
    def close(self) -> None:
        """Let the device go; a second call does nothing."""

    @abstractmethod
    def _link_now(self) -> LinkState: ...

    def link(self) -> LinkState:
        """Look at the interface, wherever it was moved and whatever it is called there.

        Raises:
            OSError: EBADFD when the device is gone, EACCES when it is where we may not look.
        """
        for _ in range(LOOKS):
            # It may be renamed or moved between two of our questions, as in the middle of
            # "ip link set tap0 netns blue name eth0": that is not the end of it, so ask anew.
            try:
                return self._link_now()
            except OSError as e:
                if e.errno != errno.ENODEV:
                    raise
        return self._link_now()

    def watch(self) -> None:
        """Have link events delivered for this device even from another network namespace."""
        try:
            namespace = self.namespace()
        except PermissionError:  # an ordinary user hears of his own namespace, and no other
            return
        try:
            if not device.is_here(namespace):
                netlink.watch_namespace(namespace)
        finally:
            os.close(namespace)

    @contextmanager
    def entered(self) -> Iterator[None]:
        """Be in the device's network namespace while the block runs."""
        try:
            namespace = self.namespace()
        except PermissionError:  # then nothing can be set either, there or here
            yield
            return
        try:
            if device.is_here(namespace):
                yield
            else:
                with device.entered(namespace):
                    yield
        finally:
            os.close(namespace)

    def set_mtu(self, port: str, mtu: int) -> None:
        """Change the device's MTU, wherever it is; *port* is who it is for.

        Raises:
            DeviceError: the kernel refused, or the device is gone.
        """
        try:
            with self.entered():
                set_mtu(self.current_name(), mtu)
        except OSError as e:
            raise DeviceError(port, f"set its MTU to {mtu}", e) from e


class FileEnd(DeviceEnd):
    """The file end of a TAP: a descriptor per queue, closed with it."""

    word = "file"

    def __init__(self, fds: Sequence[int] = ()) -> None:
        self.fds = list(fds)

    def attach(self, core: Core, *, offloads: int, mtu: int) -> int:
        return core.add_tap_port(self.fds, offloads=offloads, mtu=mtu)

    def current_name(self) -> str:
        return tun.current_name(self.fds[0])

    def namespace(self) -> int:
        return tun.device_namespace(self.fds[0])

    def _link_now(self) -> LinkState:
        name = self.current_name()
        try:
            namespace = self.namespace()
        except PermissionError:  # an ordinary user has his TAP where he is, as a rule
            if not self._is_ours(name):
                what = "it is in a namespace that we may not look into"
                raise OSError(errno.EACCES, what) from None
            return LinkState(up=device.is_up(name), mtu=device.mtu(name))
        try:
            if not device.is_here(namespace):
                up, mtu = netlink.link_in(namespace, name)
                return LinkState(up=up, mtu=mtu)
        finally:
            os.close(namespace)
        return LinkState(up=device.is_up(name), mtu=device.mtu(name))

    def _is_ours(self, name: str) -> bool:
        """Whether the device called *name* here is the one, and not a namesake of it."""
        return device.exists(name) and device.mac(name) == tun.mac(self.fds[0])

    def is_at_home(self, name: str) -> bool:
        """Whether the device is in the calling thread's namespace and still called *name*."""
        try:
            if self.current_name() != name:
                return False
            namespace = self.namespace()
        except PermissionError:  # an ordinary user cannot move it
            return True
        except OSError as e:
            if e.errno != errno.EBADFD:
                raise
            return False  # deleted
        try:
            return device.is_here(namespace)
        finally:
            os.close(namespace)

    def close(self) -> None:
        for fd in self.fds:
            os.close(fd)
        self.fds = []


class InterfaceEnd(DeviceEnd):
    """The interface end: a packet socket per queue, closed with it.

    It follows a device that is renamed. One that is moved into another namespace is gone.
    """

    word = "interface"

    def __init__(self, sockets: Sequence[socket.socket]) -> None:
        self.sockets = list(sockets)

    def attach(self, core: Core, *, offloads: int, mtu: int) -> int:
        fds = [s.fileno() for s in self.sockets]
        # The core has the mappings: a ring is the kernel's again when they are gone as well.
        rings = [packet.map_ring(s, RING_SLOT) for s in self.sockets]
        return core.add_packet_port(fds, offloads=offloads, mtu=mtu, rings=rings)

    def current_name(self) -> str:
        return packet.current_name(self.sockets[0])

    def namespace(self) -> int:
        return packet.namespace(self.sockets[0])

    def _link_now(self) -> LinkState:
        up, mtu = packet.link(self.sockets[0])
        return LinkState(up=up, mtu=mtu)

    def close(self) -> None:
        for s in self.sockets:
            s.close()
        self.sockets = []
