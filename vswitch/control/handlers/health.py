"""Whether the switch forwards: /healthz."""

from __future__ import annotations

import asyncio

from aiohttp import web

from vswitch import health
from vswitch.control.api import Call, Route, failed
from vswitch.control.schema import Health
from vswitch.service import Service


async def ask(service: Service, __: Call) -> Health | web.Response:
    # Not in a thread: those may all be waiting for the thread that is stuck.
    checkup = health.Checkup(service.switch)
    for _ in range(health.TRIES):
        if not checkup.late:
            return Health(service.switch.name, service.switch.rounds())
        await asyncio.sleep(health.PAUSE_S)
    return failed(
        health.sentence(checkup.late),
        "unhealthy",
        "restart the switch, and tell its authors what it was doing",
    )


ROUTES = (Route("GET", "/healthz", ask, "Whether every thread makes its rounds", Health),)
