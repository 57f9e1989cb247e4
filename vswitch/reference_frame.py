"""A frame on its way through the switch in plain Python, and what flooding it is called."""

from __future__ import annotations

from dataclasses import dataclass, field

from vswitch.portsettings import PortSettings

BROADCAST = b"\xff" * 6


def is_group(mac: bytes) -> bool:
    """Whether an address names several stations: multicast or broadcast (IEEE 802 8.2.2)."""
    return bool(mac[0] & 1)


@dataclass(frozen=True, slots=True)
class Admitted:
    """A frame that came in, and what was found out about it."""

    frame: bytes  # as it came, or as it leaves
    bare: bytes  # without the tag that said its VLAN
    vid: int = 0  # its VLAN; 0 while the switch takes no notice of them
    priority: int = 0  # the upper four bits of that tag (IEEE 802.1Q-2018 9.6)
    seen: set[int] = field(default_factory=set, compare=False)  # targets of mirrors that have it

    @property
    def destination(self) -> bytes:
        return self.frame[:6]

    @property
    def source(self) -> bytes:
        return self.frame[6:12]


def flood_kind(destination: bytes) -> str:
    """What flooding a frame for *destination* is counted as."""
    if not is_group(destination):
        return "unicast"
    return "broadcast" if destination == BROADCAST else "multicast"


def floods(flags: PortSettings, kind: str) -> bool:
    """Whether frames of a `flood_kind` are flooded to a port."""
    wanted = {
        "unicast": flags.flood,
        "multicast": flags.mcast_flood,
        "broadcast": flags.bcast_flood,
    }
    return wanted[kind]
