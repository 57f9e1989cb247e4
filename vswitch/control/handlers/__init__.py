"""What can be asked of a running switch: a file for each noun."""

from __future__ import annotations

from vswitch.control.api import Route
from vswitch.control.handlers import (
    config,
    description,
    events,
    fdb,
    guard,
    health,
    listeners,
    metrics,
    mirrors,
    neighbours,
    ports,
    switch,
    vlans,
)

NOUNS: tuple[Route, ...] = (
    *switch.ROUTES,
    *ports.ROUTES,
    *listeners.ROUTES,
    *vlans.ROUTES,
    *mirrors.ROUTES,
    *neighbours.ROUTES,
    *fdb.ROUTES,
    *guard.ROUTES,
    *config.ROUTES,
    *events.ROUTES,
    *metrics.ROUTES,
    *health.ROUTES,
)
ROUTES = description.described(NOUNS)
