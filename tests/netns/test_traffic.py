"""Every kind of traffic, over every kind of port, arrives as it was sent."""

from __future__ import annotations

import itertools

import pytest

from support import transfer
from support.net import PATIENT, address

pytestmark = pytest.mark.netns

MB = 1 << 20
# pollers, queues, offloads at the left and at the right end
WIRES = list(itertools.product((1, 2), (1, 2), (True, False), (True, False)))
BOTH_WAYS = ((0, 1), (1, 0))


@pytest.fixture(params=WIRES, ids=lambda w: "p{}-q{}-{:d}{:d}".format(*w))
def net(request, joined):
    pollers, queues, left, right = request.param
    return joined(
        {"queues": queues, "offloads": left}, {"queues": queues, "offloads": right},
        pollers=pollers,
    )  # fmt: skip


def test_neighbours_are_found_and_answer(net):
    """ARP, ND, ICMP and ICMPv6. One ping at a time: after an answer, -W counts no more."""
    for version, (a, b) in itertools.product((4, 6), BOTH_WAYS):
        out = net.sides[a].run("ping", "-c1", PATIENT, address(b, version))

        assert " 0% packet loss" in out


@pytest.mark.parametrize("version", [4, 6])
def test_tcp_arrives_whole_both_ways(net, version):
    for a, b in BOTH_WAYS:
        transfer.tcp(net.sides[a], net.sides[b], address(a, version), address(b, version), 4 * MB)


@pytest.mark.parametrize("version", [4, 6])
@pytest.mark.parametrize("per_send", [1, 40], ids=["plain", "segmented"])
def test_udp_arrives_whole_both_ways(net, version, per_send):
    for a, b in BOTH_WAYS:
        transfer.udp(
            net.sides[a], net.sides[b], address(a, version), address(b, version), MB,
            per_send=per_send,
        )  # fmt: skip
