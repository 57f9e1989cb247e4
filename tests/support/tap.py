"""TAPs by hand, for what `vswitch.ports.TapPort` does not let one do; and raw sockets."""

from __future__ import annotations

import fcntl
import os
import select
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager

from support.frames import EXPERIMENTAL
from vswitch.linux import device, tun

SOL_PACKET, PACKET_VNET_HDR = 263, 15  # <linux/if_packet.h>
TAP = tun.IFF_TAP | tun.IFF_NO_PI | tun.IFF_VNET_HDR
MARK = struct.pack(">H", EXPERIMENTAL)


def open_tap(name: str, flags: int = TAP) -> int:
    """One queue of the TAP *name*; OSError as the kernel gives it."""
    fd = os.open(tun.TUN_DEVICE, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, tun.TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        if flags & tun.IFF_VNET_HDR:
            fcntl.ioctl(fd, tun.TUNSETVNETLE, struct.pack("i", 1))
    except OSError:
        os.close(fd)
        raise
    return fd


def raw_socket(name: str, *, vnet_hdr: bool = False) -> socket.socket:
    """An AF_PACKET socket on the interface *name* of the calling thread's namespace."""
    sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    if vnet_hdr:
        sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    sock.bind((name, 0))
    sock.settimeout(5)
    return sock


def read_marked(fd: int, size: int = 70000, *, timeout_s: float = 2) -> bytes:
    """The next record with the experimental EtherType: the kernel sends its own chatter too."""
    while select.select([fd], [], [], timeout_s)[0]:
        record = os.read(fd, size)
        if record[22:24] == MARK:
            return record
    raise AssertionError(f"no frame within {timeout_s} s")


@contextmanager
def tap(name: str, flags: int = TAP, *, up: bool = True) -> Iterator[int]:
    """A new TAP, up, as the descriptor of its only queue."""
    fd = open_tap(name, flags | tun.IFF_TUN_EXCL)
    try:
        device.set_up(name, up=up)
        yield fd
    finally:
        os.close(fd)
