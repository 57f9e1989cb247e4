"""What a front-end says to a vhost-user session, as bytes, and guests that only take notes."""

from __future__ import annotations

import gc
import os
import struct
from contextlib import suppress

from support.frames import BROADCAST, frame, mac
from support.guest_memory import USER, Memory
from support.virtio_driver import Pair, Shape
from vswitch.errors import WireError
from vswitch.ports.vhost_session import Session
from vswitch.wire import vhost_user as wire
from vswitch.wire.vhost_user import Feature, ProtocolFeature, Request

FEATURES = Feature.VERSION_1 | Feature.MRG_RXBUF | Feature.PROTOCOL_FEATURES
FRAME = frame(BROADCAST, mac(1), b"session")
PROTOCOL = ProtocolFeature.MQ | ProtocolFeature.REPLY_ACK | ProtocolFeature.CONFIGURE_MEM_SLOTS


class FakeGuest:
    """Records what is done to it; `refuse` names a call that fails with OSError."""

    lost = False

    def __init__(self) -> None:
        self.done: list[tuple[object, ...]] = []
        self.refuse = ""

    def __getattr__(self, name: str):
        def call(*args: object, **options: object) -> int:
            if name == self.refuse:
                raise OSError(28, "No space left on device")
            self.done.append((name, *args, *options.values()))
            return 0x8000  # what `stop` returns

        return call

    def calls(self, name: str) -> list[tuple[object, ...]]:
        return [done[1:] for done in self.done if done[0] == name]


class FrontEnd:
    """Speaks to *session*, and closes what the session leaves, as its caller has to."""

    def __init__(self, session: Session) -> None:
        self.session = session

    def say(
        self, request: int, payload: bytes = b"", fds: tuple[int, ...] = (), *, ack: bool = False
    ) -> bytes | None:
        """One message; what its reply carries. The descriptors stay ours: copies are sent."""
        given = [os.dup(fd) for fd in fds]
        flags = wire.VERSION | wire.NEED_REPLY * ack
        header = wire.decode_header(wire.HEADER.pack(request, flags, len(payload)))
        try:
            answer = self.session.handle(header, payload, given)
        finally:
            for fd in given:
                os.close(fd)
        if answer is None:
            return None
        kind, flags, size = wire.HEADER.unpack(answer[:12])
        assert (kind, flags, size) == (request, wire.VERSION | wire.REPLY, len(answer) - 12)
        return answer[12:]

    def ask(self, request: int, payload: bytes = b"") -> int:
        answer = self.say(request, payload)
        assert answer is not None
        return struct.unpack("=Q", answer)[0]

    def set(self, request: int, value: int, **options: bool) -> bytes | None:
        return self.say(request, wire.u64(value), **options)

    def state(self, request: int, index: int, value: int) -> bytes | None:
        return self.say(request, struct.pack("=II", index, value))

    def negotiate(self, features: int = FEATURES, protocol: int = PROTOCOL) -> None:
        """The order of QEMU, and of a virtio-user device."""
        self.ask(Request.GET_FEATURES)
        if features & Feature.PROTOCOL_FEATURES:
            self.ask(Request.GET_PROTOCOL_FEATURES)
            self.set(Request.SET_PROTOCOL_FEATURES, protocol)
        self.ask(Request.GET_QUEUE_NUM)
        self.say(Request.SET_OWNER)
        self.set(Request.SET_FEATURES, features)

    def memory(self, memory: Memory) -> None:
        self.say(
            Request.SET_MEM_TABLE,
            struct.pack("=II", len(memory.pieces), 0)
            + b"".join(region(p.gpa, p.size) for p in memory.pieces),
            tuple(p.fd for p in memory.pieces),
        )

    def ring(self, index: int, ring, *, base: int = 0, kick: int = -1, call: int = -1) -> None:
        """All there is to say until a ring runs."""
        self.state(Request.SET_VRING_NUM, index, ring.size)
        self.state(Request.SET_VRING_BASE, index, base)
        self.say(Request.SET_VRING_ADDR, address(index, ring))
        self.fd(Request.SET_VRING_CALL, index, call)
        self.fd(Request.SET_VRING_KICK, index, kick)

    def fd(self, request: int, index: int, fd: int) -> None:
        none = 0 if fd >= 0 else wire.NO_FD
        self.say(request, wire.u64(index | none), (fd,) if fd >= 0 else ())

    def give_up(self) -> None:
        """The connection ends, whatever state it is in."""
        with suppress(WireError):
            self.session.end()


def region(gpa: int, size: int, offset: int = 0, user: int | None = None) -> bytes:
    return struct.pack("=QQQQ", gpa, size, (gpa + USER) % 2**64 if user is None else user, offset)


def address(index: int, ring, *, log: int | None = None, **other: int) -> bytes:
    """Of a SET_VRING_ADDR; *other* replaces desc, driver or device."""
    at = {"desc": ring.desc, "driver": ring.driver, "device": ring.device, **other}
    return struct.pack(
        "=IIQQQQ", index, log is not None, at["desc"] + USER, at["device"] + USER,
        at["driver"] + USER, log or 0,
    )  # fmt: skip


def open_fds() -> int:
    gc.collect()  # those of other tests' datapaths
    return len(os.listdir("/proc/self/fd"))


class Machine:
    """A front-end, its guest's memory with one pair of rings, and eventfds; nothing said yet."""

    def __init__(self, guest: object, *, pairs: int = 1, packed: bool = False) -> None:
        self.guest = guest
        self.session = Session(guest, pairs=pairs, mtu=1500)
        self.front = FrontEnd(self.session)
        self.shape = Shape(packed=packed)
        self.memory = Memory(1 << 20)
        self.pair = Pair(self.memory, self.shape, 16)
        self.rings = [self.pair.rx, self.pair.tx]
        self.kick, self.call = os.eventfd(0), os.eventfd(0)
        self.base = 0x8000 if packed else 0
        for ring in self.rings:
            ring.begin(self.base)

    def features(self) -> int:
        return FEATURES | (Feature.RING_PACKED if self.shape.packed else 0)

    def run(self) -> None:
        """Say everything, as far as it goes without frames."""
        self.front.negotiate(self.features())
        self.front.memory(self.memory)
        self.add_rings()

    def add_rings(self) -> None:
        for i, ring in enumerate(self.rings):
            self.front.ring(i, ring, base=self.base, kick=self.kick, call=self.call)
            self.front.state(Request.SET_VRING_ENABLE, i, 1)

    def close(self) -> None:
        self.front.give_up()
        self.memory.close()
        os.close(self.kick)
        os.close(self.call)


def exchange(machine: Machine, net) -> tuple[list[bytes], list[bytes]]:
    """One frame each way: what arrived."""
    machine.pair.post(1600)
    machine.pair.send(FRAME)
    net.to_guest(FRAME)
    got = [f for _, f in net.wire.receive()], [f for _, f in machine.pair.receive()]
    machine.pair.reap()
    return got
