"""What cases about VLANs and flags are made of: stations, ports, and what they say."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from support.frames import BROADCAST, frame, mac
from support.vlan_scenario import Arrival, Pinned, Scenario, Step
from vswitch.portsettings import PortSettings
from vswitch.vlans import C_TAG, PortVlans, VidSet

A, B, C, D = map(mac, range(1, 5))
GROUP = bytes.fromhex("01005e000001")
RESERVED = [bytes.fromhex("0180c20000") + bytes([n]) for n in range(16)]
PRIORITY = 5 << 13
DROP_ELIGIBLE = 1 << 12
OLD_TAG = 0x9100  # what some switches have for service tags; no tag to Linux

Tag = int | tuple[int, int]  # the control information of a C-tag; or EtherType and that


def says(port: int, dst: bytes, src: bytes, *tags: Tag, length: int = 60) -> Arrival:
    """A frame from *src* to *dst* with *tags*, outermost first."""
    words = [tag if isinstance(tag, tuple) else (C_TAG, tag) for tag in tags]
    inside = b"".join(n.to_bytes(2, "big") for word in words for n in word)
    untagged = frame(dst, src, pad_to=length - len(inside))
    return Arrival(port, untagged[:12] + inside + untagged[12:])


def vlans(pvid: int | None, members: str, untagged: str = "") -> PortSettings:
    """*members*: of all VLANs, those of *untagged* among them."""
    return PortSettings(
        vlans=PortVlans(
            pvid=pvid,
            members=VidSet.parse(members) if members else VidSet(),
            untagged=VidSet.parse(untagged) if untagged else VidSet(),
        )
    )


def access(vid: int) -> PortSettings:
    return vlans(vid, f"{vid}", f"{vid}")


def trunk(members: str) -> PortSettings:
    return vlans(None, members)


def native(vid: int, members: str, *, tagged: bool = False) -> PortSettings:
    return vlans(vid, members, "" if tagged else f"{vid}")


def case(
    name: str, ports: Sequence[PortSettings], *steps: Step | Sequence[Step],
    pinned: Sequence[Pinned] = (), tag_type: int = C_TAG,
) -> Scenario:  # fmt: skip
    flat = [s for step in steps for s in (step if isinstance(step, list) else [step])]
    return Scenario(name, tuple(ports), tuple(flat), tuple(pinned), tag_type)


def greetings(n_ports: int, *tags: Tag) -> list[Step]:
    """Each port's own station says hello to all."""
    return [says(n, BROADCAST, mac(n + 1), *tags) for n in range(n_ports)]


def every_pair(n_ports: int, *tags: Tag) -> list[Step]:
    """Each port's own station talks to that of every port, itself included."""
    return [says(a, mac(b + 1), mac(a + 1), *tags) for a in range(n_ports) for b in range(n_ports)]


def cut(arrival: Arrival, length: int) -> Arrival:
    """The beginning of a frame."""
    return replace(arrival, frame=arrival.frame[:length])


PLAIN_PORT = PortSettings()
