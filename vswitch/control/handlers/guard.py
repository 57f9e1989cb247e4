"""Who may speak for what, because DHCP said so: /v1/guard/bindings."""

from __future__ import annotations

from vswitch.control.api import Call, Route
from vswitch.control.schema import BindingInfo
from vswitch.service import Service


def bindings(service: Service, _: Call) -> list[BindingInfo]:
    return [
        BindingInfo(
            mac=its.lease.mac.hex(":"),
            ip=its.lease.address,
            vid=its.lease.vid,
            port=its.port,
            seconds=left_s,
        )
        for its, left_s in service.switch.bindings()
    ]


ROUTES = (
    Route(
        "GET", "/v1/guard/bindings", bindings, "What DHCP gave to stations", list[BindingInfo]
    ),
)  # fmt: skip
