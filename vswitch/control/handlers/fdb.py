"""The forwarding database: /v1/fdb."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from vswitch import options
from vswitch.control.api import Call, Route
from vswitch.control.schema import FdbEntry, FlushResult
from vswitch.service import Service
from vswitch.stations import LIST_LENGTH
from vswitch.status import Station


class Shown(Struct, frozen=True):
    port: str | None = None  # only what is behind it
    mac: str | None = None
    vid: int | None = None
    static: bool | None = None


class Flushed(Struct, frozen=True):
    port: str | None = None
    mac: str | None = None


def show(service: Service, call: Call) -> Iterator[list[FdbEntry]]:
    """All stations of one moment, or those that match every parameter, however many."""
    asked = call.query
    mac = None if asked.mac is None else options.mac("mac", asked.mac)
    lists = service.switch.station_lists(
        LIST_LENGTH, port=asked.port, mac=mac, vid=asked.vid, static=asked.static
    )
    return ([_entry(station) for station in stations] for stations in lists)


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
    Route(
        "GET",
        "/v1/fdb",
        show,
        "The stations, in order of address",
        list[FdbEntry],
        query=Shown,
        stream=True,
    ),
    Route(
        "DELETE", "/v1/fdb", flush, "Forget stations heard from traffic", FlushResult, query=Flushed
    ),
)
