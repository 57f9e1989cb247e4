"""The API described for programs: OpenAPI 3.1, made of the table of routes and its types.

What the server checks and encodes with is what stands here, so the document cannot be wrong about
it; summaries and descriptions are the routes' and the docstrings'.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from vswitch import __version__
from vswitch.control.api import JSON, Route
from vswitch.control.refusals import STATUS
from vswitch.control.schema import Error

REFERENCE = "#/components/schemas/{name}"
DESCRIPTION = """\
A running switch, asked over its unix socket by its user and root, or over TCP with a token.
Every body is JSON. A request that fails answers with `Error`: a sentence, a hint, a code."""
MEANING = {
    400: "something of the request cannot be",
    401: "over TCP: the token is missing, or another one",
    403: "not for this user of the host",
    404: "there is none of that name",
    408: "the request did not arrive in time",
    409: "the host, or a limit of the switch, says no; or there is one already",
    413: "the body is too long",
    415: "the body is not said to be JSON",
    431: "the line or a header of the request is too long",
    500: "a mistake of the switch, in its log",
    503: "as many are asking already as can be answered; or a thread makes no rounds",
}
ALWAYS = (400, 401, 403, 408, 431, 500, 503)
Json = dict[str, Any]


def document(routes: Sequence[Route]) -> Json:
    """The document of *routes*, to be encoded as JSON."""
    types = list(_types(routes))
    schemas, components = msgspec.json.schema_components(types, ref_template=REFERENCE)
    known = dict(zip(map(_key, types), schemas, strict=True))
    components["Error"]["properties"]["code"]["enum"] = sorted(STATUS)
    queries = {_name(known[_key(r.query)]) for r in routes} - {
        _name(known[_key(kind)]) for r in routes for kind in (r.answer, r.body)
    }
    paths: Json = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(
            route, known, components
        )
    return {
        "openapi": "3.1.0",
        "info": {"title": "vswitch", "version": __version__, "description": DESCRIPTION},
        "servers": [{"url": "http://localhost"}],
        "security": [{}, {"token": []}],  # none on the unix socket
        "paths": paths,
        "components": {
            "schemas": {n: components[n] for n in sorted(components.keys() - queries)},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}},
        },
    }


def _types(routes: Iterable[Route]) -> Iterable[Any]:
    yield Error
    for route in routes:
        yield route.answer
        yield route.query
        yield route.body


def _key(kind: Any) -> str:
    return repr(kind)  # list[X] is made anew by each who says it


def _name(schema: Json) -> str:
    return str(schema.get("$ref", "")).rpartition("/")[2]


def _operation(route: Route, known: dict[str, Json], components: Json) -> Json:
    refusals = {*ALWAYS, *((413, 415) if route.body is not None else ())}
    parameters = [*_in_path(route), *_in_query(route, known, components)]
    if parameters or route.body is not None:
        refusals.add(404)
    if route.method != "GET":
        refusals.add(409)
    said: Json = {
        "operationId": route.answers.__module__.rpartition(".")[2] + "." + route.answers.__name__,
        "summary": route.summary,
        "tags": [route.path.removeprefix("/v1/").strip("/").split("/")[0]],
        "parameters": parameters,
        "responses": {
            str(route.status): _content("done", known[_key(route.answer)], route.media),
            **{str(s): _content(MEANING[s], known[_key(Error)]) for s in sorted(refusals)},
        },
    }
    if route.answers.__doc__:
        said["description"] = " ".join(route.answers.__doc__.split())
    if route.body is not None:
        body = _content(None, known[_key(route.body)])
        said["requestBody"] = {"required": True, **body}
    return said


def _in_path(route: Route) -> Iterable[Json]:
    for name in re.findall(r"\{(\w+)\}", route.path):
        yield {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}


def _in_query(route: Route, known: dict[str, Json], components: Json) -> Iterable[Json]:
    schema = components[_name(known[_key(route.query)])]
    for name, what in schema["properties"].items():
        # A parameter is absent, never null.
        kinds = [kind for kind in what.get("anyOf", [what]) if kind != {"type": "null"}]
        kind = {k: v for k, v in kinds[0].items() if k not in ("default", "description")}
        if what.get("default") is not None:
            kind["default"] = what["default"]
        parameter = {
            "name": name,
            "in": "query",
            "required": name in schema["required"],
            "schema": kind,
        }
        description = what.get("description") or kinds[0].get("description")
        yield {**parameter, **({"description": description} if description else {})}


def _content(description: str | None, schema: Json, media: str = JSON) -> Json:
    content = {"content": {media: {"schema": schema}}}
    return content if description is None else {"description": description, **content}
