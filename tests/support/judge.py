"""Is a delivered frame what a receiver expects? Scapy, which nobody here wrote, is the judge."""

from __future__ import annotations

from scapy.layers.inet import IP, TCP, UDP, defragment
from scapy.layers.inet6 import IPv6, IPv6ExtHdrFragment, defragment6
from scapy.layers.l2 import Ether
from scapy.packet import Packet


def finished(data: bytes) -> Packet:
    """The TCP or UDP header of *data*; AssertionError unless every length and checksum of the
    frame is the one scapy computes."""
    packet = Ether(data)
    _check(packet, data, {**_IP, TCP: ("chksum",), UDP: ("chksum", "len")})
    return packet[TCP] if TCP in packet else packet[UDP]


def reassembled(fragments: list[bytes]) -> Packet:
    """The UDP header of the datagram that was cut into *fragments*, checked as by `finished`; so
    are the IP headers of each."""
    packets = [Ether(data) for data in fragments]
    for packet, data in zip(packets, fragments, strict=True):
        assert is_fragment(data)
        _check(packet, data, _IP)
    front = Ether(dst=packets[0].dst, src=packets[0].src)
    if IP in packets[0]:
        assert len({packet[IP].id for packet in packets}) == 1
        (whole,) = defragment([packet[IP] for packet in packets])
        return finished(bytes(front / whole))
    return finished(bytes(front / defragment6([packet[IPv6] for packet in packets])))


def is_fragment(data: bytes) -> bool:
    """Whether a frame is one of several that carry a datagram."""
    packet = Ether(data)
    if IP in packet:
        return bool(packet[IP].frag or packet[IP].flags.MF)
    return IPv6ExtHdrFragment in packet


_IP = {IP: ("chksum", "len"), IPv6: ("plen",)}


def _check(packet: Packet, data: bytes, computed: dict[type[Packet], tuple[str, ...]]) -> None:
    again = packet.copy()
    for layer, fields in computed.items():
        if layer in again:
            for field in fields:
                again[layer].delfieldval(field)
    assert bytes(again) == data, f"a length or checksum is wrong:\n{packet.show(dump=True)}"
