"""A switch and the configuration it has now: what the daemon runs, and the API changes.

`Switch` knows open ports; this knows what they were asked to be, so that it can be shown, saved and
compared. A change is checked as a whole configuration would be before anything is touched. What
comes with a VM's connection, and what is set of its port, is not in the configuration.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Unpack

from vswitch import openfiles
from vswitch.clock import Clock
from vswitch.config import LIVE as SWITCH_LIVE
from vswitch.config import StationConfig, SwitchConfig, parse_forward
from vswitch.errors import (
    ConfigError,
    LockedError,
    PortError,
    PortExistsError,
    PortNotFoundError,
    StationNotFoundError,
)
from vswitch.guarding import GuardsChange
from vswitch.mirrors import Mirror
from vswitch.portconfig import LIVE, PortConfig
from vswitch.ports import Listener, Place, Port, VhostUserFolder, open_listener, open_port
from vswitch.portsettings import PortChange, whole
from vswitch.serviceneighbours import ServiceNeighbours
from vswitch.status import ListenerStatus
from vswitch.switch import Switch
from vswitch.vlans import PortVlans

if TYPE_CHECKING:
    from vswitch.configsource import Source

log = logging.getLogger(__name__)


class Service(ServiceNeighbours):
    """*switch* as *config* has it, once `open` was called.

    Args:
        switch: What is forwarding, or going to.
        config: What it is to be.
        opener: Makes a port of its configuration instead of `open_port`, as for tests.
        listener_opener: The same for listeners.

    Thread safety: every method may be called from any thread. One change is made at a time; what is
    being opened, which may take as long as a name's lookup, keeps nobody: only its place is taken.
    """

    def __init__(
        self,
        switch: Switch,
        config: SwitchConfig,
        *,
        opener: Callable[[PortConfig], Port] | None = None,
        listener_opener: Callable[[PortConfig], Listener | VhostUserFolder] | None = None,
    ) -> None:
        self.switch = switch
        self.config = config
        self.source: Source | None = None  # the file it is from
        self._opener = opener
        self._listener_opener = listener_opener
        self.locked = False  # for good: the right to open anything is gone
        self._lock = threading.RLock()
        self._opening: list[PortConfig] = []
        self._preparing: list[PortConfig] = []  # the same of listeners
        self._listening: list[tuple[Place, PortConfig]] = []

    @classmethod
    def made(cls, config: SwitchConfig, *, clock: Clock | None = None) -> Service:
        """A new switch as *config* has it, yet without its ports."""
        switch = Switch(
            config.name,
            ageing_s=config.ageing_s,
            fdb_limit=config.fdb_limit,
            pollers=config.pollers,
            busy_poll_us=config.busy_poll_us,
            core=config.core,
            clock=clock,
        )
        switch.set_reserved(range(16), "drop")
        switch.set_reserved(config.forward, "forward")
        switch.set_guards(config.guards)
        if config.loop_detect != "off":
            switch.loops.configure(config.loop_detect, config.loop_hold_s)
        elif config.loop_hold_s != SwitchConfig().loop_hold_s:  # it may be told to, later
            log.warning("loop-hold does nothing without loop-detect=on switch=%s", config.name)
        return cls(switch, config)

    def open(self) -> None:
        """Open all ports and listeners.

        Raises:
            FdbError: a static station cannot be.
            PortError: one of them cannot be; those before it are open.
        """
        for port in self.config.ports:
            self._open(port)
        for station in self.config.stations:
            self._pin(station, move=False)
        for mirror in self.config.mirrors:
            self.switch.mirrors.add(mirror)
        for neighbour in self.config.neighbours:
            self.switch.neighbours.add(neighbour)
        for place in self.config.listeners:
            self._listen(place)

    # ------------------------------------------------------------------ ports

    def add_port(self, port: PortConfig) -> None:
        """Open one more port.

        Raises:
            ConfigError: it cannot be beside the others.
            FdbError: its own station cannot be.
            LockedError: the switch takes no more.
            PortError: it cannot be opened.
            PortExistsError: there is one of that name.
        """
        _check_kind(port)
        with self._lock:
            if self.locked:
                raise LockedError(self.config.name)
            if port.name in self.switch.ports:
                raise PortExistsError(f"port {port.name} is there already")
            if any(port.name == other.name for other in self._opening):
                raise PortExistsError(f"port {port.name} is being opened by somebody else")
            openfiles.allow(self._with(*self._opening, port))
            self._opening.append(port)
        with self._until_open(self._opening, port):
            self._open(port)
        log.info("port added name=%s", port.name)

    @contextmanager
    def _until_open(self, opening: list[PortConfig], what: PortConfig) -> Iterator[None]:
        """Keep the place of *what*, which is among *opening*, while the block opens it."""
        try:
            yield
        finally:
            with self._lock:
                if what in opening:  # it could not be opened
                    opening.remove(what)

    def _with(self, *ports: PortConfig) -> SwitchConfig:
        return replace(self.config, ports=(*self.config.ports, *ports))

    def remove_port(self, name: str) -> None:
        """Close a port, and forget its static stations.

        One that a VM's connection made goes with that: the VM is hung up on, and may come again.

        Raises:
            PortNotFoundError: there is none.
        """
        with self._lock:
            try:
                self.switch.remove_port(name)
            finally:  # also if its device could not be put back: it is not ours any more
                if name not in self.switch.ports:
                    self._forget(name)
            log.info("port removed name=%s", name)

    def _forget(self, name: str) -> None:
        self.config = replace(
            self.config,
            ports=tuple(port for port in self.config.ports if port.name != name),
            stations=tuple(s for s in self.config.stations if s.port != name),
            mirrors=tuple(filter(None, (m.without(name) for m in self.config.mirrors))),
        )

    def set_port(self, name: str, **change: Unpack[PortChange]) -> None:
        """Change what is given of a port.

        Raises:
            ConfigError: a value cannot be.
            PortError: its MTU cannot be changed, and nothing was.
            PortNotFoundError: there is none.
        """
        read: Any = {field: LIVE[field].check(field, value) for field, value in change.items()}
        read = whole(read)
        if change.get("backup") == name:
            raise ConfigError(f"backup: port {name} cannot be its own backup")
        with self._lock:
            self.switch.set_port(name, **read)
            ports = (replace(p, **read) if p.name == name else p for p in self.config.ports)
            self.config = replace(self.config, ports=tuple(ports))

    def change_vlans(
        self, name: str, change: Callable[[PortVlans | None], PortVlans | None]
    ) -> None:
        """Give a port what *change* makes of its VLANs.

        Raises:
            ConfigError: that cannot be.
            PortNotFoundError: there is none.
        """
        with self._lock:
            self.set_port(name, vlans=change(self.switch.port_status(name).vlans))

    def _open(self, config: PortConfig) -> None:
        """Open a port; one that is new joins the configuration."""
        port = (self._opener or open_port)(self._resolved(config))
        try:
            with self._lock:
                self.switch.add_port(port, config.settings)
                if config in self._opening:
                    self._opening.remove(config)  # it is never in both: names are there once
                    self.config = self._with(config)
        except BaseException:
            port.close()
            raise

    def _resolved(self, port: PortConfig) -> PortConfig:
        """A port's configuration with what it takes from its switch."""
        return replace(
            port,
            switch=self.config.name,
            mtu=port.mtu or self.config.mtu,
            # The reference implementation forwards finished frames only.
            offloads=port.offloads and self.config.core == "c",
        )

    # ------------------------------------------------------------------ where VMs connect

    def listen(self, place: PortConfig) -> ListenerStatus:
        """Have one more place where VMs connect; what there is to know about it.

        Raises:
            ConfigError: it cannot be beside the others.
            PortError: it cannot be opened.
            PortExistsError: there is one at that address.
        """
        _check_kind(place)
        with self._lock:
            if self.locked:
                raise LockedError(self.config.name)
            for other in (*self.config.listeners, *self._preparing):
                if (other.kind, other.address) == (place.kind, place.address):
                    raise PortExistsError(f"listener {place.kind}:{place.address} is there already")
            openfiles.allow(replace(self.config, listeners=(*self.config.listeners, place)))
            self._preparing.append(place)
        with self._until_open(self._preparing, place):
            status = self._listen(place)
        log.info("listener added name=%s address=%s", status.name, status.address)
        return status

    def _listen(self, config: PortConfig) -> ListenerStatus:
        """Open a listener; one that is new joins the configuration."""
        place = (self._listener_opener or open_listener)(self._resolved(config))
        try:
            with self._lock:
                self.switch.listen(place)
                self._listening.append((place, config))
                if config in self._preparing:
                    self._preparing.remove(config)
                    listeners = (*self.config.listeners, config)
                    self.config = replace(self.config, listeners=listeners)
                return self._status(place)
        except BaseException:
            place.close()
            raise

    def _status(self, place: Place) -> ListenerStatus:
        return self.switch.listener_status()[self.switch.places.index(place)]

    def unlisten(self, name: str, *, address: str | None = None) -> None:
        """Close a place; the ports of those who are there stay until they leave.

        *address* says which, as `ListenerStatus.address` has it, if several have that name.

        Raises:
            PortError: several have that name.
            PortNotFoundError: there is none.
        """
        with self._lock:
            known = list(zip(self.switch.places, self.switch.listener_status(), strict=True))
            found = [
                (place, status)
                for place, status in known
                if status.name == name and address in (None, status.address)
            ]
            if not found:
                names = ", ".join(status.name for _, status in known)
                raise PortNotFoundError(
                    f"no listener {name}" + (f" at {address}" if address else ""),
                    hint=f"listeners are: {names or 'none yet'}",
                )
            if len(found) > 1:
                addresses = ", ".join(status.address for _, status in found)
                raise PortError(
                    f"{len(found)} listeners are called {name}",
                    hint=f"say which by its address: {addresses}",
                )
            self._unlisten(found[0][0])

    def close_place(self, config: PortConfig) -> None:
        """The same of the place that *config* is of; several may have its name."""
        with self._lock:
            where = (config.kind, config.address)
            places = (p for p, its in self._listening if (its.kind, its.address) == where)
            self._unlisten(next(places))

    def _unlisten(self, place: Place) -> None:
        status = self._status(place)
        self.switch.unlisten(place)
        log.info("listener removed name=%s address=%s", status.name, status.address)
        self._listening = [known for known in self._listening if known[0] is not place]
        left = tuple(config for _, config in self._listening)
        self.config = replace(self.config, listeners=left)

    # ------------------------------------------------------------------ the switch, its stations

    def set_switch(
        self,
        *,
        ageing_s: int | None = None,
        forward: Sequence[str] | None = None,
        loop_detect: str | None = None,
        loop_hold_s: int | None = None,
        **guards: Unpack[GuardsChange],
    ) -> None:
        """Change what is given of the switch.

        Raises:
            ConfigError: it cannot be.
        """
        with self._lock:
            config = self.config
            if ageing_s is not None:
                config = replace(config, ageing_s=ageing_s)
            for field, value in guards.items():
                SWITCH_LIVE[field].check(field, value)
            config = replace(config, **guards)
            if forward is not None:
                config = replace(config, forward=parse_forward(",".join(forward)))
            if loop_detect is not None:
                config = replace(config, loop_detect=loop_detect)
            if loop_hold_s is not None:
                config = replace(config, loop_hold_s=loop_hold_s)
            if config.ageing_s != self.config.ageing_s:
                self.switch.set_ageing(config.ageing_s)
            if config.guards != self.config.guards:
                self.switch.set_guards(config.guards)
            if config.forward != self.config.forward:
                with self.switch.paused():  # no frame meets one half of it
                    self.switch.set_reserved(range(16), "drop")
                    self.switch.set_reserved(config.forward, "forward")
            loops = (config.loop_detect, config.loop_hold_s)
            if loops != (self.config.loop_detect, self.config.loop_hold_s):
                self.switch.loops.configure(*loops)
            self.config = config

    def apply(self, config: SwitchConfig) -> list[str]:
        """Make it what *config* says, by what differs; the changes, as lines.

        Raises:
            VswitchError: as `vswitch.reconcile.apply`.
        """
        from vswitch import reconcile  # here: most switches never need it, and it loads TOML

        with self._lock:
            # Now: what is closed on the way to that could not be opened again, either.
            if self.locked and reconcile.opens(self.config, config):
                raise LockedError(self.config.name)
            openfiles.allow(config)
            return reconcile.apply(self, config)

    def reload(self) -> list[str]:
        """Read its file again, and `apply` that.

        Raises:
            ConfigError: it has none, or what it says cannot be.
            PortError: a port or listener cannot be opened.
        """
        with self._lock:
            if self.source is None:
                raise ConfigError(
                    "this switch has no configuration file",
                    hint="start it with one: vswitch run --config FILE",
                )
            changes = self.apply(self.source.read())
            self.source.taken_over()
            return changes

    def pin(self, station: StationConfig, *, move: bool) -> None:
        """Make a static or sticky entry; *move*: also if it is static already.

        One that is sticky and has aged is made again when the switch is started.

        Raises:
            ConfigError: its VLAN is not one of the port.
            FdbError: it is a port's own, or there is no room.
            PortNotFoundError: there is no such port.
            StationExistsError: it is static already.
        """
        with self._lock:
            self._pin(station, move=move)
            stations = self._stations_without(station.mac, station.vid)
            if any(port.name == station.port for port in self.config.ports):
                stations = (*stations, station)
            self.config = replace(self.config, stations=stations)

    def _pin(self, station: StationConfig, *, move: bool) -> None:
        make = self.switch.stick if station.sticky else self.switch.pin
        make(station.mac, station.port, vid=station.vid, move=move)

    def unpin(self, mac: bytes, vid: int) -> None:
        """Forget one station, static or learned; or one that is sticky and has aged.

        Raises:
            FdbError: it is a port's own.
            StationNotFoundError: it is not known.
        """
        with self._lock:
            left = self._stations_without(mac, vid)
            if not self.switch.unpin(mac, vid=vid) and left == self.config.stations:
                raise StationNotFoundError(f"no station {mac.hex(':')}")
            self.config = replace(self.config, stations=left)

    def add_mirror(self, mirror: Mirror) -> None:
        """Have one more mirror; it joins the configuration if all its ports are there.

        Raises:
            VswitchError: as `vswitch.mirroring.Mirroring.add`.
        """
        with self._lock:
            self.switch.mirrors.add(mirror)
            if {port.name for port in self.config.ports}.issuperset(mirror.ports):
                self.config = replace(self.config, mirrors=(*self.config.mirrors, mirror))

    def remove_mirror(self, name: str) -> None:
        """End a mirror.

        Raises:
            MirrorNotFoundError: there is none.
        """
        with self._lock:
            self.switch.mirrors.remove(name)
            left = tuple(mirror for mirror in self.config.mirrors if mirror.name != name)
            self.config = replace(self.config, mirrors=left)

    def _stations_without(self, mac: bytes, vid: int) -> tuple[StationConfig, ...]:
        return tuple(s for s in self.config.stations if (s.mac, s.vid) != (mac, vid))


def _check_kind(port: PortConfig) -> None:
    """Raise PortError if only who starts the process can bring what *port* needs."""
    if port.kind == "fd":
        raise PortError(
            f"fd:{port.address}: a descriptor is handed to a process when that starts",
            hint="have the switch open it by itself: tap:NAME, qemu:PATH, ...",
        )
