"""The API of a running switch: HTTP and JSON on a unix socket.

    curl --unix-socket /run/vswitch/vswitch.sock http://localhost/v1/ports

The handlers call the switch directly: what they ask of it takes microseconds, or, to list a
large forwarding database, some milliseconds in which other clients wait and frames do not.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web

from vswitch import __version__, options
from vswitch._fastpath import DROP_REASONS
from vswitch.config import RESERVED
from vswitch.control.schema import (
    DropReason,
    Error,
    FdbEntry,
    FdbInfo,
    FlushResult,
    ListenerInfo,
    PortInfo,
    SwitchInfo,
)
from vswitch.errors import ConfigError, PortError, VswitchError
from vswitch.status import Station
from vswitch.switch import Switch

log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

ACCEPT_ROUNDS = 8  # asyncio takes three from accept() to connection_made()
SHUTDOWN_S = 0.5  # how long a client may take to read its answer when the switch stops


async def serve(switch: Switch, listener: socket.socket, stop_fd: int) -> None:
    """Answer on *listener*, which stays the caller's, until *stop_fd* is readable."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(stop_fd, stop.set)
    runner = web.AppRunner(application(switch), access_log=None, shutdown_timeout=SHUTDOWN_S)
    await runner.setup()
    try:
        served = listener.dup()  # asyncio closes what it serves
        await web.SockSite(runner, served).start()
        log.debug("api answers path=%s", listener.getsockname())
        await stop.wait()
        # A connection accepted a moment ago is known to the runner, which will close it, some
        # rounds of the loop later; closing the listener before that would lose it.
        loop.remove_reader(served)
        for _ in range(ACCEPT_ROUNDS):
            await asyncio.sleep(0)
    finally:
        loop.remove_reader(stop_fd)
        await runner.cleanup()


def application(switch: Switch) -> web.Application:
    """The routes of the API over *switch*."""
    handlers = _Handlers(switch)
    app = web.Application(middlewares=[_answer_errors])
    app.add_routes(
        [
            web.get("/v1/switch", handlers.show_switch),
            web.get("/v1/ports", handlers.show_ports),
            web.get("/v1/listeners", handlers.show_listeners),
            web.get("/v1/fdb", handlers.show_fdb),
            web.delete("/v1/fdb", handlers.flush_fdb),
        ]
    )
    return app


class _Handlers:
    def __init__(self, switch: Switch) -> None:
        self._switch = switch

    async def show_switch(self, request: web.Request) -> web.Response:
        _parameters(request)
        config = self._switch.config
        return _json(
            SwitchInfo(
                name=config.name,
                version=__version__,
                pid=os.getpid(),
                core=config.core,
                pollers=config.pollers,
                busy_poll_us=config.busy_poll_us,
                ageing_s=config.ageing_s,
                uptime_s=self._switch.uptime_s,
                forward=_forwarded(self._switch),
                ports=len(self._switch.ports),
                fdb=msgspec.convert(self._switch.fdb_counters(), FdbInfo),
                drop_reasons=[DropReason(*reason) for reason in DROP_REASONS],
            )
        )

    async def show_ports(self, request: web.Request) -> web.Response:
        _parameters(request)
        return _json(
            msgspec.convert(self._switch.port_statuses(), list[PortInfo], from_attributes=True)
        )

    async def show_listeners(self, request: web.Request) -> web.Response:
        _parameters(request)
        return _json(
            msgspec.convert(
                self._switch.listener_status(), list[ListenerInfo], from_attributes=True
            )
        )

    async def show_fdb(self, request: web.Request) -> web.Response:
        port = _parameters(request, "port").get("port")
        if port is not None:
            self._switch.port_status(port)  # 404 rather than an empty list for a misspelt name
        return _json([_entry(s) for s in self._switch.stations() if port in (None, s.port)])

    async def flush_fdb(self, request: web.Request) -> web.Response:
        given = _parameters(request, "port", "mac")
        mac = options.mac("mac", given["mac"]) if "mac" in given else None
        return _json(FlushResult(self._switch.flush(given.get("port"), mac=mac)))


def _entry(station: Station) -> FdbEntry:
    return FdbEntry(
        mac=station.mac.hex(":"),
        port=station.port,
        vid=station.vid,
        static=station.static,
        age_s=None if station.static else station.age_s,
    )


def _forwarded(switch: Switch) -> list[str]:
    names = {nibble: name for name, nibble in RESERVED.items()}
    forwarded = (n for n, verdict in sorted(switch.reserved.items()) if verdict == "forward")
    return [names.get(nibble, f"{nibble:02x}") for nibble in forwarded]


def _parameters(request: web.Request, *known: str) -> dict[str, str]:
    """The query of a request, each parameter known and given at most once."""
    for name in request.query:
        if name not in known:
            raise ConfigError(
                f"{request.path} has no parameter {name!r}",
                hint=f"parameters are: {', '.join(known) or 'none'}",
            )
        if len(request.query.getall(name)) > 1:
            raise ConfigError(f"parameter {name!r} is given twice")
    return dict(request.query)


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every failure is a JSON `Error` with a status, whoever raised it."""
    try:
        return await handler(request)
    except PortError as e:
        return _json(Error(str(e), e.hint), status=404)
    except VswitchError as e:
        return _json(Error(str(e), e.hint), status=400)
    except web.HTTPNotFound:
        hint = "try /v1/switch, /v1/ports, /v1/listeners or /v1/fdb"
        return _json(Error(f"nothing at {request.path}", hint), status=404)
    except web.HTTPMethodNotAllowed as e:
        hint = f"allowed: {', '.join(sorted(e.allowed_methods))}"
        return _json(
            Error(f"{request.method} does not apply to {request.path}", hint),
            status=405,
            headers={"Allow": e.headers["Allow"]},
        )
    except web.HTTPException:
        raise
    except Exception:  # the top of a request; the switch and its API go on
        log.exception("api request failed method=%s path=%s", request.method, request.path)
        return _json(Error("internal error, see the log of the switch"), status=500)


def _json(
    body: object, *, status: int = 200, headers: dict[str, str] | None = None
) -> web.Response:
    return web.Response(
        body=msgspec.json.encode(body) + b"\n",
        status=status,
        content_type="application/json",
        headers=headers,
    )
