"""The interface end of a network device: up, MTU, address, which driver (netdevice(7)).

Plain ioctls, because a switch that starts in a tenth of a second has no time to load a netlink
library for three numbers. Everything takes the device by name, in the calling thread's network
namespace; `entered` moves the thread into another one for a moment.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# <linux/sockios.h>
SIOCGIFFLAGS, SIOCSIFFLAGS = 0x8913, 0x8914
SIOCGIFMTU, SIOCSIFMTU = 0x8921, 0x8922
SIOCGIFHWADDR, SIOCSIFHWADDR = 0x8927, 0x8924
SIOCGIFINDEX = 0x8933
SIOCETHTOOL = 0x8946
ETHTOOL_GDRVINFO = 3  # <linux/ethtool.h>
IFF_UP = 0x1
IFF_RUNNING = 0x40
ARPHRD_ETHER = 1
CLONE_NEWNET = 0x40000000  # <linux/sched.h>

SYSFS = Path("/sys/class/net")

_libc = ctypes.CDLL(None, use_errno=True)


@contextmanager
def entered(namespace_fd: int) -> Iterator[None]:
    """Move the calling *thread* into a network namespace, and back out whatever happens."""
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        _setns(namespace_fd)
        try:
            yield
        finally:
            _setns(home)
    finally:
        os.close(home)


def is_here(namespace_fd: int) -> bool:
    """Whether a network namespace is the one the calling thread is in."""
    ours, theirs = os.stat("/proc/thread-self/ns/net"), os.fstat(namespace_fd)
    return (ours.st_dev, ours.st_ino) == (theirs.st_dev, theirs.st_ino)


def _setns(fd: int) -> None:
    if _libc.setns(fd, CLONE_NEWNET):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def _ask(request: int, name: str, value: bytes = b"", *, via: socket.socket | None = None) -> bytes:
    question = struct.pack("16s24s", name.encode(), value)
    if via:
        return fcntl.ioctl(via, request, question)[16:]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        return fcntl.ioctl(s, request, question)[16:]


def exists(name: str) -> bool:
    """Whether a device of that name exists."""
    try:
        _ask(SIOCGIFFLAGS, name)
    except OSError as e:
        if e.errno == errno.ENODEV:
            return False
        raise
    return True


def index(name: str, *, via: socket.socket | None = None) -> int:
    """The device's number in its network namespace; in that of a socket, if given."""
    return int(struct.unpack_from("i", _ask(SIOCGIFINDEX, name, via=via))[0])


def is_up(name: str) -> bool:
    """Whether the device is administratively up."""
    return bool(struct.unpack_from("H", _ask(SIOCGIFFLAGS, name))[0] & IFF_UP)


def has_link(name: str, *, via: socket.socket) -> bool:
    """Whether the device is up and its wire works, in the network namespace of a socket."""
    flags = int(struct.unpack_from("H", _ask(SIOCGIFFLAGS, name, via=via))[0])
    return flags & (IFF_UP | IFF_RUNNING) == IFF_UP | IFF_RUNNING


def set_up(name: str, *, up: bool) -> None:
    """Bring the device up or down."""
    flags = struct.unpack_from("H", _ask(SIOCGIFFLAGS, name))[0]
    flags = flags | IFF_UP if up else flags & ~IFF_UP
    _ask(SIOCSIFFLAGS, name, struct.pack("H", flags))


def mtu(name: str, *, via: socket.socket | None = None) -> int:
    """The device's MTU in bytes; of one in the network namespace of a socket, if given."""
    return int(struct.unpack_from("i", _ask(SIOCGIFMTU, name, via=via))[0])


def set_mtu(name: str, mtu_bytes: int) -> None:
    """Set the device's MTU."""
    _ask(SIOCSIFMTU, name, struct.pack("i", mtu_bytes))


def mac(name: str) -> bytes:
    """The device's Ethernet address, 6 bytes."""
    return _ask(SIOCGIFHWADDR, name)[2:8]


def is_ethernet(name: str) -> bool:
    """Whether the device carries Ethernet frames: a TUN does not, nor does lo."""
    return bool(struct.unpack_from("H", _ask(SIOCGIFHWADDR, name))[0] == ARPHRD_ETHER)


def is_wireless(name: str) -> bool:
    """Whether the device is a station or access point of IEEE 802.11."""
    return (SYSFS / name / "phy80211").exists()  # net/wireless/core.c in the kernel


def set_mac(name: str, address: bytes) -> None:
    """Set the device's Ethernet address, 6 bytes."""
    _ask(SIOCSIFHWADDR, name, struct.pack("H6s", ARPHRD_ETHER, address))


def driver(name: str) -> tuple[str, str]:
    """The driver's name and bus information: ('tun', 'tap') for a TAP, ('veth', '') for a veth.

    A device without a driver of its own, such as lo, gives ('', '').
    """
    info = bytearray(struct.pack("I192x", ETHTOOL_GDRVINFO))  # struct ethtool_drvinfo
    buffer = (ctypes.c_char * len(info)).from_buffer(info)
    try:
        _ask(SIOCETHTOOL, name, struct.pack("P", ctypes.addressof(buffer)))
    except OSError as e:
        if e.errno == errno.EOPNOTSUPP:
            return "", ""
        raise
    text = [info[a:b].split(b"\0", 1)[0].decode() for a, b in ((4, 36), (100, 132))]
    return text[0], text[1]
