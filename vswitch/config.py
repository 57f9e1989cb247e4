"""What a switch and its ports are to be: text in, frozen facts out, everything checked here.

`PortConfig.parse` reads a port as the command line spells it::

    tap0
    netdev:eth1
    tap:tap0,queues=4,mtu=9000,mac=02:00:00:00:00:01,fdb-limit=100,offloads=off
    qemu:/tmp/vm.sock
    dgram:/tmp/switch.sock,remote=/tmp/vm.sock,mode=0660
    udp:127.0.0.1:5000,remote=127.0.0.1:5001,name=vm0
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import Any

from vswitch import options as read
from vswitch.errors import ConfigError

# IEEE 802.1Q-2018 table 8-1 and the protocols' own standards: last nibble of 01-80-C2-00-00-0x.
RESERVED = {
    "stp": 0x0,  # bridge group address: STP, RSTP, MSTP
    "pause": 0x1,  # IEEE 802.3 annex 31B
    "lacp": 0x2,  # slow protocols: LACP, marker, OAM
    "dot1x": 0x3,  # IEEE 802.1X (also MACsec key agreement)
    "lldp": 0xE,  # nearest bridge: LLDP, PTP peer delay
}
MTU_MIN, MTU_MAX = 68, 65521  # RFC 791; the longest a TAP takes (tun.c: 65535 - 14)
AGEING_MAX_S = 1_000_000  # IEEE 802.1Q-2018 table 8-6
FDB_LIMIT_MAX = 4_194_304
POLLERS_MAX = 64
QUEUES_MAX = 16
BUSY_POLL_MAX_US = 1_000_000
KINDS = ("tap", "netdev", "qemu", "dgram", "udp")
AUTO = "auto"  # the end of a device that is free

_MAC = re.compile(r"[0-9a-fA-F]{2}([:-][0-9a-fA-F]{2}){5}")


@dataclass(frozen=True, slots=True)
class PortConfig:
    """A port to be opened."""

    name: str
    kind: str = AUTO
    queues: int = 1
    mtu: int | None = None  # bytes; None: the switch's, or what the device has
    mac: bytes | None = None  # of the interface end; None: as it is
    fdb_limit: int = 0  # stations; 0: only the switch's limit counts
    offloads: bool = True
    force: bool = False  # take a device that the host uses, too
    address: str = ""  # of a socket: its path, or HOST:PORT
    remote: str = ""  # the peer's
    mode: int = 0o660  # of the socket's file
    owner: int = -1  # of the socket's file: user id, -1: ours
    group: int = -1

    @classmethod
    def parse(cls, text: str) -> PortConfig:
        """Read ``[kind:]name[,key=value...]``; ``force`` needs no value.

        Raises:
            ConfigError: the text is not a port.
        """
        head, *options = text.split(",")
        kind, colon, name = head.partition(":")
        if not colon:
            kind, name = AUTO, head
        elif kind not in KINDS:
            raise ConfigError(
                f"port {text!r}: unknown kind {kind!r}", hint=f"kinds are: {', '.join(KINDS)}"
            )
        if kind in _SOCKET_OPTIONS:
            return _socket(cls(name="", kind=kind, address=name), f"port {text!r}", options)
        check_interface_name(text, name)
        known = [key for key in _OPTIONS if key not in _SOCKETS_ONLY]
        return _with_options(cls(name=name, kind=kind), f"port {text!r}", options, known)

    @classmethod
    def parse_listener(cls, text: str) -> PortConfig:
        """Read ``qemu:PATH[,key=value...]``: where VMs connect; the name is their ports' base.

        Raises:
            ConfigError: the text is no such place.
        """
        head, *options = text.split(",")
        kind, _, path = head.partition(":")
        if kind != "qemu":
            raise ConfigError(f"--listen {text!r}: not a place to listen", hint="as qemu:PATH")
        port = cls(name="", kind=kind, address=path)
        return _socket(port, f"--listen {text!r}", options, listens=True)


@dataclass(frozen=True, slots=True)
class SwitchConfig:
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
    forward: frozenset[int] = frozenset({RESERVED["stp"]})

    def __post_init__(self) -> None:
        check_switch_name(self.name)
        in_range("--ageing", self.ageing_s, 0, AGEING_MAX_S)
        in_range("--fdb-limit", self.fdb_limit, 1, FDB_LIMIT_MAX)
        in_range("--pollers", self.pollers, 1, POLLERS_MAX)
        in_range("--busy-poll", self.busy_poll_us, 0, BUSY_POLL_MAX_US)
        if self.mtu is not None:
            in_range("--mtu", self.mtu, MTU_MIN, MTU_MAX)
        if self.core not in ("c", "python"):
            raise ConfigError(f"--core is c or python, not {self.core!r}")
        if self.core == "python" and self.pollers != 1:
            raise ConfigError(
                f"--core python has one poller, not {self.pollers}", hint="leave --pollers away"
            )
        sockets = [p.kind for p in (*self.ports, *self.listeners) if p.kind in _SOCKET_OPTIONS]
        if self.core == "python" and sockets:
            raise ConfigError(f"--core python has no {sockets[0]} ports", hint="leave --core away")
        _check_unique([p.name for p in self.ports])


def parse_mac(what: str, text: str) -> bytes:
    """Read an Ethernet address of an interface: unicast, not zero."""
    if not _MAC.fullmatch(text):
        raise ConfigError(f"{what}: not an Ethernet address: {text!r}", hint="as 02:00:00:00:00:01")
    mac = bytes.fromhex(text.replace(":", "").replace("-", ""))
    if mac[0] & 1 or not any(mac):
        raise ConfigError(f"{what}: a station's address is unicast and not zero, not {text}")
    return mac


def parse_forward(text: str) -> frozenset[int]:
    """Read a list of reserved addresses to be forwarded: names of RESERVED, or nibbles as 0e.

    Raises:
        ConfigError: a name is unknown.
    """
    return frozenset(_nibble(word) for word in text.split(",") if word)


def _nibble(word: str) -> int:
    if word in RESERVED:
        return RESERVED[word]
    if re.fullmatch(r"(0x)?0?[0-9a-fA-F]", word):
        return int(word, 16)
    raise ConfigError(
        f"--forward: unknown reserved address {word!r}",
        hint=f"names are: {', '.join(RESERVED)}; or the last byte, 00 to 0f",
    )


def in_range(what: str, value: int, low: int, high: int) -> int:
    """*value*, or ConfigError when it is not in *low*..*high*."""
    if not low <= value <= high:
        raise ConfigError(f"{what} must be in {low}..{high}, not {value}")
    return value


def _socket(
    port: PortConfig, what: str, options: Iterable[str], *, listens: bool = False
) -> PortConfig:
    """Check a port over a socket, read its options, and find its name."""
    known = _LISTENER_OPTIONS if listens else _SOCKET_OPTIONS[port.kind]
    port = _with_options(port, what, options, known)
    if "remote" in known and not port.remote:
        raise ConfigError(f"{what}: whom to send to is missing", hint="add remote=...")
    if port.kind == "udp":
        _, number = read.host_port(what, port.address)
        read.host_port(f"{what}: remote", port.remote)
        name = f"udp{number}"
    else:
        for path in (port.address, port.remote) if port.remote else (port.address,):
            in_range(f"{what}: bytes in the path of a socket", len(path.encode()), 1, 107)
        name = PurePath(port.address).name.removesuffix(".sock")
    port = replace(port, name=port.name or name)
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", port.name):
        raise ConfigError(
            f"{what}: a port's name has 1 to 64 letters, digits, '_', '.' or '-', "
            f"which {port.name!r} has not",
            hint="give it one: name=NAME",
        )
    return port


def _with_options(
    port: PortConfig, what: str, options: Iterable[str], known: Iterable[str]
) -> PortConfig:
    seen: set[str] = set()
    for option in options:
        key, _, value = option.partition("=")
        if key in seen:
            raise ConfigError(f"{what}: option {key!r} is given twice")
        seen.add(key)
        if key not in known:
            kind = "a device" if port.kind == AUTO else port.kind
            says = f"{kind} has no option" if key in _OPTIONS else "unknown option"
            raise ConfigError(f"{what}: {says} {key!r}", hint=f"options are: {', '.join(known)}")
        field, reader = _OPTIONS[key]
        port = replace(port, **{field: reader(f"{what}: {key}", value)})
    return port


def check_interface_name(what: str, name: str) -> None:
    """Raise ConfigError unless *name* can be a network interface's (see netdevice(7))."""
    size = len(name.encode())
    if not 1 <= size <= 15:
        raise ConfigError(
            f"port {what!r}: an interface name has 1 to 15 bytes, this one has {size}"
        )
    # dev_valid_name() and dev_alloc_name() in the kernel's net/core/dev.c; "%d" would be a number.
    if name in (".", "..") or any(c in "/:%\0" or c.isspace() for c in name):
        raise ConfigError(f"port {what!r}: an interface name has no '/', ':', '%' or white space")


def check_switch_name(name: str) -> None:
    """Raise ConfigError unless *name* can name a switch and its socket."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", name):
        raise ConfigError(
            f"--name {name!r}: a switch's name has 1 to 64 letters, digits, '_', '.' or '-'"
        )


def _check_unique(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ConfigError(f"port {name} is given twice", hint="each port has its own name")
        seen.add(name)


def _number(low: int, high: int) -> Callable[[str, str], int]:
    def read(what: str, text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,10}", text):
            raise ConfigError(f"{what}: not a number: {text!r}")
        return in_range(what, int(text), low, high)

    return read


def _switch(what: str, text: str) -> bool:
    if text not in ("on", "off"):
        raise ConfigError(f"{what} is on or off, not {text!r}")
    return text == "on"


def _flag(what: str, text: str) -> bool:
    return _switch(what, text or "on")


# key on the command line -> (field, how to read its value)
_OPTIONS: Mapping[str, tuple[str, Callable[[str, str], Any]]] = {
    "queues": ("queues", _number(1, QUEUES_MAX)),
    "mtu": ("mtu", _number(MTU_MIN, MTU_MAX)),
    "mac": ("mac", parse_mac),
    "fdb-limit": ("fdb_limit", _number(0, FDB_LIMIT_MAX)),
    "offloads": ("offloads", _switch),
    "force": ("force", _flag),
    "name": ("name", read.text),
    "remote": ("remote", read.text),
    "mode": ("mode", read.mode),
    "owner": ("owner", read.user),
    "group": ("group", read.group),
}
_SOCKETS_ONLY = ("name", "remote", "mode", "owner", "group")
_LISTENER_OPTIONS = ("mtu", "fdb-limit", "name", "mode", "owner", "group")
_SOCKET_OPTIONS = {
    "qemu": ("mtu", "fdb-limit", "name"),
    "dgram": ("mtu", "fdb-limit", *_SOCKETS_ONLY),
    "udp": ("mtu", "fdb-limit", "name", "remote"),
}
