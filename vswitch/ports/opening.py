"""Which end of a device a port takes, if nobody says.

no such device                    a new TAP, and its file end
a TAP that nobody holds           its file end
a TAP that another program holds  its interface end
any other device                  its interface end
"""

from __future__ import annotations

import errno
from dataclasses import dataclass

from vswitch.errors import DeviceError
from vswitch.linux import device, netlink
from vswitch.ports.base import Port
from vswitch.ports.netdev import NetdevPort
from vswitch.ports.tap import TapPort


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What may be asked of a port that is opened by name."""

    queues: int = 1
    mtu: int | None = None  # bytes; None: as the device has it
    mac: bytes | None = None
    offloads: bool = True
    force: bool = False  # take a device that the host uses, too


def open_port(kind: str, name: str, options: Options) -> Port:
    """Open a port of *kind*: "tap" or "netdev", or "auto" for what the table above says.

    Raises:
        PortError: as the port kind says.
    """
    if kind == "netdev" or (kind == "auto" and _has_interface_end_only(name)):
        return _open_netdev(name, options)
    try:
        return TapPort(
            name,
            queues=options.queues,
            mtu=options.mtu,
            mac=options.mac,
            offloads=options.offloads,
        )
    except DeviceError as e:
        # Of a TAP with one queue the kernel does not say whether it is held: one has to try.
        if kind != "auto" or e.errno != errno.EBUSY:
            raise
        return _open_netdev(name, options)


def _open_netdev(name: str, options: Options) -> NetdevPort:
    return NetdevPort(
        name,
        queues=options.queues,
        mtu=options.mtu,
        mac=options.mac,
        offloads=options.offloads,
        force=options.force,
    )


def _has_interface_end_only(name: str) -> bool:
    """Whether there is a device without a file end, or one whose file end is held."""
    if not device.exists(name):
        return False
    driver, bus = device.driver(name)
    if (driver, bus) == ("tun", "tap"):
        return bool(netlink.tun_info(name).queues)
    # A TUN has no Ethernet frames at either end; the TAP port says so best.
    return driver != "tun"
