"""Neighbours of real hosts: ping between namespaces, one of which does not answer by itself."""

from __future__ import annotations

from contextlib import suppress

import pytest

from support.net import address
from support.tap import raw_socket
from support.wait import wait_for
from vswitch.neighbours import Neighbour

pytestmark = pytest.mark.netns


@pytest.fixture
def net(joined):
    """Side 1 answers no ARP; side 2 looks on, behind a port as side 1 has."""
    made = joined({}, {}, {})
    for port in ("s1", "s2"):
        made.switch.set_port(port, neigh_suppress=True)
    made.sides[1].run("sysctl", "-qw", "net.ipv4.conf.all.arp_ignore=8")  # for no address
    for side in made.sides:
        for version in (4, 6):
            side.run("ping", "-c1", "-W1", address(0, version), check=False)
    wait_for(lambda: stations(made) >= {"s0", "s1", "s2"}, "all were heard")
    return made


def stations(net):
    return {station.port for station in net.switch.stations()}


def know(net, side, version):
    mac = net.mac(side).hex(":")
    net.switch.neighbours.add(Neighbour.parse(address(side, version), mac))


def pings(net, side, target, version):
    net.sides[side].ip("neigh", "flush", "all")
    said = net.sides[side].run("ping", "-c1", "-W1", address(target, version), check=False)
    return " 1 received" in said


def wait_until_it_gives_up(net):
    """A host asks three times, a second apart."""
    shown = ("neigh", "show", address(1))
    wait_for(lambda: "INCOMPLETE" not in net.sides[0].ip(*shown), "no more questions")


def answered(net):
    return net.switch.neighbours.counters()["answered"]


def test_the_switch_answers_for_who_does_not(net):
    assert not pings(net, 0, 1, 4)
    wait_until_it_gives_up(net)

    know(net, 1, 4)
    assert pings(net, 0, 1, 4)
    assert answered(net) == 1
    mac = net.mac(1).hex(":")
    assert f"lladdr {mac}" in net.sides[0].ip("neigh", "show", address(1))


def test_a_kernel_takes_an_advertisement_for_one(net):
    know(net, 1, 6)
    known = answered(net)

    assert pings(net, 0, 1, 6)
    assert answered(net) == known + 1
    mac = net.mac(1).hex(":")
    assert f"lladdr {mac}" in net.sides[0].ip("-6", "neigh", "show", address(1, 6))


def test_questions_wake_nobody_where_they_are_of_no_use(net):
    with net.sides[2].entered():
        sock = raw_socket("eth0")
    with sock:
        assert not pings(net, 0, 1, 4)
        wait_until_it_gives_up(net)
        assert arps(sock)  # not known yet: all are asked
        know(net, 1, 4)
        for _ in range(5):
            assert pings(net, 0, 1, 4)
        assert arps(sock) == []
    assert answered(net) == 5


def arps(sock):
    """The ARP frames that came since."""
    found = []
    sock.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            found.append(sock.recv(2048))
    return [frame for frame in found if frame[12:14] == b"\x08\x06"]
