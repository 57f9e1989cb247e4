"""Any words of a front-end, to a session whose guest has memory and rings; `make fuzz`.

    python tests/fuzz/fuzz_vhost_session.py --messages 300000 --seed 1

Messages are mostly those that a front-end would say, in any order, with one number wrong here and
there; between them the switch is polled and the guest writes into its rings. Repeatable from the
seed. In any build:

  - nothing but WireError is raised, and after it the conversation can end
  - every descriptor is closed once: as many are open after a conversation as before
"""

# ruff: noqa: E402  (a script: it says itself where its modules are)
from __future__ import annotations

import argparse
import os
import random
import struct
import sys
import time
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from support.frames import BROADCAST, frame, mac
from support.front_end import FEATURES, FrontEnd, address, open_fds, region
from support.guest_memory import BASE, USER, Memory
from support.guest_rig import Rig
from support.virtio_driver import Pair, Shape
from vswitch._guest import Guest
from vswitch._ports import add_vhost_port
from vswitch.errors import WireError
from vswitch.ports.vhost_features import PROTOCOL_FEATURES
from vswitch.ports.vhost_session import Session
from vswitch.wire import vhost_user as wire
from vswitch.wire.vhost_user import Feature, Request

FRAME = frame(BROADCAST, mac(1), b"words")
SIZE = 1 << 18
MESSAGES = 200  # per conversation
EDGES = (0, 1, 2, 15, 16, 17, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFF, 1 << 31, 2**32 - 1, 2**63)
EDGES += (2**64 - 1, 2**64 - 4096, BASE, BASE + SIZE, USER, USER + BASE, SIZE, SIZE + 1)


class Conversation:
    """One front-end with all it needs, until it has said enough."""

    def __init__(self, net: Rig, rng: random.Random) -> None:
        self.net, self.rng = net, rng
        self.packed = rng.random() < 0.5
        self.number = add_vhost_port(net.datapath, queues=2, mtu=1500)
        self.session = Session(Guest(net.datapath, self.number), pairs=2, mtu=1500)
        self.front = FrontEnd(self.session)
        self.memory = Memory(SIZE)
        pairs = [Pair(self.memory, Shape(packed=self.packed), 16) for _ in range(2)]
        self.rings = [ring for pair in pairs for ring in (pair.rx, pair.tx)]
        self.pipe = os.pipe()
        self.fds = [os.eventfd(0), os.eventfd(0), self.pipe[1], self.memory.pieces[0].fd]
        self.features = FEATURES | (Feature.RING_PACKED if self.packed else 0)
        self.refused = 0

    def run(self, messages: int) -> int:
        self.begin()
        for _ in range(messages):
            request, payload, fds = self.message()
            if self.rng.random() < 0.3:
                payload = self.damaged(payload)
            try:
                self.front.say(request, payload, tuple(fds), ack=self.rng.random() < 0.5)
            except WireError:
                self.refused += 1
                self.session.end()
                if self.rng.random() < 0.8:
                    self.begin()
            if self.rng.random() < 0.3:
                self.traffic()
        self.close()
        return messages

    def begin(self) -> None:
        self.front.negotiate(self.features)
        self.front.memory(self.memory)
        for i, ring in enumerate(self.rings):
            self.front.ring(i, ring, base=ring.base if i % 2 else 0, kick=self.fds[0])
            self.front.state(Request.SET_VRING_ENABLE, i, 1)

    def message(self) -> tuple[int, bytes, list[int]]:
        rng = self.rng
        index = rng.randrange(4)
        ring, fd = self.rings[index], self.fds[rng.randrange(2)]
        state = struct.pack("=II", index, rng.choice([0, 1, 16, 0x8000]))
        piece = region(BASE, SIZE)
        choices: list[tuple[int, bytes, list[int]]] = [
            (Request.SET_FEATURES, wire.u64(self.features), []),
            (Request.SET_FEATURES, wire.u64(self.features | Feature.LOG_ALL), []),
            (Request.SET_PROTOCOL_FEATURES, wire.u64(int(PROTOCOL_FEATURES)), []),
            (Request.SET_MEM_TABLE, struct.pack("=II", 1, 0) + piece, [self.fds[3]]),
            (Request.ADD_MEM_REG, bytes(8) + region(1 << 40, 8192), [self.fds[3]]),
            (Request.REM_MEM_REG, bytes(8) + rng.choice([piece, region(1 << 40, 8192)]), []),
            (Request.SET_LOG_BASE, struct.pack("=QQ", SIZE, 0), [self.fds[3]]),
            (Request.SET_VRING_ADDR, address(index, ring, log=rng.choice([None, BASE])), []),
            (Request.GET_VRING_BASE, state, []),
            (Request.SET_VRING_NUM, struct.pack("=II", index, 16), []),
            (Request.SET_VRING_BASE, state, []),
            (Request.SET_VRING_ENABLE, state, []),
            (Request.SET_VRING_KICK, wire.u64(index), [fd]),
            (Request.SET_VRING_CALL, wire.u64(index), [fd]),
            (Request.GET_CONFIG, struct.pack("=III", 0, 12, 0) + bytes(12), []),
            (Request.RESET_OWNER, b"", []),
            (rng.randrange(64), rng.randbytes(rng.randrange(64)), [rng.choice(self.fds)]),
        ]
        return rng.choice(choices)

    def damaged(self, payload: bytes) -> bytes:
        """One number of it replaced, or its length."""
        if not payload or self.rng.random() < 0.1:
            return payload + bytes(self.rng.randrange(9))
        width, layout = self.rng.choice([(4, "=I"), (8, "=Q")])
        at = self.rng.randrange(0, len(payload), 4)
        value = self.rng.choice(EDGES) + self.rng.choice([0, 0, -1, 1])
        number = struct.pack(layout, value % (1 << 8 * width))
        return payload[:at] + number[: len(payload) - at] + payload[at + width :]

    def traffic(self) -> None:
        """Frames for the guest; and it writes something into its memory."""
        data = self.rng.randbytes(self.rng.randrange(1, 32))
        self.memory.write(BASE + self.rng.randrange(0, 4096), data)
        ring = self.rings[self.rng.randrange(4)]
        self.memory.set_u16(ring.driver + 2, self.rng.randrange(20))
        self.net.to_guest(FRAME)
        self.net.wire.receive()

    def close(self) -> None:
        self.session.end()
        self.net.datapath.remove_port(self.number)
        self.memory.close()
        for fd in (*self.fds[:2], *self.pipe):
            os.close(fd)


def fuzz(messages: int, seed: int) -> str:
    """Run; returns the line to print."""
    began = time.monotonic()
    said = refused = number = 0
    net = Rig()
    net.datapath.remove_port(add_vhost_port(net.datapath, queues=1, mtu=1500))
    before = open_fds()  # with what all guests share
    while said < messages:
        conversation = Conversation(net, random.Random(f"{seed} {number}"))
        said += conversation.run(min(MESSAGES, messages - said))
        refused += conversation.refused
        assert open_fds() == before, f"descriptors leaked in conversation {number}"
        number += 1
    return (
        f"fuzz_vhost_session: {said} messages, {refused} refused, {number} conversations, "
        f"seed {seed}, {time.monotonic() - began:.1f} s: no finding"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--messages", type=int, default=300_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    print(fuzz(options.messages, options.seed))


if __name__ == "__main__":
    main()
