"""What bridge(8) of iproute2 6.1 cannot say or show of a Linux bridge: mab, and locked entries.

By rtnetlink (RTM_SETLINK and RTM_GETNEIGH of family AF_BRIDGE, Linux 6.2 and later).
"""

from __future__ import annotations

import os
import socket
import struct
import sys
from collections.abc import Iterator

NLMSGHDR = struct.Struct("=IHHII")
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 1, 4, 0x300
RTM_SETLINK, RTM_NEWNEIGH, RTM_GETNEIGH = 19, 28, 30
IFINFOMSG = struct.Struct("=BxHiII")
NDMSG = struct.Struct("=BxxxiHBB")
# <linux/if_link.h>
IFLA_PROTINFO, NLA_F_NESTED = 12, 0x8000
BRPORT = {"learning": 8, "locked": 39, "mab": 40}
# <linux/neighbour.h>
NDA_LLADDR, NDA_FLAGS_EXT, NTF_EXT_LOCKED = 2, 15, 2


class BridgeLock:
    """The locks of a bridge's ports, in the namespace in which this was made."""

    def __init__(self) -> None:
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0)

    def close(self) -> None:
        self._socket.close()

    def set(self, index: int, **flags: bool) -> None:
        """Switch what is given, of BRPORT, on and off, all at once.

        Raises:
            OSError: the kernel refuses.
        """
        nest = b"".join(_attribute(BRPORT[name], bytes([on])) for name, on in flags.items())
        body = IFINFOMSG.pack(socket.AF_BRIDGE, 0, index, 0, 0)
        self._send(RTM_SETLINK, NLM_F_ACK, body + _attribute(IFLA_PROTINFO | NLA_F_NESTED, nest))
        [(kind, answer)] = self._messages()
        error = -struct.unpack_from("=i", answer)[0]
        assert kind == NLMSG_ERROR
        if error:
            raise OSError(error, os.strerror(error))

    def locked(self) -> set[bytes]:
        """The addresses whose entries are locked."""
        self._send(RTM_GETNEIGH, NLM_F_DUMP, NDMSG.pack(socket.AF_BRIDGE, 0, 0, 0, 0))
        found = set()
        for body in self._dumped():
            told = dict(_attributes(body[NDMSG.size :]))
            if int.from_bytes(told.get(NDA_FLAGS_EXT, b""), sys.byteorder) & NTF_EXT_LOCKED:
                found.add(told[NDA_LLADDR])
        return found

    def _send(self, kind: int, flags: int, body: bytes) -> None:
        size = NLMSGHDR.size + len(body)
        self._socket.send(NLMSGHDR.pack(size, kind, NLM_F_REQUEST | flags, 1, 0) + body)

    def _messages(self) -> Iterator[tuple[int, bytes]]:
        data = self._socket.recv(1 << 17)
        while data:
            size, kind, *_ = NLMSGHDR.unpack_from(data)
            yield kind, data[NLMSGHDR.size : size]
            data = data[size + 3 & ~3 :]

    def _dumped(self) -> Iterator[bytes]:
        while True:
            for kind, body in self._messages():
                if kind == NLMSG_DONE:
                    return
                assert kind == RTM_NEWNEIGH
                yield body


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while data:
        size, kind = struct.unpack_from("=HH", data)
        yield kind, data[4:size]
        data = data[size + 3 & ~3 :]
