"""CPU time of processes and of the whole machine, and which CPU does what in a measurement."""

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Self

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")
_BUSY_FIELDS = (1, 2, 3, 6, 7)  # /proc/stat: user, nice, system, irq, softirq


@dataclass(frozen=True)
class Placement:
    """CPU lists (as taskset takes them) of the contestant and of the ends that talk through it."""

    contestant: str
    ends: str

    @classmethod
    def split(cls) -> Self:
        """The contestant has a CPU of its own, as far as there is one."""
        cpus = sorted(os.sched_getaffinity(0))
        return cls(contestant=str(cpus[min(1, len(cpus) - 1)]), ends=str(cpus[0]))

    @classmethod
    def together(cls) -> Self:
        """Everything on one CPU: what is left is work and switching, no wake-up across CPUs."""
        cpu = str(min(os.sched_getaffinity(0)))
        return cls(contestant=cpu, ends=cpu)

    @classmethod
    def free(cls) -> Self:
        """The scheduler decides, as on a machine nobody tuned; the results scatter."""
        cpus = ",".join(str(cpu) for cpu in sorted(os.sched_getaffinity(0)))
        return cls(contestant=cpus, ends=cpus)


def process_seconds(pids: Iterable[int]) -> float:
    """CPU seconds the living threads of *pids* have used so far."""
    total_ns = 0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").glob("*/schedstat"):
            # First field: nanoseconds on a CPU. utime and stime have steps of 10 ms, too
            # coarse for a switch that is nearly idle.
            with suppress(FileNotFoundError, ProcessLookupError):  # a thread that just ended
                total_ns += int(task.read_text().split()[0])
    return total_ns / 1e9


def system_seconds() -> float:
    """CPU seconds the whole machine has spent on anything but waiting."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()
    return sum(int(fields[i]) for i in _BUSY_FIELDS) * _TICK_S


class Meter:
    """CPU seconds and wall seconds between ``with`` and its end."""

    def __init__(self, pids: list[int]) -> None:
        self._pids = pids
        self.process_s = self.system_s = self.wall_s = 0.0

    def __enter__(self) -> Self:
        self._before = process_seconds(self._pids), system_seconds(), time.monotonic()
        return self

    def __exit__(self, *_: object) -> None:
        process_s, system_s, wall_s = self._before
        self.wall_s = time.monotonic() - wall_s
        self.process_s = process_seconds(self._pids) - process_s
        self.system_s = system_seconds() - system_s
