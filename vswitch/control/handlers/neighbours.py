"""Neighbours: /v1/neighbours."""

from __future__ import annotations

from msgspec import Struct

from vswitch import options
from vswitch.control.api import Call, Nothing, Route
from vswitch.control.schema import FlushResult, NeighbourInfo, NewNeighbour
from vswitch.neighbours import Known, Neighbour, parse_ip
from vswitch.options import in_range
from vswitch.service import Service
from vswitch.vlans import VID_MAX


class Asked(Struct, frozen=True):
    vlan: int | None = None  # only of it


class Vlan(Struct, frozen=True):
    vlan: int = 0  # of no VLAN


def show(service: Service, call: Call) -> list[NeighbourInfo]:
    known = service.switch.neighbours.all
    return [_info(one) for one in known if call.query.vlan in (None, one.neighbour.vid)]


def add(service: Service, call: Call) -> NeighbourInfo:
    return _added(service, call.body, replace=False)


def replace(service: Service, call: Call) -> NeighbourInfo:
    return _added(service, call.body, replace=True)


def delete(service: Service, call: Call) -> Nothing:
    in_range("vlan", call.query.vlan, 0, VID_MAX)
    service.remove_neighbour(parse_ip(call.path["ip"]), call.query.vlan)
    return Nothing()


def flush(service: Service, call: Call) -> FlushResult:
    return FlushResult(service.flush_neighbours(call.query.vlan))


def _added(service: Service, new: NewNeighbour, *, replace: bool) -> NeighbourInfo:
    in_range("vlan", new.vlan, 0, VID_MAX)
    mac = options.mac("lladdr", new.lladdr)
    neighbour = Neighbour(parse_ip(new.ip), mac, new.vlan, new.router)
    service.add_neighbour(neighbour, replace=replace)
    return _info(Known(neighbour))


def _info(known: Known) -> NeighbourInfo:
    one = known.neighbour
    return NeighbourInfo(one.address, one.mac.hex(":"), one.vid, one.router, known.origin)


ROUTES = (
    Route(
        "GET",
        "/v1/neighbours",
        show,
        "Which station has which IP address",
        list[NeighbourInfo],
        query=Asked,
        slow=True,
    ),
    Route(
        "POST",
        "/v1/neighbours",
        add,
        "Know one more",
        NeighbourInfo,
        body=NewNeighbour,
        status=201,
    ),
    Route(
        "PUT",
        "/v1/neighbours",
        replace,
        "The same, whoever had that address",
        NeighbourInfo,
        body=NewNeighbour,
    ),
    Route(
        "DELETE",
        "/v1/neighbours",
        flush,
        "Forget those added by hand",
        FlushResult,
        query=Asked,
    ),
    Route("DELETE", "/v1/neighbours/{ip}", delete, "Forget one", Nothing, query=Vlan),
)
