"""Virtual machines as far as a switch can tell: front-ends on real sockets, and drivers."""

from __future__ import annotations

import array
import os
import socket
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from support.frames import FINISHED
from support.front_end import FEATURES, PROTOCOL, FrontEnd
from support.guest_memory import Memory
from support.virtio_driver import Pair, Shape
from support.wait import wait_for
from vswitch.wire import vhost_user as wire
from vswitch.wire.vhost_user import Feature, Request

ANSWERED = {
    Request.GET_FEATURES, Request.GET_PROTOCOL_FEATURES, Request.GET_QUEUE_NUM,
    Request.GET_MAX_MEM_SLOTS, Request.GET_VRING_BASE, Request.GET_CONFIG, Request.GET_STATUS,
    Request.SET_LOG_BASE,
}  # fmt: skip
PIECE_BYTES = 2048  # of a buffer for what comes in

Look = Callable[[], object]


class PluggedFrontEnd(FrontEnd):
    """Speaks through *connection*; *look* is called when the switch has to do something."""

    def __init__(self, connection: socket.socket, look: Look | None = None) -> None:
        self.connection = connection
        self._look = look or (lambda: None)
        connection.settimeout(5)

    def say(
        self, request: int, payload: bytes = b"", fds: tuple[int, ...] = (), *, ack: bool = False
    ) -> bytes | None:
        self.write(wire.HEADER.pack(request, wire.VERSION | wire.NEED_REPLY * ack, len(payload))
                   + payload, fds)  # fmt: skip
        self._look()
        return self.read() if ack or request in ANSWERED else None

    def write(self, data: bytes, fds: tuple[int, ...] = ()) -> None:
        """Any bytes, with any descriptors."""
        rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", fds))] if fds else []
        assert self.connection.sendmsg([data], rights) == len(data)

    def read(self) -> bytes:
        """What the next reply carries."""
        head = self.connection.recv(wire.HEADER.size, socket.MSG_WAITALL)
        size = wire.HEADER.unpack(head)[2]
        return self.connection.recv(size, socket.MSG_WAITALL) if size else b""

    def hung_up(self) -> bool:
        """Whether the switch has ended the connection; what it said before is thrown away."""
        self.connection.setblocking(False)
        with suppress(BlockingIOError, ConnectionResetError):
            while self.connection.recv(4096):
                pass
            return True
        return False


class PluggedVm:
    """A machine with *pairs* of queues, whose driver runs once `boot` was called."""

    def __init__(
        self, place: Path | socket.socket, look: Look | None = None, *, pairs: int = 1,
        size: int = 16, features: int = 0, memory_bytes: int = 4 << 20,
    ) -> None:  # fmt: skip
        self.features = FEATURES | features
        shape = Shape(
            packed=bool(features & Feature.RING_PACKED),
            event_idx=bool(features & Feature.EVENT_IDX),
        )
        if isinstance(place, Path):
            connection = socket.socket(socket.AF_UNIX)
            wait_for(lambda: connection.connect_ex(str(place)) == 0, f"somebody at {place}")
        else:
            connection = place
        self.front = PluggedFrontEnd(connection, look)
        self.memory = Memory(memory_bytes)
        self.pairs = [Pair(self.memory, shape, size) for _ in range(pairs)]
        self.base = 0x8000 if shape.packed else 0
        self.kicks = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(pairs)]
        self.calls = [os.eventfd(0, os.EFD_NONBLOCK) for _ in range(2 * pairs)]

    def boot(self, *, pairs: int | None = None) -> PluggedVm:
        """What QEMU says until its guest's driver, which uses so many pairs, is up."""
        front = self.front
        front.negotiate(self.features, PROTOCOL)
        front.memory(self.memory)
        used = self.pairs[:pairs]
        for i, ring in enumerate(r for pair in used for r in (pair.rx, pair.tx)):
            ring.begin(self.base)
            front.ring(i, ring, base=self.base, kick=self.kicks[i // 2], call=self.calls[i])
            front.say(
                Request.SET_VRING_ENABLE, i.to_bytes(4, "little") + (1).to_bytes(4, "little"),
                ack=True,
            )  # fmt: skip
        for pair in used:
            pair.post(PIECE_BYTES, times=pair.rx.size)
        return self

    def send(self, frame: bytes, *, pair: int = 0, vnet: bytes = FINISHED) -> bool:
        """As a driver does: kick only if asked to; whether that was so."""
        wanted = self.pairs[pair].send(frame, vnet=vnet)
        if wanted:
            os.eventfd_write(self.kicks[pair], 1)
        return wanted

    def room(self, pair: int = 0) -> int:
        """Frames that may be sent now."""
        self.pairs[pair].reap()
        return self.pairs[pair].tx.room()

    def receive(self) -> list[bytes]:
        """The frames that came, by any pair; their buffers are provided again."""
        found = []
        for pair in self.pairs:
            got = pair.receive()
            room = pair.rx.room() if pair.rx.held or got else 0
            if got and room:
                pair.post(PIECE_BYTES, times=room)
            found += got
        return [frame for _, frame in found]

    def close(self) -> None:
        """Pull the plug; a second call does nothing."""
        if self.front.connection.fileno() < 0:
            return
        self.front.connection.close()
        self.memory.close()
        for fd in (*self.kicks, *self.calls):
            os.close(fd)
