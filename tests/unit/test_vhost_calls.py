"""vhost-user ports whose front-end listens, and those that cannot be."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterator
from contextlib import closing

import pytest

from support.front_end import FEATURES
from support.lab import Lab
from support.plugged import PluggedFrontEnd
from support.vhost_lab import talks
from vswitch import VhostUserPort
from vswitch.callers import FIRST_S, LAST_S
from vswitch.errors import DeviceError, PortError
from vswitch.wire import vhost_user as wire
from vswitch.wire.vhost_user import Request


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
