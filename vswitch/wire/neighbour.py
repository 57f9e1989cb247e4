"""Questions about neighbours and their answers: ARP (RFC 826), Neighbor Discovery (RFC 4861).

    >>> who_has = bytes.fromhex("ffffffffffff020000000001 0806 0001080006040001"
    ...                         "020000000001c0000201 000000000000c0000202")
    >>> question = said(who_has)
    >>> answer(question, bytes.fromhex("020000000002"))[28:38].hex(":")
    '02:00:00:00:00:02:c0:00:02:02'

Frames have no tag here, and bytes behind what their lengths cover are not looked at. A question
that is sent to one station, to hear whether it is still there, is that station's alone, and none
here.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

# From specifications.
ARP, IP4, IP6 = 0x0806, 0x0800, 0x86DD
ETHERNET = 1  # hardware type of ARP
REQUEST, REPLY, RARP_REQUEST, RARP_REPLY = range(1, 5)  # RFC 826, RFC 903
ICMP6 = 58
SOLICIT, ADVERT = 135, 136
HOPS = 255  # of Neighbor Discovery: it has passed no router
SOURCE_MAC, TARGET_MAC = 1, 2  # options of Neighbor Discovery
ROUTER, SOLICITED, OVERRIDE = 0x80, 0x40, 0x20  # flags of an advertisement

# Chosen by us.
OPTIONS_MAX = 16  # what has more is no question

_ARP = struct.Struct("!HHBBH6s4s6s4s")
_IP6 = struct.Struct("!IHBB16s16s")


@dataclass(frozen=True, slots=True)
class Question:
    """Somebody asks which station has an address.

    Attributes:
        ip: That address, 4 or 16 bytes.
        sender_ip: The address of who asks.
        sender_mac: The station that the answer is for.
        priority: The upper half of the traffic class of IPv6.
    """

    ip: bytes
    sender_ip: bytes
    sender_mac: bytes
    priority: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """Somebody says who he is, or asks whether anybody else is: nobody here is to answer.

    Gratuitous ARP and ARP probes (RFC 5227), unsolicited advertisements, duplicate address
    detection (RFC 4862).
    """


def said(frame: bytes) -> Question | Notice | None:
    """What *frame* says about neighbours; None: nothing that is understood."""
    kind, packet = int.from_bytes(frame[12:14]), frame[14:]
    to_all = bool(frame[0] & 1)
    if kind == ARP:
        return _said_by_arp(packet, to_all=to_all)
    return _said_by_nd(packet, frame[6:12], to_all=to_all) if kind == IP6 else None


def _said_by_arp(packet: bytes, *, to_all: bool) -> Question | Notice | None:
    if len(packet) < _ARP.size:
        return None
    _, proto, mac_len, ip_len, operation, mac, sender, _, target = _ARP.unpack_from(packet)
    if (proto, mac_len, ip_len) != (IP4, 6, 4) or operation in (RARP_REQUEST, RARP_REPLY):
        return None
    if operation == REQUEST and not to_all:
        return None
    if target[0] == 127 or target[0] >> 4 == 14:  # loopback, multicast
        return None
    if sender in (bytes(4), target):
        return Notice()
    is_question = operation == REQUEST and _is_station(mac)
    return Question(target, sender, mac) if is_question else None


def _said_by_nd(packet: bytes, mac: bytes, *, to_all: bool) -> Question | Notice | None:
    if len(packet) < _IP6.size:
        return None
    head, length, proto, hops, sender, receiver = _IP6.unpack_from(packet)
    message = packet[_IP6.size :][:length]
    if (head >> 28, proto, hops) != (6, ICMP6, HOPS) or len(message) != length or length < 24:
        return None
    kind, code, flags, target = message[0], message[1], message[4], message[8:24]
    if code:
        return None
    if kind == ADVERT:
        return None if flags & SOLICITED else Notice()
    if kind != SOLICIT or not to_all:
        return None
    if sender in (bytes(16), receiver):
        return Notice()
    asker = _source_mac(message[24:], mac)
    if 0xFF in (target[0], sender[0]) or asker is None or not _is_station(asker):
        return None
    return Question(target, sender, asker, head >> 24 & 15)


def _source_mac(options: bytes, default: bytes) -> bytes | None:
    """The station that options of a solicitation name; None: they are not valid."""
    found = None
    for _ in range(OPTIONS_MAX):
        if not options:
            break
        length = options[1] * 8 if len(options) >= 8 else 0
        if not 0 < length <= len(options):
            return None
        if options[0] == SOURCE_MAC and found is None:
            if length != 8:
                return None
            found = options[2:8]
        options = options[length:]
    return None if options else found or default


def _is_station(mac: bytes) -> bool:
    return not mac[0] & 1 and any(mac)


def answer(question: Question, mac: bytes, *, router: bool = False) -> bytes:
    """The frame with which the station *mac*, which has the address, answers.

    *router*: it says that it is one, over IPv6; hosts send nothing through it any more if one that
    was says that it is none (RFC 4861 7.2.5).
    """
    addresses = question.sender_mac + mac
    if len(question.ip) == 4:
        packet = _ARP.pack(
            *(ETHERNET, IP4, 6, 4, REPLY),
            *(mac, question.ip, question.sender_mac, question.sender_ip),
        )
        return addresses + ARP.to_bytes(2) + packet
    flags = SOLICITED | OVERRIDE | (ROUTER if router else 0)
    body = bytes([flags, 0, 0, 0]) + question.ip + bytes([TARGET_MAC, 1]) + mac
    length = 4 + len(body)
    pseudo = question.ip + question.sender_ip + struct.pack("!II", length, ICMP6)  # RFC 8200 8.1
    checksum = _checksum(pseudo + bytes([ADVERT, 0, 0, 0]) + body)
    head = _IP6.pack(
        6 << 28 | question.priority << 24, length, ICMP6, HOPS, question.ip, question.sender_ip
    )
    return addresses + IP6.to_bytes(2) + head + bytes([ADVERT, 0]) + checksum + body


def _checksum(data: bytes) -> bytes:
    """Of an even number of bytes (RFC 1071)."""
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return int(~total & 0xFFFF).to_bytes(2)
