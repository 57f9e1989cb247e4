"""vhost-user ports by hand: who comes, goes, comes again, over real sockets."""

from __future__ import annotations

import socket
import struct

import pytest

from support.frames import mac
from support.lab import Lab
from support.plugged import PluggedVm
from support.vhost_lab import DOWN, UP, A, held, talks
from vswitch import VhostUserPort
from vswitch.portsettings import PortSettings
from vswitch.wire import vhost_user as wire
from vswitch.wire.vhost_user import Feature, Request

PINNED = mac(101)


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
