"""The switch: ports by name, poller threads, and a control thread for what is not per frame.

    with Switch("lab") as switch:
        a = switch.add_port(MemoryPort("a"))
        switch.add_port(TapPort("tap0"))
        a.send([frame])

With the system's clock (the default) frames are forwarded by *pollers* threads from `start`,
which entering the ``with`` block calls, to `close`. With a `FakeClock` there are no threads:
`poll` forwards what waits, at the time the clock shows, and everything is repeatable.

    created --start--> running --close--> closed

Thread safety: every public method may be called from any thread; changes are made with the
pollers parked between two bursts, for some microseconds, while frames wait in the kernel.
"""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, replace
from typing import TypeVar, Unpack

from vswitch import vlanmembers
from vswitch.clock import Clock, FakeClock
from vswitch.config import SwitchConfig, reserved_nibbles
from vswitch.core import VERDICTS, Core
from vswitch.errors import PortError, PortExistsError, PortNotFoundError
from vswitch.guarding import SwitchGuards
from vswitch.leases import Leases
from vswitch.loops import Loops
from vswitch.members import Member
from vswitch.mirroring import Mirroring
from vswitch.neighbouring import Neighbouring
from vswitch.observer import Observer
from vswitch.portrules import PortRules
from vswitch.ports import Listener, Place, Port, VhostUserFolder
from vswitch.portsettings import DEFAULT, PortChange, PortSettings, whole
from vswitch.punts import Punt, Punts
from vswitch.stations import Stations
from vswitch.status import ListenerStatus
from vswitch.telling import Telling
from vswitch.threads import Threads
from vswitch.upkeep import Upkeep

log = logging.getLogger(__name__)
AnyPort = TypeVar("AnyPort", bound=Port)
AnyListener = TypeVar("AnyListener", bound=Listener | VhostUserFolder)
STATE = ("learning", "forwarding", "fdb_limit", "mtu")  # what the datapath's set_port sets
PuntHandler = Callable[[str, bytes], None]


class Switch(Telling):
    """A learning Ethernet switch (IEEE 802.1Q-2018 clause 8), with VLANs once a port has some.

    Args:
        name: What `vswitch show` and log lines call it.
        ageing_s: A station not heard for so long is forgotten; 0 means never.
        fdb_limit: Stations it remembers, 1..4,194,304, static ones included.
        pollers: Threads that forward; ports are spread over them.
        busy_poll_us: Longest time a poller spins for the next frame before it sleeps.
        core: ``c``, or ``python`` for the readable reference implementation.
        clock: A `FakeClock` for a switch without threads.
        salt: 16 bytes that decide places in the forwarding database; random by default.

    Raises:
        ConfigError: an argument is out of range.
    """

    def __init__(
        self,
        name: str = "vswitch",
        *,
        ageing_s: int = 300,
        fdb_limit: int = 65536,
        pollers: int = 1,
        busy_poll_us: int = 50,
        core: str = "c",
        clock: Clock | None = None,
        salt: bytes | None = None,
    ) -> None:
        self.config = SwitchConfig(
            name=name,
            ageing_s=ageing_s,
            fdb_limit=fdb_limit,
            pollers=pollers,
            busy_poll_us=busy_poll_us,
            core=core,
        )
        self.clock = clock or Clock()
        # Called by the control thread with (port, frame); what it raises is logged.
        self.on_punt: PuntHandler | None = None
        self._by_hand = isinstance(self.clock, FakeClock)
        self._members: dict[str, Member] = {}
        self._reserved = {nibble: "drop" if nibble else "forward" for nibble in range(16)}
        self._lock = threading.RLock()
        self._closing = threading.Event()
        self._made_s = self.clock.now_s()
        self._bell = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        with ExitStack() as undo:
            undo.callback(os.close, self._bell)
            self._core = Core(
                core,
                pollers=pollers,
                fdb_limit=fdb_limit,
                ageing_s=ageing_s,
                busy_poll_us=busy_poll_us,
                notify_fd=self._bell,
                salt=salt,
            )
            undo.pop_all()
        self._stations = Stations(self._core, self.clock)
        self.neighbours = Neighbouring(self._core, self._lock, self.paused)
        self._rules = PortRules(
            self._core, self._members, self._stations, self.paused, self.neighbours
        )
        self.leases = Leases(self._rules.guards, self._lock, self.clock)
        self.mirrors = Mirroring(self._core, self._members, self._lock, self.paused)
        self.observer = Observer(  # what happens here, and who wants to hear of it
            self._core, self._members, self._lock, clock=self.clock, paused=self.paused
        )
        self.loops = Loops(
            self._core,
            self._members,
            self._rules,
            paused=self.paused,
            tell=self.observer.tell,
            clock=self.clock,
            lock=self._lock,
            bell=self._bell,
        )
        self.observer.on_flap = self.loops.flapping
        self._punts = Punts(
            self._core,
            self._members,
            self._lock,
            handler=lambda: self.on_punt,
            copies=lambda found: self._rules.guards.hear(found, self.clock.now_s()),
            ours=self.loops.takes,
        )
        self._upkeep = Upkeep(
            self._core,
            self._members,
            self._lock,
            observer=self.observer,
            bell=self._bell,
            clock=self.clock,
            by_hand=self._by_hand,
            paused=self.paused,
            rules=self._rules,
            loops=self.loops,
            add=self.add_port,
            remove=self.remove_port,
        )
        self._threads = Threads(self.name, poll=self._core.datapath.run, control=self._control)

    # ------------------------------------------------------------------ life

    @property
    def name(self) -> str:
        return self.config.name

    def start(self) -> None:
        """Begin to forward. Does nothing on a switch that is polled by hand."""
        if not self._by_hand and not self._threads:
            self._threads.start(self.config.pollers)

    def close(self) -> None:
        """Stop forwarding and close every port; a second call does nothing."""
        with self._lock:
            if self._closing.is_set():
                return
            self._closing.set()
        self._core.datapath.stop()
        os.eventfd_write(self._bell, 1)
        self._threads.join()
        with ExitStack() as rest:  # all of it, whatever one of them raises
            rest.callback(os.close, self._bell)
            rest.callback(self._upkeep.close)
            for name in self.ports:
                rest.callback(self._remove_last, name)

    def _remove_last(self, name: str) -> None:
        with suppress(PortNotFoundError):  # another thread was faster
            self.remove_port(name)

    def __enter__(self) -> Switch:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Hold every poller between two bursts while the block runs; may be nested."""
        with self._lock:
            self._core.datapath.pause()
            try:
                yield
            finally:
                self._core.datapath.resume()

    # ------------------------------------------------------------------ ports

    def add_port(self, port: AnyPort, settings: PortSettings = DEFAULT) -> AnyPort:
        """Connect an open port, which the switch closes from now on; returns it.

        *settings* hold from its first frame on.

        Raises:
            FdbFullError: there is no place for the station that is always at this port.
            StationExistsError: that one is pinned to another port.
            ConfigError: *settings* contradict one another.
            PortExistsError: a port of that name is connected already.
            PortLimitError: the switch is full.
        """
        settings.check(f"port {port.name}")
        with ExitStack() as unlocked, self._lock, ExitStack() as undo:
            if self._closing.is_set():
                raise PortError(f"switch {self.name} is closed")
            if port.name in self._members:
                raise PortExistsError(f"port {port.name} is connected already")
            with self.paused():
                number = port.attach(self._core)
                member = Member(port, number, settings)
                undo.callback(lambda: unlocked.callback(self._punts.deliver, self._leave(member)))
                self.observer.port_added(port.name, number)
                self._core.datapath.set_port(
                    number,
                    learning=settings.learning,
                    forwarding=settings.forwarding,
                    fdb_limit=settings.fdb_limit,
                )
                self._rules.begin(member)
            self._upkeep.watch(member)
            self._members[port.name] = member
            with self.paused():
                self._rules.use_backups()
                self.mirrors.port_added()
            undo.pop_all()
        return port

    def _leave(self, member: Member) -> list[Punt]:
        """A member goes, or did not come in to the end; what it had punted."""
        name, number = member.port.name, member.number
        self.mirrors.port_leaves(name)
        self.loops.port_leaves(number)
        punts = self._disconnect(number)
        self.observer.port_removed(name, number)
        self._members.pop(name, None)
        with self.paused():
            self._rules.end(name)
        return punts

    def _disconnect(self, number: int) -> list[Punt]:
        with self.paused():
            punts = self._punts.take()  # before the number is another port's
            self._core.retire(number)
            self._core.datapath.remove_port(number)
            self._stations.leave(number)
        return punts

    def remove_port(self, name: str) -> None:
        """Disconnect and close a port; its stations are forgotten, static ones too.

        Raises:
            PortNotFoundError: there is no such port.
        """
        with ExitStack() as unlocked, self._lock:
            member = self._member(name)
            unlocked.callback(self._punts.deliver, self._leave(member))
            member.port.close()

    def listen(self, listener: AnyListener) -> AnyListener:
        """Make a port of everyone who comes to *listener*, which the switch closes from now on.

        Such a port is removed when its connection ends; a `VhostUserFolder`'s waits for the next.

        Raises:
            PortError: the switch is closed.
        """
        with self._lock:
            if self._closing.is_set():
                raise PortError(f"switch {self.name} is closed")
            self._upkeep.listen(listener)
            with self.paused():
                self._rules.open(listener.settings)
        return listener

    def unlisten(self, place: Place) -> None:
        """Close one of `places`; the ports of those who are there stay until they leave."""
        with self._lock:
            self._upkeep.unlisten(place)
            with self.paused():
                self._rules.shut(place.settings)

    @property
    def places(self) -> list[Place]:
        """Where VMs connect."""
        with self._lock:
            return self._upkeep.places

    def set_port(self, name: str, **change: Unpack[PortChange]) -> None:
        """Change what is given of a port: its settings, and its MTU.

        Raises:
            ConfigError: its settings contradict one another, and nothing was changed.
            PortError: the MTU cannot be changed, and nothing was.
            PortNotFoundError: there is no such port.
        """
        with self._lock:
            member = self._member(name)
            given = {key: v for key, v in whole(change).items() if key != "mtu"}
            was, settings = member.settings, replace(member.settings, **given)
            settings.check(f"port {name}")
            with ExitStack() as undo:
                undo.callback(self._set_rules, member, was)
                self._set_rules(member, settings)
                if "mtu" in change:  # a device may refuse
                    member.port.set_mtu(change["mtu"])
                undo.pop_all()
            if member.gone or member.held:  # nothing enters or leaves there, whatever is set
                change.pop("learning", None)
                change.pop("forwarding", None)
            state = {key: v for key, v in change.items() if key in STATE}
            with self.paused():
                self._core.datapath.set_port(member.number, **state)
            if settings.vlans != was.vlans:
                self._rules.leave_vlans(member, was.vlans)
                self.observer.vlans_changed(name, was.vlans, settings.vlans)

    def _set_rules(self, member: Member, settings: PortSettings) -> None:
        with self.paused():
            self._rules.change(member, settings)

    def listener_status(self) -> list[ListenerStatus]:
        """The places where VMs connect."""
        with self._lock:
            return self._upkeep.listener_status()

    # ------------------------------------------------------------------ forwarding database

    def pin(self, mac: bytes, port: str, *, vid: int = 0, move: bool = True) -> None:
        """Make a static entry: *mac* is behind *port*, whatever is heard; it does not age.

        *move*: also if it is static already, there or elsewhere.

        Raises:
            ConfigError: *vid* is no VLAN of the port.
            FdbError: it is another port's own.
            FdbFullError: a limit is reached.
            StationExistsError: it is static already, and not to be moved.
            ValueError: *mac* is a group address or zero, which no station has.
        """
        with self._lock:
            self._stations.pin(mac, self._home_of(mac, port, vid), vid, move=move)
            self.observer.take()

    def stick(self, mac: bytes, port: str, *, vid: int = 0, move: bool = True) -> None:
        """Make a sticky entry: *mac* is behind *port* until it ages, wherever it is heard.

        *move*: also if it is static.

        Raises:
            As `pin`.
        """
        with self._lock:
            self._stations.stick(mac, self._home_of(mac, port, vid), vid, move=move)
            self.observer.take()

    def _home_of(self, mac: bytes, port: str, vid: int) -> Member:
        """The member where a station is to be, if it can be there."""
        if mac[0] & 1 or not any(mac):
            raise ValueError(f"a station's address is unicast and not zero, not {mac.hex(':')}")
        member = self._member(port)
        vlanmembers.check_station(port, self._rules.vlans_of(member), vid)
        return member

    def unpin(self, mac: bytes, *, vid: int = 0) -> bool:
        """Forget a station, static or learned; whether it was known.

        Raises:
            FdbError: it is a port's own.
        """
        with self._lock:
            was_known = self._stations.unpin(mac, vid)
            self.observer.take()
            return was_known

    def flush(
        self, port: str | None = None, *, mac: bytes | None = None, vid: int | None = None
    ) -> int:
        """Forget learned stations: all, or those that match all of it; returns how many.

        Raises:
            PortNotFoundError: there is no such port.
        """
        with self._lock:
            number = None if port is None else self._member(port).number
            flushed = self._stations.flush(number, mac, vid)
            self.observer.take()
            return flushed

    # ------------------------------------------------------------------ options

    def rounds(self) -> dict[str, int]:
        """How many rounds each of its threads has made, by name; none if there are no threads."""
        if not self._threads:
            return {}
        pollers = {f"poller-{i}": pulse.rounds for i, pulse in enumerate(self.pulses())}
        return pollers | {"control": self._upkeep.rounds}

    def wake(self) -> None:
        """Have every thread make a round soon, whether there is something to do or not."""
        self._core.datapath.wake()
        self._upkeep.ring()

    def set_reserved(self, addresses: Iterable[int | str], verdict: str) -> None:
        """What happens to frames for reserved addresses 01-80-C2-00-00-0x.

        Args:
            addresses: Last nibbles 0..15, or names of `vswitch.config.RESERVED`.
            verdict: ``forward``, ``drop``, or ``punt``: give them to `on_punt`.

        Raises:
            ValueError: an address or the verdict is none of these.
        """
        nibbles = reserved_nibbles(addresses)
        if verdict not in VERDICTS:
            raise ValueError(f"a verdict is one of {', '.join(VERDICTS)}, not {verdict!r}")
        with self.paused():
            self._core.set_reserved(nibbles, verdict)
            self._reserved.update(dict.fromkeys(nibbles, verdict))

    @property
    def reserved(self) -> dict[int, str]:
        """The verdict on each reserved address, by last nibble."""
        return dict(self._reserved)

    def set_ageing(self, ageing_s: int) -> None:
        """Change the ageing time in seconds; 0: stations stay for ever.

        Raises:
            ConfigError: it is out of range.
        """
        with self.paused():
            now_s = self.clock.now_s()
            self.config = replace(self.config, ageing_s=ageing_s)
            self._core.fdb.expire(now_s)  # who is dead stays so
            self._core.fdb.set_ageing(ageing_s, now_s)
            self._core.fdb.expire(now_s)
            self.observer.take()

    def set_guards(self, guards: SwitchGuards) -> None:
        """Change what is guarded at all ports that are not trusted."""
        with self._lock:
            self.config = replace(self.config, **asdict(guards))
            self._rules.guards.change(guards)

    # ------------------------------------------------------------------ by hand

    def poll(self) -> int:
        """Forward all that waits, at the time of the fake clock; returns how many frames.

        Raises:
            RuntimeError: the switch has poller threads.
        """
        if not self._by_hand:
            raise RuntimeError("a switch with poller threads is not polled by hand")
        with self._lock:
            self._upkeep.look()
            total = sum(iter(self.poll_once, 0))
            self._punts.deliver(self._punts.take())
            self._upkeep.look()
            self.observer.take()
            return total

    def poll_once(self) -> int:
        """Forward one burst of each port, and do nothing else: what `poll` repeats."""
        return int(self._core.datapath.poll(self.clock.now_s()))

    def _control(self) -> None:
        try:
            while not self._closing.is_set():
                self._upkeep.wait()
                self._punts.deliver(self._punts.take())
                self._upkeep.make_round()
        except Exception:
            log.exception("control thread stops switch=%s", self.name)
