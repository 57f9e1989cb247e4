"""Names of hosts, looked up so that Ctrl-C does not have to wait for a resolver that is silent.

getaddrinfo(3) cannot be interrupted, and goes on for half a minute. While a switch starts, its main
thread holds signals back (``daemon.py``): then the lookup is left to a thread, and given up when
there is a signal that would end the switch.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
import time
from typing import Any

ENDING = {signal.SIGINT, signal.SIGTERM, signal.SIGHUP}
LOOK_S = 0.05  # how often it is seen whether there is one
Found = list[Any]  # as socket.getaddrinfo() has them


def addresses(host: str, port: int, family: int, kind: int) -> Found:
    """What ``socket.getaddrinfo`` finds.

    Raises:
        KeyboardInterrupt: a signal came that is held back; it says what was not known yet.
        OSError: there is none.
        UnicodeError: no host can be called so.
    """
    try:
        return socket.getaddrinfo(host, port, family, kind, 0, socket.AI_NUMERICHOST)
    except (OSError, UnicodeError):  # a name, or none
        if threading.current_thread() is threading.main_thread() and _held_back():
            return _Lookup(host, port, family, kind).result()
        return socket.getaddrinfo(host, port, family, kind)


def _held_back() -> set[signal.Signals]:
    """The signals of ENDING that wait until we look for them."""
    return {*map(signal.Signals, signal.pthread_sigmask(signal.SIG_BLOCK, []))} & ENDING


class _Lookup:
    """A question to the resolver, in a thread of its own."""

    def __init__(self, host: str, port: int, family: int, kind: int) -> None:
        self._host = host
        self._asked = (host, port, family, kind)
        self._found: Found = []
        self._error: OSError | UnicodeError | None = None
        # A daemon: a process that ends does not wait for it.
        self._thread = threading.Thread(target=self._ask, name="lookup", daemon=True)

    def _ask(self) -> None:
        try:
            self._found = socket.getaddrinfo(*self._asked)
        except (OSError, UnicodeError) as e:
            self._error = e

    def result(self) -> Found:
        self._thread.start()
        while self._thread.is_alive():
            if signal.sigpending() & _held_back():
                raise KeyboardInterrupt(f"interrupted while {self._host} was being looked up")
            self._thread.join(LOOK_S)
        self._wait_for_its_end()
        if self._error:
            raise self._error
        return self._found

    def _wait_for_its_end(self) -> None:
        # For Python it is gone some moments before it is for the kernel, which counts threads when
        # privileges are given up.
        while os.path.exists(f"/proc/self/task/{self._thread.native_id}"):
            time.sleep(0.001)
