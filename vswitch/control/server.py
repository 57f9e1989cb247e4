"""The API of a running switch: HTTP and JSON on a unix socket, and on TCP for who has a token.

    curl --unix-socket /run/vswitch/vswitch.sock http://localhost/v1/ports

What can be asked is in ``handlers/``. Those functions call the switch directly: what they ask of it
takes microseconds, and what takes longer is in a thread of its own. What a client may cost is in
`vswitch.control.connection`.
"""

from __future__ import annotations

import asyncio
import logging
import socket

from aiohttp import web
from aiohttp.typedefs import Middleware

from vswitch.control.api import SLOW, STREAMS, Handler, failed
from vswitch.control.connection import Connection, Connections, Limits
from vswitch.control.doors import Doors
from vswitch.control.handlers import ROUTES, events
from vswitch.control.refusals import code_of
from vswitch.control.slots import Slots
from vswitch.errors import VswitchError
from vswitch.service import Service

log = logging.getLogger(__name__)

ACCEPT_ROUNDS = 8  # asyncio takes three from accept() to connection_made()
ACCEPTED_MAX = 50  # in one round: so many more files may be open than `Limits` says
SHUTDOWN_S = 0.5  # how long a client may take to read its answer when the switch stops
SLOW_AT_ONCE, SLOW_WAITING = 4, 12
STREAMS_AT_ONCE, STREAMS_WAITING = 2, 14  # each has all stations, 16 bytes of each


async def serve(
    service: Service,
    doors: Doors,
    stop_fd: int,
    *,
    limits: Limits = Limits(),  # noqa: B008
) -> None:
    """Answer at *doors*, which stay the caller's, until *stop_fd* is readable."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(stop_fd, stop.set)
    runner = web.AppRunner(
        application(service, doors, limits), access_log=None, shutdown_timeout=SHUTDOWN_S
    )
    await runner.setup()
    assert runner.server is not None
    connections = Connections(runner.server, doors.access, limits)
    places: list[asyncio.Server] = []
    served = [listener.dup() for listener in doors.listeners]  # asyncio closes what it serves
    try:
        for listener in served:
            places.append(
                await loop.create_server(connections, sock=listener, backlog=ACCEPTED_MAX)
            )
            log.debug("api answers path=%s", listener.getsockname())
        await stop.wait()
        await _accepted(served)
    finally:
        loop.remove_reader(stop_fd)
        for place in places:
            place.close()
        connections.close()
        await runner.cleanup()


async def _accepted(listeners: list[socket.socket]) -> None:
    """Accept no more, and see that who was accepted is known to the runner.

    It will close those connections; but it hears of one some rounds of the loop after accept(), and
    closing the listener before that would lose it.
    """
    loop = asyncio.get_running_loop()
    for listener in listeners:
        loop.remove_reader(listener)
    for _ in range(ACCEPT_ROUNDS):
        await asyncio.sleep(0)


def application(service: Service, doors: Doors, limits: Limits) -> web.Application:
    """The routes of the API over *service*."""
    app = web.Application(
        middlewares=[_timed, _answer_errors, _token_asked(doors)],
        client_max_size=limits.body_bytes,
    )
    app[SLOW] = Slots(SLOW_AT_ONCE, SLOW_WAITING)
    app[STREAMS] = Slots(STREAMS_AT_ONCE, STREAMS_WAITING)
    for route in ROUTES:
        answer = route.over(service)
        app.router.add_route(route.method, route.path, answer)
        if route.method == "GET":
            app.router.add_route("HEAD", route.path, answer)
    events.attach(app)
    return app


@web.middleware
async def _timed(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tell the connection whose turn it is."""
    connection = request.protocol
    assert isinstance(connection, Connection)
    if not request.can_read_body:
        connection.arrived()
    try:
        return await handler(request)
    finally:
        connection.done()


def _token_asked(doors: Doors) -> Middleware:
    """Who comes over TCP has to say the token, before anything else is looked at."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        here = request.get_extra_info("sockname")
        if isinstance(here, tuple) and not doors.access.knows(
            request.headers.get("Authorization", "")
        ):
            return failed(
                "this needs the token of the switch",
                "unauthorized",
                "Authorization: Bearer TOKEN; vswitch --api-token-file FILE",
                headers={"WWW-Authenticate": 'Bearer realm="vswitch"'},
            )
        return await handler(request)

    return middleware


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every failure is a JSON `Error` with a status, whoever raised it."""
    try:
        return await handler(request)
    except VswitchError as e:
        code = code_of(e)
        headers = {"Retry-After": "1"} if code == "busy" else None
        return failed(str(e), code, e.hint, headers=headers)
    except web.HTTPNotFound:
        places = sorted({route.path for route in ROUTES})
        return failed(f"nothing at {request.path}", "not-found", f"there are {', '.join(places)}")
    except web.HTTPMethodNotAllowed as e:
        return failed(
            f"{request.method} does not apply to {request.path}",
            "bad-method",
            f"allowed: {', '.join(sorted(e.allowed_methods))}",
            headers={"Allow": e.headers["Allow"]},
        )
    except web.HTTPRequestEntityTooLarge:
        return failed(f"the body has more than {request.client_max_size} bytes", "too-large")
    except (web.HTTPException, ConnectionError):
        raise
    except Exception:  # the top of a request; the switch and its API go on
        log.exception("api request failed method=%s path=%s", request.method, request.path)
        return failed("internal error, see the log of the switch", "internal")
