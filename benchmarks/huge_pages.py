"""Huge pages for the one who needs them, for as long as he does."""

from pathlib import Path
from types import TracebackType
from typing import Self

from processes import BenchmarkError

SYSCTL = Path("/proc/sys/vm/nr_hugepages")
PAGES = 640  # of 2 MiB: what Open vSwitch with DPDK starts with, and some


class HugePages:
    """At least PAGES huge pages for a ``with`` block; afterwards as many as before."""

    def __init__(self, sysctl: Path = SYSCTL) -> None:
        self._sysctl = sysctl
        self._before = 0

    def __enter__(self) -> Self:
        self._before = self._count()
        self._set(max(PAGES, self._before))
        if (got := self._count()) < PAGES:
            self._set(self._before)
            raise BenchmarkError(f"{got} of {PAGES} huge pages could be had")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._set(self._before)

    def _count(self) -> int:
        try:
            return int(self._sysctl.read_text())
        except OSError as error:
            raise BenchmarkError(f"huge pages: {error.strerror}") from None

    def _set(self, pages: int) -> None:
        try:
            self._sysctl.write_text(str(pages))
        except OSError as error:
            raise BenchmarkError(f"huge pages: {error.strerror}", "run it with sudo") from None
