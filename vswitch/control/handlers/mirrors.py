"""Mirrors: /v1/mirrors."""

from __future__ import annotations

from vswitch.control.api import Call, Nothing, Route
from vswitch.control.schema import MirrorInfo
from vswitch.mirrors import Mirror, source_texts
from vswitch.service import Service


def show(service: Service, _: Call) -> list[MirrorInfo]:
    return [_info(mirror) for mirror in service.switch.mirrors.all]


def add(service: Service, call: Call) -> MirrorInfo:
    said = call.body
    mirror = Mirror.parse(
        said.name, sources=",".join(said.sources), vlans=said.vlans, target=said.target
    )
    service.add_mirror(mirror)
    return _info(mirror)


def remove(service: Service, call: Call) -> Nothing:
    service.remove_mirror(call.path["mirror"])
    return Nothing()


def _info(mirror: Mirror) -> MirrorInfo:
    return MirrorInfo(
        mirror.name,
        mirror.target,
        source_texts(mirror.sources),
        mirror.vids.text() if mirror.vids is not None else "",
    )


ROUTES = (
    Route("GET", "/v1/mirrors", show, "What is copied, and where to", list[MirrorInfo]),
    Route("POST", "/v1/mirrors", add, "Have one more", MirrorInfo, body=MirrorInfo, status=201),
    Route("DELETE", "/v1/mirrors/{mirror}", remove, "End one", Nothing),
)
