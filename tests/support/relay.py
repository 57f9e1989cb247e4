"""A wire between a TAP without a virtio-net header and a socket port: what QEMU's ``-netdev`` is.

    python relay.py stream|dgram TAP WIRE

TAP and WIRE are descriptors. The kernel behind the TAP gives and takes whole frames only, so it
throws away whatever the switch left unfinished. Nothing here is imported from vswitch. The process
ends with its standard input.
"""

from __future__ import annotations

import os
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress

FRAME_MAX = 65_600


def send_stream(wire: socket.socket, frame: bytes) -> None:
    wire.sendall(struct.pack(">I", len(frame)) + frame)


def frames_of_stream(wire: socket.socket) -> Iterator[bytes]:
    waiting = b""
    while part := wire.recv(1 << 16):
        waiting += part
        at = 0
        while len(waiting) - at >= 4:
            (length,) = struct.unpack_from(">I", waiting, at)
            if len(waiting) - at - 4 < length:
                break
            yield waiting[at + 4 : at + 4 + length]
            at += 4 + length
        waiting = waiting[at:]


def frames_of_dgram(wire: socket.socket) -> Iterator[bytes]:
    while True:
        yield wire.recv(FRAME_MAX)


def up(tap: int, send: Callable[[bytes], object]) -> None:
    with suppress(ConnectionError):  # the switch has closed its end
        while True:
            send(os.read(tap, FRAME_MAX))


def down(frames: Iterator[bytes], tap: int) -> None:
    with suppress(ConnectionError):
        for frame in frames:
            os.write(tap, frame)


def main() -> None:
    kind, tap, wire = sys.argv[1], int(sys.argv[2]), socket.socket(fileno=int(sys.argv[3]))
    if kind == "stream":
        send, frames = lambda frame: send_stream(wire, frame), frames_of_stream(wire)
    else:
        send, frames = wire.send, frames_of_dgram(wire)
    for work, args in ((up, (tap, send)), (down, (frames, tap))):
        threading.Thread(target=work, args=args, daemon=True).start()
    sys.stdin.read()
    os._exit(0)  # its threads wait in system calls


if __name__ == "__main__":
    main()
