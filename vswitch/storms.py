"""Storms of drops: a port that drops many frames a second for one reason, begin and end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

STORM_FPS = 1000
CALM_FPS = STORM_FPS // 2  # one that hovers about the threshold is one storm
ORDINARY = {"hairpin", "blocked"}  # what a switch is there to drop


@dataclass(slots=True)
class _Port:
    looked_s: float
    drops: dict[str, int]
    before: dict[str, int]  # by reason of a storm: drops when it began


@dataclass(frozen=True, slots=True)
class Storm:
    """A storm that began, or ended."""

    port: str
    reason: str
    rate: float  # frames a second
    frames: int
    ended: bool


class Storms:
    """The drops of the ports of one switch."""

    def __init__(self) -> None:
        self._ports: dict[str, _Port] = {}

    def look(self, port: str, drops: Mapping[str, int], now_s: float) -> list[Storm]:
        """*port* has dropped so many frames by reason, ever; what is to be reported."""
        last = self._ports.get(port)
        if last is None or any(drops[reason] < n for reason, n in last.drops.items()):
            self._ports[port] = _Port(now_s, dict(drops), {})  # a new port
            return []
        elapsed_s = now_s - last.looked_s
        if elapsed_s <= 0 or (drops == last.drops and not last.before):
            last.looked_s = max(now_s, last.looked_s)
            return []
        found = [
            storm
            for reason, n in drops.items()
            if reason not in ORDINARY
            and (storm := _judged(last, port, reason, n, (n - last.drops[reason]) / elapsed_s))
        ]
        last.looked_s, last.drops = now_s, dict(drops)
        return found

    def forget(self, port: str) -> None:
        self._ports.pop(port, None)


def _judged(last: _Port, port: str, reason: str, n: int, fps: float) -> Storm | None:
    before = last.before.get(reason)
    if before is None and fps >= STORM_FPS:
        last.before[reason] = last.drops[reason]
        return Storm(port, reason, fps, n - last.drops[reason], ended=False)
    if before is not None and fps < CALM_FPS:
        del last.before[reason]
        return Storm(port, reason, fps, n - before, ended=True)
    return None
