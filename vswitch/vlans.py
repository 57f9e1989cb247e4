"""Of which VLANs a port is: sets of VLAN identifiers, and what a port does with tags.

A set is an integer with a bit for each identifier, 4,096 of them: small, quick to compare and to
combine, and what the datapath has as well (``datapath/vlan.h``).

    >>> VidSet.parse("10,20-29").text()
    '10,20-29'

Identifiers and tags: IEEE 802.1Q-2018 9.6; ports: 6.9, 8.6.2, 8.8.2.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from vswitch.errors import ConfigError

# From specifications.
VID_MIN, VID_MAX = 1, 4094  # 0 means no VLAN, 4095 is reserved (IEEE 802.1Q-2018 table 9-2)
C_TAG, S_TAG = 0x8100, 0x88A8  # IEEE 802.1Q-2018 table 9-1
TAG_BYTES = 4  # IEEE 802.1Q-2018 9.3

# Chosen by us.
NO_VLAN = 0  # where untagged frames of ports without VLAN options are

TAG_TYPES: Mapping[str, int] = MappingProxyType({"802.1Q": C_TAG, "802.1ad": S_TAG})
ACCEPT = ("all", "tagged", "untagged")  # acceptable frame types, IEEE 802.1Q-2018 6.9.1


@dataclass(frozen=True, slots=True)
class VidSet:
    """Some VLANs: bit n of `bits` stands for VLAN n."""

    bits: int = 0

    @classmethod
    def of(cls, vids: Iterable[int]) -> VidSet:
        """The set of *vids*."""
        bits = 0
        for vid in vids:
            bits |= 1 << vid
        return cls(bits)

    @classmethod
    def parse(cls, text: str, what: str = "VLANs") -> VidSet:
        """Read ``10,20-29``, ``all`` or ``none``.

        Raises:
            ConfigError: it is no list of VLANs; the sentence begins with *what*.
        """
        if text in ("all", "none"):
            return ALL if text == "all" else cls()
        bits = 0
        for part in text.split(","):
            low, dash, high = part.partition("-")
            first = vid_of(low, what)
            last = vid_of(high, what) if dash else first
            if last < first:
                raise ConfigError(f"{what}: a range goes upwards, {part} does not")
            bits |= (1 << last + 1) - (1 << first)
        return cls(bits)

    def __contains__(self, vid: int) -> bool:
        return bool(self.bits >> vid & 1)

    def __iter__(self) -> Iterator[int]:
        for first, last in self.ranges():
            yield from range(first, last + 1)

    def __len__(self) -> int:
        return self.bits.bit_count()

    def __or__(self, other: VidSet) -> VidSet:
        return VidSet(self.bits | other.bits)

    def __and__(self, other: VidSet) -> VidSet:
        return VidSet(self.bits & other.bits)

    def __sub__(self, other: VidSet) -> VidSet:
        return VidSet(self.bits & ~other.bits)

    def ranges(self) -> Iterator[tuple[int, int]]:
        """First and last VLAN of each row of neighbours."""
        rest, base = self.bits, 0
        while rest:
            zeros = (rest & -rest).bit_length() - 1
            rest >>= zeros
            ones = (~rest & rest + 1).bit_length() - 1
            yield base + zeros, base + zeros + ones - 1
            rest >>= ones
            base += zeros + ones

    def text(self) -> str:
        """As `parse` reads it."""
        if self in (ALL, VidSet()):
            return "all" if self else "none"
        return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in self.ranges())

    def bitmap(self) -> bytes:
        """512 bytes, VLAN n being bit n % 8 of byte n // 8."""
        return self.bits.to_bytes(512, "little")


ALL = VidSet((1 << VID_MAX + 1) - (1 << VID_MIN))


def vid_of(text: str, what: str = "VLAN") -> int:
    """Read the number of a VLAN.

    Raises:
        ConfigError: it is none; the sentence begins with *what*.
    """
    if not re.fullmatch(r"[0-9]{1,4}", text) or not VID_MIN <= int(text) <= VID_MAX:
        raise ConfigError(f"{what}: a VLAN is a number in {VID_MIN}..{VID_MAX}, not {text!r}")
    return int(text)


@dataclass(frozen=True, slots=True)
class PortVlans:
    """What one port of a VLAN-aware switch does.

    Attributes:
        pvid: The VLAN of frames that come without a tag, or with one that names no VLAN; None:
            they are dropped.
        members: The VLANs whose frames may enter and leave.
        untagged: Those of them whose frames leave without a tag.
        accept: Frames that may enter: ``all``, ``tagged`` or ``untagged`` only; one whose tag
            names no VLAN (VID 0) counts as untagged (IEEE 802.1Q-2018 6.9.1).
        ingress_filter: Whether frames of other VLANs may not enter (IEEE 802.1Q-2018 8.6.2). They
            are learned and forwarded otherwise.
        tag_type: EtherType of the tags of this port. What has another one is untagged here.
        translate: VLAN on the wire -> VLAN in the switch. All others are as they are on the wire;
            one that is the target of a translation is not accepted by its own number.
    """

    pvid: int | None = NO_VLAN
    members: VidSet = field(default=VidSet(ALL.bits | 1 << NO_VLAN))
    untagged: VidSet = field(default=VidSet(1 << NO_VLAN))
    accept: str = "all"
    ingress_filter: bool = True
    tag_type: int = C_TAG
    translate: tuple[tuple[int, int], ...] = ()


# A port without VLAN options, beside others that have some: tagged frames pass as they are, and
# untagged ones are where those of its likes are, in no VLAN.
PLAIN = PortVlans()
