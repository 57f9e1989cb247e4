"""The places where VMs connect: /v1/listeners."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from vswitch import paths
from vswitch.control.api import Call, Nothing, Route
from vswitch.control.schema import ListenerInfo, NewPort
from vswitch.portconfig import PortConfig
from vswitch.service import Service


class Which(Struct, frozen=True):
    address: str | None = None  # if several have the name


def show(service: Service, _: Call) -> list[ListenerInfo]:
    statuses = service.switch.listener_status()
    return msgspec.convert(statuses, list[ListenerInfo], from_attributes=True)


def add(service: Service, call: Call) -> ListenerInfo:
    place = PortConfig.parse_listener(call.body.port)
    paths.check_absolute(place)
    return msgspec.convert(service.listen(place), ListenerInfo, from_attributes=True)


def remove(service: Service, call: Call) -> Nothing:
    service.unlisten(call.path["listener"], address=call.query.address)
    return Nothing()


ROUTES = (
    Route("GET", "/v1/listeners", show, "The places where VMs connect", list[ListenerInfo]),
    Route(
        "POST", "/v1/listeners", add, "Have one more", ListenerInfo, body=NewPort, status=201,
        slow=True,
    ),
    Route(
        "DELETE", "/v1/listeners/{listener}", remove, "Close one; who is there stays", Nothing,
        query=Which, slow=True,
    ),
)  # fmt: skip
