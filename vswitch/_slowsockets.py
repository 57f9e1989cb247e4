"""Ports over sockets of the datapath in plain Python (see ``_slowpath.py``).

The twins of ``datapath/port_stream.c``, ``port_dgram.c`` and ``port_packet.c``: what is a frame,
what is an end, what is dropped for want of room is the same there.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Sequence
from contextlib import suppress

from vswitch._slowfinish import finish
from vswitch._slowports import BURST, FINISHED, VNET_LEN, SlowPort
from vswitch.reference import FRAME_MAX
from vswitch.reference_port import ETH_LEN

PREFIX_LEN = 4  # the length in front of a frame, big endian (QEMU, net/stream_data.c)
CHUNK_LEN = 32 * 1024  # bytes a read of a stream asks for

FULL = (errno.EAGAIN, errno.ENOBUFS, errno.ENOMEM)
# Answers of a host to what we sent before: the peer is not there (yet).
LONELY = (errno.ECONNREFUSED, errno.ECONNRESET, errno.EHOSTUNREACH, errno.ENETUNREACH)
ENDED = (errno.ENODEV, errno.ENXIO, errno.EBADF)  # of a packet socket: no frame can ever come

# <linux/if_packet.h>: struct tpacket_auxdata, and bits of its tp_status
AUXDATA = struct.Struct("=IIIHHHH")
PACKET_RX_RING, PACKET_AUXDATA = 5, 8
SOL_PACKET = 263
VLAN_VALID, VLAN_TPID_VALID = 1 << 4, 1 << 6
TPID_CTAG = 0x8100  # IEEE 802.1Q 9.5


def reason(error: OSError) -> str:
    """The drop that an error of a send is."""
    return "tx_full" if error.errno in FULL else "tx_error"


class SlowStreamPort(SlowPort):
    """Frames behind their lengths.

    Of a frame that the socket took in part the rest goes out before anything else; while there is
    one, `want_room` has asked the poller to call `read` as soon as there is room.
    """

    def __init__(self, fd: int, *, mtu: int) -> None:
        super().__init__([fd], mtu=mtu)
        self.want_room: Callable[[bool], None] = lambda wanted: None
        self.begin(fd)

    def begin(self, fd: int) -> None:
        """Begin anew with another connection, or with none (-1)."""
        self.fds[0] = fd
        self.errors[0] = 0 if fd >= 0 else errno.ENOTCONN
        self._read = bytearray()
        self._rest = b""

    def read(self, queue: int) -> list[bytes]:
        self._flush()
        while not (records := self._cut()):
            try:
                chunk = os.read(self.fds[0], CHUNK_LEN)
            except BlockingIOError:
                break
            if not chunk:
                raise OSError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
            self._read += chunk
        return records

    def _cut(self) -> list[bytes]:
        """Take the complete frames from what was read."""
        records: list[bytes] = []
        at = 0
        while len(records) < BURST and len(self._read) - at >= PREFIX_LEN:
            end = at + PREFIX_LEN + int.from_bytes(self._read[at : at + PREFIX_LEN], "big")
            if not PREFIX_LEN < end - at <= PREFIX_LEN + FRAME_MAX:
                if not records:
                    raise OSError(errno.EPROTO, os.strerror(errno.EPROTO))
                break
            if end > len(self._read):
                break
            records.append(FINISHED + self._read[at + PREFIX_LEN : end])
            at = end
        del self._read[:at]
        return records

    def send(self, frame: bytes) -> str | None:
        if not self._flush():
            return "tx_full"
        record = len(frame).to_bytes(PREFIX_LEN, "big") + frame
        try:
            done = os.write(self.fds[0], record)
        except OSError as e:
            return reason(e)
        self._keep(record[done:])
        return None

    def _flush(self) -> bool:
        """Send the rest, if there is one; whether nothing is left of it."""
        if self._rest:
            try:
                self._keep(self._rest[os.write(self.fds[0], self._rest) :])
            except OSError:  # no room, or an end that `read` will see
                return False
        return not self._rest

    def _keep(self, rest: bytes) -> None:
        if bool(rest) != bool(self._rest):
            self.want_room(bool(rest))
        self._rest = rest


class SlowSocketPort(SlowPort):
    """A port that needs more of its sockets than to read and write: it has its own copies."""

    def __init__(self, fds: Sequence[int], *, mtu: int) -> None:
        super().__init__(fds, mtu=mtu)
        self._sockets = [socket.socket(fileno=os.dup(fd)) for fd in fds]

    def close(self) -> None:
        for s in self._sockets:
            s.close()


class SlowDgramPort(SlowSocketPort):
    """A frame per datagram, to *peer*, or to whom the socket is connected with."""

    def __init__(self, fd: int, *, peer: bytes, mtu: int) -> None:
        super().__init__([fd], mtu=mtu)
        self._peer = peer

    def read(self, queue: int) -> list[bytes]:
        records: list[bytes] = []
        lonely = 0
        while len(records) < BURST and lonely < BURST:
            try:
                frame = self._sockets[0].recv(FRAME_MAX + 1, socket.MSG_DONTWAIT)
            except OSError as e:
                if e.errno in LONELY:
                    lonely += 1
                    continue
                if e.errno == errno.EAGAIN or records:  # a lasting error comes back
                    break
                raise
            records.append(FINISHED + frame)
        return records

    def send(self, frame: bytes) -> str | None:
        try:
            if self._peer:
                self._sockets[0].sendto(frame, socket.MSG_DONTWAIT, self._peer)
            else:
                self._sockets[0].send(frame, socket.MSG_DONTWAIT)
        except OSError as e:
            return reason(e)
        return None


class SlowPacketPort(SlowSocketPort):
    """The interface end of a device: what comes unfinished is finished here, see `finish`.

    A socket with a ring gives it up: then every frame is a message.
    """

    def __init__(self, fds: Sequence[int], *, mtu: int) -> None:
        super().__init__(fds, mtu=mtu)
        for s in self._sockets:
            with suppress(OSError):  # not a packet socket, in tests
                s.setsockopt(SOL_PACKET, PACKET_RX_RING, bytes(16))

    def read(self, queue: int) -> list[bytes]:
        records: list[bytes] = []
        while len(records) < BURST:
            try:
                message, control, _, _ = self._sockets[queue].recvmsg(
                    VNET_LEN + FRAME_MAX + 1, socket.CMSG_SPACE(AUXDATA.size), socket.MSG_DONTWAIT
                )
            except OSError as e:
                if e.errno in ENDED and not records:
                    raise
                break
            records += [_tagged(record, control) for record in finish(message)]
        return records

    def send(self, frame: bytes) -> str | None:
        try:
            self._sockets[0].send(FINISHED + frame, socket.MSG_DONTWAIT)
        except OSError as e:  # of all tags only 802.1Q's may be beyond the MTU (packet_snd())
            return "too_long" if e.errno == errno.EMSGSIZE else reason(e)
        return None


def _tagged(record: bytes, control: Sequence[tuple[int, int, bytes]]) -> bytes:
    """The record with the VLAN tag that the kernel took from its frame."""
    for level, kind, data in control:
        if (level, kind) != (SOL_PACKET, PACKET_AUXDATA) or len(data) < AUXDATA.size:
            continue
        status, _, _, _, _, tci, tpid = AUXDATA.unpack_from(data)
        if status & VLAN_VALID and len(record) >= VNET_LEN + ETH_LEN:
            tag = struct.pack(">HH", tpid if status & VLAN_TPID_VALID else TPID_CTAG, tci)
            at = VNET_LEN + ETH_LEN - 2
            return record[:at] + tag + record[at:]
    return record
