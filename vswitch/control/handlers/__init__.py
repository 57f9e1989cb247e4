"""What can be asked of a running switch: a file for each noun."""

from __future__ import annotations

from vswitch.control.api import Route
from vswitch.control.handlers import description, fdb, listeners, ports, switch

NOUNS: tuple[Route, ...] = (*switch.ROUTES, *ports.ROUTES, *listeners.ROUTES, *fdb.ROUTES)
ROUTES = description.described(NOUNS)
