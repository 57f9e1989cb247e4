"""The counters of the readable core's ports, in the memory that the control plane reads."""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping

from vswitch.reference import COUNTERS

COUNTER_INDEX = {name: word for word, name in enumerate(COUNTERS)}


class CounterRow(MutableMapping[str, int]):
    """The counters of one port, by name, in the memory that the control plane reads."""

    def __init__(self, words: memoryview) -> None:
        words[:] = memoryview(bytes(words.nbytes)).cast("Q")
        self._words = words

    def __getitem__(self, name: str) -> int:
        return int(self._words[COUNTER_INDEX[name]])

    def __setitem__(self, name: str, value: int) -> None:
        self._words[COUNTER_INDEX[name]] = value

    def __delitem__(self, name: str) -> None:
        raise TypeError("a counter stays")

    def __iter__(self) -> Iterator[str]:
        return iter(COUNTERS)

    def __len__(self) -> int:
        return len(COUNTERS)
