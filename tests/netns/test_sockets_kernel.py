"""TAPs joined by a wire that carries no unfinished frames: the kernels at both ends check them.

namespace - TAP - switch one - stream or datagram socket - switch two - TAP - namespace
"""

from __future__ import annotations

import itertools
import socket
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from support import transfer
from support.namespaces import Netns
from support.net import NamedTap, address, configure
from vswitch import DgramPort, QemuPort, Switch

pytestmark = pytest.mark.netns

WIRES = {"stream": (QemuPort, socket.SOCK_STREAM), "dgram": (DgramPort, socket.SOCK_DGRAM)}


@pytest.fixture(params=itertools.product(WIRES, ["c", "python"]), ids="-".join)
def ends(request, netns) -> Iterator[tuple[Netns, Netns]]:
    """Two namespaces with that wire between them."""
    wire_kind, core = request.param
    kind, socket_type = WIRES[wire_kind]
    sides = []
    with ExitStack() as stack:
        for i, wire in enumerate(socket.socketpair(socket.AF_UNIX, socket_type)):
            switch = stack.enter_context(Switch(f"side{i}", core=core))
            ns = netns(f"s{i}")
            with ns.entered():
                tap = NamedTap(f"s{i}", offloads=core == "c")
            switch.add_port(tap)
            switch.add_port(kind("trunk", wire))
            configure(ns, i)
            sides.append(ns)
        yield sides[0], sides[1]


@pytest.mark.parametrize("version", [4, 6])
def test_tcp_arrives_whole_though_the_sender_leaves_sums_and_cutting_to_us(ends, version):
    left, right = ends

    transfer.tcp(left, right, address(0, version), address(1, version), 1 << 20)
    transfer.tcp(right, left, address(1, version), address(0, version), 1 << 20)


@pytest.mark.parametrize("version", [4, 6])
def test_udp_datagrams_arrive(ends, version):
    family = socket.AF_INET if version == 4 else socket.AF_INET6
    left, right = ends
    with (
        transfer.open_socket(left, socket.SOCK_DGRAM, address(0, version)) as a,
        transfer.open_socket(right, socket.SOCK_DGRAM, address(1, version)) as b,
    ):
        assert a.family == b.family == family
        for i in range(20):
            a.sendto(bytes([i]) * 1000, b.getsockname()[:2])
            assert b.recv(2000) == bytes([i]) * 1000
