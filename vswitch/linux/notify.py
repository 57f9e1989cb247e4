"""Telling the service manager how we are: the protocol of sd_notify(3), systemd 252.

A message is a datagram of lines ``NAME=value`` to the socket that NOTIFY_SOCKET names. Without that
variable nobody wants to know, and nothing is sent. No failure is fatal: a switch forwards whether
or not anybody is told.
"""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import MutableMapping

log = logging.getLogger(__name__)

# The manager reads at once; if its queue stays full for so long, it has other worries.
SEND_TIMEOUT_S = 1


class Manager:
    """The service manager; *address* is that of its socket, None if there is none.

    ``watchdog_s``: it wants to hear `alive` at least so often, None if it does not.
    """

    def __init__(self, address: str | None, watchdog_s: float | None = None) -> None:
        self.watchdog_s = watchdog_s if address else None
        self._address = address
        self._socket: socket.socket | None = None  # once there is something to tell

    @classmethod
    def taken(cls, environment: MutableMapping[str, str]) -> Manager:
        """The one that *environment* tells of.

        The variables are removed: they are not for the programs we start.
        """
        place, usec, pid = (
            environment.pop(name, "") for name in ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")
        )
        ours = usec.isdecimal() and pid in ("", str(os.getpid()))
        return cls(_address(place), int(usec) / 1e6 if ours and int(usec) else None)

    def ready(self, status: str) -> None:
        """We have started, or have read our configuration again."""
        self._tell("READY=1", _status(status))

    def reloading(self, now_s: float) -> None:
        """We begin to read our configuration again; *now_s* is CLOCK_MONOTONIC's."""
        self._tell("RELOADING=1", f"MONOTONIC_USEC={int(now_s * 1e6)}")

    def stopping(self) -> None:
        """We begin to end."""
        self._tell("STOPPING=1", _status("stopping"))

    def alive(self) -> None:
        """All is well: the watchdog may wait once more."""
        self._tell("WATCHDOG=1")

    def status(self, text: str) -> None:
        """What ``systemctl status`` is to say of us."""
        self._tell(_status(text))

    def close(self) -> None:
        if self._socket:
            self._socket.close()

    def _tell(self, *lines: str) -> None:
        if self._address is None:
            return
        try:
            if not self._socket:
                self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
                self._socket.settimeout(SEND_TIMEOUT_S)
            self._socket.sendto("\n".join(lines).encode(), self._address)
        except OSError as e:
            log.debug("service manager not told what=%r error=%s", lines[0], e)


def _address(place: str) -> str | None:
    if place.startswith("/"):
        return place
    if place.startswith("@"):
        return "\0" + place[1:]  # abstract, see unix(7)
    if place:
        log.warning("service manager cannot be told NOTIFY_SOCKET=%r", place)
    return None


def _status(text: str) -> str:
    return f"STATUS={' '.join(text.split())}"
