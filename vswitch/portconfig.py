"""What a port is to be: text in, frozen facts out, everything checked here.

`PortConfig.parse` reads a port as the command line spells it::

    tap0
    netdev:eth1
    local:br0,ip=10.0.0.1/24,ip=fd00::1/64
    tap:tap0,queues=4,mtu=9000,mac=02:00:00:00:00:01,fdb-limit=100,offloads=off
    tap0,learning=off,state=blocked
    qemu:/tmp/vm.sock
    qemu:127.0.0.1:1234,retry=off
    vhost-user:/tmp/vm.sock,queues=4
    vhost-user:/tmp/vm.sock,client
    dgram:/tmp/switch.sock,remote=/tmp/vm.sock,mode=0660
    udp:127.0.0.1:5000,remote=127.0.0.1:5001,name=vm0
    pcap:in.pcap,speed=2.5,loop=3,out=out.pcapng,name=lab
    record:out.pcapng
    fd:3,name=vm1

A kind is an entry of KINDS: its options, and how its address is checked and becomes a name.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

from vswitch import guardwords, rates, vlanwords
from vswitch import options as read
from vswitch.errors import ConfigError
from vswitch.options import Number, Option, in_range
from vswitch.portsettings import PortSettings

if TYPE_CHECKING:
    from ipaddress import IPv4Interface, IPv6Interface

MTU_MIN, MTU_MAX = 68, 65521  # RFC 791; the longest a TAP takes (tun.c: 65535 - 14)
FDB_LIMIT_MAX = 4_194_304
QUEUES_MAX = 16
LOOPS_MAX = 1_000_000_000
SOCKET_PATH_MAX_BYTES = 107  # sun_path of unix(7), without the terminating NUL
DESCRIPTOR_MAX = 1 << 20  # the kernel's fs.nr_open, unless it was raised
_NUMBERS = r"[0-9]{1,9}(:[0-9]{1,9})*"
AUTO = "auto"  # the end of a device that is free
Word = tuple[str, str]  # the key of an option, and its value as text


@dataclass(frozen=True, slots=True)
class PortConfig(PortSettings):
    """A port to be opened, with its settings."""

    name: str
    kind: str = AUTO
    queues: int = 1
    mtu: int | None = None  # bytes; None: the switch's, or what the device has
    mac: bytes | None = None  # of the interface end; None: as it is
    ips: tuple[IPv4Interface | IPv6Interface, ...] = ()  # of the host
    offloads: bool = True
    force: bool = False  # take a device that the host uses, too
    switch: str = ""  # the name of the one it is for
    retry: bool = True  # of a port that connects: whenever nobody is there
    client: bool = False  # vhost-user: the front-end listens
    # Of a socket: its path, or HOST:PORT; of a stream, a path has a "/". Of fd: see `descriptors`.
    address: str = ""
    remote: str = ""  # the peer's
    mode: int | None = None  # of the socket's file; None: what `SocketFile` gives it
    owner: int = -1  # of the socket's file: user id, -1: ours
    group: int = -1
    out: str = ""  # of a capture: where what leaves is recorded
    speed: float = 1.0  # how fast its time passes; infinite: all at once
    loop: int = 1  # how often it enters; 0: without end

    @property
    def descriptors(self) -> tuple[int, ...]:
        """The numbers of kind fd: several are queues of one device; none yet of one by name."""
        if self.kind != "fd" or not re.fullmatch(_NUMBERS, self.address):
            return ()
        return tuple(map(int, self.address.split(":")))

    @property
    def recording(self) -> str:
        """The file that what leaves here is written to, or nothing."""
        return self.address if self.kind == "record" else self.out

    @classmethod
    def parse(cls, text: str) -> PortConfig:
        """Read ``[kind:]name[,key=value...]``; ``force`` needs no value.

        Raises:
            ConfigError: the text is not a port.
        """
        kind, address, options = split(text)
        return cls.made(kind, address, options, what=f"port {text!r}")

    @classmethod
    def made(
        cls,
        kind: str | None,
        address: str,
        options: Iterable[Word],
        *,
        what: str,
        dot: str = ": ",
    ) -> PortConfig:
        """The same of its parts.

        Raises:
            ConfigError: it is no port; the sentence begins with *what*, and, if it is about
                an option, with *dot* and the option.
        """
        if kind is not None and (kind not in KINDS or kind == AUTO):
            kinds = ", ".join(k for k in KINDS if k != AUTO)
            raise ConfigError(f"{what}: unknown kind {kind!r}", hint=f"kinds are: {kinds}")
        port = cls("", AUTO if kind is None else kind, address=address)
        return _read(KINDS[port.kind], port, what, options, dot)

    @classmethod
    def parse_listener(cls, text: str) -> PortConfig:
        """Read ``qemu:PATH[,key=value...]`` or ``vhost-user:FOLDER/``: where VMs connect; the name
        is their ports' base.

        Raises:
            ConfigError: the text is no such place.
        """
        kind, address, options = split(text)
        return cls.made_listener(kind, address, options, what=f"--listen {text!r}")

    @classmethod
    def made_listener(
        cls,
        kind: str | None,
        address: str,
        options: Iterable[Word],
        *,
        what: str,
        dot: str = ": ",
    ) -> PortConfig:
        """The same of its parts, as `made`."""
        if kind is None or kind not in LISTENERS:
            raise ConfigError(
                f"{what}: not a place to listen", hint="as qemu:PATH, vhost-user:FOLDER/, or fd:3"
            )
        return _read(LISTENERS[kind], cls("", kind, address=address), what, options, dot)


@dataclass(frozen=True, slots=True)
class Kind:
    """How ports of a kind are spelled."""

    options: tuple[str, ...]
    # Checks what stands behind "kind:", given what an error is to begin with; says what the port
    # is called if nobody does.
    default_name: Callable[[PortConfig, str], str]


def split(text: str) -> tuple[str | None, str, list[Word]]:
    """``[kind:]address[,key=value...]`` in its parts."""
    head, *options = text.split(",")
    kind, colon, address = head.partition(":")
    found = vlanwords.split_words(guardwords.joined(options))
    return (kind, address, found) if colon else (None, head, found)


def _read(kind: Kind, port: PortConfig, what: str, options: Iterable[Word], dot: str) -> PortConfig:
    read.utf8(what, port.address)
    seen: set[str] = set()
    vlans: dict[str, Any] = {}  # what is said of them, which is one thing only in the end
    for said, value in options:
        key = vlanwords.SYNONYMS.get(said, said)
        try:
            read.utf8(f"{what}{dot}{key}", value)
            _check_option(port, what, key, seen, kind.options)
            if key in VLAN_OPTIONS:
                vlans[key] = VLAN_OPTIONS[key].reader(f"{what}{dot}{key}", value)
            else:
                port = _with_option(port, f"{what}{dot}{key}", key, value)
        except ConfigError as e:
            e.key = said
            raise
        seen.add(key)
    port = replace(port, vlans=vlanwords.made(what, vlans))
    port.check(what)
    default = kind.default_name(port, what)  # a name that was given excuses no address
    name = port.name or default
    if port.backup == name:
        error = ConfigError(f"{what}{dot}backup: a port cannot be its own backup")
        error.key = "backup"
        raise error
    if "name" not in kind.options:  # a device is its name
        return replace(port, name=name, address="")
    check_port_name(what, name, hint="give it one: name=NAME")
    return replace(port, name=name)


def _check_option(
    port: PortConfig, what: str, key: str, seen: Collection[str], known: Collection[str]
) -> None:
    if key in seen and key not in LISTS:
        raise ConfigError(f"{what}: option {key!r} is given twice")
    opposite = _OPPOSITES.get(key)
    if opposite and opposite in seen:
        raise ConfigError(f"{what}: {opposite} and {key} exclude one another")
    if key not in known:
        kind = "a device" if port.kind == AUTO else port.kind
        says = f"{kind} has no option" if key in OPTIONS else "unknown option"
        raise ConfigError(f"{what}: {says} {key!r}", hint=f"options are: {', '.join(known)}")


def _with_option(port: PortConfig, what: str, key: str, value: str) -> PortConfig:
    option = OPTIONS[key]
    given = option.reader(what, value)
    if key in LISTS:
        given = (*getattr(port, option.field), given)
    return replace(port, **{option.field: given})


def is_port_name(name: str) -> bool:
    """Whether a port without a device can be called so."""
    return bool(re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}", name))


def check_port_name(what: str, name: str, *, hint: str | None = None) -> None:
    """Raise ConfigError unless *name* can be that of a port without a device."""
    if not is_port_name(name):
        raise ConfigError(
            f"{what}: a port's name has 1 to 64 letters, digits, '_', '.' or '-', "
            f"which {name!r} has not",
            hint=hint,
        )


def check_interface_name(what: str, name: str) -> None:
    """Raise ConfigError unless *name* can be a network interface's (see netdevice(7))."""
    size = len(name.encode())
    if not 1 <= size <= 15:
        raise ConfigError(f"{what}: an interface name has 1 to 15 bytes, this one has {size}")
    # dev_valid_name() and dev_alloc_name() in the kernel's net/core/dev.c; "%d" would be a number.
    if name in (".", "..") or any(c in "/:%\0" or c.isspace() for c in name):
        raise ConfigError(f"{what}: an interface name has no '/', ':', '%' or white space")


def _device(port: PortConfig, what: str) -> str:
    check_interface_name(what, port.address)
    return port.address


def _local(port: PortConfig, what: str) -> str:
    ips = [str(i.ip) for i in port.ips]
    if twice := [ip for ip in ips if ips.count(ip) > 1]:
        raise ConfigError(f"{what}: address {twice[0]} is given twice")
    return _device(port, what)


def _path(port: PortConfig, what: str) -> str:
    _check_path(what, port.address)
    return PurePath(port.address).name.removesuffix(".sock")


def _guest_path(port: PortConfig, what: str) -> str:
    if port.client and (port.mode, port.owner, port.group) != (None, -1, -1):
        raise ConfigError(f"{what}: mode, owner and group are of a file that the front-end makes")
    if port.address.endswith("/"):
        raise ConfigError(
            f"{what}: such a folder is for many virtual machines, and a port for one",
            hint=f"--listen vhost-user:{port.address}",
        )
    return _path(port, what)


def _folder(port: PortConfig, what: str) -> str:
    if not port.address.endswith("/"):
        raise ConfigError(
            f"{what}: such a socket is for one virtual machine, and a folder for many",
            hint=f"--port vhost-user:{port.address}, or --listen vhost-user:{port.address}/",
        )
    _check_path(what, port.address)
    return PurePath(port.address).name


def _place(port: PortConfig, what: str) -> str:
    if read.is_path(port.address):
        return _path(port, what)
    if (port.mode, port.owner, port.group) != (None, -1, -1):
        raise ConfigError(f"{what}: mode, owner and group are a file's, and TCP has none")
    return f"tcp{read.host_port(what, port.address)[1]}"


def _path_pair(port: PortConfig, what: str) -> str:
    _check_remote(port, what)
    _check_path(what, port.remote)
    _check_other(port, what)
    return _path(port, what)


def _host_pair(port: PortConfig, what: str) -> str:
    _check_remote(port, what)
    _, number = read.host_port(what, port.address)
    read.host_port(f"{what}: remote", port.remote)
    _check_other(port, what)
    return f"udp{number}"


def _capture(port: PortConfig, what: str) -> str:
    if not port.address:
        raise ConfigError(f"{what}: which file is missing")
    return re.sub(r"\.(pcap|pcapng)$", "", PurePath(port.address).name)


def _descriptors(port: PortConfig, what: str) -> str:
    numbers = port.descriptors
    if not numbers:
        if not re.fullmatch(r"[ -9;-~]{1,255}", port.address):  # as sd_listen_fds(3) names them
            raise ConfigError(
                f"{what}: neither descriptors nor the name of one: {port.address!r}",
                hint="as fd:3, or fd:3:4 for two queues of one TAP",
            )
        return port.address.removesuffix(".socket")
    for number in numbers:
        if number in (1, 2):
            raise ConfigError(f"{what}: descriptor {number} is where we say what happens")
        in_range(f"{what}: descriptor", number, 0, DESCRIPTOR_MAX)
        if numbers.count(number) > 1:
            raise ConfigError(f"{what}: descriptor {number} is given twice")
    in_range(f"{what}: descriptors of one port", len(numbers), 1, QUEUES_MAX)
    return f"fd{numbers[0]}"


def _check_remote(port: PortConfig, what: str) -> None:
    if not port.remote:
        raise ConfigError(f"{what}: whom to send to is missing", hint="add remote=...")


def _check_other(port: PortConfig, what: str) -> None:
    """Raise ConfigError when a port would send to itself."""
    if port.remote == port.address:
        raise ConfigError(f"{what}: remote is the port itself", hint="give it the peer's address")


def _check_path(what: str, path: str) -> None:
    size = len(path.encode())
    in_range(f"{what}: bytes in the path of a socket", size, 1, SOCKET_PATH_MAX_BYTES)


# Said in several words, which are options of their own; as a whole it is one setting.
VLAN_OPTIONS: Mapping[str, Option] = {
    key: Option("vlans", reader, text=vlanwords.TEXTS[key])
    for key, reader in vlanwords.READERS.items()
}
VLANS = Option("vlans", vlanwords.parse, live=True, text="as access=10, or trunk=10,20,native=1")
# As bridge(8) has them, with "-" for "_".
FLAGS: Mapping[str, Option] = {
    "isolated": Option(
        "isolated", read.on_off, live=True, text="let nothing pass between two such ports"
    ),
    "hairpin": Option(
        "hairpin", read.on_off, live=True, text="let frames leave where they came in"
    ),
    "flood": Option("flood", read.on_off, live=True, text="send unknown unicast there"),
    "mcast-flood": Option("mcast_flood", read.on_off, live=True, text="send multicast there"),
    "bcast-flood": Option("bcast_flood", read.on_off, live=True, text="send broadcast there"),
    "neigh-suppress": Option(
        "neigh_suppress",
        read.on_off,
        live=True,
        text="answer for known neighbours there",
    ),
    "locked": Option(
        "locked", read.on_off, live=True, text="let nobody in whose entry is not there"
    ),
    "mab": Option("mab", read.on_off, live=True, text="note at a locked port who wants to enter"),
    **guardwords.OPTIONS,
    "backup": Option(
        "backup", read.any_text, live=True, text="the port to use while its link is down"
    ),
}
METERS: Mapping[str, Option] = {
    "police": Option("police", rates.rate, live=True, text="the rate that may enter, as 10mbit"),
    "police-burst": Option(
        "police_burst", rates.size, live=True, text="what may enter at once, as 64kb; 0: by rate"
    ),
    "storm-broadcast": Option(
        "storm_broadcast", rates.rate, live=True, text="the same of broadcasts, as 100pps"
    ),
    "storm-multicast": Option(
        "storm_multicast", rates.rate, live=True, text="the same of multicast"
    ),
    "storm-unknown": Option(
        "storm_unknown", rates.rate, live=True, text="the same of unknown unicast"
    ),
    "shape": Option("shape", rates.bit_rate, live=True, text="the rate that leaves, as 10mbit"),
    "shape-burst": Option(
        "shape_burst", rates.size, live=True, text="bytes that leave at once; 0: by rate"
    ),
    "shape-queue": Option(
        "shape_queue", rates.queue_size, live=True, text="bytes that may wait; 0: by rate"
    ),
}

# By their keys. Of two for one field the first is the one that is written. What is `live` is a
# setting (portsettings.py), or the MTU; who adds one finds there what else there is to do.
OPTIONS: Mapping[str, Option] = {
    "queues": Option("queues", Number(1, QUEUES_MAX)),
    "mac": Option("mac", read.mac),
    "ip": Option("ips", read.ip),
    "offloads": Option("offloads", read.on_off),
    "learning": Option("learning", read.on_off, live=True, text="learn stations there"),
    "state": Option(
        "forwarding", read.forwards, live=True, text='let frames in and out; "disabled" is blocking'
    ),
    "fdb-limit": Option(
        "fdb_limit",
        Number(0, FDB_LIMIT_MAX),
        live=True,
        text="stations it may have; 0: no limit of its own",
    ),
    "limit-drop": Option(
        "limit_drop", read.on_off, live=True, text="at that limit drop frames of other stations"
    ),
    **FLAGS,
    **METERS,
    "loop-detect": Option(
        "loop_detect", read.on_off, live=True, text="look for loops there, if the switch does"
    ),
    **VLAN_OPTIONS,
    "mtu": Option(
        "mtu",
        Number(MTU_MIN, MTU_MAX),
        live=True,
        text="the longest frame in bytes, as ip(8) counts it",
    ),
    "force": Option("force", read.flag),
    "retry": Option("retry", read.on_off),
    "client": Option("client", read.flag),
    "server": Option("client", read.flag_off),
    "name": Option("name", read.text),
    "remote": Option("remote", read.text),
    "mode": Option("mode", read.mode),
    "owner": Option("owner", read.user),
    "group": Option("group", read.group),
    "out": Option("out", read.text),
    "speed": Option("speed", read.speed),
    "loop": Option("loop", Number(0, LOOPS_MAX)),
}
LIVE = read.live([*OPTIONS.values(), VLANS])
_OPPOSITES = {"server": "client", "client": "server"}
LISTS = ("ip",)  # may be given more than once
_SETTINGS = (*(key for key, option in OPTIONS.items() if option.live), *VLAN_OPTIONS)
_TAP = ("queues", "mac", "offloads", *_SETTINGS)
_DEVICE = (*_TAP, "force")  # what the host uses is the interface end
_FILE = ("mode", "owner", "group")
_SOCKET = (*_SETTINGS, "name")
_GUEST = ("queues", "offloads")

KINDS: Mapping[str, Kind] = {
    AUTO: Kind(_DEVICE, _device),
    "tap": Kind(_TAP, _device),
    "netdev": Kind(_DEVICE, _device),
    "local": Kind(("ip", *_TAP), _local),
    "qemu": Kind((*_SOCKET, "retry"), _place),
    "vhost-user": Kind((*_SOCKET, *_GUEST, "server", "client", *_FILE), _guest_path),
    "dgram": Kind((*_SOCKET, "remote", *_FILE), _path_pair),
    "udp": Kind((*_SOCKET, "remote"), _host_pair),
    "pcap": Kind((*_SOCKET, "speed", "loop", "out"), _capture),
    "record": Kind(_SOCKET, _capture),
    "fd": Kind((*_SOCKET, "offloads"), _descriptors),
}
LISTENERS: Mapping[str, Kind] = {
    "qemu": Kind((*_SOCKET, *_FILE), _place),
    "vhost-user": Kind((*_SOCKET, *_GUEST, *_FILE), _folder),
    "fd": Kind(_SOCKET, _descriptors),
}
