"""The numbers of VLANs on a wire and in the switch, in plain Python (``datapath/vlan.h``)."""

from __future__ import annotations

from vswitch.vlans import PortVlans


def inward(vlans: PortVlans, wire: int) -> int | None:
    """Our number of a VLAN on the wire, or None if it has none."""
    ours = dict(vlans.translate)
    if wire in ours:
        return ours[wire]
    return None if wire == 4095 or wire in ours.values() else wire


def outward(vlans: PortVlans, vid: int) -> int:
    """The number on the wire of one of our VLANs."""
    return next((wire for wire, ours in vlans.translate if ours == vid), vid)
