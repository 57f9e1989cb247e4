"""What a switch tells of itself: facts of one moment."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from vswitch.portsettings import PortSettings
from vswitch.vlans import C_TAG, TAG_BYTES, PortVlans

ROW = struct.Struct("6sHHBBI")  # struct vsw_fdb_row: mac, vid, port, static, flags, age_s
FLAGS_AT = 11
STICKY, LOCKED = 2, 4  # of enum vsw_fdb_flag
Row = tuple[bytes, int, int, int, int, int]


@dataclass(frozen=True, slots=True)
class PortStatus(PortSettings):
    """What there is to know about a port at one moment, its settings included.

    They are told as they were set: of a port that is up `state` says the same as `forwarding`.
    """

    name: str
    number: int
    kind: str
    end: str  # which end of its device the port holds: "file", or "" if there is but one
    driver: str  # of the device behind it: "tap", "veth", "e1000e"; "" if there is none
    address: str  # of a port over a socket or a file: its path, or HOST:PORT; else ""
    remote: str  # its peer's, if it is known
    ips: tuple[str, ...]  # the host's, of its own port: as 10.0.0.1/24
    created: bool  # by this switch: the device goes when the port does
    state: str  # forwarding, mirror (copies only), blocked (by command), looped, down or gone
    mtu: int  # bytes
    queues: int
    queues_used: int  # by whoever is at the other end
    vnet_header: bool
    offloads: tuple[str, ...]
    stations: int
    counters: dict[str, int]  # names of COUNTER_NAMES
    drops: dict[str, int]  # by reason, names of vswitch.DROP_REASONS

    @property
    def longest(self) -> int:
        """The MTU without what tags take of it, bytes: a packet socket lets only those of 802.1Q
        be beside it (packet_snd() in the kernel's net/packet/af_packet.c)."""
        v = self.vlans
        within = v is not None and v.tag_type != C_TAG and v.members != v.untagged
        return self.mtu - (TAG_BYTES if within and self.end == "interface" else 0)


@dataclass(frozen=True, slots=True)
class VlanStatus:
    """What a port does with VLANs at one moment, and what it counted."""

    port: str
    vlans: PortVlans | None  # None while the switch takes no notice of them
    # VLAN -> received frames, bytes, sent frames, bytes; those with traffic only.
    counters: dict[int, tuple[int, int, int, int]]


@dataclass(frozen=True, slots=True)
class ListenerStatus:
    """A place where VMs connect, at one moment."""

    name: str  # what its ports are called after
    kind: str
    address: str  # its path, absolute, or HOST:PORT
    mtu: int  # bytes, of its ports
    ports: int  # connected now


@dataclass(frozen=True, slots=True)
class Place:
    """Where a station was at some moment."""

    mac: bytes
    vid: int
    port: str
    static: bool
    locked: bool = False
    sticky: bool = False


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a poller tells of itself (``datapath/pulse.h``); all of it only grows."""

    rounds: int
    bursts: tuple[int, ...]  # by how many frames they had
    timed: tuple[int, ...]  # bursts that were timed, by nanoseconds a frame: up to 2 ** index
    timed_ns: int  # nanoseconds a frame, summed over those bursts


@dataclass(frozen=True, slots=True)
class Station:
    """One entry of the forwarding database."""

    mac: bytes
    vid: int  # 0: of no VLAN
    port: str
    static: bool
    age_s: int  # since last heard; 0 for a static one
    sticky: bool = False  # it ages, and does not move
    locked: bool = False  # it only knocked at a locked port, which does not let it in

    @classmethod
    def of_row(cls, row: Row, port: str) -> Station:
        """What ``struct vsw_fdb_row`` says, whose *port* is called so."""
        mac, vid, _, static, flags, age_s = row
        return cls(mac, vid, port, bool(static), age_s, bool(flags & STICKY), bool(flags & LOCKED))
