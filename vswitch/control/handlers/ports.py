"""Ports: /v1/ports."""

from __future__ import annotations

from typing import Any

from msgspec.structs import asdict

from vswitch import paths
from vswitch.control.api import Call, Nothing, Route
from vswitch.control.schema import NewPort, PortChange, PortInfo
from vswitch.control.told import port_info
from vswitch.portconfig import LIVE, PortConfig
from vswitch.service import Service


def show(service: Service, _: Call) -> list[PortInfo]:
    return [port_info(status) for status in service.switch.port_statuses()]


def show_one(service: Service, call: Call) -> PortInfo:
    return port_info(service.switch.port_status(call.path["port"]))


def add(service: Service, call: Call) -> PortInfo:
    port = PortConfig.parse(call.body.port)
    paths.check_absolute(port)
    service.add_port(port)
    return port_info(service.switch.port_status(port.name))


def change(service: Service, call: Call) -> PortInfo:
    said = asdict(call.body)
    given: dict[str, Any] = {
        key: LIVE[key].reader(key, _text(value)) if isinstance(value, (str, list)) else value
        for key, value in said.items()
        if value is not None
    }
    service.set_port(call.path["port"], **given)
    return show_one(service, call)


def _text(value: str | list[str]) -> str:
    return value if isinstance(value, str) else ",".join(value)


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
