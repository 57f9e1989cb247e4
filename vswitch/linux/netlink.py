"""What only netlink tells: how a TAP was made, and when a device changes (rtnetlink(7)).

`LinkEvents` is a doorbell, not a messenger: it says that some device changed somewhere, and its
user looks at the devices he cares for. It also hears devices that were moved into other network
namespaces (NETLINK_LISTEN_ALL_NSID), and holds no reference to those, so that a namespace can
still be deleted under us.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from vswitch.linux.device import IFF_UP

if TYPE_CHECKING:  # it would be a tenth of the time a switch takes to start
    from ipaddress import IPv4Interface, IPv6Interface

# <linux/netlink.h>, <linux/rtnetlink.h>
NETLINK_ROUTE = 0
SOL_NETLINK = 270
NETLINK_LISTEN_ALL_NSID = 8
RTMGRP_LINK = 1
RTM_GETLINK, RTM_NEWADDR, RTM_DELADDR, RTM_GETADDR = 18, 20, 21, 22
RTM_NEWNSID, RTM_GETNSID = 88, 90
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 1, 4, 0x300
NLM_F_EXCL, NLM_F_CREATE = 0x200, 0x400
NLMSG_ERROR, NLMSG_DONE = 2, 3
NLMSGHDR_SIZE = IFINFOMSG_SIZE = 16
IFADDRMSG_SIZE = 8
RT_SCOPE_LINK = 253
IFA_ADDRESS, IFA_LOCAL, IFA_F_NODAD = 1, 2, 0x02  # <linux/if_addr.h>
# <linux/if_link.h>
IFLA_IFNAME, IFLA_MTU, IFLA_MASTER, IFLA_LINKINFO, IFLA_INFO_DATA = 3, 4, 10, 18, 2
IFLA_TARGET_NETNSID = 46  # Linux 4.15
IFLA_TUN_TYPE, IFLA_TUN_PI, IFLA_TUN_VNET_HDR = 3, 4, 5
IFLA_TUN_MULTI_QUEUE, IFLA_TUN_NUM_QUEUES = 7, 8
NETNSA_NSID, NETNSA_FD = 1, 3  # <linux/net_namespace.h>
RTGENMSG_SIZE = 4  # with its padding


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
    # By hand: of four numbers pyroute2 would make a sixth of a second, most of the time a switch
    # on existing TAPs takes to start.
    attributes = _attributes(_get_link(name)[IFINFOMSG_SIZE:])
    data = _attributes(_attributes(attributes.get(IFLA_LINKINFO, b"")).get(IFLA_INFO_DATA, b""))
    if IFLA_TUN_TYPE not in data:
        raise OSError(errno.EINVAL, f"{name} is not a TUN or TAP device")

    def value(key: int) -> int:
        return int.from_bytes(data.get(key, b""), sys.byteorder)

    return TunInfo(
        multi_queue=bool(value(IFLA_TUN_MULTI_QUEUE)),
        vnet_hdr=bool(value(IFLA_TUN_VNET_HDR)),
        no_pi=not value(IFLA_TUN_PI),
        queues=value(IFLA_TUN_NUM_QUEUES),
    )


def master(name: str) -> str | None:
    """The bridge, bond or team the device is part of; None without one.

    Raises:
        OSError: ENODEV when there is no such device.
    """
    number = _attributes(_get_link(name)[IFINFOMSG_SIZE:]).get(IFLA_MASTER)
    return socket.if_indextoname(int.from_bytes(number, sys.byteorder)) if number else None


def addresses(name: str) -> list[str]:
    """The IP addresses of the device, without those IPv6 gives itself for its link.

    Raises:
        OSError: ENODEV when there is no such device.
    """
    index = struct.unpack_from("i", _get_link(name), 4)[0]  # ifi_index
    header = struct.pack(
        "IHHII", NLMSGHDR_SIZE + IFADDRMSG_SIZE, RTM_GETADDR, NLM_F_REQUEST | NLM_F_DUMP, 1, 0
    )
    found = []
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE) as s:
        s.bind((0, 0))
        s.send(header + bytes(IFADDRMSG_SIZE))
        for payload in _dump(s):
            family, _, _, scope, where = struct.unpack_from("BBBBI", payload)
            if where == index and not (family == socket.AF_INET6 and scope == RT_SCOPE_LINK):
                values = _attributes(payload[IFADDRMSG_SIZE:])
                address = values.get(IFA_LOCAL) or values[IFA_ADDRESS]
                found.append(socket.inet_ntop(family, address))
    return found


def add_address(name: str, address: IPv4Interface | IPv6Interface) -> None:
    """Give the device an address, usable at once: nobody is asked whether he has it, too.

    Raises:
        OSError: EEXIST if it has it, EPERM without CAP_NET_ADMIN.
    """
    _change_address(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, name, address)


def remove_address(name: str, address: IPv4Interface | IPv6Interface) -> None:
    """Take an address off the device.

    Raises:
        OSError: EADDRNOTAVAIL if it has it not, ENODEV without the device.
    """
    _change_address(RTM_DELADDR, 0, name, address)


def _change_address(
    kind: int, flags: int, name: str, address: IPv4Interface | IPv6Interface
) -> None:
    index = struct.unpack_from("i", _get_link(name), 4)[0]  # ifi_index
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    # Duplicate address detection takes a second or two in which nothing can be bound to it.
    nodad = IFA_F_NODAD if address.version == 6 else 0
    scope = RT_SCOPE_LINK if address.is_link_local else 0
    header = struct.pack("BBBBI", family, address.network.prefixlen, nodad, scope, index)
    packed = address.ip.packed
    attributes = _attribute(IFA_LOCAL, packed) + _attribute(IFA_ADDRESS, packed)
    _request(kind, flags | NLM_F_ACK, header + attributes)


def _dump(s: socket.socket) -> Iterator[bytes]:
    """The payloads of a dump's messages."""
    while True:
        answer = s.recv(1 << 16)
        at = 0
        while at < len(answer):
            size, kind = struct.unpack_from("IH", answer, at)
            if kind in (NLMSG_DONE, NLMSG_ERROR):
                return
            yield answer[at + NLMSGHDR_SIZE : at + size]
            at += (size + 3) & ~3


def _get_link(name: str, *, where: bytes = b"") -> bytes:
    """The payload of RTM_NEWLINK for the device *name*: struct ifinfomsg and attributes."""
    wanted = where + _attribute(IFLA_IFNAME, name.encode() + b"\0")
    return _request(RTM_GETLINK, 0, bytes(IFINFOMSG_SIZE) + wanted)


def _request(kind: int, flags: int, payload: bytes) -> bytes:
    """Ask the kernel one thing; the payload of its answer, empty if it only says yes."""
    size = NLMSGHDR_SIZE + len(payload)
    header = struct.pack("IHHII", size, kind, NLM_F_REQUEST | flags, 1, 0)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_ROUTE) as s:
        s.bind((0, 0))
        s.send(header + payload)
        answer = s.recv(1 << 16)
    if struct.unpack_from("IH", answer)[1] != NLMSG_ERROR:
        return answer[NLMSGHDR_SIZE:]
    code = -struct.unpack_from("i", answer, NLMSGHDR_SIZE)[0]
    if code:
        raise OSError(code, os.strerror(code))
    return b""


def _attribute(kind: int, value: bytes) -> bytes:
    """One netlink attribute, with its padding."""
    return (struct.pack("HH", 4 + len(value), kind) + value).ljust((len(value) + 7) & ~3, b"\0")


def _attributes(data: bytes) -> dict[int, bytes]:
    """Netlink attributes (struct nlattr: length and type, padded to 4 bytes) by type."""
    found = {}
    at = 0
    while at + 4 <= len(data):
        size, kind = struct.unpack_from("HH", data, at)
        found[kind] = data[at + 4 : at + size]
        at += max(4, (size + 3) & ~3)
    return found


def watch_namespace(namespace_fd: int) -> None:
    """Have the kernel number a network namespace for ours, so that `LinkEvents` hears of it.

    Raises:
        OSError: EPERM without CAP_NET_ADMIN.
    """
    which = _namespace(namespace_fd)
    any_number = _attribute(NETNSA_NSID, struct.pack("i", -1))
    with suppress(FileExistsError):  # numbered already, as after "ip link set DEV netns NS"
        _request(RTM_NEWNSID, NLM_F_ACK, which + any_number)


def link_in(namespace_fd: int, name: str) -> tuple[bool, int]:
    """Whether a device in another network namespace is up, and its MTU in bytes.

    To enter that namespace would take CAP_SYS_ADMIN, which is nearly everything; to ask from here
    takes CAP_NET_ADMIN there.

    Raises:
        OSError: ENODEV when there is no such device, EPERM.
    """
    watch_namespace(namespace_fd)  # a question names it by its number
    answer = _request(RTM_GETNSID, 0, _namespace(namespace_fd))
    number = _attributes(answer[RTGENMSG_SIZE:])[NETNSA_NSID]
    link = _get_link(name, where=_attribute(IFLA_TARGET_NETNSID, number))
    flags = struct.unpack_from("I", link, 8)[0]  # ifi_flags
    mtu = int.from_bytes(_attributes(link[IFINFOMSG_SIZE:])[IFLA_MTU], sys.byteorder)
    return bool(flags & IFF_UP), mtu


def _namespace(fd: int) -> bytes:
    """Struct rtgenmsg, and which network namespace is meant."""
    return bytes(RTGENMSG_SIZE) + _attribute(NETNSA_FD, struct.pack("I", fd))


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
