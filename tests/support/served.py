"""A switch with its API on a real unix socket, as `vswitch run` has it, without root."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vswitch import Switch
from vswitch.control import address, server
from vswitch.service import Service


@contextmanager
def served(switch: Switch | Service, path: Path) -> Iterator[Path]:
    """Answer for *switch* at *path* while the block runs."""
    service = switch if isinstance(switch, Service) else Service(switch, switch.config)
    stop = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
    with address.listening(path, service.switch.name) as listener:
        thread = threading.Thread(
            target=lambda: asyncio.run(server.serve(service, listener, stop)), name="api"
        )
        thread.start()
        try:
            yield path
        finally:
            os.eventfd_write(stop, 1)
            thread.join(5)
            os.close(stop)
    assert not thread.is_alive()
