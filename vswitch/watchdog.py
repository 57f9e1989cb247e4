"""The service manager's watchdog is fed for as long as the switch forwards.

A thread of its own looks as `/healthz` does, twice in the time the manager waits, and tells it so.
When a thread of the switch is stuck it is told nothing, and restarts us.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from vswitch import health
from vswitch.linux.notify import Manager
from vswitch.switch import Switch

log = logging.getLogger(__name__)


@contextmanager
def fed(switch: Switch, manager: Manager) -> Iterator[None]:
    """Tell *manager* that *switch* is alive, while it is, as long as the block runs."""
    if manager.watchdog_s is None:
        yield
        return
    stop = threading.Event()
    thread = threading.Thread(
        target=_feed,
        args=(switch, manager, manager.watchdog_s / 2, stop),
        name=f"{switch.name}-watchdog",
        daemon=True,
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _feed(switch: Switch, manager: Manager, every_s: float, stop: threading.Event) -> None:
    stuck = False
    while not stop.is_set():
        late = health.late(switch, stop.wait)
        if late:
            if not stuck:
                log.error("the watchdog is not fed: %s", health.sentence(late))
            manager.status(health.sentence(late))
        elif not stop.is_set():
            manager.alive()
        stuck = bool(late)
        stop.wait(every_s)
