"""DHCPv6 messages: bytes to facts (RFC 8415).

    type 1 | transaction 3 | options: code 2, length 2, value ...
    IA_NA: id 4, T1 4, T2 4, options     IA_TA: id 4, options
    address: 16, preferred 4, valid 4, options     status: code 2, text

Of what there is those facts are kept that tell who may use which address, and for how long. What
relays and servers say to each other is another format, and not read.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

from vswitch.errors import WireError

# From the specification.
CLIENT_PORT, SERVER_PORT = 546, 547  # UDP, 7.2
FOREVER_S = 0xFFFF_FFFF  # 7.7
_HEAD_LEN = 4
_CLIENT_ID, _IA_NA, _IA_TA, _ADDRESS, _STATUS = 1, 3, 4, 5, 13  # options, 21
_BEFORE_OPTIONS = {_IA_NA: 12, _IA_TA: 4, _ADDRESS: 24}  # bytes of their values
_DUID_MAX = 130  # 11.1: 128 and the type
_UDP = 17

# Chosen by us.
ADDRESSES_MAX = 64  # in one message; clients have a handful


class Kind(IntEnum):
    """What a message is, 7.3."""

    SOLICIT = 1
    ADVERTISE = 2
    REQUEST = 3
    CONFIRM = 4
    RENEW = 5
    REBIND = 6
    REPLY = 7
    RELEASE = 8
    DECLINE = 9
    RECONFIGURE = 10
    INFORMATION_REQUEST = 11


@dataclass(frozen=True, slots=True)
class Address:
    """An address, and for how many seconds it is valid; FOREVER_S: without end."""

    ip: bytes
    valid_s: int


@dataclass(frozen=True, slots=True)
class Message:
    """A message between a client and a server.

    `addresses` are those of IA_NA and IA_TA that are told of without an error.
    """

    kind: Kind
    xid: int  # chosen by the client, 24 bits
    client: bytes = b""  # its identifier, a DUID; empty if it is not said
    addresses: tuple[Address, ...] = ()


def decode(data: bytes) -> Message:
    """Read a message.

    Raises:
        WireError: it is none, or one of relays.
    """
    if len(data) < _HEAD_LEN:
        raise WireError(f"a DHCPv6 message has {_HEAD_LEN} bytes or more, not {len(data)}")
    if data[0] not in set(Kind):
        raise WireError(f"no DHCPv6 message of clients and servers: type {data[0]}")
    options = list(_options(data[_HEAD_LEN:]))
    client = dict(options).get(_CLIENT_ID, b"")
    if len(client) > _DUID_MAX:
        raise WireError(f"a DUID has {_DUID_MAX} bytes or less, not {len(client)}")
    addresses = () if _failed(options) else tuple(_addresses(options))
    if len(addresses) > ADDRESSES_MAX:
        raise WireError(f"a message tells of {ADDRESSES_MAX} addresses or less")
    return Message(Kind(data[0]), int.from_bytes(data[1:4]), client, addresses)


_Options = list[tuple[int, bytes]]


def _options(field: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(field):
        code, length = int.from_bytes(field[at : at + 2]), int.from_bytes(field[at + 2 : at + 4])
        if at + 4 + length > len(field):
            raise WireError(f"DHCPv6 option {code} is cut off")
        yield code, field[at + 4 : at + 4 + length]
        at += 4 + length


def _inner(code: int, value: bytes) -> _Options:
    """The options in an option."""
    before = _BEFORE_OPTIONS[code]
    if len(value) < before:
        raise WireError(f"DHCPv6 option {code} has {before} bytes or more, not {len(value)}")
    return list(_options(value[before:]))


def _failed(options: _Options) -> bool:
    """Whether a status among them is not Success; one that is cut off is none."""
    return any(code == _STATUS and value[:2] != b"\0\0" for code, value in options)


def _addresses(options: _Options) -> Iterator[Address]:
    for code, value in options:
        if code not in (_IA_NA, _IA_TA) or _failed(ia := _inner(code, value)):
            continue
        for inner, its in ia:
            if inner != _ADDRESS or _failed(_inner(inner, its)):
                continue
            preferred_s, valid_s = int.from_bytes(its[16:20]), int.from_bytes(its[20:24])
            if preferred_s <= valid_s:  # 21.6: else it is not used
                yield Address(its[:16], valid_s)


def in_frame(frame: bytes) -> Message:
    """The message that an Ethernet frame without tags carries.

    A checksum is not looked at: the sender may have left that to others.

    Raises:
        WireError: it carries none, or it is behind extension headers, where no client has it.
    """
    packet = frame[14:]
    if frame[12:14] != b"\x86\xdd" or len(packet) < 48 or packet[6] != _UDP:
        raise WireError("the frame carries no DHCPv6 message: it is not UDP over IPv6")
    datagram = packet[40 : 40 + int.from_bytes(packet[4:6])]
    length = int.from_bytes(datagram[4:6])
    if not 8 <= length <= len(datagram):
        raise WireError(f"a datagram of {length} bytes does not fit {len(datagram)}")
    if int.from_bytes(datagram[2:4]) not in (SERVER_PORT, CLIENT_PORT):
        raise WireError("the datagram is not for a DHCPv6 server or client")
    return decode(datagram[8:length])
