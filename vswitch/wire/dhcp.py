"""DHCP messages: bytes to facts and back (RFC 2131, RFC 2132; long options: RFC 3396).

    op 1 | htype 1 | hlen 1 | hops 1 | xid 4 | secs 2 | flags 2 | ciaddr 4 | yiaddr 4 | siaddr 4
    giaddr 4 | chaddr 16 | sname 64 | file 128 | cookie 4 | options: code 1, length 1, value ...

Of the fields those are kept that tell who talks to whom about which address.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum

from vswitch.errors import WireError

# From the specifications.
REQUEST, REPLY = 1, 2  # op
SERVER_PORT, CLIENT_PORT = 67, 68  # UDP, RFC 2131 4.1
FOREVER_S = 0xFFFF_FFFF  # RFC 2131 3.3
_HEAD = struct.Struct("!BBBBIHH4s4s4s4s16s64s128s4s")
_COOKIE = bytes.fromhex("63825363")
_ETHERNET, _MAC_LEN = 1, 6
_PAD, _END = 0, 255
_ADDRESS, _LEASE, _OVERLOAD, _KIND = 50, 51, 52, 53  # options
_IN_FILE, _IN_SNAME = 1, 2  # bits of _OVERLOAD
_NOWHERE = bytes(4)

Options = tuple[tuple[int, bytes], ...]


class Kind(IntEnum):
    """What a message is, RFC 2132 9.6."""

    DISCOVER = 1
    OFFER = 2
    REQUEST = 3
    DECLINE = 4
    ACK = 5
    NAK = 6
    RELEASE = 7
    INFORM = 8


@dataclass(frozen=True, slots=True)
class Message:
    """A message between a client and a server."""

    op: int  # REQUEST or REPLY
    xid: int  # chosen by the client, 32 bits
    mac: bytes  # the client's
    client_ip: bytes = _NOWHERE  # the client's, if it has one
    your_ip: bytes = _NOWHERE  # what it is to be
    relay_ip: bytes = _NOWHERE
    options: Options = ()  # by code, in the order in which they came
    sname: bytes = bytes(64)  # the server's name, or more options
    file: bytes = bytes(128)  # what to boot, or more options

    @property
    def kind(self) -> Kind | None:
        """What it is; None if it does not say, or something unknown."""
        value = self.option(_KIND)
        known = value is not None and len(value) == 1 and value[0] in set(Kind)
        return Kind(value[0]) if value and known else None

    @property
    def lease_s(self) -> int | None:
        """How long the address may be used, FOREVER_S without end; None if it does not say."""
        value = self.option(_LEASE)
        return int.from_bytes(value) if value is not None and len(value) == 4 else None

    @property
    def requested_ip(self) -> bytes | None:
        """The address that the client is talking of."""
        value = self.option(_ADDRESS)
        return value if value is not None and len(value) == 4 else None

    def option(self, code: int) -> bytes | None:
        """The value of an option, wherever it is; None if it is not there.

        Raises:
            WireError: options in other fields are cut off; never after `decode`.
        """
        found = dict(self.options)
        where = found.get(_OVERLOAD, b"\0")[:1] or b"\0"
        for bit, field in ((_IN_FILE, self.file), (_IN_SNAME, self.sname)):
            if where[0] & bit:
                for key, value in _options_of(field):
                    found[key] = found.get(key, b"") + value
        return found.get(code)


def decode(data: bytes) -> Message:
    """Read a message.

    Raises:
        WireError: it is none, or not of an Ethernet client.
    """
    if len(data) < _HEAD.size:
        raise WireError(f"a DHCP message has {_HEAD.size} bytes or more, not {len(data)}")
    op, htype, hlen, _, xid, _, _, ciaddr, yiaddr, _, giaddr, chaddr, sname, file, cookie = (
        _HEAD.unpack_from(data)
    )
    if cookie != _COOKIE:
        raise WireError(f"a DHCP message has a cookie before its options, not {cookie.hex()}")
    if (htype, hlen) != (_ETHERNET, _MAC_LEN) or op not in (REQUEST, REPLY):
        raise WireError(f"no DHCP message of an Ethernet client: op {op}, type {htype}, {hlen}")
    options = _options_of(data[_HEAD.size :])
    message = Message(
        op, xid, chaddr[:_MAC_LEN], ciaddr, yiaddr, giaddr, options, sname=sname, file=file
    )
    message.option(_KIND)  # options in other fields are whole, too
    return message


def encode(message: Message) -> bytes:
    """The bytes of a message, which `decode` reads."""
    m = message
    head = _HEAD.pack(
        *(m.op, _ETHERNET, _MAC_LEN, 0, m.xid, 0, 0, m.client_ip, m.your_ip, _NOWHERE),
        *(m.relay_ip, m.mac, m.sname, m.file, _COOKIE),
    )
    return head + b"".join(_encoded(code, value) for code, value in m.options) + bytes([_END])


def _encoded(code: int, value: bytes) -> bytes:
    parts = [value[at : at + 255] for at in range(0, len(value), 255)] or [b""]
    return b"".join(bytes([code, len(part)]) + part for part in parts)


def _options_of(field: bytes) -> Options:
    """The options in a field; one that comes in parts is put together."""
    found: dict[int, bytes] = {}
    at = 0
    while at < len(field) and field[at] != _END:
        if field[at] == _PAD:
            at += 1
            continue
        value = field[at + 2 : at + 2 + field[at + 1]] if at + 1 < len(field) else b""
        if at + 1 >= len(field) or len(value) < field[at + 1]:
            raise WireError(f"DHCP option {field[at]} is cut off")
        found[field[at]] = found.get(field[at], b"") + value
        at += 2 + len(value)
    return tuple(found.items())


def in_frame(frame: bytes) -> Message:
    """The message that an Ethernet frame without tags carries.

    A checksum is not looked at: the sender may have left that to others.

    Raises:
        WireError: it carries none, or a part of one.
    """
    packet = frame[14:]
    if frame[12:14] != b"\x08\x00" or len(packet) < 20 or packet[9] != 17:
        raise WireError("the frame carries no DHCP message: it is not UDP over IPv4")
    head, total = (packet[0] & 15) * 4, int.from_bytes(packet[2:4])
    datagram = packet[head:total]
    if int.from_bytes(packet[6:8]) & 0x3FFF or len(datagram) < 8:
        raise WireError("the frame carries a part of a datagram")
    length = int.from_bytes(datagram[4:6])
    if not 8 <= length <= len(datagram):
        raise WireError(f"a datagram of {length} bytes does not fit {len(datagram)}")
    if int.from_bytes(datagram[2:4]) not in (SERVER_PORT, CLIENT_PORT):
        raise WireError("the datagram is not for a DHCP server or client")
    return decode(datagram[8:length])
