"""Jumbo frames, and ports that do not agree on the MTU."""

from __future__ import annotations

import pytest

from support import transfer
from support.net import PATIENT, address
from support.wait import wait_for

pytestmark = pytest.mark.netns


@pytest.mark.parametrize("offloads", [True, False], ids=["on", "off"])
def test_jumbo_frames_cross(joined, offloads):
    net = joined({"mtu": 9000}, {"mtu": 9000, "offloads": offloads})
    left, _ = net.sides

    out = left.run("ping", "-c1", PATIENT, "-Mdo", "-s8972", address(1))
    for a, b in ((0, 1), (1, 0)):
        transfer.tcp(net.sides[a], net.sides[b], address(a), address(b), 4 << 20)
        transfer.udp(net.sides[a], net.sides[b], address(a), address(b), 1 << 20, datagram=8972)

    assert " 0% packet loss" in out
    assert net.lost(0) == net.lost(1) == {}


@pytest.mark.parametrize("offloads", [True, False], ids=["on", "off"])
def test_a_frame_longer_than_the_far_mtu_is_dropped_and_counted(joined, offloads):
    net = joined({"mtu": 9000}, {"offloads": offloads})
    left, _ = net.sides
    left.run("ping", "-c1", PATIENT, address(1))  # neighbours know each other

    left.run("ping", "-c3", "-i0.01", "-W1", "-Mdo", "-s4000", address(1), check=False)

    assert net.lost(1) == {"too_long": 3}


@pytest.mark.parametrize("offloads", [True, False], ids=["on", "off"])
def test_tcp_agrees_on_the_smaller_mtu_by_itself(joined, offloads):
    net = joined({"mtu": 9000, "offloads": offloads}, {"offloads": offloads})
    left, right = net.sides

    transfer.tcp(left, right, address(0), address(1), 1 << 20)
    transfer.tcp(right, left, address(1), address(0), 1 << 20)

    assert net.lost(0) == net.lost(1) == {}


def test_the_longest_frame_is_the_mtu_and_a_header(joined):
    net = joined({"mtu": 9000}, {"mtu": 2000})
    left, _ = net.sides

    fits = left.run("ping", "-c1", PATIENT, "-Mdo", "-s1972", address(1))
    # Four bytes more are a tag's room, as on a Linux bridge; the far interface drops those.
    left.run("ping", "-c1", "-W1", "-Mdo", "-s1977", address(1), check=False)

    assert " 0% packet loss" in fits
    assert net.lost(1) == {"too_long": 1}


def test_a_changed_mtu_is_followed(joined):
    net = joined({"mtu": 9000}, {})
    left, right = net.sides

    right.ip("link", "set", "eth0", "mtu", "9000")
    wait_for(lambda: net.switch.port_status("s1").mtu == 9000, "the new MTU")

    assert " 0% packet loss" in left.run("ping", "-c1", PATIENT, "-Mdo", "-s8972", address(1))
