"""Ports whose guest talks to the control plane: vhost-user.

    waiting --it knocks, or answers--> connected --both rings of a pair run--> up
       ^                                   |                                    |
       +------- it hung up, broke the rules, or shrunk its memory --------------+

The control thread, or `Switch.poll`, calls `look`. A port stays what it is meanwhile: its number,
counters and limit, and its static stations; frames for it count as ``tx_error`` while it is down.
"""

from __future__ import annotations

import errno
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from vswitch.callers import FIRST_S, LAST_S
from vswitch.core import Core
from vswitch.errors import PortError, WireError
from vswitch.links import Links
from vswitch.linux.dial import MAY_PASS
from vswitch.members import Member
from vswitch.ports import Port, VhostUserFolder, VhostUserPort

log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Guest:
    """A port with a guest, and when we call it, if that is for us to do."""

    member: Member
    port: VhostUserPort
    due_s: float
    delay_s: float = FIRST_S
    since_s: float = 0.0  # up
    failure: int = 0  # errno of the last attempt, if it was worth a line
    refused: bool = False  # somebody else, and it was said


class Guests:
    """The guests of one switch, whose lock its callers hold.

    Args:
        core: Where the ports are numbers.
        members: The ports by name.
        links: What is done when a port goes up and down.
        paused: Holds the pollers, as `vswitch.Switch.paused`.
        add: Connects a port with a limit of stations.
        remove: Disconnects and closes the port of a name.
    """

    def __init__(
        self,
        core: Core,
        members: Mapping[str, Member],
        links: Links,
        paused: Callable[[], AbstractContextManager[None]],
        add: Callable[..., Port],
        remove: Callable[[str], None],
    ) -> None:
        self._core = core
        self._members = members
        self._links = links
        self._paused = paused
        self._add_port = add
        self._remove_port = remove
        self._guests: list[_Guest] = []
        self.folders: list[VhostUserFolder] = []
        self._left: list[VhostUserFolder] = []  # nobody is to come there any more
        self._tired = False  # no descriptor was left, or no place: not again before the next sweep
        self._failure = ""  # why there is no further socket, if that was said

    def add(self, member: Member, now_s: float) -> None:
        """Look after a new member, if it is one that talks."""
        if isinstance(member.port, VhostUserPort):
            member.up = False
            guest = _Guest(member, member.port, now_s)
            if not member.port.is_connected:
                _put_off(guest, now_s)  # it has called once already
            self._guests.append(guest)

    def add_folder(self, folder: VhostUserFolder) -> None:
        """Have a free socket in *folder* from now on.

        Raises:
            PortError: the first cannot be.
        """
        try:
            self._add_spare(folder)
        except BaseException:
            folder.close()
            raise
        self.folders.append(folder)

    def remove_folder(self, folder: VhostUserFolder) -> None:
        """Have no free socket there any more; who is there stays until it leaves."""
        self.folders.remove(folder)
        self._left.append(folder)
        self._empty(folder)

    def _empty(self, folder: VhostUserFolder) -> None:
        ours = [m.port for m in self._members.values() if folder.made(m.port)]
        for port in ours:
            if not folder.owns(port):
                self._remove_port(port.name)
        if not any(map(folder.owns, ours)):
            folder.close()
            self._left.remove(folder)

    def close(self) -> None:
        """The ports are closed."""
        for folder in (*self.folders, *self._left):
            folder.close()

    def retry(self) -> None:
        """Once a second: there may be descriptors again, and who said much may say more."""
        self._tired = False
        for guest in self._guests:
            guest.port.be_patient()

    def _add_spare(self, folder: VhostUserFolder) -> None:
        if port := folder.next_port(self._members):
            try:
                self._add_port(port, folder.settings)
            except BaseException:
                port.close()
                raise

    def waiting_on(self) -> list[int]:
        """Descriptors that become readable when a guest says something."""
        return [fd for g in self._live() for fd in g.port.waiting_on(knocks=not self._tired)]

    def due_in_s(self, now_s: float, longest_s: float) -> float:
        """After how many seconds `look` has something to do, *longest_s* at most."""
        due = [g.due_s - now_s for g in self._live() if g.port.calls and not g.port.is_connected]
        return max(0.0, min([longest_s, *due]))

    def look(self, now_s: float) -> None:
        """Do what guests said, find those that are gone, and call those whose time has come."""
        for guest in self._live():
            # Who left is seen before who knocks: the next one must not be sent away.
            if was_there := guest.port.is_connected:
                self._attend(guest, now_s)
            self._meet(guest, now_s)
            if guest.port.is_connected and not was_there:
                self._attend(guest, now_s)
            self._follow(guest, now_s)
        for folder in list(self._left):
            self._empty(folder)
        if not self._tired:
            self._add_spares()

    def _add_spares(self) -> None:
        try:
            for folder in self.folders:
                self._add_spare(folder)
        except (PortError, OSError) as e:
            if str(e) != self._failure:
                log.warning("no further socket for virtual machines error=%s", e)
            self._tired, self._failure = True, str(e)
        else:
            self._failure = ""

    def _live(self) -> Iterator[_Guest]:
        self._guests = [g for g in self._guests if self._members.get(g.port.name) is g.member]
        return iter(self._guests)

    def _meet(self, guest: _Guest, now_s: float) -> None:
        """Have a connection, if one can be had."""
        port = guest.port
        self._admit(guest)
        if port.calls and not port.is_connected and now_s >= guest.due_s:
            try:
                port.call()
            except OSError as e:
                _put_off(guest, now_s)
                self._report(guest, e)
                return
            guest.failure = 0

    def _admit(self, guest: _Guest) -> None:
        port = guest.port
        try:
            refused = 0 if self._tired else port.admit()
        except OSError as e:
            log.warning("cannot accept socket=%s error=%s", port.address, e)
            self._tired = True
            return
        if refused and not guest.refused:
            guest.refused = True
            log.warning(
                "refused socket=%s reason=%r", port.address,
                "one virtual machine is there already: give each a socket of its own",
            )  # fmt: skip

    def _report(self, guest: _Guest, error: OSError) -> None:
        if error.errno not in MAY_PASS and error.errno != guest.failure:
            name, where = guest.port.name, guest.port.remote
            log.warning("cannot connect port=%s to=%s error=%s", name, where, error.strerror)
            guest.failure = error.errno or 0

    def _attend(self, guest: _Guest, now_s: float) -> None:
        try:
            guest.port.attend(self._paused)
            if guest.port.lost_memory:
                raise WireError("it shrunk its memory while we use it")
            if self._core.datapath.port_error(guest.member.number):
                raise WireError("it broke the rules of its rings")
        except (WireError, OSError) as e:
            self._lose(guest, e, now_s)

    def _lose(self, guest: _Guest, error: Exception, now_s: float) -> None:
        hung_up = isinstance(error, OSError) and error.errno in (errno.ECONNRESET, errno.EPIPE)
        reason = "it hung up" if hung_up else str(error)
        guest.port.hang_up(self._paused)
        guest.refused = False
        if guest.member.up and now_s - guest.since_s >= LAST_S:
            guest.delay_s = FIRST_S  # it was good: a peer that only hangs up is not
        _put_off(guest, now_s)
        if guest.member.up:
            level = logging.INFO if hung_up else logging.WARNING
            self._links.take_down(guest.member, reason, level)
        elif not hung_up:
            log.warning("hung up name=%s reason=%r", guest.port.name, reason)

    def _follow(self, guest: _Guest, now_s: float) -> None:
        member = guest.member
        is_up = member.port.link().up
        if is_up and not member.up:
            guest.since_s = now_s
            self._links.set_up(member)
        elif member.up and not is_up:
            self._links.take_down(member, "its driver stopped", logging.INFO)


def _put_off(guest: _Guest, now_s: float) -> None:
    guest.due_s = now_s + guest.delay_s
    guest.delay_s = min(2 * guest.delay_s, LAST_S)
