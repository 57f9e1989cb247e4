"""The forwarding database: /v1/fdb."""

from __future__ import annotations

from msgspec import Struct

from vswitch import options
from vswitch.control.api import Call, Route
from vswitch.control.schema import FdbEntry, FlushResult
from vswitch.service import Service
from vswitch.status import Station


class Shown(Struct, frozen=True):
    port: str | None = None  # only what is behind it


class Flushed(Struct, frozen=True):
    port: str | None = None
    mac: str | None = None


def show(service: Service, call: Call) -> list[FdbEntry]:
    port = call.query.port
    if port is not None:
        service.switch.port_status(port)  # 404 rather than an empty list for a misspelt name
    return [_entry(s) for s in service.switch.stations() if port in (None, s.port)]


def flush(service: Service, call: Call) -> FlushResult:
    mac = None if call.query.mac is None else options.mac("mac", call.query.mac)
    return FlushResult(service.switch.flush(call.query.port, mac=mac))


def _entry(station: Station) -> FdbEntry:
    return FdbEntry(
        mac=station.mac.hex(":"),
        port=station.port,
        vid=station.vid,
        static=station.static,
        age_s=None if station.static else station.age_s,
    )


ROUTES = (
    Route("GET", "/v1/fdb", show, "The stations, in order of address", list[FdbEntry], query=Shown),
    Route(
        "DELETE", "/v1/fdb", flush, "Forget stations heard from traffic", FlushResult, query=Flushed
    ),
)
