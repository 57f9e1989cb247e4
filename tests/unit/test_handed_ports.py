"""Ports of sockets that another process opened: what they are, they say themselves."""

from __future__ import annotations

import os
import socket

import pytest

from support.frames import BROADCAST, frame, mac
from support.stream_peer import StreamPeer
from support.wait import wait_for
from vswitch import MemoryPort, Switch
from vswitch.errors import PortError
from vswitch.ports.handed import HandedListener, open_handed
from vswitch.portsettings import PortSettings

A, B = mac(1), mac(2)
SENT = frame(BROADCAST, A)


def refusal(call, *args):
    with pytest.raises(PortError) as caught:
        call(*args)
    return str(caught.value)


def test_a_stream_socket_is_a_qemu_port(lab):
    net = lab("a")
    near, far = socket.socketpair()
    port = net.switch.add_port(open_handed("vm", [near.detach()], socket_mtu=1400))
    peer = StreamPeer(far)

    net.send("a", SENT)
    peer.send(frame(A, B))
    net.switch.poll()

    assert peer.frames() == [SENT]
    assert net.receive() == {"a": [frame(A, B)]}
    assert (port.kind, port.mtu) == ("qemu", 1400)
    peer.close()


def test_a_tcp_socket_sends_at_once(lab):
    net = lab("a")
    with socket.create_server(("127.0.0.1", 0)) as server:
        far = socket.create_connection(server.getsockname())
        near = server.accept()[0]
    here = "{}:{}".format(*far.getsockname())
    fd = near.detach()
    port = net.switch.add_port(open_handed("vm", [fd]))
    peer = StreamPeer(far)

    net.send("a", SENT)

    assert wait_for(peer.frames, "the frame") == [SENT]
    assert (port.kind, port.remote) == ("qemu", here)
    with socket.socket(fileno=os.dup(fd)) as again:
        assert again.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    peer.close()


def test_a_datagram_socket_is_a_dgram_port(lab):
    net = lab("a")
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    port = net.switch.add_port(open_handed("vm", [near.detach()]))

    net.send("a", SENT)

    assert far.recv(2000) == SENT
    assert port.kind == "dgram"
    far.close()


@pytest.mark.parametrize("family", [socket.AF_UNIX, socket.AF_INET])
def test_a_listening_socket_makes_ports_of_those_who_connect(family):
    with socket.socket(family) as s, Switch() as switch:
        s.bind("" if family == socket.AF_UNIX else ("127.0.0.1", 0))
        s.listen()
        place = s.getsockname()
        switch.listen(HandedListener("lan", [s.detach()], settings=PortSettings(fdb_limit=3)))
        with socket.socket(family) as far:
            far.connect(place)
            wait_for(lambda: "lan-1" in switch.ports, "the port")
            memory = switch.add_port(MemoryPort("a"))
            StreamPeer(far).send(SENT)

            assert wait_for(memory.receive, "the frame") == [SENT]
        wait_for(lambda: "lan-1" not in switch.ports, "the port to go")


def test_who_connects_over_tcp_is_sent_to_at_once():
    with socket.create_server(("127.0.0.1", 0)) as s:
        far = socket.create_connection(s.getsockname())
        listener = HandedListener("lan", [s.detach()])
    connection = wait_for(listener.accept, "the connection")

    port = listener.port("lan-1", connection)

    assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
    for closed in (port, listener, far):
        closed.close()


def test_a_descriptor_that_is_nothing_a_port_is_made_of(tmp_path):
    read, write = os.pipe()
    file = os.open(tmp_path / "file", os.O_CREAT | os.O_RDWR)
    null = os.open("/dev/null", os.O_RDWR)
    try:
        for fd, what in (
            (read, "a pipe"), (file, "a regular file"), (null, "a character device"),
        ):  # fmt: skip
            assert refusal(open_handed, "x", [fd]) == f"descriptor {fd} is {what}"
            os.fstat(fd)  # still open
    finally:
        for fd in (read, write, file, null):
            os.close(fd)


@pytest.mark.parametrize(
    ("kind", "what"),
    [
        (socket.SOCK_STREAM, "a stream socket that is not connected"),
        (socket.SOCK_DGRAM, "a datagram socket that is not connected"),
        (socket.SOCK_SEQPACKET, "a seqpacket socket that is not connected"),
    ],
)
def test_a_socket_without_a_peer(kind, what):
    with socket.socket(socket.AF_UNIX, kind) as s:
        assert refusal(open_handed, "x", [s.fileno()]) == f"descriptor {s.fileno()} is {what}"


def test_a_listening_socket_is_no_port_and_a_port_does_not_listen():
    near, far = socket.socketpair()
    with near, far, socket.socket(socket.AF_UNIX) as s:
        s.bind("")
        s.listen()
        assert refusal(open_handed, "x", [s.fileno()]) == (
            f"descriptor {s.fileno()} is a listening socket, where ports come from"
        )
        assert refusal(HandedListener, "x", [near.fileno()]) == (
            f"descriptor {near.fileno()} is a connected stream socket: nobody can connect there"
        )


def test_several_descriptors_are_queues_of_a_tap():
    near, far = socket.socketpair()
    with near, far:
        assert refusal(open_handed, "x", [near.fileno(), far.fileno()]) == (
            f"descriptor {near.fileno()} is a connected stream socket: several of a port are "
            "queues of one TAP"
        )


def test_one_that_is_closed():
    assert refusal(open_handed, "x", [9999]) == "descriptor 9999 is not open"


def test_an_abstract_socket_has_a_name_and_no_file():
    with socket.socket(socket.AF_UNIX) as s, Switch() as switch:
        s.bind(f"\0vsw{os.getpid()}")
        s.listen()
        switch.listen(HandedListener("lan", [s.detach()]))

        assert switch.listener_status()[0].address == f"@vsw{os.getpid()}"
