"""Typed face of the compiled datapath; the docstrings are in ``_fastpath.pyx``."""

from typing import final

from vswitch._memory import Memory

PROFILE: str
PUNT_BYTES: int
EVENTS: int
EVENTS_COMMANDED: int
PORTS_MAX: int
QUEUES_MAX: int
FDB_LIMIT_MAX: int
POLLERS_MAX: int
FRAME_MAX: int
RING_SLOT: int
MTU_EXTRA: int
PULSE_TIMES: int
BURST: int
OFFLOADS: dict[str, int]
DROP_REASONS: tuple[tuple[str, str, str], ...]  # name, "rx" or "tx", what it means

@final
class Datapath:
    @property
    def counter_memory(self) -> Memory: ...
    @property
    def pulse_memory(self) -> Memory: ...
    def __new__(
        cls,
        *,
        pollers: int = 1,
        fdb_limit: int = 65536,
        ageing_s: int = 300,
        busy_poll_us: float = 50,
        salt: bytes | None = None,
        notify_fd: int = -1,
    ) -> Datapath: ...
    def run(self, poller: int) -> None: ...
    def poll(self, now_s: int) -> int: ...
    def wake(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def stop(self) -> None: ...
    def set_port(
        self,
        port: int,
        *,
        learning: bool | None = None,
        forwarding: bool | None = None,
        mtu: int | None = None,
        fdb_limit: int | None = None,
    ) -> None: ...
    def remove_port(self, port: int) -> None: ...
    def port_error(self, port: int) -> int: ...
