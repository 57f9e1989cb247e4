"""vhost-user messages: bytes to facts and back (QEMU, docs/interop/vhost-user).

A message is twelve bytes and a payload, in the byte order of the machine::

    request   u32   what is asked
    flags     u32   bits 0-1 version (1), bit 2: this is a reply, bit 3: a reply is wanted
    size      u32   bytes of payload

Descriptors travel beside it (SCM_RIGHTS). `Request` has the names of the specification; `decode`
reads what a front-end sends to a back-end, and checks sizes: a payload is what its type says.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import IntEnum, IntFlag

from vswitch.errors import WireError

# From the specification.
HEADER = struct.Struct("=III")
VERSION, VERSION_MASK, REPLY, NEED_REPLY = 0x1, 0x3, 0x4, 0x8
FDS_MAX = 8  # VHOST_MEMORY_BASELINE_NREGIONS: of a SET_MEM_TABLE
NO_FD = 0x100  # bit 8 of a vring's descriptor message: there is none
VRING_LOG = 0x1  # VHOST_VRING_F_LOG
MAC_OFFSET, STATUS_OFFSET, PAIRS_OFFSET, MTU_OFFSET = 0, 6, 8, 10  # struct virtio_net_config
# Chosen by us: the longest payload is a SET_CONFIG or a SET_MEM_TABLE, both below 300 bytes.
PAYLOAD_MAX = 4096


class Request(IntEnum):
    """Messages of the front-end, "Front-end message types"."""

    GET_FEATURES = 1
    SET_FEATURES = 2
    SET_OWNER = 3
    RESET_OWNER = 4
    SET_MEM_TABLE = 5
    SET_LOG_BASE = 6
    SET_LOG_FD = 7
    SET_VRING_NUM = 8
    SET_VRING_ADDR = 9
    SET_VRING_BASE = 10
    GET_VRING_BASE = 11
    SET_VRING_KICK = 12
    SET_VRING_CALL = 13
    SET_VRING_ERR = 14
    GET_PROTOCOL_FEATURES = 15
    SET_PROTOCOL_FEATURES = 16
    GET_QUEUE_NUM = 17
    SET_VRING_ENABLE = 18
    SEND_RARP = 19
    NET_SET_MTU = 20
    SET_BACKEND_REQ_FD = 21
    SET_VRING_ENDIAN = 23
    GET_CONFIG = 24
    SET_CONFIG = 25
    RESET_DEVICE = 34
    GET_MAX_MEM_SLOTS = 36
    ADD_MEM_REG = 37
    REM_MEM_REG = 38
    SET_STATUS = 39
    GET_STATUS = 40


class Feature(IntFlag):
    """Features of virtio-net (virtio 1.2, 5.1.3), of the rings (6), and vhost-user's (26, 30)."""

    CSUM = 1 << 0
    GUEST_CSUM = 1 << 1
    MTU = 1 << 3
    GUEST_TSO4 = 1 << 7
    GUEST_TSO6 = 1 << 8
    GUEST_ECN = 1 << 9
    GUEST_UFO = 1 << 10
    HOST_TSO4 = 1 << 11
    HOST_TSO6 = 1 << 12
    HOST_ECN = 1 << 13
    HOST_UFO = 1 << 14
    MRG_RXBUF = 1 << 15
    STATUS = 1 << 16
    CTRL_VQ = 1 << 17
    GUEST_ANNOUNCE = 1 << 21
    MQ = 1 << 22
    LOG_ALL = 1 << 26
    ANY_LAYOUT = 1 << 27
    INDIRECT_DESC = 1 << 28
    EVENT_IDX = 1 << 29
    PROTOCOL_FEATURES = 1 << 30
    VERSION_1 = 1 << 32
    RING_PACKED = 1 << 34
    IN_ORDER = 1 << 35
    GUEST_USO4 = 1 << 54
    GUEST_USO6 = 1 << 55
    HOST_USO = 1 << 56


class ProtocolFeature(IntFlag):
    """ "Protocol features"."""

    MQ = 1 << 0
    LOG_SHMFD = 1 << 1
    RARP = 1 << 2
    REPLY_ACK = 1 << 3
    NET_MTU = 1 << 4
    CONFIG = 1 << 9
    RESET_DEVICE = 1 << 13
    CONFIGURE_MEM_SLOTS = 1 << 15
    STATUS = 1 << 16


@dataclass(frozen=True, slots=True)
class Region:
    """A piece of the guest's memory, in the file that comes with it."""

    guest_address: int
    size: int
    user_address: int  # in the front-end's own address space; rings are given in those
    mmap_offset: int


@dataclass(frozen=True, slots=True)
class VringState:
    index: int
    value: int


@dataclass(frozen=True, slots=True)
class VringAddress:
    """Where the parts of a ring are: user addresses, `log` excepted."""

    index: int
    flags: int
    desc: int
    used: int
    avail: int
    log: int  # guest physical


@dataclass(frozen=True, slots=True)
class VringFd:
    """A kick, call or error descriptor, if it comes with one."""

    index: int
    has_fd: bool


@dataclass(frozen=True, slots=True)
class Log:
    size: int
    offset: int


@dataclass(frozen=True, slots=True)
class Config:
    offset: int
    size: int
    flags: int
    data: bytes


Payload = (
    None | int | tuple[Region, ...] | Region | VringState | VringAddress | VringFd | Log | Config
)


@dataclass(frozen=True, slots=True)
class Header:
    """The first twelve bytes."""

    request: int
    flags: int
    size: int

    @property
    def wants_reply(self) -> bool:
        return bool(self.flags & NEED_REPLY)


def decode_header(data: bytes) -> Header:
    """Read a header; *data* has HEADER.size bytes.

    Raises:
        WireError: the version is not 1, or the payload longer than any.
    """
    header = Header(*HEADER.unpack(data))
    if header.flags & VERSION_MASK != VERSION:
        raise WireError(f"version {header.flags & VERSION_MASK} of the protocol, which has but 1")
    if header.size > PAYLOAD_MAX:
        raise WireError(f"a message of {header.size} bytes, more than {PAYLOAD_MAX}")
    return header


def decode(request: Request, payload: bytes) -> Payload:
    """What a front-end's message of that kind carries.

    Raises:
        WireError: the payload is not of its size.
    """
    return _DECODERS.get(request, _nothing)(payload)


def reply(request: int, payload: bytes) -> bytes:
    """A reply to *request*."""
    return HEADER.pack(request, VERSION | REPLY, len(payload)) + payload


def u64(value: int) -> bytes:
    return struct.pack("=Q", value)


def vring_state(state: VringState) -> bytes:
    return struct.pack("=II", state.index, state.value)


def config(answer: Config) -> bytes:
    return struct.pack("=III", answer.offset, answer.size, answer.flags) + answer.data


def _unpack(layout: str, payload: bytes) -> tuple[int, ...]:
    if len(payload) != struct.calcsize(layout):
        raise WireError(f"{len(payload)} bytes where {struct.calcsize(layout)} belong")
    return struct.unpack(layout, payload)


def _nothing(payload: bytes) -> None:
    # Some front-ends send a payload with requests that have none; it says nothing.
    return None


def _u64(payload: bytes) -> int:
    return _unpack("=Q", payload)[0]


def _regions(payload: bytes) -> tuple[Region, ...]:
    if len(payload) < 8:
        raise WireError(f"{len(payload)} bytes where 8 and more belong")
    count, _ = struct.unpack_from("=II", payload)
    if not 0 <= count <= FDS_MAX or len(payload) < 8 + 32 * count:
        raise WireError(f"{count} regions in {len(payload)} bytes")
    return tuple(Region(*struct.unpack_from("=QQQQ", payload, 8 + 32 * i)) for i in range(count))


def _one_region(payload: bytes) -> Region:
    _, *region = _unpack("=QQQQQ", payload)
    return Region(*region)


def _state(payload: bytes) -> VringState:
    return VringState(*_unpack("=II", payload))


def _address(payload: bytes) -> VringAddress:
    return VringAddress(*_unpack("=IIQQQQ", payload))


def _vring_fd(payload: bytes) -> VringFd:
    value = _u64(payload)
    return VringFd(value & 0xFF, not value & NO_FD)


def _log(payload: bytes) -> Log:
    return Log(*_unpack("=QQ", payload))


def _config(payload: bytes) -> Config:
    offset, size, flags = _unpack("=III", payload[:12])
    if size != len(payload) - 12:
        raise WireError(f"a configuration of {size} bytes in {len(payload) - 12}")
    return Config(offset, size, flags, payload[12:])


_DECODERS: Mapping[Request, Callable[[bytes], Payload]] = {
    Request.SET_FEATURES: _u64,
    Request.SET_MEM_TABLE: _regions,
    Request.SET_LOG_BASE: _log,
    Request.SET_VRING_NUM: _state,
    Request.SET_VRING_ADDR: _address,
    Request.SET_VRING_BASE: _state,
    Request.GET_VRING_BASE: _state,
    Request.SET_VRING_KICK: _vring_fd,
    Request.SET_VRING_CALL: _vring_fd,
    Request.SET_VRING_ERR: _vring_fd,
    Request.SET_PROTOCOL_FEATURES: _u64,
    Request.SET_VRING_ENABLE: _state,
    Request.SEND_RARP: _u64,
    Request.NET_SET_MTU: _u64,
    Request.SET_VRING_ENDIAN: _state,
    Request.GET_CONFIG: _config,
    Request.SET_CONFIG: _config,
    Request.ADD_MEM_REG: _one_region,
    Request.REM_MEM_REG: _one_region,
    Request.SET_STATUS: _u64,
}
