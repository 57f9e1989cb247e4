"""What limits do to real flows: TCP gets nearly all of a rate, a storm gets its rate only."""

from __future__ import annotations

import socket
import time

import pytest

from support.frames import frame
from support.goodput import median_tcp_bps
from support.net import DEVICE, address
from support.wait import wait_for

pytestmark = pytest.mark.netns

BROADCAST = b"\xff" * 6
A, B = bytes([2, 0, 0, 0, 0, 0xA]), bytes([2, 0, 0, 0, 0, 0xB])


@pytest.mark.parametrize("mbit", [50, 200])
def test_a_tcp_flow_through_a_policer_gets_most_of_the_rate(joined, mbit):
    net = joined({}, {})
    net.switch.set_port("s0", police=f"{mbit}mbit")

    got = median_tcp_bps(net.sides[0], net.sides[1], address(1))

    assert 0.8 <= got / (mbit * 1e6) <= 1.05


@pytest.mark.parametrize("mbit", [50, 200])
def test_a_tcp_flow_through_a_shaper_gets_nearly_all_of_the_rate(joined, mbit):
    net = joined({}, {})
    net.switch.set_port("s1", shape=f"{mbit}mbit")

    got = median_tcp_bps(net.sides[0], net.sides[1], address(1))

    assert 0.9 <= got / (mbit * 1e6) <= 1.01


def raw_socket(net, side):
    with net.sides[side].entered():
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        s.bind((DEVICE, 0))
    return s


def test_a_storm_gets_its_rate_and_known_unicast_passes_untouched(joined):
    net = joined({}, {}, addresses=False)
    net.sides[0].ip("link", "set", DEVICE, "txqueuelen", "100000")  # the sender's own loses nothing
    net.switch.set_port("s0", storm_broadcast="1000pps")
    with raw_socket(net, 0) as stormy, raw_socket(net, 1) as quiet:
        quiet.send(frame(BROADCAST, B))
        wait_for(lambda: net.counters(1)["rx_frames"], "B is known")
        began, unicast, broadcasts = time.monotonic(), 0, 0
        while time.monotonic() < began + 2:
            for _ in range(50):
                stormy.send(frame(BROADCAST, A))
            stormy.send(frame(B, A))
            broadcasts += 50
            unicast += 1
        wait_for(lambda: net.counters(0)["rx_frames"] >= broadcasts + unicast, "all came in")
        seconds = time.monotonic() - began

    c = net.counters(0)
    flooded = c["flooded_broadcast"]
    assert broadcasts > 5 * flooded
    assert 0.9 <= flooded / (100 + 1000 * seconds) <= 1.1
    assert c["forwarded"] - flooded - c["flooded_multicast"] - c["flooded_unicast"] == unicast
    assert net.switch.port_status("s0").drops["policed"] == broadcasts - flooded
