"""The descriptors a front-end sends, which are files of its choice.

Some ask a stranger before they answer: a file of a FUSE file system asks a program for its size,
and whether it may be closed; a socket that lingers is closed when its peer has read. Who asks
waits, for ever if the stranger wants. So such a one is recognised by what the kernel itself knows
of it, is never asked anything, and is closed by a thread that has nothing else to do.
"""

from __future__ import annotations

import array
import fcntl
import os
import socket
import threading
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

F_GET_SEALS = 1034  # <linux/fcntl.h>; memfd, tmpfs and huge pages know seals, nothing else does
EVENTFD = "anon_inode:[eventfd]"
PROMPT = {"ext4", "xfs", "btrfs", "overlay"}  # file systems whose answers come from the kernel


def receive(connection: socket.socket, size: int, count: int) -> tuple[bytes, list[int], bool]:
    """At most *size* bytes, *count* descriptors, and whether there were more of those.

    Raises:
        OSError: nothing is there, or the connection ended.
    """
    fds = array.array("i")
    data, rights, flags, _ = connection.recvmsg(
        size, socket.CMSG_SPACE(count * fds.itemsize), socket.MSG_CMSG_CLOEXEC
    )
    for level, kind, given in rights:
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
            fds.frombytes(given[: len(given) - len(given) % fds.itemsize])
    return data, list(fds), bool(flags & socket.MSG_CTRUNC)


def is_eventfd(fd: int) -> bool:
    return os.readlink(f"/proc/self/fd/{fd}") == EVENTFD


def is_prompt(fd: int) -> bool:
    """Whether it may be asked and closed: an eventfd, memory, or a file of the kernel's own."""
    if is_eventfd(fd):
        return True
    try:
        fcntl.fcntl(fd, F_GET_SEALS)
    except OSError:
        return _file_system(fd) in PROMPT
    return True


def _file_system(fd: int) -> str:
    """What its mount is of; empty if that is not in our sight."""
    said = Path(f"/proc/self/fdinfo/{fd}").read_text()
    mount = next(line.split()[1] for line in said.splitlines() if line.startswith("mnt_id:"))
    for line in Path("/proc/self/mountinfo").read_text(errors="replace").splitlines():
        if line.split(maxsplit=1)[0] == mount:
            return line.partition(" - ")[2].split()[0]
    return ""


def close_all(fds: list[int]) -> None:
    """Close descriptors, and forget them."""
    while fds:
        os.close(fds.pop())


def close_aside(fds: Iterable[int]) -> threading.Thread | None:
    """Close what is not prompt; the thread that does it, if there is something to close."""
    left = list(fds)
    if not left:
        return None
    closer = threading.Thread(target=close_all, args=(left,), name="vhost-close", daemon=True)
    with suppress(RuntimeError):  # no thread can be had: rather do without the descriptors
        closer.start()
    return closer
