"""A client's connection: who it is, how long it may take, and what it hears when it may not.

    accepted ── not for him ──> 403, closed: `Farewell`
       │ `Newcomer`
       ▼
    asking ──────── arrived() ──> answering ── done() ──> asking
       │ request_s passed             │ write_s passed, and he did not read
       ▼                              ▼
    408 if a part was said, closed    closed

Every connection has an end, so a client that is silent, sends without end or never reads costs what
one connection costs. As many are held as `Limits` says; if one more comes, the one that has been
asking for longest has to go: a hundred silent ones keep nobody out.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import http_exceptions, web

from vswitch.control.access import NOT_YOURS, Access
from vswitch.control.api import failed
from vswitch.control.refusals import STATUS
from vswitch.control.schema import Error
from vswitch.linux import peer

log = logging.getLogger(__name__)

LINE_MAX, FIELD_MAX, FIELDS_MAX = 4096, 2048, 64  # of a request's head: bytes, bytes, count
LEAVING_MAX = 16  # who is being told why he has to go
LOG_PAUSE_S = 10  # a stranger who knocks all day gets so few lines


@dataclass(frozen=True, slots=True)
class Limits:
    """What a client may cost."""

    connections: int = 100  # `vswitch.daemon.FILES_BESIDES` has room for them
    request_s: float = 30  # for a request to arrive, also from the last one's answer
    write_s: float = (
        10  # for 48 KiB of an answer to be read, asyncio's high-water mark less its low
    )
    linger_s: float = 1  # for who was refused to read it
    body_bytes: int = 1 << 16


class Connections:
    """The connections of a server, and a factory of their protocols for asyncio."""

    def __init__(self, server: web.Server, access: Access, limits: Limits) -> None:
        self.server = server
        self.access = access
        self.limits = limits
        self.loop = asyncio.get_running_loop()
        self._open: dict[Connection, None] = {}  # in the order they came
        self._leaving: set[Farewell] = set()
        self._logged_s = float("-inf")

    def __call__(self) -> Newcomer:
        return Newcomer(self)

    def enter(self, connection: Connection) -> None:
        """Count one more."""
        self._open[connection] = None

    def leave(self, connection: Connection) -> None:
        """One less."""
        self._open.pop(connection, None)

    def make_room(self) -> bool:
        """See that one more may come, for whom another may have to go; False if nobody can."""
        if len(self._open) < self.limits.connections:
            return True
        asking = [c for c in self._open if c.asking_since is not None]
        oldest = min(asking, key=lambda c: c.asking_since or 0, default=None)
        if oldest is None:
            return False
        oldest.drop()
        return True

    def log_refusal(self, who: str) -> None:
        """Say who may not ask, now and then."""
        if self.loop.time() - self._logged_s >= LOG_PAUSE_S:
            self._logged_s = self.loop.time()
            log.warning("api refused a client of another user %s", who)

    def dismiss(self, transport: asyncio.Transport, last: bytes) -> None:
        """Say *last* and close: a moment later, unless many are being told something already.

        Closed with his request on the way, the connection would end in an error for the client.
        """
        if len(self._leaving) >= LEAVING_MAX:
            transport.abort()
            return
        self._leaving.add(Farewell(self, transport))
        transport.write(last)
        transport.write_eof()
        self.loop.call_later(self.limits.linger_s, transport.abort)

    def gone(self, farewell: Farewell) -> None:
        """He has heard it."""
        self._leaving.discard(farewell)

    def close(self) -> None:
        """Send away who is leaving; `web.Server.shutdown` closes the others."""
        for farewell in self._leaving:
            farewell.transport.abort()


class Farewell(asyncio.Protocol):
    """The protocol of a connection that was told why it is closed: nothing is heard any more."""

    def __init__(self, all_: Connections, transport: asyncio.Transport) -> None:
        self._all = all_
        self.transport = transport
        transport.set_protocol(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self._all.gone(self)


class Newcomer(asyncio.Protocol):
    """The protocol of a connection until it is known whose it is."""

    def __init__(self, all_: Connections) -> None:
        self._all = all_

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        if not self._admitted(transport.get_extra_info("socket")):
            self._all.dismiss(transport, refused("forbidden", NOT_YOURS))
        elif not self._all.make_room():
            self._all.dismiss(transport, refused("busy", "too many clients ask at once"))
        else:
            connection = Connection(self._all)
            transport.set_protocol(connection)
            connection.connection_made(transport)

    def _admitted(self, connection: socket.socket) -> bool:
        try:
            if self._all.access.admits(connection):
                return True
            self._all.log_refusal("pid={} uid={} gid={}".format(*peer.credentials(connection)))
        except OSError as e:  # he is gone, or is in more groups than can be asked for
            self._all.log_refusal(f"error={e}")
        return False


class Connection(web.RequestHandler):
    """One client; its requests are answered one after the other."""

    __slots__ = ("_all", "_blocked", "_clock", "_heard", "_wire", "asking_since")

    def __init__(self, all_: Connections) -> None:
        super().__init__(
            all_.server,
            loop=all_.loop,
            access_log=None,  # type: ignore[arg-type]  # as `web.AppRunner` takes it
            lingering_time=all_.limits.linger_s,
            max_line_size=LINE_MAX,
            max_field_size=FIELD_MAX,
            max_headers=FIELDS_MAX,
            auto_decompress=False,
        )
        self._all = all_
        self._wire: asyncio.Transport  # also after aiohttp has let go of it
        self._clock: asyncio.TimerHandle | None = None
        self._blocked: asyncio.TimerHandle | None = None
        self._heard = False  # a part of the next request
        self.asking_since: float | None = None

    # ------------------------------------------------------------------ asking and answering

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._wire = transport
        super().connection_made(transport)
        self.done()
        self._all.enter(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._all.leave(self)
        self.arrived()
        self._set_blocked(None)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._heard = self._heard or bool(data)
        super().data_received(data)

    def arrived(self) -> None:
        """The request is here as a whole; from now on it is our time that passes."""
        if self._clock is not None:
            self._clock.cancel()
        self._clock = self.asking_since = None

    def done(self) -> None:
        """It is answered: the time begins in which the next has to come."""
        self.arrived()
        if self._wire.is_closing():
            return
        self._heard = False
        self.asking_since = self._all.loop.time()
        self._clock = self._all.loop.call_later(self._all.limits.request_s, self._late)

    def _late(self) -> None:
        if self._heard and not self.writing_paused:
            # From here on aiohttp neither hears nor says anything.
            self.transport = None
            self._all.dismiss(self._wire, refused("timeout", "the request did not arrive in time"))
            self.connection_lost(None)
        else:
            self.drop()

    # ------------------------------------------------------------------ a client that does not read

    def pause_writing(self) -> None:
        super().pause_writing()
        self._set_blocked(self._all.loop.call_later(self._all.limits.write_s, self._wire.abort))

    def resume_writing(self) -> None:
        self._set_blocked(None)
        super().resume_writing()

    def _set_blocked(self, clock: asyncio.TimerHandle | None) -> None:
        if self._blocked is not None:
            self._blocked.cancel()
        self._blocked = clock

    # ------------------------------------------------------------------ the end

    def drop(self) -> None:
        """Close, whatever waits to be read."""
        self._all.leave(self)
        self._wire.abort()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What aiohttp itself refuses, before there is a request, or where it gives up."""
        if isinstance(exc, ConnectionError):  # he went in the middle of his request
            answer = failed("the connection is gone", "bad-input")
        elif status >= 500:
            log.error("api request failed", exc_info=exc)
            answer = failed("internal error, see the log of the switch", "internal")
        elif isinstance(exc, http_exceptions.LineTooLong):
            answer = failed("the head of the request is too long", "too-large", status=431)
        else:
            answer = failed(f"this is not HTTP: {_first_line(message or '')}", "bad-input")
        answer.force_close()
        return answer

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """What aiohttp gives up about, in the body of a request that was answered already."""
        mistaken = (web.RequestPayloadError, http_exceptions.HttpProcessingError, ConnectionError)
        if isinstance(kw.get("exc_info"), mistaken):
            log.debug("api client broke the protocol error=%s", kw["exc_info"])
        else:
            log.error(*args, **kw)

    async def finish_response(
        self, request: web.BaseRequest, resp: Any, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        if isinstance(resp, web.HTTPException):  # raised outside of our functions: Expect
            resp = failed(resp.reason.lower(), "bad-input", status=resp.status)
        return await super().finish_response(request, resp, start_time)


def _first_line(message: str) -> str:
    line = message.strip().partition("\n")[0].rstrip(":. ")
    return line[:1].lower() + line[1:]


def refused(code: str, text: str) -> bytes:
    """An answer without a request, as bytes."""
    body = msgspec.json.encode(Error(text, None, code)) + b"\n"
    return (
        f"HTTP/1.1 {STATUS[code]} {code}\r\nContent-Type: application/json\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    ).encode() + body
