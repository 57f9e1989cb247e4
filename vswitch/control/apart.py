"""Functions that may take long, in threads that nobody waits for when the switch ends.

`asyncio.to_thread` has a pool, and Python does not exit before all of its threads are done: a port
that hangs in a name's lookup would keep a switch from stopping.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

T = TypeVar("T")


async def apart(function: Callable[..., T], *args: object) -> T:
    """What *function* returns or raises, called in a thread of its own."""
    answer: Future[T] = Future()
    answer.set_running_or_notify_cancel()  # it is under way: nobody can call it off

    def work() -> None:
        try:
            answer.set_result(function(*args))
        except Exception as e:  # noqa: BLE001 - who asked is told
            answer.set_exception(e)

    threading.Thread(target=work, name="api-slow", daemon=True).start()
    return await asyncio.wrap_future(answer)
