"""Descriptors that another process opened: what they are, and taking them over.

A process that may do so opens a device or a socket and starts us with it; so we need not be
allowed to. systemd's socket activation is one way of handing in (sd_listen_fds(3)).
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
from collections.abc import Mapping, MutableMapping
from dataclasses import dataclass

from vswitch.linux import tun

FIRST = 3  # SD_LISTEN_FDS_START; 0 to 2 are the standard streams
_KINDS = {
    socket.SOCK_STREAM: ("stream", "stream"),
    socket.SOCK_DGRAM: ("dgram", "datagram"),
    socket.SOCK_SEQPACKET: ("", "seqpacket"),
}
_FILES = (
    (stat.S_ISREG, "a regular file"),
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What an open descriptor is."""

    fd: int
    kind: str  # tap, tun, packet, stream, dgram or listener; "" for anything else
    what: str  # the same in words


def take(fd: int) -> None:
    """Make a descriptor that was handed in ours: the programs we start do not get it.

    Raises:
        OSError: EBADF when it is not open, or was not handed in.
    """
    # Python marks all it opens, so one that is not marked comes from whoever started us; and one
    # that is would be our own, under a number that somebody believed to be another's.
    if fcntl.fcntl(fd, fcntl.F_GETFD) & fcntl.FD_CLOEXEC:
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    os.set_inheritable(fd, False)


def activated(environment: MutableMapping[str, str]) -> Mapping[int, str]:
    """The descriptors of sd_listen_fds(3) with their names, "" without one.

    The variables are removed: they are not for the programs we start.
    """
    pid, count, names = (
        environment.pop(name, "") for name in ("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES")
    )
    if pid != str(os.getpid()) or not count.isdecimal():  # for another, who did not remove them
        return {}
    called = names.split(":") if names else []
    return {FIRST + i: called[i] if i < len(called) else "" for i in range(int(count))}


def look(fd: int) -> Descriptor:
    """Find out what a descriptor is.

    Raises:
        OSError: EBADF when it is not open.
    """
    mode = os.fstat(fd).st_mode
    if stat.S_ISSOCK(mode):
        s = socket.socket(fileno=fd)
        try:
            return Descriptor(fd, *_socket(s))
        finally:
            s.detach()
    if stat.S_ISCHR(mode):
        try:
            return Descriptor(fd, *_tun(tun.flags(fd)))
        except OSError as e:
            if e.errno == errno.EBADFD:
                return Descriptor(fd, "", f"{tun.TUN_DEVICE} without a device")
    return Descriptor(fd, "", next((word for is_, word in _FILES if is_(mode)), "no file"))


def is_unix_listener(fd: int) -> bool:
    """Whether it is a unix socket that listens for streams; of no open descriptor, False."""
    try:
        if look(fd).kind != "listener":
            return False
    except OSError:
        return False
    s = socket.socket(fileno=fd)
    try:
        return s.family == socket.AF_UNIX
    finally:
        s.detach()


def _tun(flags: int) -> tuple[str, str]:
    return ("tap", "a TAP") if flags & tun.IFF_TAP else ("tun", "a TUN device")


def _socket(s: socket.socket) -> tuple[str, str]:
    if s.family == socket.AF_PACKET:
        if s.type == socket.SOCK_RAW:
            return "packet", "a packet socket"
        return "", "a packet socket without Ethernet headers (SOCK_DGRAM)"
    if s.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
        stream = s.type == socket.SOCK_STREAM
        return "listener" if stream else "", "a listening socket"
    kind, word = _KINDS.get(s.type, ("", "other"))
    try:
        s.getpeername()
    except OSError:
        return "", f"a {word} socket that is not connected"
    return kind, f"a connected {word} socket"
