"""A port whose wire is memory: the program itself is the station behind it.

lan = MemoryPort("lan")
switch.add_port(lan)
lan.send([frame, ...])
lan.receive()  ->  [frame, ...]
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence

from vswitch._fastpath import OFFLOADS
from vswitch.errors import PortError
from vswitch.portconfig import MTU_MAX, MTU_MIN
from vswitch.ports.base import Core, LinkState, Port, Wire

FINISHED = bytes(10)  # virtio-net header of a frame that leaves no work undone


class MemoryPort(Port):
    """Frames from and to the calling program; one thread sends, one receives.

    Args:
        name: The port's name.
        offloads: Work it takes unfinished, of ``csum tso4 tso6 ecn uso ufo``. Empty: the switch
            finishes checksums and segments before they arrive here.
        mtu: Longest payload it takes, bytes.
        size_bytes: Memory for waiting frames, each way; a power of two, 256 KiB or more.
    """

    kind = "memory"

    def __init__(
        self,
        name: str,
        *,
        offloads: Sequence[str] = tuple(OFFLOADS),
        mtu: int = 1500,
        size_bytes: int = 1 << 20,
    ) -> None:
        if unknown := [word for word in offloads if word not in OFFLOADS]:
            raise ValueError(f"offloads are {' '.join(OFFLOADS)}, not {unknown[0]!r}")
        if not MTU_MIN <= mtu <= MTU_MAX:
            raise ValueError(f"mtu must be in {MTU_MIN}..{MTU_MAX}, not {mtu}")
        super().__init__(name, mtu=mtu, offloads=offloads)
        self._size = size_bytes
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._up = True
        self._wire: Wire | None = None

    def attach(self, core: Core) -> int:
        if self._fd < 0:
            raise PortError(f"port {self.name} was closed", hint="make a new one")
        number = core.add_memory_port(
            fd=self._fd, offloads=self.offload_bits, mtu=self.mtu, size=self._size
        )
        self._wire = core.wire(number)
        return number

    def send(self, frames: Iterable[bytes], *, vnet: bytes = FINISHED) -> int:
        """Let the switch receive *frames*, each with the virtio-net header *vnet* (10 bytes).

        Returns how many fitted into the memory; the rest is not sent.

        Raises:
            PortError: the port is not connected to a switch, or was removed from it.
        """
        wire = self._connected()
        if self._fd < 0:
            raise PortError(f"port {self.name} is not connected to a switch any more")
        sent = 0
        for frame in frames:
            if not wire.send(vnet + frame):
                break
            sent += 1
        return sent

    def receive(self) -> list[bytes]:
        """The frames the switch has sent since the last call, oldest first.

        Those that came before the port was removed can be taken afterwards, too.
        """
        received = (self._wire or self._connected()).receive()
        return [frame for _, frame in received] if received else []

    def receive_with_header(self) -> list[tuple[bytes, bytes]]:
        """The same as (virtio-net header of 10 bytes, frame)."""
        return list(self._connected().receive())

    def _connected(self) -> Wire:
        if self._wire is None:
            raise PortError(f"port {self.name} is not connected to a switch yet")
        return self._wire

    def link(self) -> LinkState:
        return LinkState(up=self._up, mtu=self.mtu)

    def set_mtu(self, mtu: int) -> None:
        self.mtu = mtu

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
