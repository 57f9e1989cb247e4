"""Stations for the matrix: a namespace whose Ethernet interface is behind a port, for each kind.

A new kind of port joins by a function that builds the far side and opens the port as the command
line spells it, and by its entry in STATIONS.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from support.namespaces import Netns
from support.tap import open_tap
from support.transfer import SO_RCVBUFFORCE
from vswitch import Port
from vswitch.linux import tun
from vswitch.portconfig import AUTO, PortConfig
from vswitch.ports import open_port

RELAY = Path(__file__).with_name("relay.py")
PATHS = os.pathsep.join(os.fspath(folder) for folder in Path(__file__).parents[1:3])


@dataclass(frozen=True)
class Site:
    """Where a station is built, and what it is to be."""

    name: str  # of its interface and of its port
    number: int  # no other station has it
    offloads: bool  # whether its port is to take and give unfinished frames, if its kind can
    ns: Netns  # its own
    hub: Netns  # where the switch has its devices and sockets
    folder: Path  # for the files of sockets
    undo: ExitStack


def _opened(ns: Netns, text: str) -> Port:
    with ns.entered():
        return open_port(PortConfig.parse(text))


def _on_off(site: Site) -> str:
    return "on" if site.offloads else "off"


def _tap(site: Site) -> Port:
    return _opened(site.ns, f"tap:{site.name},offloads={_on_off(site)}")


def _local(site: Site) -> Port:
    return _opened(site.ns, f"local:{site.name},offloads={_on_off(site)}")


def _fd(site: Site) -> Port:
    with site.ns.entered():
        file = open_tap(site.name)
    site.ns.ip("link", "set", site.name, "up")
    return _opened(site.hub, f"fd:{file},name={site.name},offloads={_on_off(site)}")


def _netdev(site: Site) -> Port:
    site.hub.ip(
        "link", "add", site.name, "type", "veth", "peer", "name", site.name, "netns", site.ns.name
    )
    site.ns.ip("link", "set", site.name, "up")
    return _opened(site.hub, f"netdev:{site.name},offloads={_on_off(site)}")


def _qemu(site: Site) -> Port:
    path = str(site.folder / site.name)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(path)
        listener.listen()
        port = _opened(site.hub, f"qemu:{path},name={site.name}")
        wire, _ = listener.accept()
    _relay(site, "stream", wire)
    return port


def _dgram(site: Site) -> Port:
    here, there = f"{site.folder / site.name}.vm", f"{site.folder / site.name}.switch"
    # A socket of its own namespace, where a burst of 32 datagrams fits into it.
    with site.ns.entered():
        Path("/proc/sys/net/unix/max_dgram_qlen").write_text("1000")
        wire = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    wire.bind(here)
    port = _opened(site.hub, f"dgram:{there},remote={here},name={site.name}")
    wire.connect(there)
    _relay(site, "dgram", wire)
    return port


def _udp(site: Site) -> Port:
    here, there = ("127.0.0.1", 10_000 + site.number), ("127.0.0.1", 20_000 + site.number)
    with site.hub.entered():
        wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    wire.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 1 << 22)
    wire.bind(here)
    wire.connect(there)
    text = "udp:{}:{},remote={}:{},name={}".format(*there, *here, site.name)
    port = _opened(site.hub, text)
    _relay(site, "dgram", wire)
    return port


def _vhost_user(site: Site) -> Port:
    path = site.folder / site.name
    port = _opened(site.hub, f"vhost-user:{path},name={site.name},offloads={_on_off(site)}")
    command = (sys.executable, "-m", "support.vhost_guest")
    flags = tun.IFF_VNET_HDR if site.offloads else 0
    _join(site, flags, command, [os.fspath(path), _on_off(site)], ())
    return port


def _relay(site: Site, kind: str, wire: socket.socket) -> None:
    """Join the station's TAP to *wire*, which is closed here, by a process of its own."""
    with wire:
        command = (sys.executable, "-I", "-S", os.fspath(RELAY), kind)
        _join(site, 0, command, [str(wire.fileno())], (wire.fileno(),))


def _join(
    site: Site, flags: int, command: Sequence[str], wire: Sequence[str], fds: Sequence[int]
) -> None:
    """Give the station a TAP, whose descriptor *command* has as its next argument."""
    with site.ns.entered():
        tap = open_tap(site.name, tun.IFF_TAP | tun.IFF_NO_PI | flags)
    os.set_blocking(tap, True)
    site.ns.ip("link", "set", site.name, "up")
    process = subprocess.Popen(
        [*command, str(tap), *wire], stdin=subprocess.PIPE, pass_fds=(tap, *fds),
        env=os.environ | {"PYTHONPATH": PATHS},
    )  # fmt: skip
    os.close(tap)
    site.undo.callback(_end, process)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.stdin.close()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(5)


STATIONS: Mapping[str, Callable[[Site], Port]] = {
    "tap": _tap,
    "local": _local,
    "fd": _fd,
    "netdev": _netdev,
    "qemu": _qemu,
    "dgram": _dgram,
    "udp": _udp,
    "vhost-user": _vhost_user,
}
# Kinds that cannot have one, and why.
WITHOUT_STATION: Mapping[str, str] = {
    AUTO: "it takes one of the others",
    "pcap": "nobody answers behind a capture",
    "record": "nothing enters there",
}
