"""The client's side of GET /v1/events: a WebSocket, read without threads.

Apart from ``client.py``, as nothing else there needs aiohttp, which takes longer to load than a
question takes to be answered.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from pathlib import Path

import aiohttp
import msgspec

from vswitch.control.remote import Remote
from vswitch.control.schema import EventInfo
from vswitch.errors import ApiError


def watch(place: Path | Remote, query: Mapping[str, str | None]) -> Iterator[EventInfo]:
    """The events of the switch at *place*, until it ends.

    Raises:
        ApiError: it could not be asked, or went away without a farewell.
    """
    given = {key: value for key, value in query.items() if value is not None}
    runner = asyncio.Runner()  # on Ctrl-C it cancels what waits, and nothing is left half done
    session = None
    try:
        session, socket = runner.run(_connected(place, given))
        while (message := runner.run(socket.receive())).type is aiohttp.WSMsgType.TEXT:
            yield msgspec.json.decode(message.data, type=EventInfo)
        if message.type is not aiohttp.WSMsgType.CLOSE:
            raise ApiError(f"the switch at {place} does not answer any more")
    except (aiohttp.ClientError, OSError) as e:
        raise ApiError(f"cannot watch the switch at {place}: {e}") from e
    finally:
        if session:
            runner.run(session.close())
        runner.close()


async def _connected(
    place: Path | Remote, query: Mapping[str, str]
) -> tuple[aiohttp.ClientSession, aiohttp.ClientWebSocketResponse]:
    if isinstance(place, Remote):
        url, session = str(place), aiohttp.ClientSession(headers=place.headers)
    else:
        connector = aiohttp.UnixConnector(path=str(place))
        url, session = "http://localhost", aiohttp.ClientSession(connector=connector)
    try:
        socket = await session.ws_connect(f"{url}/v1/events", params=query)
    except BaseException:
        await session.close()
        raise
    return session, socket
