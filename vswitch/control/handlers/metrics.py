"""What the switch counts, for Prometheus: /metrics."""

from __future__ import annotations

from aiohttp import web

from vswitch.control.api import Call, Route
from vswitch.service import Service


def show(service: Service, call: Call) -> web.Response:
    from vswitch import metrics  # who is not scraped does not pay for it

    body, content_type = metrics.exposition(service.switch, call.accept)
    return web.Response(body=body, headers={"Content-Type": content_type})


ROUTES = (
    Route(
        "GET",
        "/metrics",
        show,
        "Counters as Prometheus reads them",
        str,
        media="text/plain",
        slow=True,
    ),
)
