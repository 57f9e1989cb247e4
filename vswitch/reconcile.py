"""From the configuration a switch has to another one, by its difference alone.

    what cannot change while it runs?  -> refused, nothing was touched
    open what is new and takes nothing of what leaves
    close what leaves, open what takes its place
    change in place what can be, then the switch as a whole
    a step fails? -> those before it are taken back, the last first

So a port that stays as it was is not touched at all, and one that cannot be opened mostly disturbs
nobody: what leaves is still there. What was closed already is opened again; a TAP that this switch
had made is then a new one, and outside of the namespace the old one was moved to.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Protocol

from vswitch import config as switchconfig
from vswitch.config import StationConfig, SwitchConfig
from vswitch.errors import ConfigError, VswitchError
from vswitch.mirrors import Mirror
from vswitch.neighbours import Neighbour
from vswitch.options import Option
from vswitch.portconfig import LIVE as PORT_LIVE
from vswitch.portconfig import OPTIONS, VLANS, PortConfig
from vswitch.tomltext import form

log = logging.getLogger(__name__)

# Of a switch, what can change while it runs; all else is refused.
LIVE = {*switchconfig.LIVE, "ports", "listeners", "stations", "mirrors", "neighbours"}
FIXED_MTU = ("vhost-user", "fd")  # kinds whose peer was told it, or whose device is not ours
Fields = Mapping[str, tuple[str, Option]]  # a field's key, and its option


def _by_field(table: Mapping[str, Option]) -> Fields:
    return {option.field: (key, option) for key, option in reversed([*table.items()])}


PORT_FIELDS = _by_field({"vlans": VLANS, **OPTIONS})
SWITCH_FIELDS = _by_field(switchconfig.OPTIONS)


class Changing(Protocol):
    """What `apply` needs of a service."""

    config: SwitchConfig

    def add_port(self, port: PortConfig) -> object: ...
    def remove_port(self, name: str) -> object: ...
    @property
    def set_port(self) -> Callable[..., object]: ...
    @property
    def set_switch(self) -> Callable[..., object]: ...
    def listen(self, place: PortConfig) -> object: ...
    def close_place(self, config: PortConfig) -> object: ...
    def pin(self, station: StationConfig, *, move: bool) -> object: ...
    def unpin(self, mac: bytes, vid: int) -> object: ...
    def add_mirror(self, mirror: Mirror) -> object: ...
    def remove_mirror(self, name: str) -> object: ...
    def add_neighbour(self, neighbour: Neighbour, *, replace: bool = False) -> object: ...
    def remove_neighbour(self, ip: bytes, vid: int) -> object: ...


@dataclass(frozen=True, slots=True)
class Step:
    """A change of one thing, and how it is taken back."""

    text: str  # "port tap0: removed"
    do: Callable[[Changing], object]
    undo: Callable[[Changing], object]
    opens: bool = False
    logged: bool = False  # by who does it


def apply(service: Changing, new: SwitchConfig) -> list[str]:
    """Make *service*, whose lock the caller holds, what *new* says; what was changed, as lines.

    Raises:
        ConfigError: it cannot be while the switch runs; nothing was touched.
        VswitchError: a port or listener cannot be opened; all is as before, or the hint says
            what is not.
    """
    old = service.config
    steps = plan(old, new)
    done: list[Step] = []
    try:
        # What a port takes from its switch, it takes when it is opened.
        service.config = replace(old, mtu=new.mtu)
        for step in steps:
            step.do(service)
            done.append(step)
    except BaseException as e:
        service.config = replace(service.config, mtu=old.mtu)
        lost = _taken_back(service, done)
        if lost and isinstance(e, VswitchError):
            e.hint = f"and what was there before could not be restored: {'; '.join(lost)}"
        elif not lost:
            service.config = old
        raise
    service.config = new
    for step in steps:
        if not step.logged:
            log.info("changed what=%r", step.text)
    return [step.text for step in steps]


def _taken_back(service: Changing, done: Iterable[Step]) -> list[str]:
    """Undo steps, the last first; what went wrong with it."""
    lost = []
    for step in reversed([*done]):
        try:
            step.undo(service)
        except (VswitchError, OSError) as e:
            log.error("not taken back change=%r error=%s", step.text, e)
            lost.append(str(e))
    return lost


# ---------------------------------------------------------------------- what differs


def changes(old: SwitchConfig, new: SwitchConfig) -> list[str]:
    """What `apply` would change, as lines.

    Raises:
        ConfigError: it cannot be while the switch runs.
    """
    return [step.text for step in plan(old, new)]


def opens(old: SwitchConfig, new: SwitchConfig) -> bool:
    """Whether `apply` would open a port or a listener, be it one that was there before."""
    return any(step.opens for step in plan(old, new))


def plan(old: SwitchConfig, new: SwitchConfig) -> list[Step]:
    """The steps from *old* to *new*, in their order."""
    has = len(old.ports) + len(old.listeners)
    if has and not new.ports and not new.listeners:  # a file that an editor has just emptied
        raise ConfigError(
            f"no port is left, and the switch has {has}",
            hint="if it is to have none, close them: vswitch port del PORT",
        )
    _check_fixed(old, new)
    mtus = (old.mtu, new.mtu)
    ports = _Members(old.ports, new.ports, mtus, key=_port_key, settable=_settable)
    places = _Members(old.listeners, new.listeners, mtus, key=_place_key, settable=_none)
    held = {one for port in (*ports.leaving, *places.leaving) for one in _takes(port)}
    leaving = {port.name for port in ports.leaving}
    opening = [
        *((place, _listen(place)) for place in places.opened),
        *((port, _add_port(port)) for port in ports.opened),
    ]
    ending, beginning = _set_mirrors(old.mirrors, new.mirrors, leaving)
    return [
        *ending,
        *(step for port, step in opening if not held & _takes(port)),
        *(_unlisten(place) for place in places.leaving),
        *(_remove_port(port, old.stations) for port in ports.leaving),
        *(step for port, step in opening if held & _takes(port)),
        *(_set_port(was, will) for was, will in ports.same if was != will),
        *_set_stations(old.stations, new.stations, leaving),
        *beginning,
        *_set_neighbours(old.neighbours, new.neighbours),
        *_set_switch(old, new),
    ]


def _check_fixed(old: SwitchConfig, new: SwitchConfig) -> None:
    fixed = [
        f"{SWITCH_FIELDS[f.name][0]} (is {getattr(old, f.name) or 'none'}, "
        f"not {getattr(new, f.name) or 'none'})"
        for f in fields(SwitchConfig)
        if f.name not in LIVE and getattr(old, f.name) != getattr(new, f.name)
    ]
    if fixed:
        raise ConfigError(
            f"cannot be changed while the switch runs: {', '.join(fixed)}",
            hint="end the switch and start it again for that",
        )


def _port_key(port: PortConfig) -> object:
    return port.name


def _place_key(place: PortConfig) -> object:
    return (place.kind, place.address)


class _Members:
    """Ports, or listeners, by what becomes of them.

    Attributes:
        same: Those that stay, as they were and as they will be, with the MTU of the switch.
        leaving: Those to be closed, as they were.
        opened: Those to be opened.
    """

    def __init__(
        self,
        old: Iterable[PortConfig],
        new: Iterable[PortConfig],
        mtus: tuple[int | None, int | None],
        *,
        key: Callable[[PortConfig], object],
        settable: Callable[[PortConfig], Iterable[str]],
    ) -> None:
        was = {key(port): replace(port, mtu=port.mtu or mtus[0]) for port in old}
        will = {key(port): replace(port, mtu=port.mtu or mtus[1]) for port in new}
        stay = {k for k in was.keys() & will.keys() if _stays(was[k], will[k], settable(will[k]))}
        self.same = [(was[k], will[k]) for k in was if k in stay]
        self.leaving = [port for port in old if key(port) not in stay]
        self.opened = [port for port in new if key(port) not in stay]


def _stays(was: PortConfig, will: PortConfig, settable: Iterable[str]) -> bool:
    """Whether a port need not be opened anew."""
    return replace(was, **{name: getattr(will, name) for name in settable}) == will


def _settable(port: PortConfig) -> list[str]:
    """The fields of *port* that can be set while it is open."""
    # Without an MTU it is what the device had, which is known when that is closed.
    fixed = ["mtu"] if not port.mtu or port.kind in FIXED_MTU else []
    return [name for name in PORT_LIVE if name not in fixed]


def _none(place: PortConfig) -> list[str]:
    """The same of a listener: there is none."""
    return []


def _takes(port: PortConfig) -> set[object]:
    """What no two ports can have: names, places, files, addresses, descriptors."""
    paths = {os.path.abspath(path) for path in (port.address, port.recording) if path}
    ips = {i.ip for i in port.ips}
    return {port.name, *paths, *ips, *port.descriptors, *({port.mac} - {None})}


# ---------------------------------------------------------------------- steps


def _add_port(port: PortConfig) -> Step:
    return Step(
        f"port {port.name}: opened",
        lambda service: service.add_port(port),
        lambda service: service.remove_port(port.name),
        opens=True,
        logged=True,
    )


def _remove_port(port: PortConfig, stations: Iterable[StationConfig]) -> Step:
    its = [station for station in stations if station.port == port.name]

    def put_back(service: Changing) -> None:
        service.add_port(port)
        for station in its:
            service.pin(station, move=True)

    return Step(
        f"port {port.name}: closed", lambda s: s.remove_port(port.name), put_back, logged=True
    )


def _listen(place: PortConfig) -> Step:
    return Step(
        f"listener {place.kind}:{place.address}: opened",
        lambda service: service.listen(place),
        lambda service: service.close_place(place),
        opens=True,
        logged=True,
    )


def _unlisten(place: PortConfig) -> Step:
    return Step(
        f"listener {place.kind}:{place.address}: closed",
        lambda service: service.close_place(place),
        lambda service: service.listen(place),
        logged=True,
    )


def _set_port(was: PortConfig, will: PortConfig) -> Step:
    changed = [name for name in _settable(will) if getattr(was, name) != getattr(will, name)]
    return Step(
        f"port {was.name}: {_described(PORT_FIELDS, was, will, changed)}",
        lambda service: service.set_port(was.name, **_of(will, changed)),
        lambda service: service.set_port(was.name, **_of(was, changed)),
    )


def _set_stations(
    old: Iterable[StationConfig], new: Iterable[StationConfig], leaving: Collection[str]
) -> Iterator[Step]:
    """Steps for stations; those of ports that are *leaving* go with them."""
    was = {(s.vid, s.mac): s for s in old if s.port not in leaving}
    will = {(s.vid, s.mac): s for s in new}
    for key, station in was.items():
        if key not in will:
            yield _unpin(station)
    for key, station in will.items():
        if was.get(key) != station:
            yield _pin(station, was.get(key))


def _pin(station: StationConfig, was: StationConfig | None) -> Step:
    def put_back(service: Changing) -> None:
        if was:
            service.pin(was, move=True)
        else:
            service.unpin(station.mac, station.vid)

    text = f"{_named(station)}: behind {station.port}{', sticky' if station.sticky else ''}"
    return Step(text, lambda service: service.pin(station, move=True), put_back)


def _named(station: StationConfig) -> str:
    vlan = f" in VLAN {station.vid}" if station.vid else ""
    return f"station {station.mac.hex(':')}{vlan}"


def _unpin(station: StationConfig) -> Step:
    return Step(
        f"{_named(station)}: forgotten",
        lambda service: service.unpin(station.mac, station.vid),
        lambda service: service.pin(station, move=True),
    )


def _set_mirrors(
    old: Iterable[Mirror], new: Iterable[Mirror], leaving: Collection[str]
) -> tuple[list[Step], list[Step]]:
    """Steps for mirrors: those that end, also because ports are *leaving*, and those that begin."""
    old, new = [*old], [*new]
    stay = [mirror for mirror in old if mirror in new and not {*mirror.ports} & {*leaving}]
    return (
        [_end_mirror(mirror) for mirror in old if mirror not in stay],
        [_begin_mirror(mirror) for mirror in new if mirror not in stay],
    )


def _begin_mirror(mirror: Mirror) -> Step:
    return Step(
        f"mirror {mirror.text}: begun",
        lambda service: service.add_mirror(mirror),
        lambda service: service.remove_mirror(mirror.name),
        logged=True,
    )


def _end_mirror(mirror: Mirror) -> Step:
    return Step(
        f"mirror {mirror.text}: ended",
        lambda service: service.remove_mirror(mirror.name),
        lambda service: service.add_mirror(mirror),
        logged=True,
    )


def _set_neighbours(old: Iterable[Neighbour], new: Iterable[Neighbour]) -> Iterator[Step]:
    """Steps for neighbours; one whose station changes is replaced."""
    was = {one.key: one for one in old}
    will = {one.key: one for one in new}
    for key, one in was.items():
        if key not in will:
            yield _forget_neighbour(one)
    for key, one in will.items():
        if was.get(key) != one:
            yield _know_neighbour(one, was.get(key))


def _know_neighbour(one: Neighbour, was: Neighbour | None) -> Step:
    def put_back(service: Changing) -> None:
        if was:
            service.add_neighbour(was, replace=True)
        else:
            service.remove_neighbour(one.ip, one.vid)

    text = f"neighbour {one.text}: known"
    return Step(text, lambda s: s.add_neighbour(one, replace=True), put_back, logged=True)


def _forget_neighbour(one: Neighbour) -> Step:
    return Step(
        f"neighbour {one.text}: forgotten",
        lambda service: service.remove_neighbour(one.ip, one.vid),
        lambda service: service.add_neighbour(one),
        logged=True,
    )


def _set_switch(old: SwitchConfig, new: SwitchConfig) -> list[Step]:
    changed = [name for name in switchconfig.LIVE if getattr(old, name) != getattr(new, name)]
    if not changed:
        return []
    settable = [name for name in changed if name != "mtu"]  # which is that of its ports
    return [
        Step(
            f"switch: {_described(SWITCH_FIELDS, old, new, changed)}",
            lambda service: service.set_switch(**_of(new, settable)),
            lambda service: service.set_switch(**_of(old, settable)),
        )
    ]


def _of(config: object, names: Iterable[str]) -> dict[str, Any]:
    return {name: _worded(getattr(config, name)) for name in names}


def _worded(value: object) -> object:
    return switchconfig.reserved_names(value) if isinstance(value, frozenset) else value


def _described(table: Fields, old: object, new: object, names: Iterable[str]) -> str:
    def said(config: object, name: str) -> str:
        value = getattr(config, name)
        told = "none" if value is None else form(table[name][1]).told(value)
        return (",".join(told) if isinstance(told, list) else str(told)) or "none"

    return ", ".join(f"{table[n][0]} {said(old, n)} -> {said(new, n)}" for n in names)
