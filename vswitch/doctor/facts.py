"""What the checks look at: a host and its switches at one moment."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from vswitch.control.schema import FdbEntry, PortInfo


@dataclass(frozen=True, slots=True)
class Device:
    """A network device of this namespace."""

    name: str
    index: int
    mac: str = ""
    mtu: int = 1500
    up: bool = True
    carrier: bool = True
    kind: str = ""  # as "ip -d link" says: tun, veth, bridge, macvlan; "" of a NIC
    master: str = ""  # the bridge it is part of
    below: int = 0  # index of a veth's other end or a macvlan's parent, 0 if that is elsewhere
    addresses: tuple[str, ...] = ()  # as 10.0.0.1/24; without those IPv6 gives itself
    wireless: bool = False
    txqueuelen: int = 1000
    tx_dropped: int = 0  # of a TAP: what its reader had no room for
    stp: bool = False  # of a bridge
    persistent: bool = False  # of a TAP
    owner: int | None = None  # of a TAP: the uid that may open it without a capability


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that has the file end of a TAP."""

    pid: int
    command: str

    def __str__(self) -> str:
        return f"{self.command} (pid {self.pid})"


@dataclass(frozen=True, slots=True)
class Host:
    """What does not depend on any switch."""

    user: str = "root"
    uid: int = 0
    tun: str = ""  # why /dev/net/tun is of no use: "missing", "refused"; "": it is
    net_admin: bool = True
    net_raw: bool = True
    bridge_hooks: tuple[str, ...] = ()  # sysctls that hand bridged frames to the firewall
    aio: tuple[int, int] = (0, 65536)  # asynchronous operations: in use, at most
    devices: Mapping[str, Device] = field(default_factory=dict)
    holders: Mapping[str, tuple[Holder, ...]] = field(default_factory=dict)  # of TAPs
    sees_all: bool = True  # also the files of others' processes
    dead: tuple[str, ...] = ()  # sockets of switches that are no more

    def by_index(self, index: int) -> Device | None:
        """The device with that number, None if there is none or it is 0."""
        return next((d for d in self.devices.values() if index and d.index == index), None)


@dataclass(frozen=True, slots=True)
class SwitchFacts:
    """A running switch."""

    name: str
    api: str  # path of its socket
    pid: int = 0
    uptime_s: int = 0
    moved: int = 0  # stations, since the start
    ports: tuple[PortInfo, ...] = ()
    stations: tuple[FdbEntry, ...] = ()
    files: tuple[int, int] | None = None  # descriptors: open, allowed; None: not for us to see
    here: bool = True  # in our network namespace, so that its devices are those of `Host`
    silent: str = ""  # why it could not be asked


@dataclass(frozen=True, slots=True)
class Facts:
    """All of it."""

    host: Host
    switches: tuple[SwitchFacts, ...] = ()

    def attached(self) -> Iterator[tuple[SwitchFacts, PortInfo, Device]]:
        """The ports whose devices are in our namespace, with these."""
        for switch in self.switches:
            for port in switch.ports if switch.here else ():
                device = self.host.devices.get(port.name)
                if port.end and port.state != "gone" and device:
                    yield switch, port, device
