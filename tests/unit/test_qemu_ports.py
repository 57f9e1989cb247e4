"""Stream ports: frames behind their lengths, in pieces, too many at once, and damaged."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support.budget import examples
from support.frames import BROADCAST, frame, mac, unfinished
from support.lab import Lab
from support.stream_peer import StreamPeer, prefixed
from support.wait import wait_for
from vswitch import MemoryPort, QemuPort, Switch
from vswitch._fastpath import FRAME_MAX

A, B, VM = mac(1), mac(2), mac(100)
BIG = frame(BROADCAST, A, pad_to=1514)
FEW = settings(
    max_examples=examples(20), suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(params=["c", "python"])
def core_of_labs(request) -> str:
    return request.param


def stream_pair(*, sndbuf: int = 0) -> tuple[socket.socket, StreamPeer]:
    near, far = socket.socketpair()
    if sndbuf:
        near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, sndbuf)
    return near, StreamPeer(far)


@pytest.fixture
def vm(lab: Callable[..., Lab]) -> Iterator[tuple[Lab, StreamPeer]]:
    """A lab with a memory port "a" and a VM behind "vm"."""
    net = lab("a")
    near, peer = stream_pair()
    net.switch.add_port(QemuPort("vm", near))
    yield net, peer
    peer.close()


def fill(net: Lab, port: str, *, frames: int = 4000) -> int:
    """Flood until *port* has dropped something; how many frames it took."""
    sent = 0
    while not net.drops(port) and sent < frames:
        sent += net.ports["a"].send([BIG] * 8)
        net.switch.poll()
    assert net.drops(port).keys() == {"tx_full"}
    return net.status(port).counters["tx_frames"]


def test_frames_cross_both_ways_unchanged(vm):
    net, peer = vm
    up, down = frame(BROADCAST, VM, b"up"), frame(VM, A, b"down", pad_to=1514)
    peer.send(up)

    assert net.send("a") == {"a": [up]}
    net.send("a", down)

    assert peer.frames() == [down]
    assert net.stations()[VM] == "vm"


def test_what_arrives_has_a_header_that_asks_for_nothing(vm):
    net, peer = vm
    peer.send(frame(BROADCAST, VM), b"\xff" * 3 + frame(A, VM)[3:], frame(A, VM))
    net.switch.poll()

    headers = [header for header, _ in net.ports["a"].receive_with_header()]

    assert headers == [bytes(10)] * 3


def test_every_boundary_may_be_a_boundary_of_a_read(vm):
    net, peer = vm
    frames = [frame(BROADCAST, VM, bytes([i]), pad_to=14 + i) for i in range(3)]
    wire = prefixed(*frames)

    for cut in range(len(wire) + 1):
        got = []
        for piece in (wire[:cut], wire[cut:]):
            peer.socket.sendall(piece)
            net.switch.poll()
            got += net.ports["a"].receive()
        assert got == frames, cut


@FEW
@given(data=st.data(), sizes=st.lists(st.integers(14, 1514), min_size=1, max_size=40))
def test_frames_survive_any_cutting_of_the_stream(vm, data, sizes):
    net, peer = vm
    frames = [frame(BROADCAST, VM, bytes([n & 0xFF]) * 50, pad_to=n) for n in sizes]
    wire = prefixed(*frames)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(wire)), max_size=20)))
    got = []

    for start, end in zip([0, *cuts], [*cuts, len(wire)], strict=True):
        peer.socket.sendall(wire[start:end])
        net.switch.poll()
        got += net.ports["a"].receive()

    assert got == frames


def test_many_frames_in_one_segment(vm):
    net, peer = vm
    frames = [frame(BROADCAST, VM, i.to_bytes(2, "big")) for i in range(1000)]
    peer.send(*frames)

    assert net.send("a") == {"a": frames}


def test_the_longest_frame_crosses(vm):
    net, peer = vm
    longest = frame(BROADCAST, VM, b"x", pad_to=FRAME_MAX)
    peer.send(longest, longest)
    net.add("jumbo", mtu=65521)

    net.switch.poll()

    c = net.status("vm").counters
    assert (c["rx_frames"], c["rx_bytes"], c["forwarded"]) == (2, 2 * FRAME_MAX, 2)


def test_less_than_an_ethernet_header_is_dropped_and_the_stream_goes_on(vm):
    net, peer = vm
    good = frame(BROADCAST, VM)
    peer.send(b"short", good)

    assert net.send("a") == {"a": [good]}
    assert net.drops("vm") == {"runt": 1}


@pytest.mark.parametrize("length", [0, FRAME_MAX + 1, 0xFFFFFFFF])
def test_a_length_that_no_frame_has_ends_the_port_after_what_came_before(vm, caplog, length):
    net, peer = vm
    good = frame(BROADCAST, VM)
    peer.socket.sendall(prefixed(good) + length.to_bytes(4, "big") + b"rubbish")

    assert net.send("a") == {"a": [good]}
    net.switch.poll()

    assert net.status("vm").state == "gone"
    assert "Protocol error" in caplog.text
    assert caplog.text.count("port down") == 1
    assert net.stations() == {}


@pytest.mark.parametrize("beginning", [b"", b"\0\0", prefixed(frame(A, VM))[:-1]])
def test_hanging_up_in_the_middle_ends_the_port(vm, beginning):
    net, peer = vm
    good = frame(BROADCAST, VM)
    peer.socket.sendall(prefixed(good) + beginning)
    peer.close()

    assert net.send("a") == {"a": [good]}
    assert net.status("vm").state == "gone"


def test_frames_for_one_who_hung_up_are_counted(vm):
    net, peer = vm
    peer.close()
    net.ports["a"].send([BIG])

    net.switch.poll()

    assert net.drops("vm") == {"tx_error": 1}


@pytest.mark.parametrize("core_of_labs", ["c"])  # the other drops what is unfinished
def test_a_checksum_left_undone_is_filled_in(vm):
    net, peer = vm
    header, given_frame = unfinished(VM, A, version=4, protocol="tcp", payload=b"data" * 10)

    net.send("a", given_frame, vnet=header)
    (got,) = peer.frames()

    assert len(got) == len(given_frame)
    assert got != given_frame


@pytest.mark.parametrize("core_of_labs", ["c"])  # the other drops what is unfinished
def test_a_super_frame_is_cut(vm):
    net, peer = vm
    header, given_frame = unfinished(
        VM, A, version=4, protocol="tcp", payload=bytes(30000), gso_size=1000
    )

    net.send("a", given_frame, vnet=header)

    assert [len(f) for f in peer.frames()] == [1054] * 30


def test_a_stalled_vm_drops_and_the_others_go_on(lab):
    net = lab("a", "b")
    near, peer = stream_pair()
    net.switch.add_port(QemuPort("vm", near))

    taken = fill(net, "vm")
    net.receive()
    assert net.send("a", BIG) == {"b": [BIG]}

    assert net.status("vm").state == "forwarding"
    assert peer.frames() == [BIG] * taken
    assert net.send("a", BIG) == {"b": [BIG]}
    assert peer.frames() == [BIG]
    peer.close()


def test_the_rest_of_a_frame_goes_out_without_another_frame(lab):
    net = lab("a")
    near, peer = stream_pair(sndbuf=1)
    net.switch.add_port(QemuPort("vm", near, mtu=60000))
    big = frame(BROADCAST, A, bytes(range(256)), pad_to=60000)
    net.send("a", big)
    assert peer.frames() == []
    assert 0 < len(peer.unfinished) < 60004, "the socket must take it in part"

    got: list[bytes] = []
    for _ in range(1000):
        net.switch.poll()
        got += peer.frames()

    assert got == [big]
    assert net.status("vm").counters["tx_frames"] == 1
    peer.close()


@FEW
@given(reads=st.lists(st.integers(0, 5000), max_size=60), sizes=st.lists(st.integers(60, 1514)))
def test_a_slow_reader_stays_in_step(lab, reads, sizes):
    net = lab("a")
    near, peer = stream_pair(sndbuf=1)
    net.switch.add_port(QemuPort("vm", near))
    frames = [frame(BROADCAST, A, i.to_bytes(2, "big"), pad_to=n) for i, n in enumerate(sizes)]
    for i, size in enumerate(reads):
        net.send("a", *frames[2 * i : 2 * i + 2])
        if size:
            peer.read_some(size)
    net.send("a", *frames[2 * len(reads) :])

    got: list[bytes] = []
    while (n := net.switch.poll()) or (more := peer.frames()):
        got += [] if n else more

    taken = net.status("vm").counters["tx_frames"]
    assert len(got) == taken == len(frames) - net.drops("vm").get("tx_full", 0)
    assert got == [f for f in frames if f in got]
    peer.close()


@pytest.mark.parametrize(("core", "pollers"), [("c", 1), ("c", 3), ("python", 1)])
def test_a_thread_sends_the_rest_as_soon_as_there_is_room(core, pollers):
    with Switch(core=core, pollers=pollers) as switch:
        a = switch.add_port(MemoryPort("a"))
        near, peer = stream_pair(sndbuf=1)
        switch.add_port(QemuPort("vm", near, mtu=60000))
        big = frame(BROADCAST, A, bytes(range(256)), pad_to=60000)

        a.send([big])

        assert wait_for(peer.frames, "the whole frame") == [big]
        peer.close()


@FEW
@given(junk=st.binary(max_size=5000), split=st.integers(0, 5000))
def test_any_bytes_are_survived(lab, junk, split):
    net = lab("a")
    near, peer = stream_pair()
    net.switch.add_port(QemuPort("vm", near))

    for piece in (junk[:split], junk[split:]):
        peer.socket.sendall(piece)
        net.switch.poll()

    assert net.send("a", BIG) == {}
    peer.close()
