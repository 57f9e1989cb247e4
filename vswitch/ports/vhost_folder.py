"""A folder with a socket for each virtual machine: vhost-user, as a listener is for streams."""

from __future__ import annotations

from collections.abc import Container
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any
from weakref import WeakSet

from vswitch.errors import PortError, SocketInUseError
from vswitch.ports.base import Port
from vswitch.ports.vhost_user import VhostUserPort
from vswitch.portsettings import DEFAULT, PortSettings


class VhostUserFolder:
    """A folder with a socket for each virtual machine, and always one that is free.

    The sockets are ``<folder>/<name>-1.sock``, ``<name>-2.sock``, ..., and so are their ports
    called; a port whose machine left waits for the next one.

    Args:
        folder: Where; made, if it is not there.
        name: What the ports are called after; by default as the folder.
        settings: Of each port.
        options: Of each port, as `VhostUserPort` has them.

    Raises:
        PortError: it is no folder, or cannot be made.
    """

    kind = "vhost-user"

    def __init__(
        self,
        folder: Path,
        *,
        name: str | None = None,
        settings: PortSettings = DEFAULT,
        **options: Any,
    ) -> None:
        try:
            self._made = not folder.exists()
            folder.mkdir(exist_ok=True)
        except OSError as e:
            raise PortError(f"cannot make the folder {folder}: {e.strerror}") from e
        self.path = folder
        self.name = name or folder.name
        self.address = f"{folder}/"
        self.settings = settings
        self.mtu = int(options.get("mtu", 1500))
        self._options = options
        self._spare: VhostUserPort | None = None
        self._made_ports: WeakSet[Port] = WeakSet()

    def next_port(self, taken: Container[str]) -> VhostUserPort | None:
        """A port for the next machine, if the last one has got its own.

        Raises:
            PortError: its socket cannot be.
        """
        if self._spare and not self._spare.is_connected and self._spare.name in taken:
            return None
        for name in (n for i in count(1) if (n := f"{self.name}-{i}") not in taken):
            with suppress(SocketInUseError):  # another program's: as if the name were taken
                self._spare = VhostUserPort(name, self.path / f"{name}.sock", **self._options)
                self._made_ports.add(self._spare)
                return self._spare
        return None

    def owns(self, port: Port) -> bool:
        """Whether a machine is plugged into *port*, which is one of ours."""
        return self.made(port) and isinstance(port, VhostUserPort) and port.is_connected

    def made(self, port: Port) -> bool:
        """Whether *port* is one of ours, connected or not."""
        return port in self._made_ports

    def close(self) -> None:
        """Remove the folder if it was made here, and nothing is left in it.

        Its ports are the caller's to close, before.
        """
        if self._made:
            with suppress(OSError):
                self.path.rmdir()
