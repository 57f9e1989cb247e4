"""Frames for the fuzzer, made by the thousand: records and where they end, see `Wire.send_many`.

A block is a mixture of
  valid     seeds as they are, but for their addresses; their sources begin with VALID_PREFIX, so
            that whoever receives one can judge its checksums
  mutated   the same with wrong lengths, bytes and virtio-net headers, plausible or not
  random    bytes
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np

from support.frames import BROADCAST, DATA_VALID, FINISHED, frame, mac, unfinished, vnet

VNET_LEN = 10
RECORD_MAX = VNET_LEN + 65568
VALID_PREFIX = bytes.fromhex("0a5eedfa")
STATIONS = 48
QUESTION_WEIGHT = 8  # that of no other

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Seeds:
    """Valid records one behind the other, and how often each is taken."""

    bytes: Array
    start: Array
    length: Array
    weight: Array


def make_seeds() -> Seeds:
    found: list[tuple[float, bytes]] = []
    a, b = mac(1), mac(2)
    for length in (14, 15, 33, 60, 590, 1514, 1515, 1518):
        found += [(4, FINISHED + frame(b, a, pad_to=length))]
    found.append((2, FINISHED + frame(b, a, b"\0\5\x08\0", ethertype=0x8100)[:17]))
    found.append((2, FINISHED + frame(b, a, b"\0\5\x88\xa8\0\6\x81\0", ethertype=0x88A8)))
    found.append((4, vnet(DATA_VALID) + frame(b, a)))
    for version in (4, 6):
        for protocol in ("tcp", "udp"):
            for tags in (0, 1, 2):
                for length, gso, weight in (
                    (0, 0, 4), (1, 0, 4), (101, 0, 4), (1400, 0, 1), (200, 48, 2), (700, 301, 2),
                    (3000, 1400, 1), (9000, 1000, 0.2), (64000, 1448, 0.01), (60000, 48, 0.01),
                ):  # fmt: skip
                    header, f = unfinished(
                        b, a, version=version, protocol=protocol, payload=b"v" * length,
                        gso_size=gso, tags=tags,
                    )  # fmt: skip
                    found.append((weight, header + f))
                if protocol == "udp":
                    found += [(weight, _datagram(version, tags, length)) for length, weight in (
                        (3, 2), (700, 2), (3000, 1), (60000, 0.01),
                    )]  # fmt: skip
        found.append((3, _with_options(version)))
        found.append((QUESTION_WEIGHT, _question(version)))
    weights = np.array([w for w, _ in found])
    lengths = np.array([len(r) for _, r in found], np.int64)
    return Seeds(
        np.frombuffer(b"".join(r for _, r in found), np.uint8),
        np.concatenate([[0], np.cumsum(lengths)[:-1]]), lengths, weights / weights.sum(),
    )  # fmt: skip


def ip(version: int, number: int) -> bytes:
    """An address that stations ask for, one of few."""
    return bytes([10, 0, 0, number]) if version == 4 else b"\xfd" + bytes(14) + bytes([number])


def _question(version: int) -> bytes:
    asked, asker = ip(version, 1), ip(version, 2)
    if version == 4:
        arp = bytes.fromhex("0001080006040001") + mac(1) + asker + bytes(6) + asked
        return FINISHED + BROADCAST + mac(1) + b"\x08\x06" + arp
    message = bytes([135, 0]) + bytes(6) + asked + b"\x01\x01" + mac(1)
    head = struct.pack("!IHBB", 6 << 28, len(message), 58, 255)
    return FINISHED + BROADCAST + mac(1) + b"\x86\xdd" + head + asker + ip(6, 3) + message


def _datagram(version: int, tags: int, length: int) -> bytes:
    """One to be fragmented, if it is long."""
    header, f = unfinished(
        mac(2), mac(1), version=version, protocol="udp", payload=b"w" * length, gso_size=480,
        tags=tags, whole=True,
    )  # fmt: skip
    return header + f


def _with_options(version: int) -> bytes:
    """A TCP super-frame behind IPv4 options, or an IPv6 hop-by-hop header."""
    header, f = unfinished(
        mac(2), mac(1), version=version, protocol="tcp", payload=b"o" * 300, gso_size=100
    )
    if version == 4:
        ip = b"\x46" + f[15:34] + b"\1\1\1\1"  # the checksum is wrong now; segmentation mends it
        f = f[:14] + ip + f[34:]
        more = 4
    else:
        f = (
            f[:18]
            + struct.pack(">HB", len(f) - 54 + 8, 0)
            + f[21:54]
            + b"\6\0\1\4"
            + bytes(4)
            + f[54:]
        )
        more = 8
    flags, kind, hdr_len, gso, start, offset = struct.unpack("<BBHHHH", header)
    return vnet(
        flags, kind, hdr_len=hdr_len + more, gso_size=gso, csum_start=start + more,
        csum_offset=offset,
    ) + f  # fmt: skip


def _addresses() -> Array:
    special = [BROADCAST, bytes(6), bytes.fromhex("01005e000001"), bytes.fromhex("333300000001")]
    special += [bytes.fromhex("0180c20000") + bytes([i]) for i in range(17)]
    table = [mac(i) for i in range(STATIONS)] + special
    return np.frombuffer(b"".join(table), np.uint8).reshape(-1, 6)


SEEDS = make_seeds()
ADDRESSES = _addresses()
QUESTIONS = np.flatnonzero(SEEDS.weight == SEEDS.weight.max())
# Where parsers change their minds: the ends of headers, of fields, and of numbers.
EDGES = np.array(
    [0, 1, 2, 6, 7, 13, 14, 16, 18, 34, 38, 48, 54, 58, 62, 74, 255, 256, 1400, 1500, 9000, 32767,
     32768, 65533, 65534, 65535], np.uint16,
)  # fmt: skip


def block(rng: np.random.Generator, n: int) -> tuple[Array, Array]:
    """*n* records: their bytes, and the end of each (uint32)."""
    pick = rng.choice(len(SEEDS.length), n, p=SEEDS.weight)
    kind = rng.random(n)
    valid, random = kind < 0.3, kind > 0.95
    length = _lengths(rng, SEEDS.length[pick], valid=valid, random=random)
    ends = np.cumsum(length)
    start = ends - length
    # Byte i of the block is byte i of its seed; a record longer than its seed runs into others.
    at = np.repeat(SEEDS.start[pick] - start, length) + np.arange(ends[-1])
    data = SEEDS.bytes[at % len(SEEDS.bytes)]
    mask = np.repeat(random, length)
    data[mask] = rng.integers(0, 256, int(mask.sum()), np.uint8)
    _address(rng, data, start[~random & (length >= VNET_LEN + 14)])
    asks = start[np.isin(pick, QUESTIONS) & (length >= VNET_LEN + 14) & (rng.random(n) < 0.7)]
    data[asks[:, None] + np.arange(VNET_LEN, VNET_LEN + 6)] = 0xFF  # they are for all
    whole = start[valid & (length >= VNET_LEN + 14)]
    data[whole[:, None] + np.arange(VNET_LEN + 6, VNET_LEN + 10)] = np.frombuffer(
        VALID_PREFIX, np.uint8
    )
    mutated = ~valid & ~random
    _mutate_headers(rng, data, start[mutated], length[mutated])
    _mutate_bytes(rng, data, start[mutated], length[mutated])
    return data, ends.astype(np.uint32)


def _lengths(rng: np.random.Generator, seed: Array, *, valid: Array, random: Array) -> Array:
    length = seed.copy()
    shift = ~valid & (rng.random(len(seed)) < 0.2)
    length[shift] += rng.integers(-60, 60, int(shift.sum()))
    cut = ~valid & (rng.random(len(seed)) < 0.1)
    length[cut] = (length[cut] * rng.random(int(cut.sum()))).astype(np.int64)
    length[random] = rng.integers(VNET_LEN, 200, int(random.sum()))
    huge = ~valid & (rng.random(len(seed)) < 0.0002)
    length[huge] = RECORD_MAX - rng.integers(0, 3, int(huge.sum()))
    return np.clip(length, VNET_LEN, RECORD_MAX)


def _address(rng: np.random.Generator, data: Array, start: Array) -> None:
    both = rng.integers(0, len(ADDRESSES), (len(start), 2))
    # Mostly stations, so that most frames go somewhere.
    both = np.where(rng.random(both.shape) < 0.8, both % STATIONS, both)
    data[start[:, None] + np.arange(VNET_LEN, VNET_LEN + 12)] = ADDRESSES[both].reshape(-1, 12)
    stranger = start[rng.random(len(start)) < 0.05] + VNET_LEN + 8
    data[stranger] = rng.integers(0, 256, len(stranger), np.uint8)
    data[stranger + 1] = rng.integers(0, 256, len(stranger), np.uint8)


def _mutate_headers(rng: np.random.Generator, data: Array, start: Array, length: Array) -> None:
    """Wrong virtio-net headers: flags and types that exist, numbers near those that matter."""
    draw = rng.random(len(start))
    some = start[draw < 0.25]
    data[some] = rng.choice(np.array([0, 1, 1, 2, 3, 4, 255], np.uint8), len(some))
    some = start[(draw > 0.2) & (draw < 0.4)] + 1
    data[some] = rng.choice(
        np.array([0, 1, 3, 3, 4, 5, 0x81, 0x84, 0x85, 7, 255], np.uint8), len(some)
    )
    chosen = (draw > 0.35) & (draw < 0.8)
    some, frame_len = start[chosen], (length[chosen] - VNET_LEN).astype(np.uint16)
    field = rng.integers(1, 5, len(some)) * 2  # hdr_len, gso_size, csum_start, csum_offset
    old = data[some + field] + data[some + field + 1].astype(np.uint16) * 256
    near = (old + rng.integers(-3, 4, len(some))).astype(np.uint16)
    edge = rng.choice(EDGES, len(some))
    end = (frame_len + rng.integers(-3, 2, len(some))).astype(np.uint16)
    value = np.choose(rng.integers(0, 3, len(some)), [near, edge, end])
    data[some + field] = value & 0xFF
    data[some + field + 1] = value >> 8


def _mutate_bytes(rng: np.random.Generator, data: Array, start: Array, length: Array) -> None:
    """Wrong bytes, most of them where headers are."""
    for reach in (64, 100, 1 << 16):
        some = rng.random(len(start)) < 0.3
        at = (rng.random(int(some.sum())) * np.minimum(length[some], reach)).astype(np.int64)
        data[start[some] + at] = rng.integers(0, 256, len(at), np.uint8)
