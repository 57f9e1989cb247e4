"""What happens, and what happened: /v1/events, a WebSocket, and /v1/events/history."""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from typing import Annotated

import msgspec
from aiohttp import WSCloseCode, WSMessageTypeError, web
from msgspec import Meta, Struct

from vswitch import options
from vswitch.control.api import Call, Handler, Route
from vswitch.control.schema import EventInfo, History
from vswitch.errors import ConfigError, PortError
from vswitch.events import GROUPS, KINDS, Event
from vswitch.journal import OTHERS_MAX, STATIONS_MAX
from vswitch.service import Service
from vswitch.subscription import Subscription

log = logging.getLogger(__name__)

HEARTBEAT_S = 20.0  # a client that answers no ping for half of this is gone
SEND_S = 10.0  # one that reads nothing for so long, too
MESSAGE_MAX = 1024  # bytes; clients have nothing to say
CLIENTS_MAX = 64  # each has a queue of events
HISTORY_MAX = STATIONS_MAX + OTHERS_MAX  # as many as are kept
LIVE: web.AppKey[set[web.WebSocketResponse]] = web.AppKey("live", set)


class Watched(Struct, frozen=True):
    kinds: str | None = (
        None  # names of kinds or of their groups (fdb, link, vlan, port), with commas
    )
    port: str | None = None
    mac: str | None = None


class Past(Watched, frozen=True):
    """The same of what happened."""

    limit: Annotated[int, Meta(ge=1, le=HISTORY_MAX, description="events at most")] = 1000


class EventRoute(Route):
    """A route whose answer is a WebSocket with a message for each event."""

    def over(self, service: Service) -> Handler:
        async def answer(request: web.Request) -> web.StreamResponse:
            wanted = self._query(request)
            assert isinstance(wanted, Watched)
            kinds, mac = _kinds(wanted.kinds), _mac(wanted.mac)
            if request.headers.get("Upgrade", "").lower() != "websocket":
                raise ConfigError(
                    f"{request.path} is a WebSocket", hint=f"or ask {request.path}/history"
                )
            if len(request.app[LIVE]) >= CLIENTS_MAX:
                raise PortError(f"{CLIENTS_MAX} clients watch this switch already")
            loop, ready = asyncio.get_running_loop(), asyncio.Event()

            def wake() -> None:
                with suppress(RuntimeError):  # the loop has ended, and so have we
                    loop.call_soon_threadsafe(ready.set)

            subscription = Subscription(wake, kinds=kinds, port=wanted.port, mac=mac)
            return await _stream(service, subscription, ready, request)

        return answer


def live(service: Service, call: Call) -> None:
    """Each message is an event, as JSON; `EventRoute` sends them, this gives them a name."""


def history(service: Service, call: Call) -> History:
    kinds, mac = _kinds(call.query.kinds), _mac(call.query.mac)
    port, limit = call.query.port, call.query.limit
    found = [
        event
        for event in service.switch.observer.events(mac=mac)
        if event.kind in kinds and port in (None, event.port, event.old_port)
    ]
    return History([_info(event) for event in found[-limit:]], max(0, len(found) - limit))


async def _stream(
    service: Service, subscription: Subscription, ready: asyncio.Event, request: web.Request
) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(
        heartbeat=HEARTBEAT_S, max_msg_size=MESSAGE_MAX, compress=False, autoping=True
    )
    # Before the client knows that it is connected: what it does next it will hear of.
    service.switch.observer.subscribe(subscription)
    request.app[LIVE].add(socket)
    listening = None
    try:
        await socket.prepare(request)
        listening = asyncio.create_task(_until_closed(socket, ready))
        while not socket.closed:
            await ready.wait()
            ready.clear()
            await asyncio.wait_for(_send(socket, subscription, service), SEND_S)
    except (ConnectionError, TimeoutError) as e:
        log.debug("client of events is gone error=%s", type(e).__name__)
        if request.transport:
            request.transport.abort()
    finally:
        request.app[LIVE].discard(socket)
        service.switch.observer.unsubscribe(subscription)
        if listening:
            listening.cancel()
    return socket


async def _send(
    socket: web.WebSocketResponse, subscription: Subscription, service: Service
) -> None:
    events, lost = subscription.take()
    messages = [_info(event) for event in events]
    if lost:
        messages.append(EventInfo("lost", service.switch.clock.wall_s(), count=lost))
    for message in messages:
        if socket.closed:
            return
        await socket.send_str(msgspec.json.encode(message).decode())


async def _until_closed(socket: web.WebSocketResponse, ready: asyncio.Event) -> None:
    """Read what a client should not say, its pongs and its farewell."""
    with suppress(WSMessageTypeError):
        async for _ in socket:
            pass
    ready.set()


def attach(app: web.Application) -> None:
    """Have *app* say farewell to those who watch when it ends."""
    app[LIVE] = set()
    app.on_shutdown.append(_hang_up)


async def _hang_up(app: web.Application) -> None:
    live: set[web.WebSocketResponse] = app[LIVE]
    for socket in tuple(live):
        with suppress(ConnectionError, TimeoutError, RuntimeError):
            await asyncio.wait_for(
                socket.close(code=WSCloseCode.GOING_AWAY, message=b"the switch ends"), 0.2
            )


def _kinds(given: str | None) -> frozenset[str]:
    if given is None:
        return frozenset(KINDS)
    found: set[str] = set()
    for word in given.split(","):
        if word not in GROUPS and word not in KINDS:
            raise ConfigError(
                f"kinds: no kind of events {word!r}",
                hint=f"there are {', '.join((*GROUPS, *KINDS))}",
            )
        found.update(GROUPS.get(word, (word,)))
    return frozenset(found)


def _mac(given: str | None) -> bytes | None:
    return None if given is None else options.mac("mac", given)


def _info(event: Event) -> EventInfo:
    return EventInfo(
        kind=event.kind,
        time=round(event.wall_s, 6),
        port=event.port,
        old_port=event.old_port,
        mac=event.mac.hex(":") if event.mac else None,
        vid=event.vid,
        static=event.static,
        was_static=event.was_static,
        locked=event.locked,
        was_locked=event.was_locked,
        sticky=event.sticky,
        was_sticky=event.was_sticky,
        reason=event.reason,
        count=event.count,
        rate=None if event.rate is None else round(event.rate, 1),
        listener=event.listener,
        address=event.address,
        vlans=event.vlans,
        old_vlans=event.old_vlans,
    )


ROUTES = (
    EventRoute(
        "GET", "/v1/events", live, "What happens: a WebSocket", EventInfo, query=Watched,
    ),
    Route(
        "GET", "/v1/events/history", history, "What happened, the oldest first", History,
        query=Past, slow=True,
    ),
)  # fmt: skip
