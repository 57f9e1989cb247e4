"""A service manager as far as sd_notify(3) goes: a socket, and what was said there."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.wait import PATIENCE_S


class FakeManager:
    """What programs say at `address`, a message after the other."""

    def __init__(self, address: str) -> None:
        self.address = address  # as NOTIFY_SOCKET has it
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.settimeout(PATIENCE_S)
        self._socket.bind("\0" + address[1:] if address.startswith("@") else address)

    def next(self) -> dict[str, str]:
        """The next message, NAME to value."""
        return dict(line.split("=", 1) for line in self._socket.recv(4096).decode().split("\n"))

    def until(self, name: str) -> list[dict[str, str]]:
        """The messages up to the next one with *name*, which is the last."""
        said = [self.next()]
        while name not in said[-1]:
            said.append(self.next())
        return said

    def before(self, **variables: object) -> list[str]:
        """What stands before a command that is to know of it, and of *variables*."""
        given = {"NOTIFY_SOCKET": self.address, **variables}
        return ["env", *(f"{name}={value}" for name, value in given.items())]

    def close(self) -> None:
        self._socket.close()


@contextmanager
def fake_manager(folder: Path) -> Iterator[FakeManager]:
    made = FakeManager(str(folder / "notify"))
    try:
        yield made
    finally:
        made.close()
