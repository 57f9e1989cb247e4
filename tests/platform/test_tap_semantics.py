"""What we assume of TAP devices, one test per assumption (Linux drivers/net/tun.c)."""

from __future__ import annotations

import errno
import fcntl
import os
import select
import socket
import struct
from contextlib import ExitStack

import pytest

from support.frames import (
    BROADCAST,
    FINISHED,
    GSO_ECN,
    GSO_TCPV4,
    NEEDS_CSUM,
    frame,
    mac,
    unfinished,
    vnet,
)
from support.namespaces import Netns
from support.tap import TAP, open_tap, raw_socket, read_marked, tap
from support.wait import wait_for
from vswitch.linux import device, tun

pytestmark = pytest.mark.netns

FRAME = frame(BROADCAST, mac(1), b"x" * 100)


@pytest.fixture
def home(netns):
    """The test runs in a namespace of its own, which nothing else talks in."""
    with netns("tap").entered() as _:
        yield


@pytest.fixture
def wire(home):
    """(descriptor, raw socket on the interface end) of a TAP that is up."""
    with tap("tap0") as fd, raw_socket("tap0") as sock:
        yield fd, sock


def test_one_read_is_the_header_and_one_whole_frame(wire):
    fd, sock = wire
    sock.send(FRAME)
    sock.send(FRAME)

    assert read_marked(fd) == FINISHED + FRAME


def test_a_short_buffer_truncates_silently(wire):
    """Why VSW_FRAME_MAX must exceed every MTU: a cut frame looks like a short one."""
    fd, sock = wire
    sock.send(FRAME)

    assert read_marked(fd, 30) == (FINISHED + FRAME)[:30]


def test_a_short_frame_is_not_padded(wire):
    fd, sock = wire
    sock.send(FRAME[:20])

    assert read_marked(fd) == FINISHED + FRAME[:20]


def test_reading_an_idle_tap_gives_eagain(home):
    with tap("tap0", up=False) as fd, pytest.raises(BlockingIOError) as caught:
        os.read(fd, 70000)

    assert caught.value.errno == errno.EAGAIN


def test_one_write_is_one_frame_for_the_interface(wire):
    fd, sock = wire

    assert os.write(fd, FINISHED + FRAME) == 10 + len(FRAME)
    assert marked(sock) == FRAME


def marked(sock: socket.socket) -> bytes:
    while (data := sock.recv(70000))[12:14] != FRAME[12:14]:
        pass
    return data


def test_writing_while_the_interface_is_down_gives_eio(home):
    with tap("tap0", up=False) as fd, pytest.raises(OSError, match="error") as caught:
        os.write(fd, FINISHED + FRAME)

    assert caught.value.errno == errno.EIO


@pytest.mark.parametrize(
    "header",
    [
        vnet(NEEDS_CSUM, csum_start=len(FRAME), csum_offset=0),  # beside the frame
        vnet(NEEDS_CSUM, GSO_TCPV4, csum_start=34, csum_offset=16),  # gso_size 0
        vnet(NEEDS_CSUM, 9, gso_size=100, csum_start=34, csum_offset=16),  # no such type
        vnet(0, GSO_ECN, gso_size=100),  # ECN of nothing
        vnet(hdr_len=len(FRAME) + 1),
    ],
)
def test_a_header_that_does_not_fit_its_frame_gives_einval(wire, header):
    fd, _ = wire

    with pytest.raises(OSError, match="Invalid") as caught:
        os.write(fd, header + FRAME)

    assert caught.value.errno == errno.EINVAL


def test_a_deleted_device_reads_ebadfd_and_epoll_reports_it(home):
    with ExitStack() as stack:
        fd = open_tap("tap0")
        stack.callback(os.close, fd)
        epoll = stack.enter_context(select.epoll())
        epoll.register(fd, select.EPOLLIN)
        Netns.here("link", "del", "tap0")

        [(ready, events)] = epoll.poll(2)

        assert (ready, bool(events & select.EPOLLERR)) == (fd, True)
        for call in (lambda: os.read(fd, 100), lambda: os.write(fd, FINISHED + FRAME)):
            with pytest.raises(OSError, match="bad state") as caught:
                call()
            assert caught.value.errno == errno.EBADFD
        with pytest.raises(OSError, match="bad state"):
            tun.current_name(fd)


def test_a_moved_tap_keeps_its_descriptor_and_tells_its_new_name(netns, home):
    away = netns("away")
    with tap("tap0") as fd:
        Netns.here("link", "set", "tap0", "netns", away.name, "name", "eth7")
        away.ip("link", "set", "eth7", "up")

        with away.entered(), raw_socket("eth7") as sock:
            sock.send(FRAME)
            assert read_marked(fd) == FINISHED + FRAME
            os.write(fd, FINISHED + FRAME)
            assert marked(sock) == FRAME
        assert tun.current_name(fd) == "eth7"


def test_the_namespace_of_a_moved_tap_can_be_asked_for(netns, home):
    away = netns("away")
    with tap("tap0") as fd:
        Netns.here("link", "set", "tap0", "netns", away.name)

        there = tun.device_namespace(fd)

        try:
            assert os.fstat(there).st_ino == os.stat(f"/run/netns/{away.name}").st_ino
        finally:
            os.close(there)


def test_excl_refuses_a_device_that_is_there(home):
    with tap("tap0"), pytest.raises(OSError, match="busy") as caught:
        open_tap("tap0", TAP | tun.IFF_TUN_EXCL)

    assert caught.value.errno == errno.EBUSY


def test_a_single_queue_tap_has_one_holder(home):
    with tap("tap0"), pytest.raises(OSError, match="busy") as caught:
        open_tap("tap0")

    assert caught.value.errno == errno.EBUSY


def test_the_device_goes_with_its_last_descriptor(home):
    with tap("tap0"):
        assert device.exists("tap0")

    assert not device.exists("tap0")


def test_every_offload_is_accepted_by_this_kernel(home):
    """Linux 6.2 or newer; older ones take other sets, see tun.OFFLOAD_SETS."""
    queue = tun.open_queue("tap0", create=True)

    os.close(queue.fd)
    assert queue.offloads == ("csum", "tso4", "tso6", "ecn", "uso", "ufo")


def test_an_unknown_offload_bit_refuses_the_whole_set(home):
    with tap("tap0") as fd, pytest.raises(OSError, match="Invalid"):
        fcntl.ioctl(fd, tun.TUNSETOFFLOAD, tun.TUN_F_CSUM | 1 << 15)


@pytest.mark.parametrize("flags", [TAP, TAP & ~tun.IFF_VNET_HDR])
def test_a_header_is_there_only_when_asked_for(home, flags):
    with tap("tap0", flags) as fd, raw_socket("tap0") as sock:
        sock.send(FRAME)
        records = []

        def arrived() -> bool:
            if select.select([fd], [], [], 0)[0]:
                records.append(os.read(fd, 70000))
            return any(r.endswith(FRAME) for r in records)

        wait_for(arrived, "the frame")

    assert next(len(r) for r in records if r.endswith(FRAME)) - len(FRAME) == (
        10 if flags & tun.IFF_VNET_HDR else 0
    )


def test_a_super_frame_is_read_whole_with_its_segment_size(home):
    with tap("tap0") as fd, raw_socket("tap0", vnet_hdr=True) as sock:
        fcntl.ioctl(fd, tun.TUNSETOFFLOAD, tun.OFFLOAD_SETS[0][0])
        header, f = unfinished(
            mac(2), mac(1), version=4, protocol="tcp", payload=bytes(30000), gso_size=1400
        )
        sock.send(header + f)

        record = wait_for(lambda: long_read(fd), "the super-frame")

    assert record[10:] == f
    flags, gso_type, _, gso_size, start, offset = struct.unpack("<BBHHHH", record[:10])
    assert (flags, gso_type, gso_size, start, offset) == (NEEDS_CSUM, GSO_TCPV4, 1400, 34, 16)


def long_read(fd: int) -> bytes | None:
    if not select.select([fd], [], [], 0)[0]:
        return None
    record = os.read(fd, 70000)
    return record if len(record) > 2000 else None


def test_frames_wait_in_the_device_for_a_reader_who_is_away(home):
    """Why parking the pollers for some microseconds loses nothing: txqueuelen is 1000."""
    with tap("tap0") as fd, raw_socket("tap0") as sock:
        for i in range(900):
            sock.send(frame(BROADCAST, mac(1), i.to_bytes(4, "big")))

        numbers = [int.from_bytes(read_marked(fd)[24:28], "big") for _ in range(900)]

    assert numbers == list(range(900))
