"""The interface end of a device: packet sockets, see packet(7) and <linux/if_packet.h>.

Whoever opens a packet socket on a device sees all it receives, and sends as the host would. The
host's own stack receives the frames too: there is no taking them away from it.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import mmap
import os
import socket
import struct
from contextlib import suppress

from vswitch.errors import DeviceError
from vswitch.linux import device

# <linux/if_packet.h>, <linux/if_ether.h>
SOL_PACKET = 263
PACKET_ADD_MEMBERSHIP, PACKET_RX_RING, PACKET_COPY_THRESH = 1, 5, 7
PACKET_AUXDATA, PACKET_VERSION, PACKET_RESERVE, PACKET_VNET_HDR = 8, 10, 12, 15
PACKET_FANOUT, PACKET_IGNORE_OUTGOING = 18, 23
TPACKET_V2 = 1
PACKET_MR_PROMISC = 1
FANOUT_HASH, FANOUT_UNIQUE_ID, FANOUT_IGNORE_OUTGOING = 0, 0x2000, 0x4000
ETH_P_ALL = 0x0003
# <linux/sockios.h>, <asm-generic/socket.h>
SIOCGSKNS = 0x894C
SO_ATTACH_FILTER, SO_DETACH_FILTER = 26, 27
SO_SNDBUFFORCE, SO_RCVBUFFORCE = 32, 33

# What waits for us or for the device, as the kernel counts: a super-frame of 64 KiB is 70 to 130.
# The default of 208 KiB would hold two or three, and TCP sends bursts of dozens.
BUFFER_BYTES = 8 << 20
# A ring of 4 MiB per queue: at a million frames per second, what comes in 2 ms.
RING_SLOTS = 2048
RING_BLOCK_BYTES = 1 << 16  # what the kernel allocates in one piece
RING_RESERVE_BYTES = 4  # with it a frame in its slot starts at the 16th byte of a cache line
USO_SINCE = (6, 2)  # Linux; earlier ones refuse UDP super-frames from a packet socket


def open_packet(name: str, *, queues: int = 1, ring_slot: int = 0) -> list[socket.socket]:
    """Open the interface end of a device that is up: non-blocking sockets, one per queue.

    A message is a 10-byte virtio-net header and a frame. With several queues the kernel spreads
    flows over them by hash. Frames we send are not heard; frames for other stations are: the device
    is promiscuous until the last socket is closed.

    With *ring_slot*, the bytes of a slot, each has a ring if the kernel has the memory for it; then
    messages are only frames that do not fit there (see `map_ring`).

    Raises:
        DeviceError: ``errno`` is EPERM without CAP_NET_RAW, ENODEV without the device.
    """
    sockets: list[socket.socket] = []
    try:
        index = device.index(name)
        for _ in range(queues):
            s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK, 0)
            sockets.append(s)
            _prepare(s, name, index, ring_slot)
        if queues > 1:
            _join(sockets)
        for s in sockets:
            _begin(s)
    except OSError as e:
        for s in sockets:
            s.close()
        hint = "run as root, or with CAP_NET_RAW" if e.errno == errno.EPERM else None
        raise DeviceError(name, "open its interface end", e, hint=hint) from e
    return sockets


def _prepare(s: socket.socket, name: str, index: int, ring_slot: int) -> None:
    """Bind the socket; nothing is received before `_begin`."""
    _filter_all(s)
    _set_options(s)
    if ring_slot:
        _add_ring(s, ring_slot)
    s.bind((name, ETH_P_ALL))
    _hear_all(s, index)


def adopt_packet(name: str, s: socket.socket) -> None:
    """Make a packet socket that another process opened as `open_packet` makes them without
    a ring: what it has heard already waits in messages. Needs no privilege.

    Raises:
        DeviceError: it is bound to no Ethernet device, or the kernel refused; ENODEV when the
            device is gone.
    """
    try:
        s.setblocking(False)
        bound, protocol, _, hardware, *_ = s.getsockname()
        if not bound:
            raise OSError(errno.ENODEV, "it is bound to no device")
        if hardware != device.ARPHRD_ETHER:
            raise OSError(errno.EINVAL, f"{bound} is not an Ethernet device")
        _set_options(s)
        if protocol != ETH_P_ALL:
            s.bind((bound, ETH_P_ALL))
        _hear_all(s, device.index(bound, via=s))
    except OSError as e:
        raise DeviceError(name, "use the packet socket", e) from e


def _set_options(s: socket.socket) -> None:
    # PACKET_QDISC_BYPASS is left off. It would save a lock on devices with a queue, and a veth has
    # none; but the administrator's shaping and tc filters, and tcpdump, would not see our frames.
    s.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    s.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    s.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    for force, plain in (
        (SO_RCVBUFFORCE, socket.SO_RCVBUF),
        (SO_SNDBUFFORCE, socket.SO_SNDBUF),
    ):
        try:
            s.setsockopt(socket.SOL_SOCKET, force, BUFFER_BYTES)
        except PermissionError:  # without CAP_NET_ADMIN on the host: what the host allows
            s.setsockopt(socket.SOL_SOCKET, plain, BUFFER_BYTES)


def _hear_all(s: socket.socket, index: int) -> None:
    """Hear what is for other stations, too."""
    promiscuous = struct.pack("iHH8x", index, PACKET_MR_PROMISC, 0)  # struct packet_mreq
    s.setsockopt(SOL_PACKET, PACKET_ADD_MEMBERSHIP, promiscuous)


def _add_ring(s: socket.socket, slot: int) -> None:
    block = RING_BLOCK_BYTES
    # struct tpacket_req: bytes and number of blocks, bytes and number of slots
    request = struct.pack("IIII", block, RING_SLOTS * slot // block, slot, RING_SLOTS)
    s.setsockopt(SOL_PACKET, PACKET_VERSION, TPACKET_V2)
    s.setsockopt(SOL_PACKET, PACKET_RESERVE, RING_RESERVE_BYTES)
    s.setsockopt(SOL_PACKET, PACKET_COPY_THRESH, 1)  # the whole of longer frames, as messages
    with suppress(OSError):  # ENOMEM
        s.setsockopt(SOL_PACKET, PACKET_RX_RING, request)


def map_ring(s: socket.socket, slot: int) -> mmap.mmap | None:
    """The ring of a socket that was opened with slots of so many bytes; None if it has none."""
    try:
        return mmap.mmap(s.fileno(), RING_SLOTS * slot)
    except OSError:
        return None


def _filter_all(s: socket.socket) -> None:
    """Let nothing in: until all sockets share the frames, each would get every frame."""
    program = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # BPF: return 0
    s.setsockopt(
        socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HxxxxxxP", 1, ctypes.addressof(program))
    )


def _join(sockets: list[socket.socket]) -> None:
    """Have the kernel spread the flows over the sockets."""
    flags = FANOUT_IGNORE_OUTGOING
    group = 0
    for i, s in enumerate(sockets):
        first = FANOUT_UNIQUE_ID if i == 0 else 0
        s.setsockopt(SOL_PACKET, PACKET_FANOUT, group | (FANOUT_HASH | flags | first) << 16)
        group = s.getsockopt(SOL_PACKET, PACKET_FANOUT) & 0xFFFF


def _begin(s: socket.socket) -> None:
    s.setsockopt(socket.SOL_SOCKET, SO_DETACH_FILTER, 0)


def offloads() -> tuple[str, ...]:
    """What a packet socket takes unfinished, on any device: the kernel finishes it if need be."""
    release = tuple(int(n) for n in os.uname().release.split("-")[0].split(".")[:2])
    uso = ("uso",) if release >= USO_SINCE else ()
    return ("csum", "tso4", "tso6", "ecn", *uso, "ufo")


def current_name(s: socket.socket) -> str:
    """The device's name now: the socket follows a renamed device.

    Raises:
        OSError: EBADFD when the device is gone: deleted, or moved into another namespace.
    """
    name = ""
    with suppress(OSError):
        name = str(s.getsockname()[0])
    if not name:
        raise OSError(errno.EBADFD, "the device is gone")
    return name


def namespace(s: socket.socket) -> int:
    """A descriptor of the network namespace the socket is in; the caller closes it.

    Raises:
        OSError: EPERM without CAP_NET_ADMIN in that namespace.
    """
    return int(fcntl.ioctl(s, SIOCGSKNS, 0))


def link(s: socket.socket) -> tuple[bool, int]:
    """Whether the device is up and has a link, and its MTU.

    Raises:
        OSError: as `current_name`; ENODEV when it was renamed this very moment.
    """
    name = current_name(s)
    return device.has_link(name, via=s), device.mtu(name, via=s)
