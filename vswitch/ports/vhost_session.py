"""What a front-end says, and what becomes of its rings: vhost-user without the socket.

A ring's life ("Ring states" of the specification)::

    stopped --kick descriptor, once it has size, addresses and memory--> started
    started --GET_VRING_BASE--> stopped

and beside it, enabled or disabled: of a disabled ring what the guest sends is discarded, and
nothing is put into it. A ring starts where SET_VRING_BASE says; a split one where its own used
index says, which is the same unless a back-end before us died: we take and hand back in order, so
all before that index is done, and nothing is delivered twice.

Memory and addresses come from a stranger; whatever does not fit ends in WireError, upon which the
caller hangs up.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from vswitch._fastpath import OFFLOADS
from vswitch._guest import REGIONS_MAX
from vswitch._guest import Mapping as Memory
from vswitch.errors import WireError
from vswitch.wire import vhost_user as wire
from vswitch.wire.vhost_user import Feature, ProtocolFeature, Request

# What a guest may leave undone or be given undone, by our name.
GUEST_TAKES = {
    "csum": Feature.GUEST_CSUM,
    "tso4": Feature.GUEST_TSO4,
    "tso6": Feature.GUEST_TSO6,
    "ecn": Feature.GUEST_ECN,
    "uso": Feature.GUEST_USO4 | Feature.GUEST_USO6,
}
OFFLOAD_FEATURES = (
    Feature.CSUM | Feature.HOST_TSO4 | Feature.HOST_TSO6 | Feature.HOST_ECN | Feature.HOST_USO
    | Feature.GUEST_CSUM | Feature.GUEST_TSO4 | Feature.GUEST_TSO6 | Feature.GUEST_ECN
    | Feature.GUEST_USO4 | Feature.GUEST_USO6
)  # fmt: skip
FEATURES = (
    Feature.MTU | Feature.MRG_RXBUF | Feature.STATUS | Feature.CTRL_VQ | Feature.GUEST_ANNOUNCE
    | Feature.MQ | Feature.LOG_ALL | Feature.ANY_LAYOUT | Feature.INDIRECT_DESC | Feature.EVENT_IDX
    | Feature.PROTOCOL_FEATURES | Feature.VERSION_1 | Feature.RING_PACKED | Feature.IN_ORDER
)  # fmt: skip
PROTOCOL_FEATURES = (
    ProtocolFeature.MQ | ProtocolFeature.LOG_SHMFD | ProtocolFeature.REPLY_ACK
    | ProtocolFeature.NET_MTU | ProtocolFeature.CONFIG | ProtocolFeature.RESET_DEVICE
    | ProtocolFeature.CONFIGURE_MEM_SLOTS | ProtocolFeature.STATUS
)  # fmt: skip
NO_FEATURES, NO_PROTOCOL = Feature(0), ProtocolFeature(0)
LINK_UP = 1  # VIRTIO_NET_S_LINK_UP


class _Refusal(Exception):
    """A request that is in order, and that we do not grant."""


class Guest(Protocol):
    """What is done to the datapath; `vswitch._guest.Guest` says more of each."""

    @property
    def lost(self) -> bool: ...
    def set_features(
        self, *, long_header: bool, mergeable: bool, event_idx: bool, indirect: bool, packed: bool,
        offloads: int,
    ) -> None: ...  # fmt: skip
    def set_memory(self, regions: Sequence[tuple[int, Memory, int, int]]) -> None: ...
    def set_log(self, log: Memory | None, size: int = 0) -> None: ...
    def set_log_address(self, ring: int, gpa: int) -> None: ...
    def start(
        self, ring: int, *, size: int, desc: int, driver: int, device: int, base: int
    ) -> None: ...
    def stop(self, ring: int) -> int: ...
    def enable(self, ring: int, *, enabled: bool) -> None: ...
    def set_call(self, ring: int, fd: int) -> None: ...
    def set_kick(self, queue: int, fd: int) -> None: ...


@dataclass(slots=True)
class Vring:
    """What is known of one ring."""

    size: int = 0
    base: int = 0
    address: wire.VringAddress | None = None
    kick: int = -1
    call: int = -1
    kicked: bool = False  # a kick descriptor was given, or it was said that there is none
    started: bool = False
    enabled: bool = False


@dataclass(frozen=True, slots=True)
class Piece:
    """A region and where it is mapped."""

    region: wire.Region
    memory: Memory


@dataclass(slots=True)
class Session:
    """One front-end's words, carried out.

    Args:
        guest: The port's guest in the datapath, parked while `handle` runs.
        pairs: Queue pairs it may have.
        mtu: The port's, bytes.
        offloads: Whether unfinished frames are offered to it and taken from it.
    """

    guest: Guest
    pairs: int
    mtu: int
    offloads: bool = True
    features: Feature = NO_FEATURES
    protocol: ProtocolFeature = NO_PROTOCOL
    rings: list[Vring] = field(default_factory=list)
    pieces: list[Piece] = field(default_factory=list)
    log: tuple[Memory, int] | None = None
    status: int = 0

    def __post_init__(self) -> None:
        self.rings = [Vring() for _ in range(2 * self.pairs)]

    @property
    def is_up(self) -> bool:
        """Frames can flow in both directions."""
        return all(ring.started and ring.enabled for ring in self.rings[:2])

    @property
    def offload_names(self) -> tuple[str, ...]:
        """What the guest takes unfinished."""
        return tuple(
            name for name, needed in GUEST_TAKES.items() if self.features & needed == needed
        )

    @property
    def active_pairs(self) -> int:
        return sum(ring.started and ring.enabled for ring in self.rings[::2])

    def handle(self, header: wire.Header, payload: bytes, fds: list[int]) -> bytes | None:
        """Do what a message says; the reply, if there is one. Descriptors left in *fds* are the
        caller's to close.

        Raises:
            WireError: the front-end broke the protocol.
        """
        action = _ACTIONS.get(header.request)
        acknowledged = header.wants_reply and self.protocol & ProtocolFeature.REPLY_ACK
        if action is None:
            if acknowledged:
                return wire.reply(header.request, wire.u64(1))
            raise WireError(f"message {header.request}, which was not agreed on")
        said = wire.decode(Request(header.request), payload)
        try:
            answer = action(self, said, fds)
        except _Refusal:
            answer = wire.u64(1) if acknowledged else None
        except (ValueError, OverflowError, OSError) as e:
            raise WireError(f"{Request(header.request).name}: {e}") from e
        if answer is None and acknowledged:
            answer = wire.u64(0)
        return None if answer is None else wire.reply(header.request, answer)

    def end(self) -> None:
        """The front-end is gone: stop everything, and forget its memory and descriptors."""
        for i in range(len(self.rings)):
            self._stop(i)
            self._enable(i, enabled=False)
            self._set_kick(i, -1)
            self._set_call(i, -1)
            self.rings[i] = Vring()
        self.guest.set_log(None)
        self.guest.set_memory([])
        self.pieces, self.log = [], None
        self.features, self.protocol = NO_FEATURES, NO_PROTOCOL

    def forget(self) -> None:
        """The port is no more: only our descriptors are left to be given back."""
        for ring in self.rings:
            ring.kick, ring.call = _replaced(ring.kick, -1), _replaced(ring.call, -1)

    # ------------------------------------------------------------------ features

    def _offered(self) -> Feature:
        return FEATURES | OFFLOAD_FEATURES if self.offloads else FEATURES

    def _get_features(self, _: object, __: list[int]) -> bytes:
        return wire.u64(self._offered())

    def _set_features(self, wanted: int, _: list[int]) -> None:
        strange = wanted & ~int(self._offered())  # of a flag it ends at the last named bit
        if strange:
            raise WireError(f"features {strange:#x}, which were not offered")
        given = Feature(wanted)
        changed = (given ^ self.features) & ~Feature.LOG_ALL
        if changed and any(ring.started for ring in self.rings):
            raise WireError("other features while rings run")
        self.features = given
        self.guest.set_features(
            long_header=bool(given & (Feature.VERSION_1 | Feature.MRG_RXBUF)),
            mergeable=bool(given & Feature.MRG_RXBUF),
            event_idx=bool(given & Feature.EVENT_IDX),
            indirect=bool(given & Feature.INDIRECT_DESC),
            packed=bool(given & Feature.RING_PACKED),
            offloads=sum(OFFLOADS[name] for name in self.offload_names),
        )
        self._apply_log()

    def _get_protocol_features(self, _: object, __: list[int]) -> bytes:
        return wire.u64(PROTOCOL_FEATURES)

    def _set_protocol_features(self, wanted: int, _: list[int]) -> None:
        if wanted & ~int(PROTOCOL_FEATURES):
            raise WireError(f"protocol features {wanted:#x}, some of which were not offered")
        self.protocol = ProtocolFeature(wanted)

    def _get_queue_num(self, _: object, __: list[int]) -> bytes:
        return wire.u64(self.pairs)

    def _get_max_mem_slots(self, _: object, __: list[int]) -> bytes:
        return wire.u64(REGIONS_MAX)

    def _set_mtu(self, mtu: int, _: list[int]) -> None:
        if mtu > self.mtu:
            raise _Refusal

    def _get_config(self, asked: wire.Config, _: list[int]) -> bytes:
        space = bytearray(256)
        space[wire.STATUS_OFFSET : wire.STATUS_OFFSET + 2] = LINK_UP.to_bytes(2, "little")
        space[wire.PAIRS_OFFSET : wire.PAIRS_OFFSET + 2] = self.pairs.to_bytes(2, "little")
        space[wire.MTU_OFFSET : wire.MTU_OFFSET + 2] = self.mtu.to_bytes(2, "little")
        if asked.offset + asked.size > len(space):
            return wire.config(wire.Config(asked.offset, 0, 0, b""))
        data = bytes(space[asked.offset : asked.offset + asked.size])
        return wire.config(wire.Config(asked.offset, asked.size, 0, data))

    def _set_status(self, status: int, _: list[int]) -> None:
        self.status = status  # of the driver; what it means for us is said by other messages

    def _get_status(self, _: object, __: list[int]) -> bytes:
        return wire.u64(self.status)

    def _nothing(self, _: object, __: list[int]) -> None:
        """Nothing to be done."""

    # ------------------------------------------------------------------ memory

    def _set_mem_table(self, regions: Sequence[wire.Region], fds: list[int]) -> None:
        if len(fds) != len(regions):
            raise WireError(f"{len(regions)} regions with {len(fds)} descriptors")
        self._replace_memory([_map(r, fd) for r, fd in zip(regions, fds, strict=True)])

    def _add_mem_reg(self, region: wire.Region, fds: list[int]) -> None:
        if len(fds) != 1:
            raise WireError(f"a region with {len(fds)} descriptors")
        self._replace_memory([*self.pieces, _map(region, fds[0])])

    def _rem_mem_reg(self, region: wire.Region, _: list[int]) -> None:
        def same(r: wire.Region) -> bool:
            key = (region.guest_address, region.user_address, region.size)
            return (r.guest_address, r.user_address, r.size) == key

        left = [piece for piece in self.pieces if not same(piece.region)]
        if len(left) == len(self.pieces):
            raise WireError("a region to be removed that is not there")
        self._replace_memory(left)

    def _replace_memory(self, pieces: list[Piece]) -> None:
        running = [i for i, ring in enumerate(self.rings) if ring.started]
        for i in running:
            self._stop(i)
        self.pieces = pieces
        self.guest.set_memory(
            [
                (p.region.guest_address, p.memory, p.region.mmap_offset, p.region.size)
                for p in pieces
            ]
        )
        for i in running:
            self._start(i)

    def _guest_address(self, user_address: int) -> int:
        for piece in self.pieces:
            offset = user_address - piece.region.user_address
            if 0 <= offset < piece.region.size:
                return piece.region.guest_address + offset
        raise WireError(f"{user_address:#x} is in none of the guest's regions")

    # ------------------------------------------------------------------ log of written pages

    def _set_log_base(self, log: wire.Log, fds: list[int]) -> bytes:
        if len(fds) != 1:
            raise WireError(f"a log with {len(fds)} descriptors")
        memory = Memory(fds[0], size=log.offset + log.size)
        if log.offset:
            raise WireError(f"a log at offset {log.offset} of its file")
        self.log = memory, log.size
        self._apply_log()
        return wire.u64(0)

    def _apply_log(self) -> None:
        wanted = self.features & Feature.LOG_ALL and self.log
        self.guest.set_log(*(self.log if wanted and self.log else (None, 0)))

    # ------------------------------------------------------------------ rings

    def _ring(self, index: int) -> Vring:
        if index >= len(self.rings):
            raise WireError(f"ring {index} of {len(self.rings)}")
        return self.rings[index]

    def _set_vring_num(self, state: wire.VringState, _: list[int]) -> None:
        self._idle(state.index).size = state.value

    def _set_vring_base(self, state: wire.VringState, _: list[int]) -> None:
        self._idle(state.index).base = state.value

    def _idle(self, index: int) -> Vring:
        ring = self._ring(index)
        if ring.started:
            raise WireError(f"ring {index} is changed while it runs")
        return ring

    def _set_vring_addr(self, address: wire.VringAddress, _: list[int]) -> None:
        ring = self._ring(address.index)
        was_started = ring.started
        self._stop(address.index)  # it may only be the log's address that changes
        ring.address = address
        if was_started:
            self._start(address.index)

    def _get_vring_base(self, state: wire.VringState, _: list[int]) -> bytes:
        ring = self._ring(state.index)
        self._stop(state.index)
        self._set_kick(state.index, -1)
        ring.kicked = False
        return wire.vring_state(wire.VringState(state.index, ring.base))

    def _set_vring_kick(self, given: wire.VringFd, fds: list[int]) -> None:
        ring = self._ring(given.index)
        if not given.has_fd and given.index % 2:
            raise WireError("a guest that never kicks would cost a core at idle")
        self._set_kick(given.index, _descriptor(given, fds))
        ring.kicked = True
        if not self.features & Feature.PROTOCOL_FEATURES:
            self._enable(given.index, enabled=True)
        if not ring.started:
            self._start(given.index)

    def _set_vring_call(self, given: wire.VringFd, fds: list[int]) -> None:
        self._ring(given.index)
        self._set_call(given.index, _descriptor(given, fds))

    def _set_vring_err(self, given: wire.VringFd, fds: list[int]) -> None:
        self._ring(given.index)  # what we would say there, we say in the log

    def _set_vring_enable(self, state: wire.VringState, _: list[int]) -> None:
        self._ring(state.index)
        self._enable(state.index, enabled=bool(state.value))

    def _enable(self, index: int, *, enabled: bool) -> None:
        self.rings[index].enabled = enabled
        self.guest.enable(index, enabled=enabled)

    def _start(self, index: int) -> None:
        ring = self.rings[index]
        if ring.address is None or not ring.size:
            raise WireError(f"ring {index} has no size or no address")
        self.guest.start(
            index,
            size=ring.size,
            desc=self._guest_address(ring.address.desc),
            driver=self._guest_address(ring.address.avail),
            device=self._guest_address(ring.address.used),
            base=ring.base,
        )
        logged = ring.address.flags & wire.VRING_LOG
        self.guest.set_log_address(index, ring.address.log if logged else 0)
        ring.started = True

    def _stop(self, index: int) -> None:
        ring = self.rings[index]
        if ring.started:
            ring.base = self.guest.stop(index)
            ring.started = False

    def _set_kick(self, index: int, fd: int) -> None:
        ring = self.rings[index]
        if index % 2:  # of the other rings we fill what is there, and never wait
            try:
                self.guest.set_kick(index // 2, fd)
            except OSError:
                _replaced(fd, -1)
                raise
        ring.kick = _replaced(ring.kick, fd)

    def _set_call(self, index: int, fd: int) -> None:
        ring = self.rings[index]
        self.guest.set_call(index, fd)
        ring.call = _replaced(ring.call, fd)

    def _reset(self, _: object, __: list[int]) -> None:
        for i in range(len(self.rings)):
            self._stop(i)
            self._enable(i, enabled=False)


def _map(region: wire.Region, fd: int) -> Piece:
    """Map a region's file from its beginning: an offset need not be one of whole (huge) pages."""
    return Piece(region, Memory(fd, size=region.mmap_offset + region.size))


def _descriptor(given: wire.VringFd, fds: list[int]) -> int:
    """The descriptor of a message, ours from now on; -1 if it is said that there is none."""
    if len(fds) != given.has_fd:
        raise WireError(f"{len(fds)} descriptors where {int(given.has_fd)} belong")
    if not given.has_fd:
        return -1
    fd = fds.pop()
    if os.readlink(f"/proc/self/fd/{fd}") != "anon_inode:[eventfd]":
        fds.append(fd)
        raise WireError("a kick or call descriptor that is no eventfd")
    os.set_blocking(fd, False)  # a full one must not hold a poller
    return fd


def _replaced(old: int, new: int) -> int:
    if old >= 0:
        os.close(old)
    return new


_Action = Callable[..., bytes | None]
_ACTIONS: Mapping[int, _Action] = {
    Request.GET_FEATURES: Session._get_features,
    Request.SET_FEATURES: Session._set_features,
    Request.SET_OWNER: Session._nothing,
    Request.RESET_OWNER: Session._reset,
    Request.RESET_DEVICE: Session._reset,
    Request.GET_PROTOCOL_FEATURES: Session._get_protocol_features,
    Request.SET_PROTOCOL_FEATURES: Session._set_protocol_features,
    Request.GET_QUEUE_NUM: Session._get_queue_num,
    Request.GET_MAX_MEM_SLOTS: Session._get_max_mem_slots,
    Request.NET_SET_MTU: Session._set_mtu,
    Request.GET_CONFIG: Session._get_config,
    Request.SET_CONFIG: Session._nothing,
    Request.SET_STATUS: Session._set_status,
    Request.GET_STATUS: Session._get_status,
    Request.SET_MEM_TABLE: Session._set_mem_table,
    Request.ADD_MEM_REG: Session._add_mem_reg,
    Request.REM_MEM_REG: Session._rem_mem_reg,
    Request.SET_LOG_BASE: Session._set_log_base,
    Request.SET_LOG_FD: Session._nothing,
    Request.SET_VRING_NUM: Session._set_vring_num,
    Request.SET_VRING_ADDR: Session._set_vring_addr,
    Request.SET_VRING_BASE: Session._set_vring_base,
    Request.GET_VRING_BASE: Session._get_vring_base,
    Request.SET_VRING_KICK: Session._set_vring_kick,
    Request.SET_VRING_CALL: Session._set_vring_call,
    Request.SET_VRING_ERR: Session._set_vring_err,
    Request.SET_VRING_ENABLE: Session._set_vring_enable,
}
