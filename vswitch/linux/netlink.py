"""What only netlink tells: how a TAP was made, and when a device changes (rtnetlink(7)).

`LinkEvents` is a doorbell, not a messenger: it says that some device changed somewhere, and its
user looks at the devices he cares for. It also hears devices that were moved into other network
namespaces (NETLINK_LISTEN_ALL_NSID), and holds no reference to those, so that a namespace can
still be deleted under us.
"""

from __future__ import annotations

import errno
import socket
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

# <linux/netlink.h>, <linux/rtnetlink.h>
NETLINK_ROUTE = 0
SOL_NETLINK = 270
NETLINK_LISTEN_ALL_NSID = 8
RTMGRP_LINK = 1


@dataclass(frozen=True, slots=True)
class TunInfo:
    """How an existing TAP was made (IFLA_INFO_DATA of kind tun)."""

    multi_queue: bool
    vnet_hdr: bool
    no_pi: bool
    queues: int  # open ones: how many queues somebody holds


def tun_info(name: str) -> TunInfo:
    """Ask the kernel about an existing TAP in the calling thread's namespace.

    Raises:
        OSError: ENODEV when there is no such device.
    """
    # Loaded here: only a TAP that exists already needs it, and it takes a seventh of a second.
    from pyroute2 import IPRoute, NetlinkError

    try:
        with IPRoute() as ipr:
            link = next(iter(ipr.link("get", ifname=name)))
    except NetlinkError as e:
        raise OSError(e.code, str(e)) from e
    data = link.get_nested("IFLA_LINKINFO", "IFLA_INFO_DATA")
    if data is None:
        raise OSError(errno.EINVAL, f"{name} is not a TUN or TAP device")

    def value(key: str) -> Any:
        return data.get(f"IFLA_TUN_{key}") or 0

    return TunInfo(
        multi_queue=bool(value("MULTI_QUEUE")),
        vnet_hdr=bool(value("VNET_HDR")),
        no_pi=not value("PI"),
        queues=int(value("NUM_QUEUES")),
    )


def watch_namespace(namespace_fd: int) -> None:
    """Have the kernel number a network namespace for ours, so that `LinkEvents` hears of it.

    Raises:
        OSError: EPERM without CAP_NET_ADMIN.
    """
    from pyroute2 import IPRoute, NetlinkError

    try:
        with IPRoute() as ipr:
            ipr.set_netnsid(fd=namespace_fd)
    except NetlinkError as e:
        if e.code != errno.EEXIST:  # numbered already, as after "ip link set DEV netns NS"
            raise OSError(e.code, str(e)) from e


class LinkEvents:
    """Readable when a network device was added, changed or removed."""

    def __init__(self) -> None:
        self._socket = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, NETLINK_ROUTE
        )
        with suppress(PermissionError):  # an ordinary user hears of his own namespace only
            self._socket.setsockopt(SOL_NETLINK, NETLINK_LISTEN_ALL_NSID, 1)
        self._socket.bind((0, RTMGRP_LINK))

    def fileno(self) -> int:
        return self._socket.fileno()

    def clear(self) -> None:
        """Take all waiting events."""
        while True:
            try:
                self._socket.recv(1 << 16)
            except BlockingIOError:
                return
            except OSError as e:
                if e.errno != errno.ENOBUFS:  # some were lost: the bell rang all the same
                    raise

    def close(self) -> None:
        self._socket.close()
