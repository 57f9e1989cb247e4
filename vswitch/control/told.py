"""Facts of the switch in the types of the API, where they are not the same by name."""

from __future__ import annotations

import msgspec

from vswitch import vlanwords
from vswitch.control.schema import PortInfo, VlansInfo
from vswitch.status import PortStatus
from vswitch.vlans import NO_VLAN, PortVlans, VidSet


def port_info(status: PortStatus) -> PortInfo:
    """A port as the API tells it."""
    # msgspec reads attributes, and `vlans` is the one that is of another type.
    return msgspec.convert(_Told(status), PortInfo, from_attributes=True)


class _Told:
    def __init__(self, status: PortStatus) -> None:
        self._status = status
        self.vlans = vlans_info(status.vlans)

    def __getattr__(self, name: str) -> object:
        return getattr(self._status, name)


def vlans_info(vlans: PortVlans | None) -> VlansInfo | None:
    """What a port does with VLANs as the API tells it."""
    if vlans is None:
        return None
    return VlansInfo(
        said=vlanwords.text(vlans),
        mode=vlanwords.mode(vlans),
        pvid=vlans.pvid,
        tagged=listed(vlans.members - vlans.untagged),
        untagged=listed(vlans.untagged),
        accept=vlans.accept,
        ingress_filter=vlans.ingress_filter,
        tag_type=vlanwords.tag_type_name(vlans.tag_type),
        translate=[*vlans.translate],
    )


def listed(some: VidSet) -> str:
    """VLANs as 10,20-29, without that of no number."""
    ranges = (some - VidSet.of([NO_VLAN])).ranges()
    return ",".join(f"{a}" if a == b else f"{a}-{b}" for a, b in ranges)
