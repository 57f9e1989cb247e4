"""What we assume of multi-queue TAPs, and of netlink about devices elsewhere."""

from __future__ import annotations

import os
import select
import socket
import struct
from contextlib import ExitStack

import pytest

from support.frames import mac
from support.namespaces import Netns
from support.tap import TAP, open_tap, tap
from support.wait import wait_for
from vswitch.linux import device, netlink, tun

pytestmark = pytest.mark.netns

MULTI = TAP | tun.IFF_MULTI_QUEUE


@pytest.fixture
def home(netns):
    """The test runs in a namespace of its own."""
    ns = netns("home")
    with ns.entered():
        yield ns


def udp(src: str, dst: str, sport: int, dport: int, to: bytes, by: bytes) -> bytes:
    """A record with a UDP datagram without checksum."""
    head = struct.pack(
        ">BBHHHBBH4s4s", 0x45, 0, 32, 0, 0, 64, 17, 0, socket.inet_aton(src), socket.inet_aton(dst)
    )
    total = sum(struct.unpack(">10H", head))
    total = (total & 0xFFFF) + (total >> 16)
    head = head[:10] + struct.pack(">H", ~total & 0xFFFF) + head[12:]
    return (
        bytes(10) + to + by + b"\x08\0" + head + struct.pack(">HHHH", sport, dport, 12, 0) + b"ping"
    )


@pytest.mark.parametrize("queue", [0, 1, 2, 3])
def test_answers_come_back_on_the_queue_the_flow_was_written_to(home, queue):
    """Why a poller transmits on the queue of its own number: it gets the answers itself."""
    with ExitStack() as stack:
        queues = [open_tap("tap0", MULTI) for _ in range(4)]
        for fd in queues:
            stack.callback(os.close, fd)
        home.ip("addr", "add", "192.0.2.1/24", "dev", "tap0")
        home.ip("link", "set", "tap0", "up")
        home.ip("neigh", "add", "192.0.2.2", "lladdr", "02:00:00:00:00:02", "dev", "tap0")
        echo = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        echo.bind(("192.0.2.1", 7))
        echo.settimeout(2)
        answered = []

        for port in range(5000, 5020):
            os.write(
                queues[queue],
                udp("192.0.2.2", "192.0.2.1", port, 7, device.mac("tap0"), mac(2)),
            )
            data, peer = echo.recvfrom(100)
            echo.sendto(data, peer)
            answered.append(wait_for(lambda: queue_with(queues, b"ping"), "the answer")[0])

    assert answered == [queue] * 20


def queue_with(queues: list[int], payload: bytes) -> list[int]:
    """The numbers of the queues on which a record that ends with *payload* waits; takes all."""
    ready = select.select(queues, [], [], 0)[0]
    return [queues.index(fd) for fd in ready if os.read(fd, 70000).endswith(payload)]


def test_a_device_made_with_one_queue_refuses_a_second_kind_of_holder(home):
    with tap("tap0"), pytest.raises(OSError, match="Invalid argument"):
        open_tap("tap0", MULTI)


def test_netlink_hears_a_device_that_was_moved_elsewhere(netns, home):
    away = netns("away")
    events = netlink.LinkEvents()
    try:
        with tap("tap0"):
            home.ip("link", "set", "tap0", "netns", away.name)
            events.clear()

            away.ip("link", "set", "tap0", "up")

            assert select.select([events], [], [], 2)[0], "no event"
    finally:
        events.close()


def test_netlink_hears_a_device_made_elsewhere_once_its_namespace_is_watched(netns, home):
    away = netns("away")
    events = netlink.LinkEvents()
    try:
        with away.entered():
            fd = open_tap("tap0")
        there = tun.device_namespace(fd)
        netlink.watch_namespace(there)
        os.close(there)
        events.clear()

        away.ip("link", "set", "tap0", "up")

        assert select.select([events], [], [], 2)[0], "no event"
        os.close(fd)
    finally:
        events.close()


def test_watching_a_namespace_does_not_keep_it_alive(netns, home):
    away = netns("away")
    events = netlink.LinkEvents()
    try:
        with tap("tap0") as fd:
            home.ip("link", "set", "tap0", "netns", away.name)
            there = tun.device_namespace(fd)
            netlink.watch_namespace(there)
            os.close(there)

            away.delete()

            wait_for(lambda: is_gone(fd), "the device goes with its namespace")
    finally:
        events.close()


def is_gone(fd: int) -> bool:
    try:
        tun.current_name(fd)
    except OSError:
        return True
    return False


def test_a_tap_keeps_the_namespace_alive_that_it_was_opened_in(netns, home):
    """The file is a socket of the opener's namespace (tun_chr_open()); the device is not. So a
    switch that opens a TAP inside a container's namespace outlives the container's device only
    until it closes the port."""
    away = netns("away")
    with away.entered():
        fd = open_tap("tap0")

    away.delete()

    assert not is_gone(fd)
    os.close(fd)


def test_the_tests_run_in_a_namespace_of_their_own(netns, home):
    """Otherwise every test here could pass by accident."""
    away = netns("away")
    with tap("tap0"):
        assert "tap0" in Netns.here("-o", "link")
        assert "tap0" not in away.ip("-o", "link")
