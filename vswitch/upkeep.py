"""What a switch does besides forwarding: ports that come, go and change, and stations that expire.

`Upkeep.wait` sleeps until there is something to do, `Upkeep.look` does it. Who does what:

    links.py      devices that go down, up, away
    listeners.py  ports that come and go with a connection
    callers.py    ports that connect, and again
    guests.py     ports whose guest talks to us
"""

from __future__ import annotations

import os
import select
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from typing import cast

from vswitch.callers import Callers
from vswitch.clock import Clock
from vswitch.core import Core
from vswitch.guests import Guests
from vswitch.links import Links
from vswitch.listeners import Listeners, status
from vswitch.loops import Loops
from vswitch.members import Member
from vswitch.observer import Observer
from vswitch.portrules import PortRules
from vswitch.ports import Listener, Place, Port, VhostUserFolder
from vswitch.status import ListenerStatus

SWEEP_S = 1  # how often places of expired stations are freed


class Upkeep:
    """The upkeep of one switch.

    Args:
        core: Its datapath.
        observer: Told of what happens to the ports, and given its turns.
        bell: Eventfd that ends `wait`: pollers ring it, too.
        members: Its ports by name.
        lock: Held by the callers of every method but `wait` and `make_round`.
        clock: Its clock.
        by_hand: There are no threads, and nothing is waited for.
        paused: Holds the pollers.
        rules: Of its ports.
        loops: Looks for loops through them, and is given its turns.
        add: Connects a port with its settings.
        remove: Disconnects and closes the port of a name.
    """

    def __init__(
        self,
        core: Core,
        members: Mapping[str, Member],
        lock: threading.RLock,
        *,
        observer: Observer,
        bell: int,
        clock: Clock,
        by_hand: bool,
        paused: Callable[[], AbstractContextManager[None]],
        rules: PortRules,
        loops: Loops,
        add: Callable[..., Port],
        remove: Callable[[str], None],
    ) -> None:
        self._core = core
        self._members = members
        self._lock = lock
        self._clock = clock
        self._by_hand = by_hand
        self._swept_s = clock.now_s()
        self.rounds = 0  # of the control thread
        self._ready: set[int] = set()  # descriptors that `wait` found ready
        self.bell = bell
        self.observer = observer
        self._rules = rules
        self.loops = loops
        self.links = Links(core, paused, observer.tell, rules)
        self.listeners = Listeners(core, members, add=add, remove=remove)
        self.callers = Callers(core, members, self.links, paused)
        self.guests = Guests(core, members, self.links, paused, add, remove)

    def ring(self) -> None:
        """End `wait`: there is something to do, or more to wait for."""
        os.eventfd_write(self.bell, 1)

    def watch(self, member: Member) -> None:
        """Look after a new member."""
        now_s = self._clock.precise_s()
        self.callers.add(member, now_s)
        self.guests.add(member, now_s)
        if member.port.has_link and not self._by_hand:
            self.links.watch(member)
        self.ring()

    def listen(self, place: Listener | VhostUserFolder) -> None:
        """Make ports of those who come there."""
        if isinstance(place, VhostUserFolder):
            self.guests.add_folder(place)
        else:
            self.listeners.add(place)
        self._tell("listener_added", place)
        self.ring()

    def unlisten(self, place: Place) -> None:
        """Close a place; the ports of those who are there stay until they leave."""
        if isinstance(place, VhostUserFolder):
            self.guests.remove_folder(place)
        else:
            self.listeners.remove(cast("Listener", place))
        self._tell("listener_removed", place)
        self.ring()

    def _tell(self, kind: str, place: Place) -> None:
        self.observer.tell(kind, listener=place.name, address=status(place, []).address)

    @property
    def places(self) -> list[Place]:
        """Where VMs connect."""
        return [*self.listeners.all, *self.guests.folders]

    def close(self) -> None:
        with ExitStack() as rest:
            rest.callback(self.links.close)
            rest.callback(self.listeners.close)
            rest.callback(self.guests.close)

    def listener_status(self) -> list[ListenerStatus]:
        """The places where VMs connect."""
        ports = [member.port for member in self._members.values()]
        return [status(place, ports) for place in self.places]

    def wait(self) -> None:
        """Sleep until `look` may have something to do, a second at most."""
        waiter = select.poll()  # select() knows no descriptor above 1023
        with self._lock:
            doors = self.listeners.waiting_on() + self.guests.waiting_on()
            for fd in (self.bell, *self.links.waiting_on(), *doors):
                waiter.register(fd, select.POLLIN)
            for fd in self.callers.waiting_on():
                waiter.register(fd, select.POLLOUT)
            now_s = self._clock.precise_s()
            longest_s = self.guests.due_in_s(now_s, self.callers.due_in_s(now_s, SWEEP_S))
            longest_s = self.loops.due_in_s(now_s, self.observer.due_in_s(now_s, longest_s))
        self._ready = {fd for fd, _ in waiter.poll(1000 * longest_s)}
        if self.bell in self._ready:
            os.eventfd_read(self.bell)

    def make_round(self) -> None:
        """Look once, as the control thread does after each `wait`; takes the lock."""
        with self._lock:
            self.look()
        self.rounds += 1

    def look(self) -> None:
        """Do what there is to do now."""
        self._sweep()
        self.observer.look()
        if self._ready.intersection(self.links.waiting_on()):
            self.links.look(self._members.values())
        if self._by_hand or self._ready.intersection(self.listeners.waiting_on()):
            self.listeners.admit()
        self.listeners.remove_ended()
        now_s = self._clock.precise_s()
        self.callers.look(now_s)
        self.guests.look(now_s)
        self.loops.look(now_s)
        self.links.find_failed(self._members.values())

    def _sweep(self) -> None:
        now_s = self._clock.now_s()
        if now_s - self._swept_s < SWEEP_S:
            return
        self._swept_s = now_s
        self.listeners.retry()
        self.guests.retry()
        self._rules.guards.expire(now_s)
        self.observer.look_at_drops()
        if self._by_hand:
            self._core.fdb.expire(now_s)
        elif self._core.fdb.counters()["entries"]:
            self._core.fdb.sweep(now_s)
