"""Ports that call: they connect, and connect again whenever their peer went away.

    waiting --time has come--> calling --answer--> up
       ^                          |                 |
       +--------- no answer ------+                 |
       +--------- the connection ended -------------+

Meanwhile such a port stays what it is: its number, counters, limit and flags, and its static
stations; frames for it count as ``tx_error``. The control thread, or `Switch.poll`, calls `look`;
no thread of its own, and nothing here waits.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from vswitch.core import Core
from vswitch.links import REASONS, Links
from vswitch.linux.dial import MAY_PASS
from vswitch.members import Member
from vswitch.ports import QemuPort

log = logging.getLogger(__name__)

FIRST_S = 0.1  # soon enough for a VM that restarts; QEMU needs longer to start
LAST_S = 5.0  # so long a VM that comes back after hours may have to wait; a call costs some 10 us
ANSWER_S = 5.0  # a connection takes one round trip; TCP itself would go on for minutes


@dataclass(slots=True)
class _Call:
    """A calling port, and when something is to be done about it."""

    member: Member
    port: QemuPort
    due_s: float  # waiting: the next attempt; calling: when it is given up; up: since when
    delay_s: float = FIRST_S  # before the attempt after the next
    failure: int = 0  # errno of the last attempt, if it was worth a line


class Callers:
    """The calling ports of one switch, whose lock its callers hold.

    Args:
        core: Where the ports are numbers.
        members: The ports by name.
        links: What is done when a port goes up and down.
        paused: Holds the pollers, as `vswitch.Switch.paused`.
    """

    def __init__(
        self,
        core: Core,
        members: Mapping[str, Member],
        links: Links,
        paused: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._core = core
        self._members = members
        self._links = links
        self._paused = paused
        self._calls: list[_Call] = []

    def add(self, member: Member, now_s: float) -> None:
        """Look after a new member, if it is one that calls."""
        port = member.port
        if not isinstance(port, QemuPort) or not port.calls:
            return
        member.up = port.is_connected
        call = _Call(member, port, now_s if member.up else now_s + ANSWER_S)
        if not member.up and port.calling_fd < 0:
            _put_off(call, now_s)
        self._calls.append(call)

    def waiting_on(self) -> list[int]:
        """Descriptors that become writable with an answer."""
        return [call.port.calling_fd for call in self._live() if call.port.calling_fd >= 0]

    def due_in_s(self, now_s: float, longest_s: float) -> float:
        """After how many seconds `look` has something to do, *longest_s* at most."""
        due = [call.due_s - now_s for call in self._live() if not call.port.is_connected]
        return max(0.0, min([longest_s, *due]))

    def look(self, now_s: float) -> None:
        """Find those whose connection ended, who was answered, and whose time has come."""
        for call in self._live():
            if call.port.is_connected:
                if error := self._core.datapath.port_error(call.member.number):
                    self._lose(call, error, now_s)
                continue
            try:
                self._go_on(call, now_s)
            except OSError as e:
                self._fail(call, e.errno or errno.EIO, now_s)

    def _live(self) -> Iterator[_Call]:
        self._calls = [c for c in self._calls if self._members.get(c.port.name) is c.member]
        return iter(self._calls)

    def _go_on(self, call: _Call, now_s: float) -> None:
        port = call.port
        if port.calling_fd < 0:
            if now_s < call.due_s:
                return
            call.due_s = now_s + ANSWER_S
            port.call()
        elif not port.answered() and now_s >= call.due_s:
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT))
        if port.is_connected:
            with self._paused():
                self._core.set_fd(call.member.number, port.fileno())
            call.due_s, call.failure = now_s, 0
            self._links.set_up(call.member)

    def _lose(self, call: _Call, error: int, now_s: float) -> None:
        if now_s - call.due_s >= LAST_S:  # it was good: a peer that only hangs up is not
            call.delay_s = FIRST_S
        self._wait(call, now_s)
        level = logging.WARNING if error == errno.EPROTO else logging.INFO
        self._links.take_down(call.member, REASONS.get(error) or os.strerror(error), level)

    def _fail(self, call: _Call, error: int, now_s: float) -> None:
        self._wait(call, now_s)
        if error not in MAY_PASS and error != call.failure:
            where, why = call.port.remote, os.strerror(error)
            log.warning("cannot connect port=%s to=%s error=%s", call.port.name, where, why)
            call.failure = error

    def _wait(self, call: _Call, now_s: float) -> None:
        """Hang up, and have the next attempt made after a while."""
        with self._paused():  # a poller may be about to read or to write there
            self._core.set_fd(call.member.number, -1)
            call.port.hang_up()
        _put_off(call, now_s)


def _put_off(call: _Call, now_s: float) -> None:
    call.due_s = now_s + call.delay_s
    call.delay_s = min(2 * call.delay_s, LAST_S)
