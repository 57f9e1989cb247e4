"""The API of a running switch: HTTP and JSON on a unix socket.

    curl --unix-socket /run/vswitch/vswitch.sock http://localhost/v1/ports

What can be asked is in ``handlers/``. Those functions call the switch directly: what they ask of it
takes microseconds, or, to list a large forwarding database, some milliseconds in which other
clients wait and frames do not.
"""

from __future__ import annotations

import asyncio
import logging
import socket

from aiohttp import web

from vswitch.control.api import Handler, code_of, failed
from vswitch.control.handlers import ROUTES, events
from vswitch.errors import VswitchError
from vswitch.service import Service

log = logging.getLogger(__name__)

ACCEPT_ROUNDS = 8  # asyncio takes three from accept() to connection_made()
SHUTDOWN_S = 0.5  # how long a client may take to read its answer when the switch stops


async def serve(service: Service, listener: socket.socket, stop_fd: int) -> None:
    """Answer on *listener*, which stays the caller's, until *stop_fd* is readable."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(stop_fd, stop.set)
    runner = web.AppRunner(application(service), access_log=None, shutdown_timeout=SHUTDOWN_S)
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


def application(service: Service) -> web.Application:
    """The routes of the API over *service*."""
    app = web.Application(middlewares=[_answer_errors])
    app.add_routes([web.route(r.method, r.path, r.over(service)) for r in ROUTES])
    events.attach(app)
    return app


@web.middleware
async def _answer_errors(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Every failure is a JSON `Error` with a status, whoever raised it."""
    try:
        return await handler(request)
    except VswitchError as e:
        return failed(str(e), code_of(e), e.hint)
    except web.HTTPNotFound:
        places = sorted({route.path for route in ROUTES})
        return failed(f"nothing at {request.path}", "not-found", f"there are {', '.join(places)}")
    except web.HTTPMethodNotAllowed as e:
        return failed(
            f"{request.method} does not apply to {request.path}",
            "bad-method",
            f"allowed: {', '.join(sorted(e.allowed_methods))}",
            status=405,
            headers={"Allow": e.headers["Allow"]},
        )
    except web.HTTPException:
        raise
    except Exception:  # the top of a request; the switch and its API go on
        log.exception("api request failed method=%s path=%s", request.method, request.path)
        return failed("internal error, see the log of the switch", "internal")
