"""The forwarding database: /v1/fdb."""

from __future__ import annotations

from collections.abc import Iterator

import msgspec
from msgspec import Struct

from vswitch import options
from vswitch.config import StationConfig
from vswitch.control.api import Call, Nothing, Route
from vswitch.control.schema import FdbEntry, FdbInfo, FlushResult, NewEntry
from vswitch.errors import ConfigError
from vswitch.options import in_range
from vswitch.service import Service
from vswitch.status import Place, Station
from vswitch.vlans import NO_VLAN, VID_MAX

LIST_LENGTH = 1000  # encoded as JSON in two milliseconds, in which other clients wait


class Shown(Struct, frozen=True):
    port: str | None = None  # only what is behind it
    mac: str | None = None
    vid: int | None = None
    static: bool | None = None
    at: float | None = None  # as it was then, seconds since 1970


class Flushed(Struct, frozen=True):
    port: str | None = None
    mac: str | None = None
    vid: int | None = None


class Vlan(Struct, frozen=True):
    vid: int = 0  # of no VLAN


def show(service: Service, call: Call) -> Iterator[list[FdbEntry]]:
    """All stations of one moment, or those that match every parameter, however many."""
    asked = call.query
    mac = None if asked.mac is None else options.mac("mac", asked.mac)
    if asked.at is not None:
        meant = [place for place in _at(service, asked.at) if _is_meant(place, asked, mac)]
        starts = range(0, len(meant), LIST_LENGTH)
        return ([_place(place) for place in meant[i : i + LIST_LENGTH]] for i in starts)
    lists = service.switch.station_lists(
        LIST_LENGTH, port=asked.port, mac=mac, vid=asked.vid, static=asked.static
    )
    return ([_entry(station) for station in stations] for stations in lists)


def _is_meant(place: Place, asked: Shown, mac: bytes | None) -> bool:
    return (
        asked.port in (None, place.port)
        and mac in (None, place.mac)
        and asked.vid in (None, place.vid)
        and asked.static in (None, place.static)
    )


def _at(service: Service, wall_s: float) -> list[Place]:
    observer, clock = service.switch.observer, service.switch.clock
    ahead_s = clock.wall_s() - clock.precise_s()
    if not wall_s <= clock.wall_s():  # nan, too
        raise ConfigError("at: that is still to come")
    found = observer.stations_at(wall_s - ahead_s)
    since_s = observer.journal.complete_since_s + ahead_s
    if wall_s < since_s:
        raise ConfigError(
            f"at: the journal of stations begins {clock.wall_s() - since_s:.1f} s ago",
            hint=f"the first moment it knows is {since_s:.3f}",
        )
    return found


def _place(place: Place) -> FdbEntry:
    return FdbEntry(
        mac=place.mac.hex(":"),
        port=place.port,
        vid=place.vid,
        static=place.static,
        locked=place.locked,
        sticky=place.sticky,
    )


def flush(service: Service, call: Call) -> FlushResult:
    mac = None if call.query.mac is None else options.mac("mac", call.query.mac)
    return FlushResult(service.switch.flush(call.query.port, mac=mac, vid=call.query.vid))


def stats(service: Service, _: Call) -> FdbInfo:
    return msgspec.convert(service.switch.fdb_counters(), FdbInfo)


def add(service: Service, call: Call) -> FdbEntry:
    return _pinned(service, call.body, move=False)


def replace(service: Service, call: Call) -> FdbEntry:
    return _pinned(service, call.body, move=True)


def delete(service: Service, call: Call) -> Nothing:
    in_range("vid", call.query.vid, 0, VID_MAX)
    service.unpin(options.mac("mac", call.path["mac"]), call.query.vid)
    return Nothing()


def _pinned(service: Service, new: NewEntry, *, move: bool) -> FdbEntry:
    in_range("vid", new.vid, 0, VID_MAX)
    vid = new.vid or _untagged_vid(service, new.port)
    station = StationConfig(options.mac("mac", new.mac), new.port, vid, new.sticky)
    service.pin(station, move=move)
    if new.sticky:
        return FdbEntry(station.mac.hex(":"), new.port, vid, sticky=True, age_s=0)
    return FdbEntry(mac=station.mac.hex(":"), port=station.port, vid=station.vid, static=True)


def _untagged_vid(service: Service, port: str) -> int:
    """The VLAN that is meant when none was said."""
    vlans = service.switch.vlan_status(port).vlans
    if vlans is None:
        return NO_VLAN
    if vlans.pvid is None:
        raise ConfigError(
            f"vid is missing: frames without a tag are of no VLAN of port {port}",
            hint=f"its VLANs are: {vlans.members.text()}",
        )
    return vlans.pvid


def _entry(station: Station) -> FdbEntry:
    return FdbEntry(
        mac=station.mac.hex(":"),
        port=station.port,
        vid=station.vid,
        static=station.static,
        sticky=station.sticky,
        locked=station.locked,
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
    Route("POST", "/v1/fdb", add, "Make a station static", FdbEntry, body=NewEntry, status=201),
    Route("PUT", "/v1/fdb", replace, "The same, wherever it was", FdbEntry, body=NewEntry),
    Route(
        "DELETE", "/v1/fdb", flush, "Forget stations heard from traffic", FlushResult, query=Flushed
    ),
    Route("GET", "/v1/fdb/stats", stats, "How full it is, and what happened in it", FdbInfo),
    Route("DELETE", "/v1/fdb/{mac}", delete, "Forget one, static too", Nothing, query=Vlan),
)
