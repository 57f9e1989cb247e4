"""The API as a table: what can be asked, with which types, and how a failure is said.

Each noun has a file in ``handlers/`` with its functions and ``ROUTES``. A function gets the running
switch and the checked words of the request, and returns what is to be encoded, or a response if
that is not JSON. It is called in a thread of its own if it changes something, since changes wait
for one another, or if the route is ``slow``: when it waits for the host. What may be long it
returns as an iterator of lists, which are sent one after the other.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec
from aiohttp import web

from vswitch.control.apart import apart
from vswitch.control.refusals import STATUS, Refusal, misfit, no_json
from vswitch.control.schema import Error
from vswitch.control.slots import Slots
from vswitch.errors import ConfigError
from vswitch.service import Service

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
JSON = "application/json"

SLOW = web.AppKey("slow", Slots)  # functions in a thread of their own
STREAMS = web.AppKey("streams", Slots)  # long answers under way


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
    media: str = JSON  # of the answer
    stream: bool = False  # the function returns an iterator of lists, and is slow

    def over(self, service: Service) -> Handler:
        """What answers requests to *service*."""

        async def answer(request: web.Request) -> web.StreamResponse:
            call = Call(
                request.match_info,
                self._query(request),
                await self._body(request),
                request.headers.get("Accept", ""),
            )
            if self.stream:
                async with request.app[STREAMS].one():
                    return await self._streamed(request, service, call)
            if self.slow or self.method != "GET":
                async with request.app[SLOW].one():
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
            raise misfit(e, self.query) from e

    async def _body(self, request: web.Request) -> msgspec.Struct | None:
        if self.body is None:
            if request.can_read_body:
                raise ConfigError(f"{self.method} {request.path} takes no body")
            return None
        # Without a word about its type we take it for what it has to be.
        if "Content-Type" in request.headers and request.content_type != JSON:
            raise Refusal(
                "bad-type",
                f"the body must be {JSON}, not {request.content_type}",
                hint="with curl: --json '{...}'",
            )
        if "Content-Encoding" in request.headers:
            raise Refusal("bad-type", "the body must not be compressed")
        said = await _whole(request)
        try:
            return msgspec.json.decode(said, type=self.body)
        except msgspec.ValidationError as e:
            raise misfit(e, self.body) from e
        except (msgspec.DecodeError, UnicodeDecodeError) as e:
            raise no_json(e, said) from e

    async def _streamed(
        self, request: web.Request, service: Service, call: Call
    ) -> web.StreamResponse:
        batches = await apart(self.answers, service, call)
        assert isinstance(batches, Iterator)
        batch: list[Any] = next(batches, [])
        following = next(batches, None)
        if following is None:
            return encoded(batch, status=self.status)
        response = web.StreamResponse(status=self.status, headers={"Content-Type": JSON})
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        opening = b"["
        while following is not None:
            await response.write(opening + msgspec.json.encode(batch)[1:-1])
            await asyncio.sleep(0)  # a client that reads fast does not keep the others waiting
            opening, batch, following = b",", following, next(batches, None)
        await response.write(b"," + msgspec.json.encode(batch)[1:] + b"\n")
        await response.write_eof()
        return response


async def _whole(request: web.Request) -> bytes:
    try:
        body = await request.read()
    except web.RequestPayloadError as e:
        raise ConfigError(f"the body cannot be read: {' '.join(str(e).split())}") from e
    request.protocol.arrived()  # type: ignore[attr-defined]  # it is a `Connection`
    return body


def failed(text: str, code: str, hint: str | None = None, **options: Any) -> web.Response:
    """An answer that says no; its status is that of *code* unless it is given."""
    status = options.pop("status", STATUS.get(code))
    # A stranger's bytes that were no UTF-8 are in here as lone surrogates.
    text, hint = _clean(text), None if hint is None else _clean(hint)
    return encoded(Error(text, hint, code), status=status, **options)


def _clean(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def encoded(body: object, **options: Any) -> web.Response:
    """An answer in JSON, with a newline for people with curl."""
    return web.Response(body=msgspec.json.encode(body) + b"\n", content_type=JSON, **options)
