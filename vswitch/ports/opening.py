"""From a port's configuration to the port: a function per kind.

Which end of a device a port takes, if nobody says::

    no such device                    a new TAP, and its file end
    a TAP that nobody holds           its file end
    a TAP that another program holds  its interface end
    any other device                  its interface end
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from vswitch.errors import DeviceError
from vswitch.linux import device, netlink
from vswitch.options import host_port, is_path
from vswitch.portconfig import AUTO, PortConfig
from vswitch.ports.base import Listener, Port
from vswitch.ports.dgram import DgramPort
from vswitch.ports.netdev import NetdevPort
from vswitch.ports.pcap import PcapPort
from vswitch.ports.qemu import Place, QemuListener, QemuPort
from vswitch.ports.tap import TapPort
from vswitch.ports.vhost_folder import VhostUserFolder
from vswitch.ports.vhost_user import VhostUserPort

SOCKET_MTU = 1500  # of a port without a device: what VMs have unless told otherwise


def open_port(config: PortConfig) -> Port:
    """Open a port as *config* says, of any kind.

    Raises:
        PortError: as the port kind says.
    """
    return _OPENERS[config.kind](config)


def open_listener(config: PortConfig) -> Listener | VhostUserFolder:
    """Open a place where VMs connect.

    Raises:
        PortError: it cannot be.
    """
    if config.kind == "vhost-user":
        path, options = Path(config.address), _guest_options(config)
        return VhostUserFolder(path, name=config.name, settings=config.settings, **options)
    if config.kind == "fd":
        from vswitch.ports.handed import HandedListener

        mtu = config.mtu or SOCKET_MTU
        settings = config.settings
        return HandedListener(config.name, config.descriptors, mtu=mtu, settings=settings)
    return QemuListener(
        _place(config),
        name=config.name,
        mode=config.mode,
        owner=config.owner,
        group=config.group,
        mtu=config.mtu or SOCKET_MTU,
        settings=config.settings,
    )


def _open_device(config: PortConfig) -> Port:
    """Take the end of a device that is free, see above."""
    if _has_interface_end_only(config.name):
        return _open_netdev(config)
    try:
        return _open_tap(config)
    except DeviceError as e:
        # Of a TAP with one queue the kernel does not say whether it is held: one has to try.
        if e.errno != errno.EBUSY:
            raise
        return _open_netdev(config)


def _open_tap(config: PortConfig) -> Port:
    return TapPort(
        config.name,
        queues=config.queues,
        mtu=config.mtu,
        mac=config.mac,
        offloads=config.offloads,
    )


def _open_netdev(config: PortConfig) -> Port:
    return NetdevPort(
        config.name,
        queues=config.queues,
        mtu=config.mtu,
        mac=config.mac,
        offloads=config.offloads,
        force=config.force,
    )


def _open_local(config: PortConfig) -> Port:
    from vswitch.ports.local import LocalPort  # here: hashes and addresses take a moment to load

    return LocalPort(
        config.name,
        switch=config.switch,
        ips=config.ips,
        queues=config.queues,
        mtu=config.mtu,
        mac=config.mac,
        offloads=config.offloads,
    )


def _open_qemu(config: PortConfig) -> Port:
    return QemuPort.connect(
        config.name, _place(config), mtu=config.mtu or SOCKET_MTU, retry=config.retry
    )


def _place(config: PortConfig) -> Place:
    if is_path(config.address):
        return Path(config.address)
    return host_port(config.name, config.address)


def _open_vhost_user(config: PortConfig) -> Port:
    path = Path(config.address)
    return VhostUserPort(config.name, path, server=not config.client, **_guest_options(config))


def _guest_options(config: PortConfig) -> dict[str, Any]:
    return {
        "queues": config.queues,
        "mtu": config.mtu or SOCKET_MTU,
        "offloads": config.offloads,
        "mode": config.mode,
        "owner": config.owner,
        "group": config.group,
    }


def _open_dgram(config: PortConfig) -> Port:
    return DgramPort.unix(
        config.name,
        Path(config.address),
        remote=Path(config.remote),
        mode=config.mode,
        owner=config.owner,
        group=config.group,
        mtu=config.mtu or SOCKET_MTU,
    )


def _open_udp(config: PortConfig) -> Port:
    local = host_port(config.name, config.address)
    remote = host_port(config.name, config.remote)
    return DgramPort.udp(config.name, local, remote=remote, mtu=config.mtu or SOCKET_MTU)


def _open_pcap(config: PortConfig) -> Port:
    return PcapPort(
        config.name,
        Path(config.address),
        out=Path(config.out) if config.out else None,
        speed=config.speed,
        loop=config.loop,
        mtu=config.mtu or SOCKET_MTU,
    )


def _open_recorder(config: PortConfig) -> Port:
    port = PcapPort(config.name, out=Path(config.address), mtu=config.mtu or SOCKET_MTU)
    port.kind = "record"
    return port


def _open_fd(config: PortConfig) -> Port:
    from vswitch.ports.handed import open_handed

    return open_handed(
        config.name,
        config.descriptors,
        mtu=config.mtu,
        socket_mtu=config.mtu or SOCKET_MTU,
        offloads=config.offloads,
    )


_OPENERS: Mapping[str, Callable[[PortConfig], Port]] = {
    AUTO: _open_device,
    "tap": _open_tap,
    "netdev": _open_netdev,
    "local": _open_local,
    "qemu": _open_qemu,
    "vhost-user": _open_vhost_user,
    "dgram": _open_dgram,
    "udp": _open_udp,
    "pcap": _open_pcap,
    "record": _open_recorder,
    "fd": _open_fd,
}


def _has_interface_end_only(name: str) -> bool:
    """Whether there is a device without a file end, or one whose file end is held."""
    if not device.exists(name):
        return False
    driver, bus = device.driver(name)
    if (driver, bus) == ("tun", "tap"):
        return bool(netlink.tun_info(name).queues)
    # A TUN has no Ethernet frames at either end; the TAP port says so best.
    return driver != "tun"
