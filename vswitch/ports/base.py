"""What every port kind offers to the switch."""

from __future__ import annotations

import socket
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from mmap import mmap
from pathlib import Path
from typing import Any, Protocol

from vswitch._fastpath import OFFLOADS
from vswitch.errors import PortError
from vswitch.portsettings import PortSettings


class Wire(Protocol):
    """The far end of a memory port."""

    def send(self, record: bytes) -> bool: ...

    def receive(self) -> list[tuple[bytes, bytes]]: ...


class Core(Protocol):
    """What a port kind needs of a datapath (compiled or plain Python) to attach itself."""

    def add_tap_port(self, fds: Sequence[int], *, offloads: int, mtu: int) -> int: ...

    def add_packet_port(
        self, fds: Sequence[int], *, offloads: int, mtu: int, rings: Sequence[mmap | None] = ()
    ) -> int: ...

    def add_memory_port(self, *, fd: int, offloads: int, mtu: int, size: int) -> int: ...

    def add_stream_port(self, fd: int, *, mtu: int) -> int: ...

    def add_dgram_port(self, fd: int, *, peer: bytes, mtu: int) -> int: ...

    def add_pcap_port(self, fd: int, **options: Any) -> int: ...

    def add_vhost_port(self, *, queues: int, mtu: int) -> int: ...

    def guest(self, port: int) -> Any: ...

    def wire(self, port: int) -> Wire: ...


class Place(Protocol):
    """Where virtual machines connect; its ports are called after it."""

    name: str
    kind: str  # of its ports
    mtu: int  # bytes, of its ports
    settings: PortSettings  # of each

    address: str  # its path, or HOST:PORT; a folder's has a "/" at its end

    @property
    def path(self) -> Path | None:
        """Of a unix socket, or of the folder with them."""

    def owns(self, port: Port) -> bool:
        """Whether *port* came from here, and somebody is connected there."""

    def close(self) -> None: ...


class Listener(Place, Protocol):
    """A socket where ports come from; each goes with its connection, and has its address."""

    def fileno(self) -> int: ...

    def accept(self) -> socket.socket | None: ...

    def port(self, name: str, connection: socket.socket) -> Port: ...


@dataclass(frozen=True, slots=True)
class LinkState:
    """The condition of a port's wire."""

    up: bool
    mtu: int  # bytes


class Port(ABC):
    """A place where frames enter and leave the switch.

    The life of a port: it is made with its resources open; `attach` makes it a number in a
    datapath; after it was removed from there, `close` gives the resources back.
    """

    kind: str
    has_link = False  # whether a device behind it goes down, up and away by itself
    end = ""  # which end of the device it holds, if its device has two
    driver = ""  # of the device behind it: "tap", "veth", ...
    address = ""  # of a socket or a file: its path, or HOST:PORT
    remote = ""  # the peer's, if it is known
    ips: Sequence[str] = ()  # addresses the host has here, with their prefix lengths
    station: bytes | None = None  # is always here: a static entry as long as the port exists
    created = False  # the device was made by this port and goes with it
    calls = False  # it connects by itself, and again whenever its peer went away
    talks = False  # beside frames, its peer has something to say to the control plane
    passing = False  # it comes and goes with a connection: removed when that ends
    vnet_header = True  # frames cross its wire with their virtio-net header

    def __init__(self, name: str, *, mtu: int, offloads: Sequence[str], queues: int = 1) -> None:
        self.name = name
        self.mtu = mtu
        self.offloads = tuple(offloads)
        self.queues = queues

    @property
    def queues_used(self) -> int:
        """By whoever is at the other end."""
        return self.queues

    @property
    def offload_bits(self) -> int:
        return sum(OFFLOADS[name] for name in self.offloads)

    @abstractmethod
    def attach(self, core: Core) -> int:
        """Become a port of *core* (parked) and return the number."""

    @abstractmethod
    def link(self) -> LinkState:
        """Look at the wire.

        Raises:
            OSError: it could not be looked at; EBADFD says that the device is gone for good.
        """

    def watch(self) -> None:  # noqa: B027 - nothing to do for a port without a link
        """Have link events delivered for the device behind the port."""

    def set_mtu(self, mtu: int) -> None:
        """Change what is the longest payload it takes, in bytes.

        Raises:
            PortError: it cannot be changed.
        """
        raise PortError(
            f"{self.name}: the MTU of this port cannot be changed while it is open",
            hint=f"remove it, and add it again with mtu={mtu}",
        )

    @abstractmethod
    def close(self) -> None:
        """Give everything back; a second call does nothing."""
