"""A guest on a vhost-user port: a TAP joined to the rings of a driver of ours, as in a machine.

    python -m support.vhost_guest TAP PATH on|off

TAP is a descriptor, with a virtio-net header if offloads are on; PATH is the switch's socket. With
offloads its driver takes and leaves unfinished frames and has packed rings, else neither. The
process ends with its standard input, or with the switch.
"""

from __future__ import annotations

import fcntl
import os
import select
import socket
import sys
from pathlib import Path

from support.frames import asks_for_nothing
from support.front_end import FEATURES, PROTOCOL, FrontEnd
from support.guest_memory import Memory
from support.virtio_driver import Pair, Shape
from vswitch.linux import tun
from vswitch.ports.vhost_session import OFFLOAD_FEATURES
from vswitch.wire import vhost_user as wire
from vswitch.wire.vhost_user import Feature, Request

VNET_LEN, FRAME_MAX = 10, 65_600
RING, BUFFER, BURST = 1024, 2048, 64
ANSWERED = (Request.GET_FEATURES, Request.GET_PROTOCOL_FEATURES, Request.GET_QUEUE_NUM)


class SocketFrontEnd(FrontEnd):
    """Speaks over a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection

    def say(
        self, request: int, payload: bytes = b"", fds: tuple[int, ...] = (), *, ack: bool = False
    ) -> bytes | None:
        message = wire.HEADER.pack(request, wire.VERSION, len(payload)) + payload
        socket.send_fds(self.connection, [message], fds)
        if request not in ANSWERED:
            return None
        header = self._exactly(wire.HEADER.size)
        return self._exactly(wire.HEADER.unpack(header)[2])

    def _exactly(self, size: int) -> bytes:
        data = self.connection.recv(size, socket.MSG_WAITALL)
        assert len(data) == size, "the switch hung up"
        return data


class Guest:
    """A driver with a pair of rings that run."""

    def __init__(self, connection: socket.socket, *, offloads: bool) -> None:
        self.offloads = offloads
        self.memory = Memory(32 << 20)
        self.pair = Pair(self.memory, Shape(packed=offloads), RING)
        self.kick, self.call = (os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2))
        self._begin(SocketFrontEnd(connection))
        self.pair.post(BUFFER, times=RING)

    def _begin(self, front: SocketFrontEnd) -> None:
        more = Feature.RING_PACKED | OFFLOAD_FEATURES if self.offloads else 0
        front.negotiate(FEATURES | more, PROTOCOL)
        front.memory(self.memory)
        for i, ring in enumerate((self.pair.rx, self.pair.tx)):
            base = 0x8000 if ring.packed else 0
            ring.begin(base)
            front.ring(i, ring, base=base, kick=self.kick, call=self.call)
            front.state(Request.SET_VRING_ENABLE, i, 1)

    def up(self, tap: int) -> None:
        """What the TAP has, to the switch, while there is room."""
        wants_kick = False
        for _ in range(BURST):
            if not self.has_room():
                break
            try:
                record = os.read(tap, FRAME_MAX)
            except BlockingIOError:
                break
            vnet_len = VNET_LEN if self.offloads else 0
            vnet, frame = record[:vnet_len], record[vnet_len:]
            wants_kick |= self.pair.send(frame, vnet=vnet)
        if wants_kick:
            os.eventfd_write(self.kick, 1)

    def has_room(self) -> bool:
        self.pair.reap()
        return RING - self.pair.tx.room() < BURST

    def down(self, tap: int) -> None:
        """What the switch has sent, to the TAP."""
        try:
            os.eventfd_read(self.call)
        except BlockingIOError:
            return
        for header, frame in self.pair.receive():
            if self.offloads:
                os.write(tap, header[:VNET_LEN] + frame)
            elif asks_for_nothing(header[:VNET_LEN]):  # else it is lost, and missed
                os.write(tap, frame)
        self.pair.post(BUFFER, times=self.pair.rx.room())


def work(guest: Guest, tap: int, connection: socket.socket) -> None:
    while True:
        sources = [guest.call, connection, sys.stdin] + [tap] * guest.has_room()
        ready, _, _ = select.select(sources, [], [])
        if connection in ready or sys.stdin in ready:
            return
        guest.down(tap)
        guest.up(tap)


def main() -> None:
    tap, path, offloads = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3] == "on"
    os.set_blocking(tap, False)
    if offloads:
        fcntl.ioctl(tap, tun.TUNSETOFFLOAD, tun.OFFLOAD_SETS[0][0])
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(os.fspath(path))
        work(Guest(connection, offloads=offloads), tap, connection)


if __name__ == "__main__":
    main()
