"""Frames with VLAN tags through packet sockets, where the kernel takes the outer tag out."""

from __future__ import annotations

import socket
import struct

from support.tap import SOL_PACKET, raw_socket

PACKET_AUXDATA = 8
AUXDATA = struct.Struct("IIIHHHH")  # struct tpacket_auxdata, <linux/if_packet.h>
TP_STATUS_VLAN_VALID = 1 << 4
VNET_LEN = 10


def tagged_socket(name: str) -> socket.socket:
    """A packet socket that has virtio-net headers, and says which tag was taken out."""
    sock = raw_socket(name, vnet_hdr=True)
    sock.setsockopt(SOL_PACKET, PACKET_AUXDATA, 1)
    return sock


def receive_whole(sock: socket.socket) -> tuple[bytes, bytes]:
    """The next (virtio-net header, frame) with its tag where it was; offsets of the header do not
    count the tag.

    Raises:
        TimeoutError: nothing came.
    """
    record, extra, _, _ = sock.recvmsg(VNET_LEN + 70_000, 100)
    header, frame = record[:VNET_LEN], record[VNET_LEN:]
    status, _, _, _, _, tci, tpid = AUXDATA.unpack(extra[0][2])
    if status & TP_STATUS_VLAN_VALID:
        frame = frame[:12] + struct.pack(">HH", tpid, tci) + frame[12:]
    return header, frame
