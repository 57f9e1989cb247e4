"""The places where VMs connect: /v1/listeners."""

from __future__ import annotations

import msgspec

from vswitch.control.api import Call, Route
from vswitch.control.schema import ListenerInfo
from vswitch.service import Service


def show(service: Service, _: Call) -> list[ListenerInfo]:
    statuses = service.switch.listener_status()
    return msgspec.convert(statuses, list[ListenerInfo], from_attributes=True)


ROUTES = (Route("GET", "/v1/listeners", show, "The places where VMs connect", list[ListenerInfo]),)
