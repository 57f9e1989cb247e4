"""Where a running switch's configuration is from: a file, and the command line over it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from vswitch import configfile
from vswitch.config import SwitchConfig
from vswitch.configfile import Contents
from vswitch.errors import ConfigError
from vswitch.portconfig import PortConfig


@dataclass(frozen=True)
class Given:
    """What the command line says; it wins over a file."""

    switch: Mapping[str, Any] = field(default_factory=dict)  # fields of `SwitchConfig`
    ports: tuple[PortConfig, ...] = ()
    listeners: tuple[PortConfig, ...] = ()

    def over(self, contents: Contents) -> SwitchConfig:
        """
        Raises:
            ConfigError: these cannot be together.
        """
        return contents.with_(self.switch, self.ports, self.listeners).config()


class Source:
    """The file, or folder, that *contents* were read from, with what was *given* besides.

    Raises:
        ConfigError: they cannot be together.
    """

    def __init__(self, contents: Contents, given: Given) -> None:
        self.path = Path(contents.label).absolute()
        self._given = given
        self.run = contents.run
        self.config = given.over(contents)
        self.digest = self._seen = digest(self.path)
        self._handed: dict[PortConfig, PortConfig] = {}
        self._found: tuple[PortConfig, ...] = ()

    def was_resolved(self, config: SwitchConfig) -> None:
        """Remember what became of descriptors in `config`, and which came with them."""
        ports = zip(self.config.ports, config.ports, strict=True)
        places = zip(self.config.listeners, config.listeners, strict=False)
        self._handed = {a: b for a, b in (*ports, *places) if a.kind == "fd"}
        self._found = config.listeners[len(self.config.listeners) :]

    def read(self) -> SwitchConfig:
        """What the file says now.

        Raises:
            ConfigError: it is no configuration, or not one that this switch can take over.
        """
        self._seen = digest(self.path)
        return self.wanted(configfile.load(self.path))

    def taken_over(self) -> None:
        """The switch is what was `read` last."""
        self.digest = self._seen

    def wanted(self, contents: Contents) -> SwitchConfig:
        """What the switch were if its file said *contents*.

        Raises:
            ConfigError: as `read`.
        """
        for key in sorted({*contents.run, *self.run}):
            if contents.run.get(key) != self.run.get(key):
                place = contents.run_places.get(key, contents.label)
                raise ConfigError(
                    f"{place}: run.{key} cannot be changed while the switch runs",
                    hint="end the switch and start it again for that",
                )
        config = self._given.over(contents)
        listeners = tuple(self._opened(place) for place in config.listeners)
        found = tuple(place for place in self._found if place not in listeners)
        ports = tuple(self._opened(port) for port in config.ports)
        return replace(config, ports=ports, listeners=(*listeners, *found))

    def _opened(self, port: PortConfig) -> PortConfig:
        if port.kind != "fd" or port in self._handed.values():
            return port
        try:
            return self._handed[port]
        except KeyError:
            raise ConfigError(
                f"fd:{port.address}: descriptors are handed in when the switch starts, not later"
            ) from None


def digest(path: Path) -> str:
    """What tells the contents of a file from others; "" if it cannot be read, or is a folder."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ""
