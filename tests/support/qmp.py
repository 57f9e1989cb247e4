"""QEMU's own language, for what cannot be said on a command line: JSON over a unix socket."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path
from types import TracebackType


class Qmp:
    """A conversation with the QEMU that has ``-qmp unix:PATH,server=on,wait=off``."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(10)
        self._socket.connect(os.fspath(path))
        self._lines = self._socket.makefile("r")
        self._lines.readline()  # it greets
        self.ask("qmp_capabilities")

    def __enter__(self) -> Qmp:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, e: BaseException | None, at: TracebackType | None
    ) -> None:
        self._lines.close()
        self._socket.close()

    def ask(self, command: str, **arguments: object) -> dict[str, object]:
        """Have one command done; what it returns, AssertionError if that is an error."""
        message = {"execute": command, "arguments": arguments}
        self._socket.sendall(json.dumps(message).encode())
        while "event" in (answer := json.loads(self._lines.readline())):
            pass
        assert "return" in answer, f"{command}: {answer}"
        return answer["return"]
