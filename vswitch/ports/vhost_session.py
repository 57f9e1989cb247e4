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

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from vswitch._fastpath import OFFLOADS
from vswitch._guest import REGIONS_MAX
from vswitch.errors import WireError
from vswitch.ports.vhost_features import (
    FEATURES,
    GUEST_TAKES,
    OFFLOAD_FEATURES,
    PROTOCOL_FEATURES,
)
from vswitch.ports.vhost_guest import Guest
from vswitch.ports.vhost_memory import GuestMemory, Piece
from vswitch.ports.vhost_rings import Rings, taken
from vswitch.wire import vhost_user as wire
from vswitch.wire.vhost_user import Feature, ProtocolFeature, Request

NO_FEATURES, NO_PROTOCOL = Feature(0), ProtocolFeature(0)
LINK_UP = 1  # VIRTIO_NET_S_LINK_UP


class _Refusal(Exception):
    """A request that is in order, and that we do not grant."""


@dataclass(slots=True)
class Session:
    """One front-end's words, carried out.

    Args:
        guest: The port's guest in the datapath, parked while `handle` runs if `is_deed` says so.
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
    status: int = 0
    memory: GuestMemory = field(init=False)
    rings: Rings = field(init=False)

    def __post_init__(self) -> None:
        self.memory = GuestMemory(self.guest)
        self.rings = Rings(self.guest, self.memory, self.pairs)

    @property
    def offload_names(self) -> tuple[str, ...]:
        """What the guest takes unfinished."""
        return tuple(
            name for name, needed in GUEST_TAKES.items() if self.features & needed == needed
        )

    @staticmethod
    def is_deed(header: wire.Header) -> bool:
        """Whether a message may change what pollers look at."""
        return header.request in _DEEDS

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
        self.rings.end()
        self.memory.forget()
        self._have_features(NO_FEATURES)
        self.protocol, self.status = NO_PROTOCOL, 0

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
        if changed and self.rings.running:
            raise WireError("other features while rings run")
        self._have_features(given)

    def _have_features(self, given: Feature) -> None:
        self.features = given
        self.guest.set_features(
            long_header=bool(given & (Feature.VERSION_1 | Feature.MRG_RXBUF)),
            mergeable=bool(given & Feature.MRG_RXBUF),
            event_idx=bool(given & Feature.EVENT_IDX),
            indirect=bool(given & Feature.INDIRECT_DESC),
            packed=bool(given & Feature.RING_PACKED),
            offloads=sum(OFFLOADS[name] for name in self.offload_names),
        )
        self.memory.use_log(wanted=bool(given & Feature.LOG_ALL))

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
        self._replace_memory(self.memory.with_all(regions, fds))

    def _add_mem_reg(self, region: wire.Region, fds: list[int]) -> None:
        self._replace_memory(self.memory.with_one(region, fds))

    def _rem_mem_reg(self, region: wire.Region, _: list[int]) -> None:
        self._replace_memory(self.memory.without(region))

    def _replace_memory(self, pieces: list[Piece]) -> None:
        running = self.rings.running
        for i in running:
            self.rings.stop(i)
        self.memory.replace(pieces)
        for i in running:
            self.rings.start(i)

    def _set_log_base(self, log: wire.Log, fds: list[int]) -> bytes:
        self.memory.set_log(log, fds)
        self.memory.use_log(wanted=bool(self.features & Feature.LOG_ALL))
        return wire.u64(0)

    # ------------------------------------------------------------------ rings

    def _set_vring_num(self, state: wire.VringState, _: list[int]) -> None:
        self.rings.idle(state.index).size = state.value

    def _set_vring_base(self, state: wire.VringState, _: list[int]) -> None:
        self.rings.idle(state.index).base = state.value

    def _set_vring_addr(self, address: wire.VringAddress, _: list[int]) -> None:
        ring = self.rings[address.index]
        was_started = ring.started
        self.rings.stop(address.index)  # it may only be the log's address that changes
        ring.address = address
        if was_started:
            self.rings.start(address.index)

    def _get_vring_base(self, state: wire.VringState, _: list[int]) -> bytes:
        ring = self.rings[state.index]
        self.rings.stop(state.index)
        self.rings.set_kick(state.index, -1)
        ring.kicked = False
        return wire.vring_state(wire.VringState(state.index, ring.base))

    def _set_vring_kick(self, given: wire.VringFd, fds: list[int]) -> None:
        ring = self.rings[given.index]
        if not given.has_fd and given.index % 2:
            raise WireError("a guest that never kicks would cost a core at idle")
        self.rings.set_kick(given.index, taken(given, fds))
        ring.kicked = True
        if not self.features & Feature.PROTOCOL_FEATURES:
            self.rings.enable(given.index, enabled=True)
        if not ring.started:
            self.rings.start(given.index)

    def _set_vring_call(self, given: wire.VringFd, fds: list[int]) -> None:
        self.rings[given.index]  # is there, before the descriptor is ours
        self.rings.set_call(given.index, taken(given, fds))

    def _set_vring_err(self, given: wire.VringFd, fds: list[int]) -> None:
        self.rings[given.index]  # what we would say there, we say in the log

    def _set_vring_enable(self, state: wire.VringState, _: list[int]) -> None:
        self.rings[state.index]
        self.rings.enable(state.index, enabled=bool(state.value))

    def _reset(self, _: object, __: list[int]) -> None:
        for i in range(len(self.rings)):
            self.rings.stop(i)
            self.rings.enable(i, enabled=False)


_Action = Callable[..., bytes | None]
# What only asks, or is noted for later.
_WORDS: Mapping[int, _Action] = {
    Request.GET_FEATURES: Session._get_features,
    Request.SET_OWNER: Session._nothing,
    Request.GET_PROTOCOL_FEATURES: Session._get_protocol_features,
    Request.SET_PROTOCOL_FEATURES: Session._set_protocol_features,
    Request.GET_QUEUE_NUM: Session._get_queue_num,
    Request.GET_MAX_MEM_SLOTS: Session._get_max_mem_slots,
    Request.NET_SET_MTU: Session._set_mtu,
    Request.GET_CONFIG: Session._get_config,
    Request.SET_CONFIG: Session._nothing,
    Request.SET_STATUS: Session._set_status,
    Request.GET_STATUS: Session._get_status,
    Request.SET_LOG_FD: Session._nothing,
    Request.SET_VRING_NUM: Session._set_vring_num,
    Request.SET_VRING_BASE: Session._set_vring_base,
    Request.SET_VRING_ERR: Session._set_vring_err,
}
# What changes something that pollers look at.
_DEEDS: Mapping[int, _Action] = {
    Request.SET_FEATURES: Session._set_features,
    Request.RESET_OWNER: Session._reset,
    Request.RESET_DEVICE: Session._reset,
    Request.SET_MEM_TABLE: Session._set_mem_table,
    Request.ADD_MEM_REG: Session._add_mem_reg,
    Request.REM_MEM_REG: Session._rem_mem_reg,
    Request.SET_LOG_BASE: Session._set_log_base,
    Request.SET_VRING_ADDR: Session._set_vring_addr,
    Request.GET_VRING_BASE: Session._get_vring_base,
    Request.SET_VRING_KICK: Session._set_vring_kick,
    Request.SET_VRING_CALL: Session._set_vring_call,
    Request.SET_VRING_ENABLE: Session._set_vring_enable,
}
_ACTIONS = {**_WORDS, **_DEEDS}
