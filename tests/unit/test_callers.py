"""Ports that connect: to one who is not there yet, who goes, who comes again, who misbehaves."""

from __future__ import annotations

import errno
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.frames import BROADCAST, frame, mac
from support.lab import Lab
from support.stream_peer import StreamListener, StreamPeer
from support.wait import wait_for
from vswitch import MemoryPort, QemuPort, Switch
from vswitch.callers import FIRST_S, LAST_S
from vswitch.errors import DeviceError
from vswitch.portsettings import PortSettings

A, VM, PINNED = mac(1), mac(100), mac(101)
UP, DOWN = frame(BROADCAST, VM, b"up"), frame(BROADCAST, A, b"down")


@pytest.fixture(params=["c", "python"])
def core_of_labs(request) -> str:
    return request.param


@pytest.fixture
def qemu(place) -> Iterator[StreamListener]:
    listener = StreamListener(place)
    yield listener
    listener.close()


@pytest.fixture
def net(lab: Callable[..., Lab]) -> Lab:
    return lab("a")


def connected(net: Lab, qemu: StreamListener) -> StreamPeer:
    """The peer of the port "vm", which calls now."""
    net.switch.poll()
    assert net.status("vm").state == "forwarding"
    return qemu.accept()


def test_connecting_to_a_qemu_that_listens(net, place, qemu):
    net.switch.add_port(QemuPort.connect("vm", place))
    peer = connected(net, qemu)
    peer.send(UP)

    assert net.send("a", DOWN) == {"a": [UP]}

    assert peer.frames() == [DOWN]
    assert net.status("vm").remote == str(place)
    peer.close()


def test_where_nobody_listens_yet_the_port_waits(net, place, caplog):
    caplog.set_level("INFO")
    net.switch.add_port(QemuPort.connect("vm", place))
    assert net.status("vm").state == "down"
    net.send("a", DOWN)
    assert net.drops("vm") == {"tx_error": 1}

    qemu = StreamListener(place)
    net.clock.advance(1)
    peer = connected(net, qemu)
    net.send("a", DOWN)

    assert peer.frames() == [DOWN]
    assert caplog.messages == ["port up name=vm"]
    peer.close()
    qemu.close()


def test_who_comes_again_finds_the_port_as_it_was(net, place, qemu, caplog):
    caplog.set_level("INFO")
    net.switch.add_port(QemuPort.connect("vm", place), PortSettings(fdb_limit=2))
    net.switch.pin(PINNED, "vm")
    peer = connected(net, qemu)
    peer.send(UP)
    net.send("a", DOWN)
    before = net.status("vm")
    assert net.stations()[VM] == "vm"

    peer.close()
    net.switch.poll()
    assert net.status("vm").state == "down"
    assert net.stations() == {PINNED: "vm", A: "a"}
    net.clock.advance(1)
    peer = connected(net, qemu)
    peer.send(UP, frame(BROADCAST, mac(102)))
    net.send("a", DOWN)

    after = net.status("vm")
    assert (after.number, after.stations) == (before.number, 2), "the limit of stations holds"
    assert after.counters["rx_frames"] == before.counters["rx_frames"] + 2
    assert after.counters["tx_frames"] == before.counters["tx_frames"] + 1
    assert caplog.messages == [
        "port down name=vm reason='it hung up' stations_flushed=1",
        "port up name=vm",
        "limit of stations reached port=vm mac=02:00:00:00:00:66",
    ]
    peer.close()


def test_what_the_last_one_left_in_pieces_is_not_the_next_one_s(net, place, qemu):
    port = QemuPort.connect("vm", place, mtu=60000)
    port._connection.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
    net.switch.add_port(port)
    peer = connected(net, qemu)
    peer.socket.sendall(b"\0\0\0\x40half a frame")
    net.send("a", frame(BROADCAST, A, pad_to=60000))
    peer.frames()
    assert peer.unfinished, "the switch must have a rest to send"
    peer.close()
    net.switch.poll()
    net.clock.advance(1)

    peer = connected(net, qemu)
    peer.send(UP)

    assert net.send("a", DOWN) == {"a": [UP]}
    assert peer.frames() == [DOWN]
    peer.close()


@pytest.mark.parametrize("length", [0, 1 << 31])
def test_who_breaks_the_protocol_is_hung_up_on_and_called_again(net, place, qemu, caplog, length):
    caplog.set_level("INFO")
    net.switch.add_port(QemuPort.connect("vm", place))
    peer = connected(net, qemu)
    peer.socket.sendall(length.to_bytes(4, "big") * 3)
    net.switch.poll()
    assert net.status("vm").state == "down"
    assert peer.hung_up()
    assert caplog.text.count("it sent a length that no frame has") == 1

    net.clock.advance(1)
    again = connected(net, qemu)
    again.send(UP)

    assert net.send("a") == {"a": [UP]}
    peer.close()
    again.close()


def attempts(net: Lab, monkeypatch: pytest.MonkeyPatch, count: int) -> list[float]:
    """After how many seconds from now the port "vm" calls, so many times."""
    port, callers = net.switch.ports["vm"], net.switch._upkeep.callers
    start_s = now_s = net.clock.precise_s()
    found: list[float] = []
    call = port.call
    monkeypatch.setattr(port, "call", lambda: found.append(now_s - start_s) or call())
    while len(found) < count:
        now_s += callers.due_in_s(now_s, 99) + 1e-6
        callers.look(now_s)
    return found


def test_it_calls_less_and_less_often_and_never_stops(net, place, monkeypatch):
    net.switch.add_port(QemuPort.connect("vm", place))

    assert attempts(net, monkeypatch, 8) == pytest.approx(
        [0.1, 0.3, 0.7, 1.5, 3.1, 6.3, 11.3, 16.3], abs=0.01
    )


def test_nothing_is_to_be_done_before_the_next_attempt(net, place):
    net.switch.add_port(QemuPort.connect("vm", place))
    now_s = net.clock.precise_s()

    assert net.switch._upkeep.callers.due_in_s(now_s, 1) == pytest.approx(FIRST_S)
    assert net.switch._upkeep.callers.due_in_s(now_s + 3, 1) == 0
    assert net.switch._upkeep.callers.due_in_s(now_s, 0.05) == 0.05


@pytest.mark.parametrize(("lasts_s", "next_s"), [(0, 0.2), (LAST_S, FIRST_S)])
def test_only_who_stayed_for_a_while_is_soon_called_again(net, place, qemu, lasts_s, next_s):
    net.switch.add_port(QemuPort.connect("vm", place))
    look, start_s = net.switch._upkeep.callers.look, net.clock.precise_s()
    connected(net, qemu).close()
    net.switch._core.datapath.poll(0)
    look(start_s)
    look(start_s + FIRST_S)
    connected(net, qemu).close()
    net.switch._core.datapath.poll(0)
    now_s = start_s + FIRST_S + lasts_s

    look(now_s)

    assert net.switch._upkeep.callers.due_in_s(now_s, 9) == pytest.approx(next_s)


def test_a_port_can_be_removed_while_it_waits_and_another_take_its_name(net, place):
    net.switch.add_port(QemuPort.connect("vm", place))
    net.switch.remove_port("vm")
    net.add("vm")
    net.clock.advance(10)

    assert net.send("vm", UP) == {"a": [UP]}
    assert net.switch._upkeep.callers.due_in_s(0, 1) == 1


def test_a_blocked_port_stays_blocked(net, place, qemu):
    net.switch.add_port(QemuPort.connect("vm", place))
    net.switch.set_port("vm", forwarding=False)
    connected_first = qemu.accept()
    connected_first.close()
    net.switch.poll()
    net.clock.advance(1)
    net.switch.poll()
    peer = qemu.accept()
    peer.send(UP)

    assert net.send("a", DOWN) == {}

    assert peer.frames() == []
    assert net.status("vm").state == "blocked"
    peer.close()


def test_without_retry_there_is_one_attempt(net, place, qemu):
    net.switch.add_port(QemuPort.connect("vm", place, retry=False))
    connected(net, qemu).close()
    net.switch.poll()
    net.clock.advance(10)
    net.switch.poll()

    assert net.status("vm").state == "gone"


def test_without_retry_somebody_must_listen(place):
    with pytest.raises(DeviceError, match=f"vm: cannot connect to {place}: No such file") as e:
        QemuPort.connect("vm", place, retry=False)

    assert "leave retry=off away" in str(e.value.hint)


def test_a_path_is_said_as_it_has_to_be_spelled(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    with pytest.raises(DeviceError, match=r"cannot connect to \./a:1: No such file"):
        QemuPort.connect("vm", Path("./a:1"), retry=False)  # pathlib says a:1, which is TCP


@pytest.mark.parametrize(
    ("make", "code"),
    [
        (lambda path: path.touch(), errno.ENOTSOCK),
        (lambda path: socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM), errno.EPROTOTYPE),
    ],
    ids=["a file", "datagrams"],
)
def test_what_can_never_be_is_refused_at_once(place, make, code):
    made = make(place)
    if made:
        made.bind(str(place))

    with pytest.raises(DeviceError) as e:
        QemuPort.connect("vm", place)

    assert e.value.errno == code
    if made:
        made.close()


def test_what_turns_out_later_is_said_once_and_it_goes_on(net, place, caplog):
    net.switch.add_port(QemuPort.connect("vm", place))
    place.touch()
    for _ in range(10):
        net.clock.advance(10)
        net.switch.poll()
    assert caplog.messages == [
        f"cannot connect port=vm to={place} error=Socket operation on non-socket"
    ]

    place.unlink()
    qemu = StreamListener(place)
    net.clock.advance(10)

    connected(net, qemu).close()
    qemu.close()


# ---------------------------------------------------------------------- TCP


@pytest.mark.parametrize("host", ["...", "a" * 64 + ".example"])
def test_what_cannot_be_the_name_of_a_host_is_refused(host):
    with pytest.raises(DeviceError, match="12: not the name of a host"):
        QemuPort.connect("vm", (host, 12))


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_connecting_over_tcp(net, host, caplog):
    qemu = StreamListener(host)
    net.switch.add_port(QemuPort.connect("vm", qemu.address))
    net.switch.poll()
    peer = qemu.accept()
    net.switch.poll()
    peer.send(UP)

    assert net.send("a", DOWN) == {"a": [UP]}

    wait_for(lambda: peer.frames() == [DOWN], "the frame")
    assert net.status("vm").remote.endswith(f":{qemu.address[1]}")
    assert caplog.messages == []
    peer.close()
    qemu.close()


def test_a_peer_over_tcp_may_come_later(net):
    qemu = StreamListener("127.0.0.1")
    address = qemu.address
    qemu.close()
    net.switch.add_port(QemuPort.connect("vm", address))
    net.switch.poll()
    assert net.status("vm").state == "down"

    qemu.socket = socket.create_server(address)
    net.clock.advance(1)

    connected(net, qemu).close()
    qemu.close()


def test_a_call_that_nobody_answers_is_given_up_and_made_again(net, monkeypatch):
    qemu = StreamListener("127.0.0.1", backlog=0)
    queued = [socket.socket(), socket.socket()]  # what does not fit is not answered, see listen(2)
    for s in queued:
        s.setblocking(False)
        s.connect_ex(qemu.address)
    net.switch.add_port(QemuPort.connect("vm", qemu.address))
    port = net.switch.ports["vm"]
    assert port.calling_fd >= 0
    assert net.switch._upkeep.callers.waiting_on() == [port.calling_fd]

    assert attempts(net, monkeypatch, 3) == pytest.approx([5.1, 10.3, 15.7], abs=0.01)

    for s in [*queued, qemu]:
        s.close()


def test_a_name_with_two_addresses_is_tried_with_both(net, monkeypatch):
    qemu = StreamListener("127.0.0.1")
    port = qemu.address[1]
    both = [(socket.AF_INET6, ("::1", port, 0, 0)), (socket.AF_INET, ("127.0.0.1", port))]
    monkeypatch.setattr("vswitch.linux.inet.resolve", lambda *_: both)

    net.switch.add_port(QemuPort.connect("vm", ("both", port)))
    net.switch.poll()
    net.clock.advance(1)
    connected(net, qemu).close()
    net.switch.add_port(QemuPort.connect("once", ("both", port), retry=False))
    qemu.accept().close()

    assert net.status("once").state == "forwarding"
    qemu.close()


def test_who_is_connected_with_himself_has_not_been_answered(monkeypatch):
    own = socket.socket()
    own.bind(("127.0.0.1", 0))
    own.connect(own.getsockname())  # what TCP may do by chance when it picks the port it calls
    monkeypatch.setattr("vswitch.linux.dial.socket.socket", lambda *_: own)
    monkeypatch.setattr(own.__class__, "connect", lambda *_: None)

    with pytest.raises(DeviceError, match="Connection refused"):
        QemuPort.connect("vm", own.getsockname(), retry=False)

    assert own.fileno() == -1


# ---------------------------------------------------------------------- with threads


@pytest.mark.parametrize(("core", "pollers"), [("c", 1), ("c", 3), ("python", 1)])
def test_threads_take_up_with_whoever_comes(place, core, pollers):
    with Switch(core=core, pollers=pollers) as switch:
        a = switch.add_port(MemoryPort("a"))
        switch.add_port(QemuPort.connect("vm", place))
        for i in range(4):
            qemu = StreamListener(place)
            peer = qemu.accept()
            f = frame(BROADCAST, VM, bytes([i]))
            peer.send(f)
            assert wait_for(a.receive, "a frame of the VM") == [f]
            a.send([frame(VM, A)])
            assert wait_for(peer.frames, "the answer") == [frame(VM, A)]
            qemu.close()
            peer.close()
            wait_for(lambda: switch.port_status("vm").state == "down", "the end to be seen")
        assert switch.port_status("vm").counters["rx_frames"] == 4


def test_frames_go_on_being_offered_while_the_peer_comes_and_goes(place):
    with Switch(pollers=2) as switch:
        a = switch.add_port(MemoryPort("a"))
        switch.add_port(QemuPort.connect("vm", place))
        qemu = StreamListener(place)
        for _ in range(5):
            peer = qemu.accept()
            got = wait_for(lambda p=peer: a.send([DOWN] * 8) and p.frames(), "frames")
            assert set(got) == {DOWN}
            peer.close()
        qemu.close()
        wait_for(lambda: a.send([DOWN]) and switch.port_status("vm").drops["tx_error"], "the end")
