"""A switch and the configuration it has now: what the daemon runs, and the API changes.

`Switch` knows open ports; this knows what they were asked to be, so that it can be shown, saved and
compared. A change is checked as a whole configuration would be before anything is touched.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from vswitch.config import SwitchConfig, parse_forward
from vswitch.errors import PortExistsError
from vswitch.portconfig import PortConfig
from vswitch.ports import Listener, Port, VhostUserFolder, open_listener, open_port
from vswitch.switch import Switch


class Service:
    """*switch* as *config* has it, once `open` was called.

    Args:
        switch: What is forwarding, or going to.
        config: What it is to be.
        opener: Makes a port of its configuration; another one opens no devices.
        listener_opener: The same for listeners.

    Thread safety: every method may be called from any thread; one change is made at a time.
    """

    def __init__(
        self,
        switch: Switch,
        config: SwitchConfig,
        *,
        opener: Callable[[PortConfig], Port] = open_port,
        listener_opener: Callable[[PortConfig], Listener | VhostUserFolder] = open_listener,
    ) -> None:
        self.switch = switch
        self.config = config
        self._open_port = opener
        self._open_listener = listener_opener
        self._lock = threading.RLock()

    @classmethod
    def made(cls, config: SwitchConfig) -> Service:
        """A new switch as *config* has it, yet without its ports."""
        switch = Switch(
            config.name,
            ageing_s=config.ageing_s,
            fdb_limit=config.fdb_limit,
            pollers=config.pollers,
            busy_poll_us=config.busy_poll_us,
            core=config.core,
        )
        switch.set_reserved(range(16), "drop")
        switch.set_reserved(config.forward, "forward")
        return cls(switch, config)

    def open(self) -> None:
        """Open all ports and listeners.

        Raises:
            PortError: one of them cannot be; those before it are open.
        """
        for port in self.config.ports:
            self._open(port)
        for place in self.config.listeners:
            self.switch.listen(self._open_listener(self._resolved(place)))

    def add_port(self, port: PortConfig) -> None:
        """Open one more port.

        Raises:
            ConfigError: it cannot be beside the others.
            PortExistsError: there is one of that name.
            PortError: it cannot be opened.
        """
        with self._lock:
            if port.name in self.switch.ports:
                raise PortExistsError(f"port {port.name} is there already")
            config = replace(self.config, ports=(*self.config.ports, port))
            self._open(port)
            self.config = config

    def remove_port(self, name: str) -> None:
        """Close a port; one that a VM's connection made goes with that.

        Raises:
            PortNotFoundError: there is none.
        """
        with self._lock:
            self.switch.remove_port(name)
            left = tuple(port for port in self.config.ports if port.name != name)
            self.config = replace(self.config, ports=left)

    def set_port(
        self,
        name: str,
        *,
        learning: bool | None = None,
        forwarding: bool | None = None,
        fdb_limit: int | None = None,
    ) -> None:
        """Change what is given of a port.

        Raises:
            PortNotFoundError: there is none.
        """
        with self._lock:
            self.switch.set_port(
                name, learning=learning, forwarding=forwarding, fdb_limit=fdb_limit
            )

    def set_switch(
        self, *, ageing_s: int | None = None, forward: Sequence[str] | None = None
    ) -> None:
        """Change what is given of the switch.

        Raises:
            ConfigError: it cannot be.
        """
        with self._lock:
            config = self.config
            if ageing_s is not None:
                config = replace(config, ageing_s=ageing_s)
            if forward is not None:
                config = replace(config, forward=parse_forward(",".join(forward)))
            if config.ageing_s != self.config.ageing_s:
                self.switch.set_ageing(config.ageing_s)
            if config.forward != self.config.forward:
                self.switch.set_reserved(range(16), "drop")
                self.switch.set_reserved(config.forward, "forward")
            self.config = config

    def _open(self, config: PortConfig) -> None:
        port = self._open_port(self._resolved(config))
        try:
            self.switch.add_port(port, fdb_limit=config.fdb_limit)
        except BaseException:
            port.close()
            raise

    def _resolved(self, port: PortConfig) -> PortConfig:
        """A port's configuration with what it takes from its switch."""
        return replace(
            port,
            switch=self.config.name,
            mtu=port.mtu or self.config.mtu,
            # The reference implementation forwards finished frames only.
            offloads=port.offloads and self.config.core == "c",
        )
