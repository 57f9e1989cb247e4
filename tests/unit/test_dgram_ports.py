"""Datagram ports: one frame in each, and a peer that is not always there."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from support.frames import BROADCAST, frame, mac, unfinished
from support.wait import wait_for
from vswitch import DgramPort, MemoryPort, Switch
from vswitch._fastpath import FRAME_MAX
from vswitch.errors import DeviceError, PortError

A, VM = mac(1), mac(100)
UP, DOWN = frame(BROADCAST, VM, b"up"), frame(VM, A, b"down")


@pytest.fixture(params=["c", "python"])
def core_of_labs(request) -> str:
    return request.param


def receive(s: socket.socket) -> list[bytes]:
    s.setblocking(False)
    got = []
    while True:
        try:
            got.append(s.recv(1 << 17))
        except BlockingIOError:
            return got


def datagram_socket(path: Path) -> socket.socket:
    s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    s.bind(str(path))
    return s


def free_udp(count: int = 2) -> list[socket.socket]:
    sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    return sockets


def test_a_socket_pair_carries_frames_both_ways(lab):
    net = lab("a")
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    net.switch.add_port(DgramPort("vm", near))
    far.send(UP)

    assert net.send("a", DOWN) == {"a": [UP]}

    assert receive(far) == [DOWN]
    assert net.status("vm").kind == "dgram"
    far.close()


def test_frames_keep_their_order_and_lengths(lab):
    net = lab("a")
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    net.switch.add_port(DgramPort("vm", near))
    frames = [frame(BROADCAST, VM, bytes([i]), pad_to=200 * i) for i in range(1, 8)]
    for f in frames:
        far.send(f)
    assert net.send("a") == {"a": frames}

    down = [frame(VM, A, bytes([i]), pad_to=200 * i) for i in range(1, 8)]
    net.send("a", *down)

    assert receive(far) == down
    far.close()


def test_a_header_that_asks_for_nothing_is_put_before_each(lab):
    net = lab("a")
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    net.switch.add_port(DgramPort("vm", near))
    for _ in range(3):
        far.send(b"\xff" * 6 + UP[6:])
    net.switch.poll()

    assert [h for h, _ in net.ports["a"].receive_with_header()] == [bytes(10)] * 3
    far.close()


@pytest.mark.parametrize("size", [0, 13, FRAME_MAX + 1, FRAME_MAX + 1000])
def test_what_is_no_frame_is_a_runt_and_reception_goes_on(lab, size):
    net = lab("a")
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    net.switch.add_port(DgramPort("vm", near))
    far.send(bytes(size))
    far.send(UP)

    assert net.send("a") == {"a": [UP]}
    assert net.drops("vm") == {"runt": 1}
    far.close()


def test_a_full_queue_drops_and_the_others_go_on(lab):
    net = lab("a", "b")
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    net.switch.add_port(DgramPort("vm", near))
    down = frame(BROADCAST, A, pad_to=1514)
    for _ in range(100):
        assert net.send("a", *[down] * 32) == {"b": [down] * 32}

    taken = net.status("vm").counters["tx_frames"]
    assert net.drops("vm") == {"tx_full": 3200 - taken}
    assert len(receive(far)) == taken
    net.send("a", down)
    assert receive(far) == [down]
    far.close()


def test_a_pair_of_paths_whose_peer_comes_goes_and_comes_again(lab, tmp_path):
    net = lab("a")
    here, there = tmp_path / "switch", tmp_path / "vm"
    net.switch.add_port(DgramPort.unix("vm", here, remote=there))
    net.send("a", DOWN)
    assert net.drops("vm") == {"tx_error": 1}, "ENOENT"

    for errors in (2, 3):
        peer = datagram_socket(there)
        peer.sendto(UP, str(here))
        assert net.send("a", DOWN) == {"a": [UP]}
        assert receive(peer) == [DOWN]
        peer.close()
        net.send("a", DOWN)
        assert net.drops("vm") == {"tx_error": errors}, "ECONNREFUSED"
        there.unlink()

    assert net.status("vm").state == "forwarding"


def test_the_file_goes_with_the_port(lab, tmp_path):
    net = lab("a")
    net.switch.add_port(DgramPort.unix("vm", tmp_path / "switch", remote=tmp_path / "vm"))
    assert (tmp_path / "switch").is_socket()

    net.switch.remove_port("vm")

    assert not (tmp_path / "switch").exists()


def test_udp_carries_frames_between_two_addresses_and_hears_no_other(lab):
    net = lab("a")
    reserved, peer, stranger = free_udp(3)
    here = reserved.getsockname()
    reserved.close()
    net.switch.add_port(DgramPort.udp("vm", here, remote=peer.getsockname()))
    stranger.sendto(frame(BROADCAST, mac(66)), here)
    peer.sendto(UP, here)

    assert net.send("a", DOWN) == {"a": [UP]}

    assert receive(peer) == [DOWN]
    assert net.status("vm").kind == "udp"
    peer.close()
    stranger.close()


def test_a_port_says_where_it_is_and_who_is_at_the_other_end(lab, tmp_path):
    here, there = tmp_path / "here", tmp_path / "there"
    switch = lab("c").switch
    switch.add_port(DgramPort.unix("a", here, remote=there))
    switch.add_port(DgramPort.udp("b", ("::1", 0), remote=("::1", 9)))

    a, b = switch.port_status("a"), switch.port_status("b")

    assert (a.address, a.remote) == (str(here), str(there))
    assert b.address.startswith("[::1]:")
    assert b.remote == "[::1]:9"


def test_udp_outlives_a_peer_that_is_not_there(lab):
    net = lab("a")
    reserved, peer = free_udp()
    here, there = reserved.getsockname(), peer.getsockname()
    reserved.close()
    peer.close()
    net.switch.add_port(DgramPort.udp("vm", here, remote=there))
    for _ in range(5):
        net.send("a", DOWN)

    peer = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    peer.bind(there)
    peer.sendto(UP, here)

    assert net.send("a") == {"a": [UP]}
    net.send("a", DOWN)
    assert receive(peer) == [DOWN]
    peer.close()


def test_an_address_that_is_not_ours_is_named():
    with pytest.raises(DeviceError) as caught:
        DgramPort.udp("vm", ("192.0.2.1", 5000), remote=("127.0.0.1", 5001))

    assert str(caught.value) == (
        "vm: cannot use UDP from 192.0.2.1:5000 to 127.0.0.1:5001: Cannot assign requested address"
    )


@pytest.mark.parametrize(
    ("here", "there", "bad"),
    [
        ("127.0.0.1", "239.1.1.1", "239.1.1.1:9"),
        ("239.1.1.1", "127.0.0.1", "239.1.1.1:9"),
        ("127.0.0.1", "255.255.255.255", "255.255.255.255:9"),
        ("0.0.0.0", "0.0.0.0", "0.0.0.0:9"),
        ("::1", "ff02::1", "[ff02::1]:9"),
    ],
)
def test_udp_joins_two_hosts_and_no_group(here, there, bad):
    with pytest.raises(PortError) as caught:
        DgramPort.udp("vm", (here, 9), remote=(there, 9))

    assert str(caught.value) == f"vm: {bad} is not the address of one host"


def test_udp_from_any_address_is_from_the_one_that_leads_there():
    port = DgramPort.udp("vm", ("0.0.0.0", 0), remote=("127.0.0.1", 9))

    assert port.address.startswith("127.0.0.1:")
    port.close()


@pytest.mark.parametrize("core_of_labs", ["c"])  # the other drops what is unfinished
def test_super_frames_are_cut(lab):
    net = lab("a")
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    net.switch.add_port(DgramPort("vm", near))
    header, big = unfinished(VM, A, version=4, protocol="tcp", payload=bytes(4000), gso_size=1000)

    net.send("a", big, vnet=header)

    assert [len(f) for f in receive(far)] == [1054] * 4
    far.close()


@pytest.mark.parametrize("core", ["c", "python"])
def test_threads_forward_between_two_switches_over_datagrams(tmp_path, core):
    left, right = tmp_path / "left", tmp_path / "right"
    with Switch("one", core=core) as one, Switch("two") as two:
        a = one.add_port(MemoryPort("a"))
        b = two.add_port(MemoryPort("b"))
        one.add_port(DgramPort.unix("trunk", left, remote=right))
        two.add_port(DgramPort.unix("trunk", right, remote=left))

        a.send([UP])

        assert wait_for(b.receive, "the frame at the other switch") == [UP]
