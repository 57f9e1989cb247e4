"""vhost-user ports by hand: who comes, goes, comes again, misbehaves, over real sockets."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing, suppress
from pathlib import Path

import pytest

from support.frames import BROADCAST, frame, mac
from support.front_end import FEATURES, open_fds
from support.lab import Lab
from support.plugged import PluggedFrontEnd, PluggedVm
from support.wait import wait_for
from vswitch import VhostUserPort
from vswitch.callers import FIRST_S, LAST_S
from vswitch.errors import DeviceError, PortError
from vswitch.ports.vhost_user import MESSAGES_MAX, MESSAGES_PER_S
from vswitch.portsettings import PortSettings
from vswitch.wire import vhost_user as wire
from vswitch.wire.vhost_user import Feature, Request

A, VM, PINNED = mac(1), mac(100), mac(101)
UP, DOWN = frame(BROADCAST, VM, b"up"), frame(BROADCAST, A, b"down")

Plug = Callable[..., PluggedVm]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "vm.sock"


@pytest.fixture(autouse=True)
def warnings_only(caplog) -> None:
    """Whatever level other tests have left behind."""
    caplog.set_level("WARNING")


@pytest.fixture
def net(lab: Callable[..., Lab]) -> Lab:
    return lab("a")


@pytest.fixture
def plug(net: Lab, place: Path) -> Iterator[Plug]:
    """Factory of machines at *place*, which look at the switch as they speak."""
    with ExitStack() as stack:

        def make(where: Path | socket.socket = place, **options: int) -> PluggedVm:
            return stack.enter_context(closing(PluggedVm(where, net.switch.poll, **options)))

        yield make


def talks(net: Lab, vm: PluggedVm) -> bool:
    """Whether a frame arrives each way."""
    vm.send(UP)
    arrived = net.send("a", DOWN) == {"a": [UP]}
    return vm.receive() == [DOWN] and arrived


def held() -> tuple[int, int]:
    """How many descriptors we have, and mappings of guests' memory."""
    return open_fds(), Path("/proc/self/maps").read_text().count("memfd:guest")


# ---------------------------------------------------------------------- up and down


@pytest.mark.parametrize("features", [0, Feature.EVENT_IDX, Feature.RING_PACKED])
def test_a_machine_is_up_once_its_driver_is(net, place, plug, caplog, features):
    caplog.set_level("INFO")
    net.switch.add_port(VhostUserPort("vm", place))
    vm = plug(features=features)
    net.switch.poll()
    assert net.status("vm").state == "down"

    vm.boot()

    assert net.status("vm").state == "forwarding"
    assert net.status("vm").address == str(place)
    assert caplog.messages == ["port up name=vm"]
    for _ in range(50):  # around the ring, too
        assert talks(net, vm)


def test_without_a_machine_frames_are_a_tx_error(net, place):
    net.switch.add_port(VhostUserPort("vm", place))

    net.send("a", DOWN, DOWN)

    assert net.drops("vm") == {"tx_error": 2}


def test_a_machine_that_left_is_forgotten_and_its_port_is_not(net, place, plug, caplog):
    caplog.set_level("INFO")
    net.switch.add_port(VhostUserPort("vm", place), PortSettings(fdb_limit=2))
    net.switch.pin(PINNED, "vm")
    vm = plug().boot()
    talks(net, vm)
    before = net.status("vm")
    vm.front.connection.shutdown(socket.SHUT_RDWR)
    net.switch.poll()

    assert net.status("vm").state == "down"
    assert net.stations() == {A: "a", PINNED: "vm"}
    assert caplog.messages[1:] == ["port down name=vm reason='it hung up' stations_flushed=1"]

    assert talks(net, plug().boot())
    after = net.status("vm")
    assert (after.number, after.state) == (before.number, "forwarding")
    assert after.counters["rx_frames"] == before.counters["rx_frames"] + 1


def test_a_driver_that_stops_takes_the_port_down_and_may_start_again(net, place, plug, caplog):
    caplog.set_level("INFO")
    net.switch.add_port(VhostUserPort("vm", place))
    vm = plug().boot()
    vm.front.state(Request.GET_VRING_BASE, 0, 0)
    net.switch.poll()
    assert net.status("vm").state == "down"
    assert caplog.messages[1].startswith("port down name=vm reason='its driver stopped'")

    vm.front.fd(Request.SET_VRING_KICK, 0, vm.kicks[0])

    assert net.status("vm").state == "forwarding"


def test_a_second_machine_is_sent_away_with_one_sentence(net, place, plug, caplog):
    net.switch.add_port(VhostUserPort("vm", place))
    first = plug().boot()
    for _ in range(10):
        other = plug()
        net.switch.poll()
        assert other.front.hung_up()

    assert talks(net, first)
    assert caplog.messages == [
        f"refused socket={place} "
        "reason='one virtual machine is there already: give each a socket of its own'"
    ]


def test_each_machine_that_is_there_has_a_line_for_who_is_sent_away(net, place, plug, caplog):
    net.switch.add_port(VhostUserPort("vm", place))
    for lines in (1, 2):
        there = plug().boot()
        plug()
        net.switch.poll()
        assert len(caplog.messages) == lines
        there.close()
        net.switch.poll()


def test_who_hangs_up_before_the_answer_has_hung_up_and_no_more(net, place, plug, caplog):
    net.switch.add_port(VhostUserPort("vm", place))
    vm = plug()
    vm.front.write(wire.HEADER.pack(Request.GET_FEATURES, wire.VERSION, 0))
    vm.close()
    net.switch.poll()

    assert caplog.messages == []
    assert talks(net, plug().boot())


def test_who_comes_as_the_last_one_leaves_is_let_in(net, place, plug, caplog):
    net.switch.add_port(VhostUserPort("vm", place))
    plug().boot().front.connection.shutdown(socket.SHUT_RDWR)

    again = plug()  # before the switch has looked

    assert talks(net, again.boot())
    assert caplog.messages == []


def test_a_blocked_port_stays_blocked(net, place, plug):
    net.switch.add_port(VhostUserPort("vm", place))
    net.switch.set_port("vm", forwarding=False)
    vm = plug().boot()
    vm.send(UP)

    assert net.send("a", DOWN) == {}
    assert vm.receive() == []
    assert net.status("vm").state == "blocked"


def test_nothing_is_left_of_1000_machines(net, place, plug):
    net.switch.add_port(VhostUserPort("vm", place))
    before = held()

    for i in range(1000):
        vm = PluggedVm(place, net.switch.poll, memory_bytes=3 << 20)
        if i % 2:
            assert talks(net, vm.boot())
        else:
            vm.front.memory(vm.memory)
            net.switch.poll()
            assert net.switch.ports["vm"].is_connected
        vm.close()
        net.clock.advance(1)
        net.switch.poll()

    assert held() == before


@pytest.mark.parametrize("ends", ["remove", "close"])
def test_removing_a_port_gives_everything_back(tmp_path, ends):
    before = held()
    net = Lab("a")
    port = net.switch.add_port(VhostUserPort("vm", tmp_path / "vm"))
    vm = PluggedVm(tmp_path / "vm", net.switch.poll).boot()
    vm.send(UP)
    if ends == "remove":
        net.switch.remove_port("vm")
        net.add("vm")
        assert net.send("vm", UP) == {"a": [UP]}
    net.switch.close()

    assert vm.front.hung_up()
    vm.close()
    assert not (tmp_path / "vm").exists()
    del net, vm
    assert held() == before
    assert port.link().up is False


# ---------------------------------------------------------------------- what was agreed on


def test_offloads_are_those_that_were_agreed_on(net, place, plug):
    net.switch.add_port(VhostUserPort("vm", place))
    assert net.status("vm").offloads == ()

    vm = plug(features=Feature.GUEST_CSUM | Feature.GUEST_TSO4 | Feature.CSUM).boot()
    assert net.status("vm").offloads == ("csum", "tso4")

    vm.front.connection.shutdown(socket.SHUT_RDWR)
    net.switch.poll()
    assert net.status("vm").offloads == ()


def test_fragmentation_is_offered_both_ways(net, place, plug):
    net.switch.add_port(VhostUserPort("vm", place))
    vm = plug(features=Feature.GUEST_CSUM | Feature.GUEST_UFO)

    assert vm.front.ask(Request.GET_FEATURES) & Feature.HOST_UFO
    vm.boot()

    assert net.status("vm").offloads == ("csum", "ufo")


def test_offloads_can_be_declined(net, place, plug):
    net.switch.add_port(VhostUserPort("vm", place, offloads=False))

    offered = plug().front.ask(Request.GET_FEATURES)

    assert not offered & (Feature.CSUM | Feature.GUEST_CSUM | Feature.HOST_TSO4 | Feature.HOST_USO)


def test_the_mtu_is_told_and_no_longer_one_granted(net, place, plug):
    net.switch.add_port(VhostUserPort("vm", place, mtu=9000))
    vm = plug().boot()

    space = vm.front.say(Request.GET_CONFIG, struct.pack("=III", 0, 12, 0) + bytes(12))

    assert int.from_bytes(space[12 + 10 : 12 + 12], "little") == 9000
    assert vm.front.set(Request.NET_SET_MTU, 9000, ack=True) == wire.u64(0)
    assert vm.front.set(Request.NET_SET_MTU, 9001, ack=True) == wire.u64(1)


def test_pairs_in_use_are_those_the_driver_started(net, place, plug):
    net.switch.add_port(VhostUserPort("vm", place, queues=4))
    assert (net.status("vm").queues, net.status("vm").queues_used) == (4, 0)

    vm = plug(pairs=4).boot(pairs=2)

    assert vm.front.ask(Request.GET_QUEUE_NUM) == 4
    assert (net.status("vm").queues, net.status("vm").queues_used) == (4, 2)
    assert talks(net, vm)


# ---------------------------------------------------------------------- strangers


def test_a_message_may_come_in_pieces(net, place, plug):
    net.switch.add_port(VhostUserPort("vm", place))
    vm = plug()
    for byte in wire.HEADER.pack(Request.GET_FEATURES, wire.VERSION, 0):
        vm.front.write(bytes([byte]))
        net.switch.poll()
    assert int.from_bytes(vm.front.read(), "little") & Feature.VERSION_1

    whole = wire.HEADER.pack(Request.GET_FEATURES, wire.VERSION, 0)
    vm.front.write(whole * 3 + whole[:5])
    net.switch.poll()
    for _ in range(3):
        assert vm.front.read()
    vm.front.write(whole[5:])
    net.switch.poll()
    assert vm.front.read()


def test_descriptors_may_come_with_a_later_piece(net, place, plug):
    net.switch.add_port(VhostUserPort("vm", place))
    vm = plug()
    before = open_fds()
    message = wire.HEADER.pack(Request.SET_VRING_CALL, wire.VERSION, 8) + wire.u64(0)
    vm.front.write(message[:5])
    net.switch.poll()
    vm.front.write(message[5:], (vm.calls[0],))
    net.switch.poll()

    assert open_fds() == before + 2  # the connection and what it gave us
    assert not os.get_inheritable(net.switch.ports["vm"]._session.rings[0].call)
    assert not vm.front.hung_up()


@pytest.mark.parametrize(
    ("pieces", "reason"),
    [
        ([(b"\1\0\0\0", 9)], "'more than 8 descriptors in a message'"),
        ([(b"\1", 5), (b"\0", 5)], "'more than 8 descriptors in a message'"),
        ([(wire.HEADER.pack(Request.GET_FEATURES, 0, 0), 0)], None),
        ([(wire.HEADER.pack(Request.GET_FEATURES, 1, 1 << 31), 0)], None),
        ([(wire.HEADER.pack(99, 1, 0), 1)], "'message 99, which was not agreed on'"),
    ],
)
def test_who_breaks_the_protocol_is_hung_up_on(net, place, plug, caplog, pieces, reason):
    net.switch.add_port(VhostUserPort("vm", place))
    vm = plug()
    net.switch.poll()
    before = open_fds()
    for data, count in pieces:
        vm.front.write(data, (vm.kicks[0],) * count)
        net.switch.poll()

    assert vm.front.hung_up()
    assert open_fds() == before - 1
    [line] = caplog.messages
    assert line.startswith(f"hung up name=vm reason={reason or ''}")
    assert talks(net, plug().boot())


def test_who_breaks_the_rules_of_a_ring_is_hung_up_on(net, place, plug, caplog):
    net.switch.add_port(VhostUserPort("vm", place))
    vm = plug().boot()
    vm.memory.set_u16(vm.pairs[0].tx.driver + 2, 9999)  # more is available than there are places
    os.eventfd_write(vm.kicks[0], 1)
    net.switch.poll()

    assert vm.front.hung_up()
    assert net.status("vm").state == "down"
    assert caplog.messages == [
        "port down name=vm reason='it broke the rules of its rings' stations_flushed=0"
    ]
    caplog.clear()
    assert talks(net, plug().boot())
    assert caplog.messages == []


def test_who_shrinks_its_memory_is_hung_up_on(net, place, plug, caplog):
    net.switch.add_port(VhostUserPort("vm", place))
    vm = plug().boot()
    vm.pairs[0].send(UP)
    os.ftruncate(vm.memory.pieces[0].fd, 0)
    net.send("a", DOWN)
    net.switch.poll()

    assert vm.front.hung_up()
    assert len(caplog.messages) == 1
    assert "it shrunk its memory while we use it" in caplog.text
    assert talks(net, plug().boot())


def test_who_talks_without_end_keeps_nobody(net, place, plug, monkeypatch):
    net.switch.add_port(VhostUserPort("vm", place))
    vm = plug()
    net.switch.poll()
    port = net.switch.ports["vm"]
    handled = []
    monkeypatch.setattr(port, "_handle", lambda *message: handled.append(message))
    vm.front.write(wire.HEADER.pack(Request.SET_OWNER, wire.VERSION, 0) * 1000)

    port.attend(net.switch.paused)

    assert len(handled) == MESSAGES_MAX


@pytest.fixture
def pauses(net, monkeypatch) -> list[None]:
    """One for each time that all pollers were parked."""
    found: list[None] = []
    paused = net.switch.paused
    monkeypatch.setattr(
        net.switch._upkeep.guests, "_paused", lambda: found.append(None) or paused()
    )
    return found


def test_a_start_parks_the_pollers_for_what_changes_something_only(net, place, plug, pauses):
    net.switch.add_port(VhostUserPort("vm", place))

    plug().boot()

    assert len(pauses) == 1 + 1 + 2 * 4  # features, memory; each ring's address, call, kick, enable


def test_who_only_asks_parks_nobody(net, place, plug, pauses):
    net.switch.add_port(VhostUserPort("vm", place))
    vm = plug().boot()
    before = len(pauses)
    for _ in range(500):
        vm.front.ask(Request.GET_FEATURES)
        vm.front.ask(Request.GET_QUEUE_NUM)

    assert len(pauses) == before


def test_who_says_too_much_in_a_second_is_heard_in_the_next(net, place, plug, pauses):
    net.switch.add_port(VhostUserPort("vm", place))
    vm = plug().boot()
    port, guests = net.switch.ports["vm"], net.switch._upkeep.guests
    net.clock.advance(1)
    net.switch.poll()
    before = len(pauses)
    enable = struct.pack("=IIIII", Request.SET_VRING_ENABLE, wire.VERSION, 8, 0, 1)
    vm.front.write(enable * (MESSAGES_PER_S + 10))

    for _ in range(MESSAGES_PER_S):
        net.switch.poll()
    assert len(pauses) - before == MESSAGES_PER_S
    assert port.waiting_on() == guests.waiting_on() == []
    assert talks(net, vm)

    net.clock.advance(1)
    net.switch.poll()
    net.switch.poll()
    assert len(pauses) - before == MESSAGES_PER_S + 10
    assert vm.front.ask(Request.GET_QUEUE_NUM) == 1


def test_who_comes_and_goes_all_the_time_is_let_in_so_often_a_second(net, place, pauses):
    net.switch.add_port(VhostUserPort("vm", place))
    for _ in range(2 * MESSAGES_PER_S):
        with socket.socket(socket.AF_UNIX) as hasty:
            hasty.setblocking(False)
            with suppress(BlockingIOError):  # nobody takes them out of the queue any more
                hasty.connect(str(place))
        net.switch.poll()
        net.switch.poll()

    assert len(pauses) == MESSAGES_PER_S - 1  # that the last one has left is not seen yet
    net.clock.advance(1)
    net.switch.poll()
    net.switch.poll()
    assert len(pauses) > MESSAGES_PER_S


def test_who_does_not_read_replies_is_hung_up_on(net, place, plug, caplog):
    net.switch.add_port(VhostUserPort("vm", place))
    vm = plug()
    vm.front.connection.setblocking(False)
    ask = wire.HEADER.pack(Request.GET_FEATURES, wire.VERSION, 0)

    def ask_without_end() -> None:
        while True:
            try:
                vm.front.write(ask)
            except BlockingIOError:
                net.switch.poll()

    with pytest.raises(OSError, match=r"Broken pipe|Connection reset"):
        ask_without_end()

    assert caplog.messages == ["hung up name=vm reason='it does not read what it is answered'"]


def test_without_descriptors_nobody_is_let_in_and_nobody_is_lost(
    net, place, plug, caplog, monkeypatch
):
    net.switch.add_port(VhostUserPort("vm", place))
    vm = plug().boot()
    port = net.switch.ports["vm"]

    def none_left() -> int:
        raise OSError(24, "Too many open files")

    with monkeypatch.context() as patched:
        patched.setattr(port, "admit", none_left)
        for _ in range(3):
            net.switch.poll()
        assert port._file.socket.fileno() not in net.switch._upkeep.guests.waiting_on()

    assert caplog.messages == [f"cannot accept socket={place} error=[Errno 24] Too many open files"]
    assert talks(net, vm)
    net.clock.advance(1)
    net.switch.poll()
    assert port._file.socket.fileno() in net.switch._upkeep.guests.waiting_on()


@pytest.fixture
def lingering() -> Iterator[tuple[int, socket.socket]]:
    """A descriptor that is closed only when somebody has read what was sent there: him."""
    with socket.create_server(("127.0.0.1", 0)) as door:
        sender = socket.create_connection(door.getsockname())
        reader = door.accept()[0]
    sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 30_000))
    sender.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            sender.send(bytes(1 << 16))
    yield sender.detach(), reader
    reader.close()


def test_who_sends_what_cannot_be_closed_keeps_nobody(net, place, plug, caplog, lingering):
    fd, reader = lingering
    port = net.switch.add_port(VhostUserPort("vm", place))
    vm = plug()
    vm.front.write(wire.HEADER.pack(Request.SET_OWNER, wire.VERSION, 0), (fd,))
    os.close(fd)  # ours, now that another is on its way
    net.switch.poll()

    assert vm.front.hung_up()
    assert caplog.messages[0].startswith("hung up name=vm reason='a descriptor that is no eventfd")
    other = plug()  # has to wait, lest there are ever more of them
    net.switch.poll()
    assert not port.is_connected
    assert port.waiting_on() == []

    reader.close()
    wait_for(lambda: port.waiting_on(), "it to be closed")
    assert talks(net, other.boot())


# ---------------------------------------------------------------------- the other side listens


@pytest.fixture
def listener(place) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(place))
        made.listen()
        made.settimeout(5)
        yield made


def test_a_front_end_that_listens_is_called(net, place, plug, listener, caplog):
    caplog.set_level("INFO")
    net.switch.add_port(VhostUserPort("vm", place, server=False))
    vm = plug(listener.accept()[0])

    assert talks(net, vm.boot())

    status = net.status("vm")
    assert (status.state, status.address, status.remote) == ("forwarding", "", str(place))
    assert caplog.messages == ["port up name=vm"]


def test_a_front_end_that_listens_may_come_later_go_and_come_again(net, place, plug):
    net.switch.add_port(VhostUserPort("vm", place, server=False))
    for _ in range(3):
        with socket.socket(socket.AF_UNIX) as qemu:
            qemu.bind(str(place))
            qemu.listen()
            net.clock.advance(10)
            net.switch.poll()
            vm = plug(qemu.accept()[0])
            assert talks(net, vm.boot())
            vm.front.connection.shutdown(socket.SHUT_RDWR)
        place.unlink()
        net.switch.poll()
        assert net.status("vm").state == "down"


def attempts(net: Lab, monkeypatch: pytest.MonkeyPatch, count: int) -> list[float]:
    """After how many seconds from now the port "vm" calls, so many times."""
    port, guests = net.switch.ports["vm"], net.switch._upkeep.guests
    start_s = now_s = net.clock.precise_s()
    found: list[float] = []
    call = port.call
    monkeypatch.setattr(port, "call", lambda: found.append(now_s - start_s) or call())
    while len(found) < count:
        now_s += guests.due_in_s(now_s, 99) + 1e-6
        guests.look(now_s)
    return found


def test_it_calls_less_and_less_often_and_never_stops(net, place, monkeypatch):
    net.switch.add_port(VhostUserPort("vm", place, server=False))

    assert attempts(net, monkeypatch, 8) == pytest.approx(
        [0.1, 0.3, 0.7, 1.5, 3.1, 6.3, 11.3, 16.3], abs=0.01
    )


@pytest.mark.parametrize(("lasts_s", "next_s"), [(0, 0.2), (LAST_S, FIRST_S)])
def test_only_who_stayed_for_a_while_is_soon_called_again(
    net, place, plug, listener, lasts_s, next_s
):
    net.switch.add_port(VhostUserPort("vm", place, server=False))
    start_s, guests = net.clock.precise_s(), net.switch._upkeep.guests
    listener.accept()[0].close()
    guests.look(start_s)
    guests.look(start_s + FIRST_S)
    vm = plug(listener.accept()[0]).boot()
    vm.front.connection.shutdown(socket.SHUT_RDWR)

    guests.look(net.clock.precise_s() + FIRST_S + lasts_s)

    now_s = net.clock.precise_s() + FIRST_S + lasts_s
    assert guests.due_in_s(now_s, 9) == pytest.approx(next_s, abs=0.01)


@pytest.mark.parametrize("what", ["a file", "datagrams"])
def test_what_can_never_be_called_is_refused_at_once(place, what):
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        if what == "a file":
            place.touch()
        else:
            made.bind(str(place))

        with pytest.raises(DeviceError, match=f"vm: cannot connect to {place}") as e:
            VhostUserPort("vm", place, server=False)

    assert "server=on" in e.value.hint


def test_what_turns_out_later_is_said_once(net, place, caplog):
    net.switch.add_port(VhostUserPort("vm", place, server=False))
    place.touch()
    for _ in range(10):
        net.clock.advance(10)
        net.switch.poll()

    assert caplog.messages == [
        f"cannot connect port=vm to={place} error=Socket operation on non-socket"
    ]


def test_without_asynchronous_io_there_is_no_port(net, place, monkeypatch):
    def none_left(**_: int) -> int:
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    monkeypatch.setattr(net.switch._core, "add_vhost_port", none_left)
    port = VhostUserPort("vm", place)
    with closing(port), pytest.raises(DeviceError, match="cannot call a guest: Resource") as e:
        net.switch.add_port(port)

    assert "fs.aio-max-nr" in e.value.hint


def test_a_path_that_is_taken_is_refused(net, place):
    net.switch.add_port(VhostUserPort("vm", place))

    with pytest.raises(PortError, match="is in use already"):
        VhostUserPort("other", place)


def test_a_front_end_says_what_it_likes_before_the_port_is_there(place):
    port = VhostUserPort("vm", place)
    with socket.socket(socket.AF_UNIX) as early:
        early.connect(str(place))
        PluggedFrontEnd(early).write(wire.HEADER.pack(Request.GET_FEATURES, wire.VERSION, 0))
        net = Lab("a")
        net.switch.add_port(port)
        net.switch.poll()

        assert int.from_bytes(PluggedFrontEnd(early).read(), "little") & FEATURES == FEATURES
    net.close()
