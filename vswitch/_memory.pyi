"""Typed face of ``_memory.pyx``."""

from typing import final

@final
class Memory:
    def __new__(cls, size: int) -> Memory: ...
    # It has the buffer protocol; only Python 3.12 shows that as a method.
    def __buffer__(self, flags: int, /) -> memoryview: ...
