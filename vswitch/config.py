"""What a switch is to be: frozen facts, everything checked here; its ports are `portconfig`'s."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from vswitch import guardwords
from vswitch import options as read
from vswitch.errors import ConfigError
from vswitch.guarding import SwitchGuards
from vswitch.mirrors import Mirror, cannot_be, check_together
from vswitch.neighbours import Neighbour, check_neighbours
from vswitch.options import Number, Option, in_range
from vswitch.portconfig import FDB_LIMIT_MAX, MTU_MAX, MTU_MIN, PortConfig
from vswitch.vlans import VID_MAX

# IEEE 802.1Q-2018 table 8-1 and the protocols' own standards: last nibble of 01-80-C2-00-00-0x.
RESERVED = {
    "stp": 0x0,  # bridge group address: STP, RSTP, MSTP
    "pause": 0x1,  # IEEE 802.3 annex 31B
    "lacp": 0x2,  # slow protocols: LACP, marker, OAM
    "dot1x": 0x3,  # IEEE 802.1X (also MACsec key agreement)
    "lldp": 0xE,  # nearest bridge: LLDP, PTP peer delay
}
AGEING_MAX_S = 1_000_000  # IEEE 802.1Q-2018 table 8-6
POLLERS_MAX = 64
BUSY_POLL_MAX_US = 1_000_000
LOOP_HOLD_MAX_S = 3600


@dataclass(frozen=True, slots=True)
class StationConfig:
    """An entry of the forwarding database that was made by hand: a station behind one port."""

    mac: bytes
    port: str
    vid: int = 0  # 0: of no VLAN
    sticky: bool = (
        False  # it ages, as one that was just heard, and does not move; else it is static
    )


@dataclass(frozen=True, slots=True)
class SwitchConfig(SwitchGuards):
    """A switch to be run."""

    name: str = "vswitch"
    ports: tuple[PortConfig, ...] = ()
    listeners: tuple[PortConfig, ...] = ()
    ageing_s: int = 300
    fdb_limit: int = 65536
    mtu: int | None = None
    pollers: int = 1
    busy_poll_us: int = 50
    core: str = "c"
    loop_detect: str = "off"
    loop_hold_s: int = 10
    snooping_file: str = ""  # where leases outlive a restart; "": where a service keeps its state
    forward: frozenset[int] = frozenset({RESERVED["stp"]})
    stations: tuple[StationConfig, ...] = ()  # of `ports`
    mirrors: tuple[Mirror, ...] = ()  # the same
    neighbours: tuple[Neighbour, ...] = ()  # those said by hand

    def __post_init__(self) -> None:
        check_switch_name(self.name)
        in_range("--ageing", self.ageing_s, 0, AGEING_MAX_S)
        in_range("--fdb-limit", self.fdb_limit, 1, FDB_LIMIT_MAX)
        in_range("--pollers", self.pollers, 1, POLLERS_MAX)
        in_range("--busy-poll", self.busy_poll_us, 0, BUSY_POLL_MAX_US)
        in_range("--move-guard", self.move_guard_s, 0, guardwords.MOVE_GUARD_MAX_S)
        if self.mtu is not None:
            in_range("--mtu", self.mtu, MTU_MIN, MTU_MAX)
        _core("--core", self.core)
        _loop_mode("--loop-detect", self.loop_detect)
        in_range("--loop-hold", self.loop_hold_s, 1, LOOP_HOLD_MAX_S)
        if self.core == "python" and self.pollers != 1:
            raise ConfigError(
                f"--core python has one poller, not {self.pollers}", hint="leave --pollers away"
            )
        if self.core == "python" and any(p.kind == "vhost-user" for p in self._places):
            raise ConfigError(
                "--core python has no vhost-user: C works in the guests' memory",
                hint="leave --core away, or let the VMs connect to --listen qemu:PATH",
            )
        _check_unique([p.name for p in self.ports])
        _check_addresses([str(i.ip) for p in self.ports for i in p.ips])
        _check_macs(self.ports)
        _check_files(self.ports)
        _check_places(self.listeners)
        _check_stations(self.stations, self.ports)
        _check_mirrors(self.mirrors, self.ports)
        check_neighbours(self.neighbours)
        _check_descriptors([n for p in self._places for n in p.descriptors])

    @property
    def _places(self) -> tuple[PortConfig, ...]:
        return (*self.ports, *self.listeners)


def parse_forward(text: str, what: str = "--forward") -> frozenset[int]:
    """Read a list of reserved addresses to be forwarded: names of RESERVED, or nibbles as 0e.

    Raises:
        ConfigError: a name is unknown.
    """
    return frozenset(_nibble(what, word) for word in text.split(",") if word)


def reserved_names(nibbles: Iterable[int]) -> list[str]:
    """The reserved addresses of these last nibbles, by name or last byte, in order."""
    names = {nibble: name for name, nibble in RESERVED.items()}
    return [names.get(nibble, f"{nibble:02x}") for nibble in sorted(nibbles)]


def reserved_nibbles(addresses: Iterable[int | str]) -> list[int]:
    """The last nibbles of reserved addresses given by nibble or name.

    Raises:
        ValueError: a name is unknown.
    """
    given = list(addresses)
    if unknown := [a for a in given if isinstance(a, str) and a not in RESERVED]:
        raise ValueError(f"reserved addresses are {', '.join(RESERVED)}, not {unknown[0]!r}")
    return [RESERVED[a] if isinstance(a, str) else a for a in given]


def _nibble(what: str, word: str) -> int:
    if word in RESERVED:
        return RESERVED[word]
    if re.fullmatch(r"(0x)?0?[0-9a-fA-F]", word):
        return int(word, 16)
    raise ConfigError(
        f"{what}: unknown reserved address {word!r}",
        hint=f"names are: {', '.join(RESERVED)}; or the last byte, 00 to 0f",
    )


def check_switch_name(name: str, what: str = "--name") -> None:
    """Raise ConfigError unless *name* can name a switch and its socket."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", name):
        raise ConfigError(
            f"{what} {name!r}: a switch's name has 1 to 64 letters, digits, '_', '.' or '-'"
        )


def _name(what: str, text: str) -> str:
    check_switch_name(text, what)
    return text


def _core(what: str, text: str) -> str:
    if text not in ("c", "python"):
        raise ConfigError(f"{what} is c or python, not {text!r}")
    return text


def _loop_mode(what: str, text: str) -> str:
    if text not in ("on", "report", "off"):
        raise ConfigError(f"{what} is on, report or off, not {text!r}")
    return text


def _forward(what: str, text: str) -> frozenset[int]:
    return parse_forward(text, what)


# As `portconfig.OPTIONS`, of a station.
STATION_OPTIONS: Mapping[str, Option] = {
    "mac": Option("mac", read.mac),
    "port": Option("port", read.text),
    "vid": Option("vid", Number(0, VID_MAX)),  # 0: of no VLAN
    "sticky": Option("sticky", read.on_off),
}

# The same of the switch as a whole.
OPTIONS: Mapping[str, Option] = {
    "name": Option("name", _name),
    "ageing": Option("ageing_s", Number(0, AGEING_MAX_S), live=True),
    "fdb-limit": Option("fdb_limit", Number(1, FDB_LIMIT_MAX)),
    "mtu": Option("mtu", Number(MTU_MIN, MTU_MAX), live=True),  # that of its ports
    "pollers": Option("pollers", Number(1, POLLERS_MAX)),
    "busy-poll": Option("busy_poll_us", Number(0, BUSY_POLL_MAX_US)),
    "core": Option("core", _core),
    "forward": Option("forward", _forward, live=True),
    **guardwords.SWITCH_OPTIONS,
    "snooping-file": Option("snooping_file", read.text),
    "loop-detect": Option("loop_detect", _loop_mode, live=True),
    "loop-hold": Option("loop_hold_s", Number(1, LOOP_HOLD_MAX_S), live=True),
}
LIVE = read.live(OPTIONS.values())


def _about(member: str, sentence: str, hint: str | None = None) -> ConfigError:
    error = ConfigError(sentence, hint=hint)
    error.member = member
    return error


def _check_unique(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise _about(name, f"port {name} is given twice", "each port has its own name")
        seen.add(name)


def _check_macs(ports: Iterable[PortConfig]) -> None:
    """Two ports with one address: its station would be now here, now there."""
    seen: dict[bytes, str] = {}
    for port in ports:
        if not port.mac:
            continue
        if other := seen.get(port.mac):
            raise _about(
                port.name,
                f"ports {other} and {port.name} have the same address {port.mac.hex(':')}",
                "a station is behind one port: give each its own mac=",
            )
        seen[port.mac] = port.name


def _check_files(ports: Sequence[PortConfig]) -> None:
    """A recording is written by one port, and no port replays it."""
    replayed = {os.path.abspath(p.address) for p in ports if p.kind == "pcap"}
    recorded: dict[str, str] = {}
    for port in ports:
        if not port.recording:
            continue
        path = os.path.abspath(port.recording)
        if other := recorded.get(path):
            raise _about(
                port.name, f"ports {other} and {port.name} both record to {port.recording}"
            )
        if path in replayed:
            raise _about(port.name, f"{port.recording}: what is replayed cannot be recorded to")
        recorded[path] = port.name


def _check_places(listeners: Iterable[PortConfig]) -> None:
    seen: set[tuple[str, str]] = set()
    for place in listeners:
        if (place.kind, place.address) in seen:
            raise _about(place.name, f"--listen {place.kind}:{place.address} is given twice")
        seen.add((place.kind, place.address))


def _check_stations(stations: Iterable[StationConfig], ports: Iterable[PortConfig]) -> None:
    names = {port.name for port in ports}
    seen: set[tuple[int, bytes]] = set()
    for station in stations:
        mac = station.mac.hex(":")
        if station.mac[0] & 1 or not any(station.mac):
            raise _about(mac, f"a station's address is unicast and not zero, not {mac}")
        if station.port not in names:
            raise _about(mac, f"station {mac} is behind {station.port}, which is no port")
        if (station.vid, station.mac) in seen:
            raise _about(mac, f"station {mac} is given twice", "it is behind one port")
        seen.add((station.vid, station.mac))


def _check_mirrors(mirrors: Iterable[Mirror], ports: Iterable[PortConfig]) -> None:
    mirrors = tuple(mirrors)
    check_together(mirrors)
    names = {port.name for port in ports}
    for mirror in mirrors:
        if strange := [name for name in mirror.ports if name not in names]:
            raise cannot_be(mirror, f" names {strange[0]}, which is no port")


def _check_descriptors(numbers: Sequence[int]) -> None:
    for number in numbers:
        if numbers.count(number) > 1:
            raise ConfigError(f"descriptor {number} is given twice", hint="each is one thing")


def _check_addresses(addresses: Sequence[str]) -> None:
    for address in addresses:
        if addresses.count(address) > 1:
            raise ConfigError(f"address {address} is given twice", hint="the host has it once")
