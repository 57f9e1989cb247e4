"""vhost-user ports by hand: who breaks the rules, or keeps on talking."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress

import pytest

from support.front_end import open_fds
from support.vhost_lab import DOWN, UP, talks
from support.wait import wait_for
from vswitch import VhostUserPort
from vswitch.ports.vhost_user import MESSAGES_MAX, MESSAGES_PER_S
from vswitch.wire import vhost_user as wire
from vswitch.wire.vhost_user import Feature, Request


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
