"""The wires of a switch's ports: which are up, which are gone, and what follows from it.

A bell rings when some device changed (`LinkEvents`), or when a poller could not read a queue any
more; then every port that has a link is looked at. So a lost event is made good by the next one.
"""

from __future__ import annotations

import errno
import logging
import os
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager

from vswitch.core import Core
from vswitch.linux.netlink import LinkEvents
from vswitch.members import Member
from vswitch.portrules import PortRules
from vswitch.ports import LinkState

log = logging.getLogger(__name__)

# What a poller's read ended with (datapath/port_stream.c), in words.
REASONS = {
    errno.ECONNRESET: "it hung up",
    errno.EPROTO: "it sent a length that no frame has",
}


class Links:
    """Follows the links of the members of one switch, whose lock its callers hold.

    Args:
        core: Where the ports are numbers.
        paused: Holds the pollers, as `vswitch.Switch.paused`.
        tell: Hears what happened, as `vswitch.observer.Observer.tell`.
        rules: Of the members: who is down may have a backup.
    """

    def __init__(
        self,
        core: Core,
        paused: Callable[[], AbstractContextManager[None]],
        tell: Callable[..., None],
        rules: PortRules,
    ) -> None:
        self._core = core
        self._tell = tell
        self._paused = paused
        self._rules = rules
        self.events: LinkEvents | None = None  # once a port has a link that can change

    def close(self) -> None:
        if self.events:
            self.events.close()

    def watch(self, member: Member) -> None:
        """Follow a new member, beginning with what happened before we listened."""
        if not self.events:
            self.events = LinkEvents()
        try:
            member.port.watch()
        except OSError as e:
            log.warning("link changes will not be seen port=%s error=%s", member.port.name, e)
        self._look_at(member)

    def waiting_on(self) -> list[int]:
        """Descriptors that become readable when something changed somewhere."""
        return [self.events.fileno()] if self.events else []

    def look(self, members: Iterable[Member]) -> None:
        """Something changed somewhere: look at all of them."""
        if self.events:
            self.events.clear()
        for member in members:
            if member.port.has_link:
                self._look_at(member)

    def find_failed(self, members: Iterable[Member]) -> None:
        """Take down the ports that pollers could not read any more."""
        for member in members:
            # Who passes is removed (listeners.py), who calls calls again (callers.py), and a guest
            # may come back (guests.py).
            if member.gone or member.port.passing or member.port.calls or member.port.talks:
                continue
            error = self._core.datapath.port_error(member.number)
            if error == errno.ENODATA:
                self._finish(member)
            elif error:
                self._lose(member, f"cannot be read: {os.strerror(error)}")

    def _look_at(self, member: Member) -> None:
        if member.gone:
            return
        try:
            self._follow(member, member.port.link())
        except OSError as e:
            if e.errno == errno.EBADFD:
                self._lose(member, "its device is gone")
                return
            # Once: every device of the host that changes brings us here again.
            if str(e) != member.unseen:
                log.warning("cannot look at port name=%s error=%s", member.port.name, e)
            member.unseen = str(e)
        else:
            member.unseen = ""

    def _follow(self, member: Member, link: LinkState) -> None:
        if link.mtu != member.port.mtu:
            log.info("port mtu=%d was=%d name=%s", link.mtu, member.port.mtu, member.port.name)
            member.port.mtu = link.mtu
            with self._paused():
                self._core.datapath.set_port(member.number, mtu=link.mtu)
        if member.up and not link.up:
            # Its stations cannot be heard any more; but frames go on being offered to the device,
            # which refuses them (tx_error). The news that it is up again takes a moment, and the
            # first frame of a fresh namespace, its ARP request, must not be lost for that.
            self.take_down(member, "its link is down", logging.INFO)
        elif link.up and not member.up:
            self.set_up(member)

    def _finish(self, member: Member) -> None:
        """Its capture has entered to the end; what is sent to it goes on being recorded."""
        if not member.finished:
            member.finished = True
            counters, _ = self._core.counters(member.number)
            log.info("replay finished frames=%d name=%s", counters["rx_frames"], member.port.name)

    def _lose(self, member: Member, reason: str) -> None:
        """The device is gone for good: nothing enters or leaves here any more."""
        member.gone = True
        with self._paused():
            self._core.datapath.set_port(member.number, learning=False, forwarding=False)
        self.take_down(member, reason, logging.WARNING)

    def set_up(self, member: Member) -> None:
        """It can be heard now."""
        log.info("port up name=%s", member.port.name)
        member.up = True
        self._use_backups(member)
        self._tell("link_up", port=member.port.name)

    def take_down(self, member: Member, reason: str, level: int) -> None:
        """It cannot be heard any more: its stations are forgotten, unless its backup has them."""
        member.up = False
        self._use_backups(member)
        flushed = 0 if self._rules.backup_of(member) else self._core.fdb.flush(member.number)
        name = member.port.name
        log.log(level, "port down name=%s reason=%r stations_flushed=%d", name, reason, flushed)
        self._tell("link_down", port=name, reason=reason, count=flushed)

    def _use_backups(self, member: Member) -> None:
        if member.settings.backup:
            with self._paused():
                self._rules.use_backups()
