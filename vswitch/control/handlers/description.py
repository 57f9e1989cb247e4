"""The API about itself: /v1/openapi.json."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Any

from vswitch.control import openapi
from vswitch.control.api import Call, Route
from vswitch.service import Service


def described(nouns: Sequence[Route]) -> tuple[Route, ...]:
    """*nouns*, and the route that describes them and itself."""

    @cache
    def whole() -> dict[str, Any]:
        return openapi.document(routes)

    def show(_: Service, __: Call) -> dict[str, Any]:
        return whole()

    routes = (
        *nouns,
        Route("GET", "/v1/openapi.json", show, "This document, OpenAPI 3.1", dict[str, Any]),
    )
    return routes
