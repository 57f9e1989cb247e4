"""The API as a table: what can be asked, with which types, and how a failure is said.

Each noun has a file in ``handlers/`` with its functions and ``ROUTES``. A function gets the running
switch and the checked words of the request, and returns what is to be encoded, or a response if
that is not JSON. It is called in a thread of its own if the route is ``slow``: when it opens
something, or waits for the host.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from vswitch.control.apart import apart
from vswitch.control.schema import Error
from vswitch.errors import (
    ConfigError,
    FdbError,
    PortError,
    PortExistsError,
    PortNotFoundError,
    StationExistsError,
    StationNotFoundError,
    VswitchError,
)
from vswitch.service import Service

log = logging.getLogger(__name__)

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SLOW_MAX = 16  # threads per route; who comes then waits for one of them
STATUS = {
    "bad-input": 400,
    "not-found": 404,
    "exists": 409,
    "refused": 409,
    "internal": 500,
    "unhealthy": 503,
}


class Nothing(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """No query, or no body."""


@dataclass(frozen=True, slots=True)
class Call:
    """The words of a request, checked."""

    path: Mapping[str, str]  # what stands in the place of {port}
    query: Any
    body: Any
    accept: str = ""  # its header: which forms of an answer the client reads


@dataclass(frozen=True, slots=True)
class Route:
    """Something that can be asked; the types are `msgspec.Struct`, or lists of them."""

    method: str
    path: str
    answers: Callable[[Service, Call], object]
    summary: str
    answer: Any
    query: type[msgspec.Struct] = Nothing
    body: type[msgspec.Struct] | None = None
    status: int = 200
    slow: bool = False

    def over(self, service: Service) -> Handler:
        """What answers requests to *service*."""
        turns = asyncio.Semaphore(SLOW_MAX)

        async def answer(request: web.Request) -> web.StreamResponse:
            call = Call(
                request.match_info,
                self._query(request),
                await self._body(request),
                request.headers.get("Accept", ""),
            )
            if self.slow:
                async with turns:
                    said = await apart(self.answers, service, call)
            else:
                said = self.answers(service, call)
            if isinstance(said, Awaitable):
                said = await said
            if isinstance(said, web.StreamResponse):  # other than JSON
                return said
            return encoded(said, status=self.status)

        return answer

    def _query(self, request: web.Request) -> msgspec.Struct:
        given: dict[str, str] = {}
        for name, value in request.query.items():
            if name in given:
                raise ConfigError(f"parameter {name!r} is given twice")
            given[name] = value
        if unknown := given.keys() - set(self.query.__struct_fields__):
            raise ConfigError(
                f"{request.path} has no parameter {min(unknown)!r}",
                hint=f"parameters are: {', '.join(self.query.__struct_fields__) or 'none'}",
            )
        try:
            return msgspec.convert(given, self.query, strict=False)
        except msgspec.ValidationError as e:
            raise ConfigError(_sentence(e)) from e

    async def _body(self, request: web.Request) -> msgspec.Struct | None:
        if self.body is None:
            return None
        try:
            return msgspec.json.decode(await request.read(), type=self.body)
        except msgspec.DecodeError as e:
            raise ConfigError(_sentence(e)) from e


def _sentence(error: msgspec.DecodeError) -> str:
    """What is wrong, beginning with the field: ``mtu: expected `int`, got `str```."""
    found = re.fullmatch(r"(.*?)(?: - at `\$?\.?(.*)`)?", str(error), re.DOTALL)
    assert found
    what, field = found[1], found[2]
    what = what[:1].lower() + what[1:]
    return f"{field}: {what}" if field else what


def code_of(error: VswitchError) -> str:
    """The code of `Error` for what a function raised."""
    if isinstance(error, (PortNotFoundError, StationNotFoundError)):
        return "not-found"
    if isinstance(error, (PortExistsError, StationExistsError)):
        return "exists"
    return "refused" if isinstance(error, (PortError, FdbError)) else "bad-input"


def failed(text: str, code: str, hint: str | None = None, **options: Any) -> web.Response:
    """An answer that says no; its status is that of *code* unless it is given."""
    status = options.pop("status", STATUS.get(code))
    return encoded(Error(text, hint, code), status=status, **options)


def encoded(body: object, **options: Any) -> web.Response:
    """An answer in JSON, with a newline for people with curl."""
    return web.Response(
        body=msgspec.json.encode(body) + b"\n", content_type="application/json", **options
    )
