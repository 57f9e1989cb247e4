"""How much is done at once: so many run, so many wait, and who comes then is told to come back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from vswitch.control.refusals import Refusal


class Slots:
    """Room for *at_once* that run and *waiting* that wait. Belongs to one event loop."""

    def __init__(self, at_once: int, waiting: int) -> None:
        self._free = asyncio.Semaphore(at_once)
        self._room = at_once + waiting

    @asynccontextmanager
    async def one(self) -> AsyncIterator[None]:
        """Hold a slot while the block runs.

        Raises:
            Refusal: as many wait already as may.
        """
        if not self._room:
            raise Refusal("busy", "the switch is busy", hint="try again in a second")
        self._room -= 1
        try:
            async with self._free:
                yield
        finally:
            self._room += 1
