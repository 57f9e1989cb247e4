"""A port of the reference switch: what is set of it, and what it does to a frame itself."""

from __future__ import annotations

from collections.abc import MutableMapping
from dataclasses import replace

from vswitch.guarding import PortGuard
from vswitch.portsettings import DEFAULT, PortSettings
from vswitch.reference_counts import COUNTERS
from vswitch.reference_frame import Admitted
from vswitch.reference_guard import Copies
from vswitch.reference_meter import PortMeters
from vswitch.reference_shaper import Shaper
from vswitch.reference_vlan import inward, outward
from vswitch.vlans import PortVlans

# From specifications.
ETH_LEN = 14  # destination, source, EtherType (IEEE 802.3 3.1.1)
TAG_LEN = 4  # one VLAN tag (IEEE 802.1Q 9.3)


class Port:
    """One port of the switch.

    Subclass it to put frames on a real wire: `send` is the only thing to replace.
    """

    def __init__(self, *, mtu: int = 1500) -> None:
        self.mtu = mtu
        self.learning = True  # the two flags of a port's state (IEEE 802.1Q-2018 8.4):
        self.forwarding = True  # a blocked port does neither, or only the first
        self.vlans: PortVlans | None = None  # None: it takes no notice of them
        self.flags: PortSettings = DEFAULT  # those of bridge(8)
        self.guard = PortGuard()  # who may speak there, see reference_guard.py
        self.copies = Copies()  # for the control plane
        self.backup: int | None = None  # the port that gets what is for this one, for now
        self.meters = PortMeters()  # how much may enter in a second
        self.shaper: Shaper | None = None  # what leaves waits for its turn there
        self.counters: MutableMapping[str, int] = dict.fromkeys(COUNTERS, 0)
        self.vlan_counters: dict[int, list[int]] = {}  # VLAN -> frames, bytes in; the same out

    def send(self, frame: bytes) -> str | None:
        """Put a frame on the wire; None, or the name in TX_DROPS of what prevented it."""
        return None

    def count(self, name: str, n: int = 1) -> None:
        self.counters[name] += n

    def count_vlan(self, vid: int, frame: bytes, *, out: bool) -> None:
        counts = self.vlan_counters.setdefault(vid, [0, 0, 0, 0])
        counts[2 * out] += 1
        counts[2 * out + 1] += len(frame)

    # ------------------------------------------------------------ VLANs

    def admitted(self, frame: bytes) -> Admitted | None:
        """A frame with its VLAN; None when it may not enter (IEEE 802.1Q-2018 6.9, 8.6.2)."""
        vlans = self.vlans
        if vlans is None:
            return Admitted(frame, frame)
        bare, tci = frame, 0
        if int.from_bytes(frame[12:14]) == vlans.tag_type:
            if len(frame) < ETH_LEN + TAG_LEN:
                return None
            bare, tci = frame[:12] + frame[16:], int.from_bytes(frame[14:16])
        vid = tci & 0xFFF  # 0: a priority, and no VLAN
        if vlans.accept == ("untagged" if vid else "tagged"):
            return None
        ours = inward(vlans, vid) if vid else vlans.pvid
        if ours is None or (vlans.ingress_filter and ours not in vlans.members):
            return None
        self.count_vlan(ours, frame, out=False)
        return Admitted(frame, bare, ours, tci >> 12)

    def formed(self, a: Admitted) -> Admitted:
        """A frame as it leaves here: with this port's tag, or with none."""
        vlans = self.vlans
        if vlans is None:
            return a
        frame = a.bare
        if a.vid not in vlans.untagged:
            tci = a.priority << 12 | outward(vlans, a.vid)
            tag = vlans.tag_type.to_bytes(2) + tci.to_bytes(2)
            frame = a.bare[:12] + tag + a.bare[12:]
        self.count_vlan(a.vid, frame, out=True)
        return replace(a, frame=frame)
