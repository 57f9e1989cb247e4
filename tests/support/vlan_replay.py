"""Our switches put through the scenarios that the Linux bridge is put through."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Protocol

from support.lab import Lab
from support.vlan_scenario import Arrival, Change, Outcome, Pinned, Place, Plug, Scenario, Sent
from vswitch.portsettings import PortSettings
from vswitch.reference import ReferenceSwitch
from vswitch.vlans import VidSet

NOW_S = 1000
Known = Iterator[tuple[tuple[int, bytes], Place]]  # (VLAN, address), where


class Played(Protocol):
    """A switch with ports numbered from 0, and what can happen to it."""

    def set(self, port: int, settings: PortSettings) -> None: ...
    def pin(self, station: Pinned) -> None: ...
    def receive(self, port: int, frame: bytes) -> Sent: ...
    def plug(self, port: int, *, up: bool) -> None: ...
    def known(self) -> Known: ...
    def close(self) -> None: ...


class PlayedReference:
    """`ReferenceSwitch`, and what a control plane makes of links and of VLANs that are left."""

    def __init__(self, n_ports: int) -> None:
        self._switch = ReferenceSwitch()
        self._settings = {self._switch.add_port(): PortSettings() for _ in range(n_ports)}
        self._down: set[int] = set()

    def set(self, port: int, settings: PortSettings) -> None:
        was, self._settings[port] = self._settings[port], settings
        self._apply(port)
        if was.vlans and settings.vlans:
            self._flush(port, was.vlans.members - settings.vlans.members)

    def pin(self, station: Pinned) -> None:
        self._switch.fdb.pin(station.vid, station.mac, station.port)

    def receive(self, port: int, frame: bytes) -> Sent:
        sent = {} if port in self._down else self._switch.receive(port, [frame], NOW_S)
        return tuple(tuple(sent.get(n, ())) for n in self._switch.ports)

    def plug(self, port: int, *, up: bool) -> None:
        self._down ^= {port}
        self._apply(port)
        if not up and not self._settings[port].backup:
            self._switch.fdb.flush(port)

    def known(self) -> Known:
        for row in self._switch.fdb.rows(NOW_S):
            yield (row.vid, row.mac), Place(row.port, row.static)

    def close(self) -> None:
        """Nothing is to be closed."""

    def _apply(self, port: int) -> None:
        settings, up = self._settings[port], port not in self._down
        backup = int(settings.backup[1:]) if settings.backup and not up else None
        self._switch.set_vlans(port, settings.vlans)
        self._switch.set_flags(port, settings, backup=backup)
        self._switch.ports[port].learning = settings.learning and up
        self._switch.ports[port].forwarding = up

    def _flush(self, port: int, vids: VidSet) -> None:
        for (vid, mac), place in list(self.known()):
            if place == Place(port) and vid in vids:
                self._switch.fdb.delete(vid, mac)


class PlayedSwitch:
    """`Switch` with memory ports."""

    def __init__(self, n_ports: int, core: str) -> None:
        self._names = [f"p{n}" for n in range(n_ports)]
        self._lab = Lab(*self._names, core=core)
        self._down: set[int] = set()

    def set(self, port: int, settings: PortSettings) -> None:
        changes = {f.name: getattr(settings, f.name) for f in fields(settings)}
        self._lab.switch.set_port(f"p{port}", **changes)

    def pin(self, station: Pinned) -> None:
        self._lab.switch.pin(station.mac, f"p{station.port}", vid=station.vid)

    def receive(self, port: int, frame: bytes) -> Sent:
        got = {} if port in self._down else self._lab.send(f"p{port}", frame)
        # What is offered to a device that is down it refuses.
        return tuple(
            () if n in self._down else tuple(got.get(name, ()))
            for n, name in enumerate(self._names)
        )

    def plug(self, port: int, *, up: bool) -> None:
        self._down ^= {port}
        links, member = self._lab.switch._upkeep.links, self._lab.switch._members[f"p{port}"]
        if up:
            links.set_up(member)
        else:
            links.take_down(member, "pulled", 10)

    def known(self) -> Known:
        for s in self._lab.switch.stations():
            yield (s.vid, s.mac), Place(self._names.index(s.port), s.static)

    def close(self) -> None:
        self._lab.close()


def play(switch: Played, scenario: Scenario) -> Outcome:
    """Let it all happen."""
    for port, settings in enumerate(scenario.ports):
        switch.set(port, typed(settings, scenario))
    for station in scenario.pinned:
        switch.pin(station)
    sent = []
    for step in scenario.steps:
        frames: Sent = ((),) * len(scenario.ports)
        if isinstance(step, Arrival):
            frames = switch.receive(step.port, step.frame)
        elif isinstance(step, Change):
            switch.set(step.port, typed(step.settings, scenario))
        elif isinstance(step, Plug):
            switch.plug(step.port, up=step.up)
        sent.append(frames)
    outcome = Outcome(tuple(sent), dict(switch.known()))
    switch.close()
    return outcome


def typed(settings: PortSettings, scenario: Scenario) -> PortSettings:
    """With the scenario's type of tags."""
    if settings.vlans is None:
        return settings
    return replace(settings, vlans=replace(settings.vlans, tag_type=scenario.tag_type))


def by_reference(scenario: Scenario) -> Outcome:
    """What `ReferenceSwitch` does."""
    return play(PlayedReference(len(scenario.ports)), scenario)


def by_switch(scenario: Scenario) -> Outcome:
    """What `Switch` does."""
    return play(PlayedSwitch(len(scenario.ports), "c"), scenario)


def by_python(scenario: Scenario) -> Outcome:
    """What `Switch` does with the core in Python."""
    return play(PlayedSwitch(len(scenario.ports), "python"), scenario)


Replay = Callable[[Scenario], Outcome]
REPLAYS: tuple[Replay, ...] = (by_reference, by_switch, by_python)
