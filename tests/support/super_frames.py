"""Super-frames as hypothesis strategies, and our C that finishes them as a process."""

from __future__ import annotations

import os
import random
import struct
import subprocess
from pathlib import Path
from typing import NamedTuple

from hypothesis import strategies as st
from scapy.layers.inet import IP, TCP, UDP, IPOption_NOP
from scapy.layers.inet6 import (
    IPv6,
    IPv6ExtHdrDestOpt,
    IPv6ExtHdrHopByHop,
    IPv6ExtHdrRouting,
    in6_chksum,
)
from scapy.layers.l2 import Dot1AD, Dot1Q, Ether
from scapy.packet import Raw
from scapy.utils import checksum

ROOT = Path(__file__).parents[2]
EXTENSION = {"h": IPv6ExtHdrHopByHop, "d": IPv6ExtHdrDestOpt, "r": IPv6ExtHdrRouting}
NEEDS_CSUM, GSO_TCPV4, GSO_UDP, GSO_TCPV6, GSO_UDP_L4, GSO_ECN = 1, 1, 3, 4, 5, 0x80


class Super(NamedTuple):
    """A frame with work left undone, and what one needs to know to judge the result."""

    vnet: bytes
    frame: bytes
    l3: int  # offsets into frame
    l4: int
    payload: int
    gso_size: int
    is_v6: bool
    is_udp: bool


def vnet_header(gso_type: int, gso_size: int, l4: int, csum_offset: int) -> bytes:
    return struct.pack("<BBHHHH", NEEDS_CSUM, gso_type, 0, gso_size, l4, csum_offset)


def pseudo_sum(ip: IP | IPv6, protocol: int, length: int) -> int:
    """What a sender leaves in the checksum field: the sum of the pseudo header."""
    if isinstance(ip, IPv6):
        return ~in6_chksum(protocol, ip, b"\0" * length) & 0xFFFF
    pseudo = struct.pack("!4s4sHH", *(bytes(map(int, a.split("."))) for a in (ip.src, ip.dst)),
                         protocol, length)  # fmt: skip
    return ~checksum(pseudo) & 0xFFFF


def build(*, is_v6=False, is_udp=False, tags=0, ip_id=0xFFFE, df=True, ip_words=0, ext="",
          flags=0x18, seq=0xFFFFFF00, tcp_words=3, ecn=False, gso_size=1448, payload_len=5000,
          seed=0, gso=True, whole=False) -> Super:  # fmt: skip
    """A super-frame of these properties. *ext*: letters h, d, r for IPv6 extension headers;
    *whole*: of UDP, one datagram to be fragmented."""
    ether = Ether(dst="02:00:00:00:00:01", src="02:00:00:00:00:02")
    for tag in [[], [Dot1Q(vlan=9, prio=3)], [Dot1AD(vlan=7), Dot1Q(vlan=9)]][tags]:
        ether /= tag
    if is_v6:
        l3 = IPv6(src="fd00::1", dst="fd00::2", tc=0x55, fl=0x12345)
        for letter in ext:
            l3 /= EXTENSION[letter]()
    else:
        l3 = IP(src="192.0.2.1", dst="192.0.2.2", id=ip_id, flags="DF" if df else 0, tos=2,
                options=[IPOption_NOP()] * (4 * ip_words))  # fmt: skip
    if is_udp:
        l4 = UDP(sport=12345, dport=53, chksum=0)
    else:
        l4 = TCP(sport=12345, dport=80, seq=seq, ack=77, flags=flags, window=501, urgptr=3,
                 chksum=0, options=[("NOP", None)] * (4 * tcp_words))  # fmt: skip
    payload = random.Random(seed).randbytes(payload_len)
    frame = bytearray(bytes(ether / l3 / l4 / Raw(payload)))
    at, payload_at = len(frame) - payload_len - len(l4), len(frame) - payload_len
    csum_offset, protocol = (6, 17) if is_udp else (16, 6)
    field = at + csum_offset
    frame[field : field + 2] = pseudo_sum(l3, protocol, len(frame) - at).to_bytes(2, "big")
    if is_udp:
        gso_type = GSO_UDP if whole else GSO_UDP_L4
    else:
        gso_type = (GSO_TCPV6 if is_v6 else GSO_TCPV4) | GSO_ECN * ecn
    vnet = vnet_header(gso_type if gso else 0, gso_size if gso else 0, at, csum_offset)
    return Super(vnet, bytes(frame), 14 + 4 * tags, at, payload_at, gso_size, is_v6, is_udp)


@st.composite
def super_frames(draw: st.DrawFn) -> Super:
    """Frames of several segments, of every kind and shape that may be cut."""
    gso_size = draw(st.integers(1, 1500) | st.sampled_from([536, 1448, 1460]))
    segments = draw(st.integers(2, 40))
    last = draw(st.integers(1, gso_size))
    return build(
        is_v6=draw(st.booleans()),
        is_udp=draw(st.booleans()),
        tags=draw(st.integers(0, 2)),
        ip_id=draw(st.integers(0, 0xFFFF)),
        df=draw(st.booleans()),
        ip_words=draw(st.integers(0, 10)),
        ext=draw(st.sampled_from(["", "h", "d", "r", "hdrd"])),
        flags=draw(st.integers(0, 0x1FF)),
        seq=draw(st.integers(0, 0xFFFFFFFF)),
        tcp_words=draw(st.integers(0, 10)),
        ecn=draw(st.booleans()),
        gso_size=gso_size,
        payload_len=min(gso_size * (segments - 1) + last, 65000),
        seed=draw(st.integers(0, 0xFFFF)),
    )


@st.composite
def datagrams(draw: st.DrawFn, exts: tuple[str, ...] = ("", "h", "r", "hr", "hdr")) -> Super:
    """Whole datagrams to be fragmented, of every kind and shape."""
    ext = draw(st.sampled_from(exts))
    is_v6 = bool(ext) or draw(st.booleans())
    gso_size = 8 * draw(st.integers(1, 190) | st.sampled_from([181, 185]))
    return build(
        is_v6=is_v6,
        is_udp=True,
        whole=True,
        tags=draw(st.integers(0, 2)),
        ip_id=draw(st.integers(0, 0xFFFF)),
        df=draw(st.booleans()),
        ip_words=draw(st.integers(0, 10)),
        ext=ext,
        gso_size=gso_size,
        payload_len=draw(st.integers(0, min(gso_size * 40, 65000))),
        seed=draw(st.integers(0, 0xFFFF)),
    )


def without_identification(s: Super, fragments: list[bytes]) -> list[bytes]:
    """Fragments of IPv6 with zeroes for the number that is everyone's own."""
    if not s.is_v6 or len(fragments) < 2:
        return fragments
    at = len(fragments[0]) - s.gso_size - 4
    return [f[:at] + bytes(4) + f[at + 4 :] for f in fragments]


class Finisher:
    """The filter ``finish_frames.c``, built with sanitizers. Close it: that checks its exit."""

    def __init__(self, folder: Path) -> None:
        program = folder / "finish_frames"
        flags = "-std=c11 -D_GNU_SOURCE -g -O1 -Wall -Wextra -Werror -Wshadow -Wconversion"
        sanitize = "-Wsign-conversion -fsanitize=address,undefined -fno-sanitize-recover=all"
        source = ROOT / "tests" / "datapath" / "finish_frames.c"
        subprocess.run(
            [os.environ.get("CC", "cc"), *flags.split(), *sanitize.split(),
             f"-I{ROOT / 'vswitch'}", source, "-o", program],
            check=True, timeout=60,
        )  # fmt: skip
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def finish(self, vnet: bytes, frame: bytes) -> list[bytes] | None:
        """Return the finished frames, or None when the header is refused."""
        to, back = self._process.stdin, self._process.stdout
        to.write(struct.pack("=I", len(vnet + frame)) + vnet + frame)
        to.flush()
        count = struct.unpack("=i", back.read(4))[0]
        if count < 0:
            return None
        return [back.read(struct.unpack("=I", back.read(4))[0]) for _ in range(count)]

    def __enter__(self) -> Finisher:
        return self

    def __exit__(self, *exc: object) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        assert self._process.wait(10) == 0
