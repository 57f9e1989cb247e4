"""What we assume of packet sockets on a device, a test each."""

from __future__ import annotations

import errno
import os
import struct
from contextlib import ExitStack

import pytest

from support.frames import BROADCAST, FINISHED, frame, mac, unfinished
from support.tap import open_tap, raw_socket
from support.wait import wait_for
from vswitch.linux import netlink, packet

pytestmark = pytest.mark.netns

TAG = bytes.fromhex("81006007")
AUXDATA = struct.Struct("IIIHHHH")  # struct tpacket_auxdata, <linux/if_packet.h>
RING_HEADER = struct.Struct("IIIHHIIHH")  # struct tpacket2_hdr
STATISTICS = struct.Struct("II")  # struct tpacket_stats, by PACKET_STATISTICS (6)
SLOT = 2048
TP_STATUS_USER, TP_STATUS_COPY = 1, 2
TP_STATUS_VLAN_VALID, TP_STATUS_VLAN_TPID_VALID = 1 << 4, 1 << 6


@pytest.fixture
def home(netns):
    """The test runs in a namespace with a veth, p0 and p1, both up."""
    ns = netns("home")
    ns.ip("link", "add", "p0", "type", "veth", "peer", "name", "p1")
    for name in ("p0", "p1"):
        ns.ip("link", "set", name, "up")
    with ns.entered():
        yield ns


@pytest.fixture
def near(home):
    """The sockets of one queue at p0."""
    with packet.open_packet("p0")[0] as s:
        yield s


@pytest.fixture
def far(home):
    with raw_socket("p1", vnet_hdr=True) as s:
        yield s


def receive(s, src):
    """The next message from the station *src*: (header, frame, auxiliary data)."""

    def one():
        try:
            record, extra, _, _ = s.recvmsg(70000, 100)
        except BlockingIOError:
            return None
        return (record[:10], record[10:], extra[0][2]) if record[16:22] == src else None

    return wait_for(one, "the frame")


def test_the_virtio_header_comes_directly_before_the_frame(near, far):
    header, f = unfinished(
        BROADCAST, mac(1), version=4, protocol="tcp", payload=os.urandom(9000), gso_size=1000
    )
    far.send(header + f)

    got_header, got, _ = receive(near, mac(1))

    assert got == f
    assert got_header[:2] + got_header[4:] == header[:2] + header[4:]


@pytest.mark.parametrize("tpid", [0x8100, 0x88A8])
def test_a_tag_is_taken_out_and_stands_in_the_auxiliary_data(near, far, tpid):
    tag = struct.pack(">HH", tpid, 0x6007)
    f = BROADCAST + mac(1) + tag + b"\x88\xb5" + bytes(100)
    far.send(FINISHED + f)

    _, got, extra = receive(near, mac(1))

    status, *_, tci, got_tpid = AUXDATA.unpack(extra)
    assert got == f[:12] + f[16:]
    assert status & TP_STATUS_VLAN_VALID
    assert status & TP_STATUS_VLAN_TPID_VALID
    assert (tci, got_tpid) == (0x6007, tpid)


def test_csum_start_does_not_count_the_tag_that_was_taken_out(near, far):
    header, f = unfinished(BROADCAST, mac(1), version=4, protocol="udp", payload=b"x", tags=1)
    far.send(header + f)

    got_header, got, _ = receive(near, mac(1))

    assert len(got) == len(f) - 4
    assert struct.unpack_from("<H", header, 6)[0] - struct.unpack_from("<H", got_header, 6)[0] == 4


def test_frames_sent_on_the_device_are_not_heard(near, far, home):
    with raw_socket("p0") as host:
        host.send(frame(BROADCAST, mac(1)))
    near.send(FINISHED + frame(BROADCAST, mac(2)))
    far.send(FINISHED + frame(BROADCAST, mac(3)))

    heard = []
    while mac(3) not in heard:
        heard.append(receive_any(near)[6:12])

    assert not {mac(1), mac(2)} & set(heard)


def drain(s):
    while s.recv(70000):
        pass


def receive_any(s):
    def one():
        try:
            return s.recv(70000)[10:]
        except BlockingIOError:
            return None

    return wait_for(one, "a frame")


def test_a_device_going_down_is_one_error_and_not_the_end(near, far, home):
    home.ip("link", "set", "p0", "down")
    home.ip("link", "set", "p0", "up")

    errors = []
    for _ in range(3):
        try:
            near.recv(100)
        except OSError as e:
            errors.append(e.errno)
    wait_for(lambda: "LOWER_UP" in home.ip("link", "show", "p0"), "the link")
    far.send(FINISHED + frame(BROADCAST, mac(1)))

    assert errors.count(errno.ENETDOWN) == 1
    assert receive(near, mac(1))[1] == frame(BROADCAST, mac(1))


def test_sending_on_a_device_that_is_down_is_enetdown(near, home):
    home.ip("link", "set", "p0", "down")

    with pytest.raises(OSError, match="Network is down"):  # the pending error, once
        drain(near)
    with pytest.raises(OSError, match="Network is down"):
        near.send(FINISHED + frame(BROADCAST, mac(1)))


@pytest.mark.parametrize("how", [("del", "p0"), ("set", "p0", "netns")])
def test_a_socket_whose_device_is_gone_has_none(near, home, netns, how):
    home.ip("link", *how, *([netns("away").name] if how[0] == "set" else []))

    with pytest.raises(OSError, match="gone") as caught:
        packet.current_name(near)

    assert caught.value.errno == errno.EBADFD


def test_a_socket_follows_a_renamed_device(near, home):
    home.ip("link", "set", "p0", "name", "other")

    assert packet.current_name(near) == "other"
    assert packet.link(near) == (True, 1500)


def test_each_frame_comes_to_one_queue_of_a_group(home, far):
    with ExitStack() as stack:
        queues = [stack.enter_context(s) for s in packet.open_packet("p0", queues=4)]
        header_of = {"version": 4, "protocol": "udp", "payload": b"x"}
        for i in range(64):
            header, f = unfinished(BROADCAST, mac(1), port=4000 + i, **header_of)
            far.send(header + f)

        counts = [0] * 4
        for i, s in enumerate(queues):
            while True:
                try:
                    counts[i] += s.recv(70000)[16:22] == mac(1)
                except BlockingIOError:
                    break

    assert sum(counts) == 64
    assert min(counts) > 0


@pytest.fixture
def ringed(home):
    """A socket at p0 with a ring: (socket, ring)."""
    with packet.open_packet("p0", ring_slot=SLOT)[0] as s:
        yield s, packet.map_ring(s, SLOT)


def slots(ring):
    """What the kernel has put into the ring: (status, length, header, frame)."""
    found = []
    for at in range(0, len(ring), SLOT):
        status, length, kept, mac_at, *_ = RING_HEADER.unpack_from(ring, at)
        if status & TP_STATUS_USER and ring[at + mac_at :][6:12] == mac(1):
            data = at + mac_at
            found.append((status, length, ring[data - 10 : data], ring[data : data + kept]))
    return found


def test_a_frame_lies_in_its_slot_behind_its_header_and_is_no_message(ringed, far):
    header, f = unfinished(BROADCAST, mac(1), version=4, protocol="udp", payload=b"x" * 900)
    far.send(header + f)

    (found,) = wait_for(lambda: slots(ringed[1]), "the slot")

    assert not found[0] & TP_STATUS_COPY
    assert found[1] == len(f)
    assert found[3] == f
    assert found[2][:2] + found[2][4:] == header[:2] + header[4:]
    with pytest.raises(BlockingIOError):
        ringed[0].recv(70000)


def test_of_a_longer_frame_the_slot_has_the_beginning_and_the_queue_the_whole(ringed, far):
    header, f = unfinished(
        BROADCAST, mac(1), version=4, protocol="tcp", payload=os.urandom(9000), gso_size=1000
    )
    far.send(header + f)

    ((status, length, _, beginning),) = wait_for(lambda: slots(ringed[1]), "the slot")

    assert status & TP_STATUS_COPY
    assert length == len(f)
    assert f.startswith(beginning)
    assert len(beginning) > 1514 + 4
    got_header, got, _ = receive(ringed[0], mac(1))
    assert got == f
    assert got_header[:2] + got_header[4:] == header[:2] + header[4:]


def test_lost_frames_are_told_once(ringed, far):
    for _ in range(packet.RING_SLOTS + 100):
        far.send(FINISHED + frame(BROADCAST, mac(1)))

    seen, lost = STATISTICS.unpack(ringed[0].getsockopt(packet.SOL_PACKET, 6, 8))

    assert lost >= 100
    assert seen - lost <= packet.RING_SLOTS
    assert STATISTICS.unpack(ringed[0].getsockopt(packet.SOL_PACKET, 6, 8))[1] == 0


def test_a_tap_with_one_queue_does_not_say_that_it_is_held(home):
    """Why `--port NAME` has to try."""
    fd = open_tap("vm")
    try:
        assert netlink.tun_info("vm").queues == 0
    finally:
        os.close(fd)


def test_what_the_kernel_says_of_addresses_and_masters(home):
    home.ip("link", "add", "br0", "type", "bridge")
    home.ip("link", "set", "p0", "master", "br0")
    home.ip("addr", "add", "192.0.2.1/24", "dev", "p1", "label", "p1:alias")
    home.ip("addr", "add", "2001:db8::1/64", "dev", "p1", "nodad")

    assert (netlink.master("p0"), netlink.master("p1")) == ("br0", None)
    assert netlink.addresses("p0") == []
    assert netlink.addresses("p1") == ["192.0.2.1", "2001:db8::1"]
    with pytest.raises(OSError, match="No such device"):
        netlink.addresses("vsw-nobody")
