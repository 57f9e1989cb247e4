"""Who is at the other end of a unix socket: its process, as far as it lets others see."""

from __future__ import annotations

import os
import re
import socket
import struct
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple

SO_PEERGROUPS = 59  # <asm-generic/socket.h>, since Linux 4.13
GROUPS_BYTES = 1024  # as much as Python asks for: 256 groups
CMDLINE_MAX_BYTES = 1 << 16  # of libvirt's longest commands less than half; proc(5)


class Credentials(NamedTuple):
    """Of the process that connected or listened, at that moment."""

    pid: int  # 0 if we cannot see it
    uid: int
    gid: int


def credentials(connection: socket.socket) -> Credentials:
    """Who is at the other end, see SO_PEERCRED in unix(7).

    Raises:
        OSError: there is no peer.
    """
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
    return Credentials(*struct.unpack("iII", found))


def groups(connection: socket.socket) -> tuple[int, ...]:
    """The supplementary groups it had.

    Raises:
        OSError: there is no peer, or it has more than 256.
    """
    found = connection.getsockopt(socket.SOL_SOCKET, SO_PEERGROUPS, GROUPS_BYTES)
    return struct.unpack(f"{len(found) // 4}I", found)


def pid(connection: socket.socket) -> int:
    """The process that connected or listened; 0 if we cannot see it.

    Raises:
        OSError: there is no peer.
    """
    return credentials(connection).pid


def guest_name(connection: socket.socket) -> str:
    """What the QEMU at the other end calls its VM (``-name``); "" if it is no QEMU, or not to see.

    Whoever connects chooses his own command line: this is a name, and a proof of nothing.
    """
    with suppress(OSError):
        if connection.family == socket.AF_UNIX and (number := pid(connection)):
            return name_option(_command_line(number))
    return ""


def name_option(command_line: Sequence[str]) -> str:
    """The name in QEMU's ``-name NAME`` or ``-name guest=NAME,...`` (qemu-options.hx), or ""."""
    if not command_line or not re.match(r"qemu|kvm", os.path.basename(command_line[0])):
        return ""
    for option, value in pairwise(command_line):
        if option in ("-name", "--name"):
            return _guest(value)
    return ""


def _guest(value: str) -> str:
    # A comma in a value is doubled; the key of the first value may be left away.
    for i, part in enumerate(re.split(r"(?<!,),(?!,)", value)):
        key, equals, name = part.partition("=")
        if key == "guest" and equals:
            return name.replace(",,", ",")
        if not equals and i == 0:
            return part.replace(",,", ",")
    return ""


def _command_line(number: int) -> list[str]:
    with open(f"/proc/{number}/cmdline", "rb") as file:
        words = file.read(CMDLINE_MAX_BYTES).split(b"\0")
    return [word.decode(errors="replace") for word in words]
