"""Ports: /v1/ports."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec.structs import asdict

from vswitch import paths
from vswitch.control.api import Call, Nothing, Route
from vswitch.control.schema import NewPort, PortChange, PortInfo
from vswitch.portconfig import LIVE, PortConfig
from vswitch.service import Service


def show(service: Service, _: Call) -> list[PortInfo]:
    statuses = service.switch.port_statuses()
    return msgspec.convert(statuses, list[PortInfo], from_attributes=True)


def show_one(service: Service, call: Call) -> PortInfo:
    status = service.switch.port_status(call.path["port"])
    return msgspec.convert(status, PortInfo, from_attributes=True)


def add(service: Service, call: Call) -> PortInfo:
    port = PortConfig.parse(call.body.port)
    paths.check_absolute(port)
    service.add_port(port)
    return msgspec.convert(service.switch.port_status(port.name), PortInfo, from_attributes=True)


def change(service: Service, call: Call) -> PortInfo:
    said = asdict(call.body)
    given: dict[str, Any] = {
        key: LIVE[key].reader(key, value) if isinstance(value, str) else value
        for key, value in said.items()
        if value is not None
    }
    service.set_port(call.path["port"], **given)
    return show_one(service, call)


def remove(service: Service, call: Call) -> Nothing:
    service.remove_port(call.path["port"])
    return Nothing()


ROUTES = (
    Route("GET", "/v1/ports", show, "The ports, and what they counted", list[PortInfo]),
    Route("POST", "/v1/ports", add, "Open a port", PortInfo, body=NewPort, status=201, slow=True),
    Route("GET", "/v1/ports/{port}", show_one, "One port", PortInfo),
    Route(
        "PATCH", "/v1/ports/{port}", change, "Change what is given", PortInfo, body=PortChange,
        slow=True,
    ),
    Route("DELETE", "/v1/ports/{port}", remove, "Close a port", Nothing, slow=True),
)  # fmt: skip
