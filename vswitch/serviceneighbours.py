"""What a service does about neighbours, and notes of it in its configuration."""

from __future__ import annotations

import threading
from dataclasses import replace as replaced

from vswitch.config import SwitchConfig
from vswitch.neighbours import Neighbour
from vswitch.switch import Switch


class ServiceNeighbours:
    """The part of `vswitch.service.Service` that is about neighbours; that one makes the rest."""

    switch: Switch
    config: SwitchConfig
    _lock: threading.RLock

    def add_neighbour(self, neighbour: Neighbour, *, replace: bool = False) -> None:
        """Know one more neighbour.

        Raises:
            NeighbourError: as `vswitch.neighbouring.Neighbouring.add`.
        """
        with self._lock:
            self.switch.neighbours.add(neighbour, replace=replace)
            others = (n for n in self.config.neighbours if n.key != neighbour.key)
            self.config = replaced(self.config, neighbours=(*others, neighbour))

    def remove_neighbour(self, ip: bytes, vid: int) -> None:
        """Know one no more.

        Raises:
            NeighbourNotFoundError: none was added.
        """
        with self._lock:
            self.switch.neighbours.remove(ip, vid)
            others = (n for n in self.config.neighbours if n.key != (vid, ip))
            self.config = replaced(self.config, neighbours=tuple(others))

    def flush_neighbours(self, vid: int | None = None) -> int:
        """The same of all that were added, in one VLAN only if given; how many it was."""
        with self._lock:
            others = (n for n in self.config.neighbours if vid not in (None, n.vid))
            self.config = replaced(self.config, neighbours=tuple(others))
            return self.switch.neighbours.flush(vid)
