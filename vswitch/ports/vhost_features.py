"""What is offered to the driver of a guest, and to its front-end."""

from __future__ import annotations

from vswitch.wire.vhost_user import Feature, ProtocolFeature

# What a guest may leave undone or be given undone, by our name.
GUEST_TAKES = {
    "csum": Feature.GUEST_CSUM,
    "tso4": Feature.GUEST_TSO4,
    "tso6": Feature.GUEST_TSO6,
    "ecn": Feature.GUEST_ECN,
    "uso": Feature.GUEST_USO4 | Feature.GUEST_USO6,
    "ufo": Feature.GUEST_UFO,
}
OFFLOAD_FEATURES = (
    Feature.CSUM | Feature.HOST_TSO4 | Feature.HOST_TSO6 | Feature.HOST_ECN | Feature.HOST_USO
    | Feature.GUEST_CSUM | Feature.GUEST_TSO4 | Feature.GUEST_TSO6 | Feature.GUEST_ECN
    | Feature.GUEST_USO4 | Feature.GUEST_USO6 | Feature.HOST_UFO | Feature.GUEST_UFO
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
