"""The forwarding database: /v1/fdb."""

from __future__ import annotations

import msgspec
from msgspec import Struct

from vswitch import options
from vswitch.config import StationConfig
from vswitch.control.api import Call, Nothing, Route
from vswitch.control.schema import FdbEntry, FdbInfo, FlushResult, NewEntry
from vswitch.errors import ConfigError
from vswitch.service import Service
from vswitch.status import Station


class Shown(Struct, frozen=True):
    port: str | None = None  # only what is behind it


class Flushed(Struct, frozen=True):
    port: str | None = None
    mac: str | None = None


class Vlan(Struct, frozen=True):
    vid: int = 0  # the switch is VLAN-unaware


def show(service: Service, call: Call) -> list[FdbEntry]:
    port = call.query.port
    if port is not None:
        service.switch.port_status(port)  # 404 rather than an empty list for a misspelt name
    return [_entry(s) for s in service.switch.stations() if port in (None, s.port)]


def flush(service: Service, call: Call) -> FlushResult:
    mac = None if call.query.mac is None else options.mac("mac", call.query.mac)
    return FlushResult(service.switch.flush(call.query.port, mac=mac))


def stats(service: Service, _: Call) -> FdbInfo:
    return msgspec.convert(service.switch.fdb_counters(), FdbInfo)


def add(service: Service, call: Call) -> FdbEntry:
    return _pinned(service, call.body, move=False)


def replace(service: Service, call: Call) -> FdbEntry:
    return _pinned(service, call.body, move=True)


def delete(service: Service, call: Call) -> Nothing:
    _check_vid(call.query.vid)
    service.unpin(options.mac("mac", call.path["mac"]), call.query.vid)
    return Nothing()


def _pinned(service: Service, new: NewEntry, *, move: bool) -> FdbEntry:
    _check_vid(new.vid)
    station = StationConfig(options.mac("mac", new.mac), new.port, new.vid)
    service.pin(station, move=move)
    return FdbEntry(mac=station.mac.hex(":"), port=station.port, vid=station.vid, static=True)


def _check_vid(vid: int) -> None:
    if vid:
        raise ConfigError(
            f"vid: the switch is VLAN-unaware, and knows no VLAN {vid}", hint="leave vid away"
        )


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
    Route("POST", "/v1/fdb", add, "Make a station static", FdbEntry, body=NewEntry, status=201),
    Route("PUT", "/v1/fdb", replace, "The same, wherever it was", FdbEntry, body=NewEntry),
    Route(
        "DELETE", "/v1/fdb", flush, "Forget stations heard from traffic", FlushResult, query=Flushed
    ),
    Route("GET", "/v1/fdb/stats", stats, "How full it is, and what happened in it", FdbInfo),
    Route("DELETE", "/v1/fdb/{mac}", delete, "Forget one, static too", Nothing, query=Vlan),
)
