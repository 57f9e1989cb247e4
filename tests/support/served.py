"""A switch with its API on a real unix socket, as `vswitch run` has it, without root."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from aiohttp import web_app

from vswitch import Switch
from vswitch.control import doors, server
from vswitch.control.connection import Limits
from vswitch.service import Service


@contextmanager
def served(
    switch: Switch | Service,
    path: Path,
    *,
    wanted: doors.Wanted = doors.Wanted(),  # noqa: B008
    limits: Limits = Limits(),  # noqa: B008
) -> Iterator[Path]:
    """Answer for *switch* at *path* while the block runs."""
    service = switch if isinstance(switch, Service) else Service(switch, switch.config)
    with (
        doors.opened(path, service.switch.name, wanted) as opened,
        answering(service, opened, limits=limits),
    ):
        yield path


@contextmanager
def answering(
    service: Service,
    opened: doors.Doors,
    *,
    limits: Limits = Limits(),  # noqa: B008
) -> Iterator[None]:
    """The same at doors that are open."""
    stop = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    thread = threading.Thread(
        target=lambda: asyncio.run(server.serve(service, opened, stop, limits=limits)), name="api"
    )
    thread.start()
    try:
        yield
    finally:
        os.eventfd_write(stop, 1)
        thread.join(5)
        os.close(stop)
        # It remembers handlers, and they their switch with all its descriptors: a process has one
        # server, but tests have hundreds.
        web_app._cached_build_middleware.cache_clear()
    assert not thread.is_alive()
