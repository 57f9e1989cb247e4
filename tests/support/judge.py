"""Is a delivered frame what a receiver expects? Scapy, which nobody here wrote, is the judge."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import IPv6
from scapy.layers.l2 import Ether
from scapy.packet import Packet


def finished(data: bytes) -> Packet:
    """The TCP or UDP header of *data*; AssertionError unless every length and checksum of the
    frame is the one scapy computes."""
    packet = Ether(data)
    again = packet.copy()
    for layer, fields in (
        (IP, ("chksum", "len")),
        (IPv6, ("plen",)),
        (TCP, ("chksum",)),
        (UDP, ("chksum", "len")),
    ):
        if layer in again:
            for field in fields:
                again[layer].delfieldval(field)
    assert bytes(again) == data, f"a length or checksum is wrong:\n{packet.show(dump=True)}"
    return packet[TCP] if TCP in packet else packet[UDP]
