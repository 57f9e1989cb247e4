"""The switch as a whole: /v1/switch."""

from __future__ import annotations

import os
from dataclasses import asdict

import msgspec

from vswitch import __version__
from vswitch._fastpath import DROP_REASONS
from vswitch.config import reserved_names
from vswitch.control.api import Call, Route
from vswitch.control.schema import (
    DropReason,
    FdbInfo,
    NeighboursInfo,
    SwitchChange,
    SwitchInfo,
)
from vswitch.service import Service
from vswitch.switch import Switch


def show(service: Service, _: Call) -> SwitchInfo:
    switch, config = service.switch, service.config
    return SwitchInfo(
        name=config.name,
        version=__version__,
        pid=os.getpid(),
        core=config.core,
        pollers=config.pollers,
        busy_poll_us=config.busy_poll_us,
        ageing_s=config.ageing_s,
        uptime_s=switch.uptime_s,
        forward=_forwarded(switch),
        ports=len(switch.ports),
        **asdict(switch.config.guards),
        fdb=msgspec.convert(switch.fdb_counters(), FdbInfo),
        drop_reasons=[DropReason(*reason) for reason in DROP_REASONS],
        loop_detect=config.loop_detect,
        loop_hold_s=config.loop_hold_s,
        neighbours=msgspec.convert(switch.neighbours.counters(), NeighboursInfo),
    )


def change(service: Service, call: Call) -> SwitchInfo:
    given = msgspec.structs.asdict(call.body)
    service.set_switch(**{key: value for key, value in given.items() if value is not None})
    return show(service, call)


def _forwarded(switch: Switch) -> list[str]:
    return reserved_names(n for n, verdict in switch.reserved.items() if verdict == "forward")


ROUTES = (
    Route("GET", "/v1/switch", show, "What it is, and its forwarding database", SwitchInfo),
    Route("PATCH", "/v1/switch", change, "Change what is given", SwitchInfo, body=SwitchChange),
)
