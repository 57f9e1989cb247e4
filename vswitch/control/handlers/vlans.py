"""VLANs of ports, and what was counted in each: /v1/vlans."""

from __future__ import annotations

from msgspec import Struct

from vswitch import vlanmembers
from vswitch.control.api import Call, Route
from vswitch.control.schema import NewMember, PortVlansInfo, VlanCounters
from vswitch.control.told import vlans_info
from vswitch.errors import ConfigError
from vswitch.service import Service
from vswitch.status import VlanStatus
from vswitch.vlans import NO_VLAN, VidSet


class Shown(Struct, frozen=True):
    port: str | None = None  # only this one


class Member(Struct, frozen=True):
    port: str
    vid: str  # or several: 10,20-29


def show(service: Service, call: Call) -> list[PortVlansInfo]:
    switch, port = service.switch, call.query.port
    found = switch.vlan_statuses() if port is None else [switch.vlan_status(port)]
    return [_told(status) for status in found]


def _told(status: VlanStatus) -> PortVlansInfo:
    counted = [VlanCounters(vid, *counts) for vid, counts in status.counters.items()]
    # What is of no VLAN is in the port's own counters.
    return PortVlansInfo(status.port, vlans_info(status.vlans), [c for c in counted if c.vid])


def add(service: Service, call: Call) -> PortVlansInfo:
    """As "bridge vlan add": what is there already gets these flags, and loses the others."""
    new = call.body
    vids = _vids(new.vid)
    service.change_vlans(
        new.port,
        lambda vlans: vlanmembers.with_members(vlans, vids, pvid=new.pvid, untagged=new.untagged),
    )
    return _told(service.switch.vlan_status(new.port))


def remove(service: Service, call: Call) -> PortVlansInfo:
    """As "bridge vlan del": what is not there is no mistake, and a PVID goes with its VLAN."""
    vids = _vids(call.query.vid)
    service.change_vlans(call.query.port, lambda vlans: vlanmembers.without_members(vlans, vids))
    return _told(service.switch.vlan_status(call.query.port))


def _vids(text: str) -> VidSet:
    vids = VidSet.parse(text, "vid")
    if not vids:
        raise ConfigError("vid: no VLAN is named", hint="as 10, or 10-20")
    assert NO_VLAN not in vids
    return vids


ROUTES = (
    Route("GET", "/v1/vlans", show, "The VLANs of ports", list[PortVlansInfo], query=Shown),
    Route(
        "POST", "/v1/vlans", add, "Put a port in VLANs", PortVlansInfo, body=NewMember, status=201
    ),
    Route("DELETE", "/v1/vlans", remove, "Take a port out of VLANs", PortVlansInfo, query=Member),
)
