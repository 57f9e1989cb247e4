"""Internet addresses as they are written, and TCP sockets made ready to carry frames."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from vswitch.linux import lookup

Address = tuple[str, int]  # host, port
SockAddr = tuple[str, int] | tuple[str, int, int, int]  # as getaddrinfo() gives it

ALL_HOSTS = "255.255.255.255"  # RFC 919

# A host that has vanished is noticed within half a minute: on a silent connection by keep-alive
# (10 s, then 3 questions 5 s apart), on one with frames under way by 15 retransmissions (sysctl
# net.ipv4.tcp_retries2) at most 2 s apart. TCP_USER_TIMEOUT would be the plain way, but it also
# ends the connection of a peer that is there and does not read: a VM that is stopped keeps its
# port.
KEEP_IDLE_S, KEEP_INTERVAL_S, KEEP_COUNT = 10, 5, 3
RTO_MAX_MS = 2000
TCP_RTO_MAX_MS = 44  # <linux/tcp.h>, since Linux 6.15; before it takes a quarter of an hour


def resolve(
    address: Address, kind: int, family: int = socket.AF_UNSPEC
) -> list[tuple[int, SockAddr]]:
    """The addresses of a host, best first, each with its family; asks the resolver for a name.

    Raises:
        KeyboardInterrupt: as `lookup.addresses`.
        OSError: there is none.
    """
    try:
        found = lookup.addresses(*address, family, kind)
    except UnicodeError:  # a name that cannot be asked for: a part is empty, or has 64 letters
        raise socket.gaierror(socket.EAI_NONAME, "not the name of a host") from None
    return [(its_family, there) for its_family, _, _, _, there in found]


def text(address: Sequence[Any]) -> str:
    """HOST:PORT, or [HOST]:PORT of an IPv6 address."""
    host, port, *_ = address
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def is_loopback(address: Sequence[Any]) -> bool:
    """Whether frames to and from this address stay on this host."""
    return ipaddress.ip_address(address[0].partition("%")[0]).is_loopback


def is_any(address: Sequence[Any]) -> bool:
    """Whether it stands for every address of this host."""
    return ipaddress.ip_address(address[0].partition("%")[0]).is_unspecified


def is_of_one_host(address: Sequence[Any]) -> bool:
    """Whether one host can be there: no group, not all hosts, not any."""
    host = ipaddress.ip_address(address[0].partition("%")[0])
    return not (host.is_multicast or host.is_unspecified or str(host) == ALL_HOSTS)


def make_ready(connection: socket.socket) -> None:
    """Prepare a TCP socket that is to carry frames: none waits for the next, and see above."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, KEEP_IDLE_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, KEEP_INTERVAL_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, KEEP_COUNT)
    with suppress(OSError):
        connection.setsockopt(socket.IPPROTO_TCP, TCP_RTO_MAX_MS, RTO_MAX_MS)


def listening(address: Address, backlog: int) -> socket.socket:
    """A TCP socket that listens at *address* and nowhere else; non-blocking.

    Raises:
        OSError: it is not known, not ours, or in use.
    """
    family, here = resolve(address, socket.SOCK_STREAM)[0]
    listener = socket.socket(family, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        # Connections of a predecessor may linger (TIME-WAIT); Linux lets nobody share a listener.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(here)
        listener.listen(backlog)
    except OSError:
        listener.close()
        raise
    return listener
