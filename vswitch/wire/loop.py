"""Probes of the loop detector: what a switch says to hear whether it comes back.

A probe is a frame of the Configuration Testing Protocol, "loopback" (EtherType 0x9000, Ethernet
V2.0 section 8): of type Reply, which asks nobody for anything, with data of ours. So analysers know
what it is, other loop detectors (Cisco's keepalive) use the same, and no station answers. Its
address is a locally administered group: no bridge keeps such a frame, as those do with
01-80-C2-00-00-0x, and no station listens.

      0  destination  03:56:53:57:4c:50 ("VSWLP"; group and local bits of the first byte set)
      6  source       02, the first three bytes of the id, the port's number
     12  9000
     14  0000 0100 0000   skip nothing; a Reply; receipt number 0 (little endian, as all of CTP)
     20  version 1, 0
     22  id of the switch, 8 bytes, new at each start
     30  port, VLAN   two bytes each, big endian, as the rest
     34  number       8 bytes, one more with each round of probes
     42  digest       16 bytes: BLAKE2s of all that stands before, keyed

The key never leaves the switch, so who has not got a probe from it cannot make one. Who has got one
can send it back, on the port where he got it and where he is, and that is what a loop is; one that
was kept for long has a number that is too old.
"""

from __future__ import annotations

import hashlib
import hmac
import struct
from dataclasses import dataclass

from vswitch.errors import WireError

GROUP = b"\x03VSWLP"
ETHERTYPE = b"\x90\x00"
ID_LEN = 8
DIGEST_LEN = 16
TAG_TYPES = (b"\x81\x00", b"\x88\xa8")  # IEEE 802.1Q-2018 table 9-1
TAGS_MAX = 2  # that are passed over: a probe may have got some on its way

_HEAD = struct.Struct("!3HBx")  # CTP's skipCount, function, receipt number; our version
_BODY = struct.Struct("!8sHHQ")
_REPLY = (0x0000, 0x0100, 0x0000, 1)  # in CTP's byte order: function 1
_SIGNED = 6 + 6 + 2 + _HEAD.size + _BODY.size


@dataclass(frozen=True, slots=True)
class Probe:
    """What one says: the switch, and the port and VLAN it left by."""

    switch_id: bytes
    port: int  # 0..1023
    vid: int  # 0 while the switch is VLAN-unaware
    number: int


def packed(probe: Probe, key: bytes) -> bytes:
    """The frame of a probe, without a tag."""
    source = b"\x02" + probe.switch_id[:3] + probe.port.to_bytes(2)
    frame = GROUP + source + ETHERTYPE + _HEAD.pack(*_REPLY)
    frame += _BODY.pack(probe.switch_id, probe.port, probe.vid, probe.number)
    return frame + _digest(frame, key)


def parsed(frame: bytes, key: bytes) -> Probe:
    """The probe that *frame* is, whatever tags it got on its way.

    Raises:
        WireError: it is none, or not one that was made with *key*.
    """
    frame = _without_tags(frame)
    if frame[:6] != GROUP or frame[12:14] != ETHERTYPE:
        raise WireError("no probe: another address or EtherType")
    if len(frame) < _SIGNED + DIGEST_LEN:
        raise WireError(f"a probe has {_SIGNED + DIGEST_LEN} bytes, not {len(frame)}")
    digest = frame[_SIGNED : _SIGNED + DIGEST_LEN]
    if not hmac.compare_digest(digest, _digest(frame[:_SIGNED], key)):
        raise WireError("a probe with another key's digest")
    return Probe(*_BODY.unpack_from(frame, _SIGNED - _BODY.size))


def is_from(frame: bytes, switch_id: bytes) -> bool:
    """Whether *frame* looks like a probe of *switch_id* (as ``datapath/loop.h`` sees it)."""
    frame = _without_tags(frame)
    return frame[:6] == GROUP and frame[12:14] == ETHERTYPE and frame[22 : 22 + ID_LEN] == switch_id


def _without_tags(frame: bytes) -> bytes:
    for _ in range(TAGS_MAX):
        if frame[12:14] in TAG_TYPES:
            frame = frame[:12] + frame[16:]
    return frame


def _digest(data: bytes, key: bytes) -> bytes:
    return hashlib.blake2s(data, key=key, digest_size=DIGEST_LEN).digest()
