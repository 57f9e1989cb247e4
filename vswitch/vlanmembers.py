"""Single memberships of a port in VLANs, as ``bridge vlan add`` and ``del`` change them.

What is there already gets the flags that are said, and loses those that are not
(``__vlan_add_flags()`` in the kernel's net/bridge/br_vlan.c); what is not there is taken out
without a word.
"""

from __future__ import annotations

from dataclasses import replace

from vswitch import vlanwords
from vswitch.errors import ConfigError
from vswitch.vlans import NO_VLAN, PLAIN, PortVlans, VidSet

_NONE = PortVlans(None, VidSet(), VidSet())  # where a port without options begins


def with_members(
    vlans: PortVlans | None, vids: VidSet, *, pvid: bool = False, untagged: bool = False
) -> PortVlans:
    """What a port does that is of *vids*, too; *pvid*: untagged frames that enter are of it.

    Raises:
        ConfigError: a PVID is one VLAN; or what comes of it contradicts what else is set.
    """
    if pvid and len(vids) != 1:
        raise ConfigError(
            f"vid {vids.text()}: a pvid is one VLAN",
            hint="add the others first, and the pvid alone",
        )
    was = _begun(vlans)
    its = next(iter(vids)) if pvid else _pvid_outside(was, vids)
    left = was.untagged - vids
    return _checked(
        replace(
            was, pvid=its, members=was.members | vids, untagged=left | vids if untagged else left
        )
    )


def without_members(vlans: PortVlans | None, vids: VidSet) -> PortVlans | None:
    """The same of a port that is of *vids* no more; its PVID goes with the VLAN.

    Raises:
        ConfigError: what is left contradicts what else is set.
    """
    if vlans is None or vlanwords.mode(vlans) == "plain":
        return vlans
    its = _pvid_outside(vlans, vids)
    return _checked(
        replace(vlans, pvid=its, members=vlans.members - vids, untagged=vlans.untagged - vids)
    )


def _pvid_outside(vlans: PortVlans, vids: VidSet) -> int | None:
    return vlans.pvid if vlans.pvid is not None and vlans.pvid not in vids else None


def _begun(vlans: PortVlans | None) -> PortVlans:
    """Memberships to begin with: a port that has all VLANs was not given any."""
    if vlans is None:
        return _NONE
    if vlanwords.mode(vlans) == "plain":
        return replace(vlans, pvid=None, members=VidSet(), untagged=VidSet())
    return vlans


def _checked(vlans: PortVlans) -> PortVlans:
    vlanwords.parse("vlans", vlanwords.text(vlans))
    return vlans


def check_station(port: str, vlans: PortVlans | None, vid: int) -> None:
    """Raise ConfigError unless a station of VLAN *vid* can be behind *port*, which does *vlans*."""
    if vlans is None and vid != NO_VLAN:
        raise ConfigError(
            f"vid: no port has VLANs yet, so there is no VLAN {vid}",
            hint=f"give it some first: vswitch link set dev {port} vlans access={vid}",
        )
    if vlans is not None and vid not in vlans.members:
        its = (vlans.members - PLAIN.untagged).text()
        what = f"VLAN {vid} is not of port {port}" if vid else f"port {port} has only VLANs"
        raise ConfigError(f"vid: {what}", hint=f"its VLANs are: {its}")
