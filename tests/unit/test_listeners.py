"""Ports that come and go with a connection: names, limits, who is told, what stays behind."""

from __future__ import annotations

import errno
import os
import socket
import stat
from pathlib import Path

import pytest

from support.frames import BROADCAST, frame, mac
from support.stream_peer import StreamPeer, prefixed
from support.wait import wait_for
from vswitch import DgramPort, MemoryPort, QemuListener, QemuPort, Switch
from vswitch.errors import DeviceError, PortError
from vswitch.linux.socketfile import SocketFile

A, VM = mac(1), mac(100)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "lan.sock"


def names(net) -> list[str]:
    return [name for name in net.switch.ports if name != "a"]


def test_each_vm_that_connects_becomes_a_port_of_its_own(lab, place, caplog):
    caplog.set_level("INFO")
    net = lab("a")
    net.switch.listen(QemuListener(place))
    vms = [StreamPeer.connect(place) for _ in range(10)]
    net.switch.poll()
    assert names(net) == [f"lan-{i}" for i in range(1, 11)]

    f = frame(BROADCAST, VM)
    vms[3].send(f)
    assert net.send("a") == {"a": [f]}

    assert [vm.frames() for vm in vms] == [[f]] * 3 + [[]] + [[f]] * 6
    assert net.stations() == {VM: "lan-4"}
    assert caplog.text.count("port joined name=lan-") == 10
    for vm in vms:
        vm.close()


def test_a_vm_that_leaves_takes_port_and_stations_along(lab, place, caplog):
    caplog.set_level("INFO")
    net = lab("a")
    net.switch.listen(QemuListener(place))
    vm = StreamPeer.connect(place)
    vm.send(frame(BROADCAST, VM))
    net.send("a")

    vm.close()
    net.switch.poll()

    assert names(net) == []
    assert net.stations() == {}
    assert caplog.text.count("lan-1") == 2, "one line when it joined, one when it left"
    assert "port left name=lan-1 reason='it hung up' stations_flushed=1" in caplog.text


def test_the_lowest_free_number_is_given(lab, place):
    net = lab("a", "lan-2")
    net.switch.listen(QemuListener(place))
    vms = [StreamPeer.connect(place) for _ in range(3)]
    net.switch.poll()
    assert names(net) == ["lan-2", "lan-1", "lan-3", "lan-4"]

    vms[1].close()
    net.switch.poll()
    vms.append(StreamPeer.connect(place))
    net.switch.poll()

    assert sorted(names(net)) == ["lan-1", "lan-2", "lan-3", "lan-4"]
    for vm in vms:
        vm.close()


@pytest.mark.parametrize("length", [0, 1 << 31])
def test_who_breaks_the_protocol_is_disconnected_and_the_others_stay(lab, place, caplog, length):
    caplog.set_level("INFO")
    net = lab("a")
    net.switch.listen(QemuListener(place))
    bad, good = StreamPeer.connect(place), StreamPeer.connect(place)
    bad.socket.sendall(length.to_bytes(4, "big") * 3)

    net.switch.poll()

    assert names(net) == ["lan-2"]
    assert bad.hung_up()
    assert caplog.text.count("it sent a length that no frame has") == 1
    bad.close()
    good.close()


def test_options_reach_the_ports(lab, place):
    net = lab("a")
    net.switch.listen(QemuListener(place, name="vm", mtu=9000, fdb_limit=1))
    vm = StreamPeer.connect(place)
    vm.send(frame(BROADCAST, mac(7)), frame(BROADCAST, mac(8)))
    net.switch.poll()

    status = net.status("vm-1")

    assert (status.mtu, status.stations, status.kind) == (9000, 1, "qemu")
    assert not status.vnet_header
    vm.close()


def test_vms_come_and_go_while_threads_forward(place):
    with Switch() as switch:
        a = switch.add_port(MemoryPort("a"))
        switch.listen(QemuListener(place))
        for i in range(20):
            vm = StreamPeer.connect(place)
            f = frame(BROADCAST, VM, bytes([i]))
            vm.send(f)
            assert wait_for(a.receive, "a frame of the VM") == [f]
            a.send([frame(VM, A)])
            assert wait_for(vm.frames, "the answer") == [frame(VM, A)]
            vm.close()
            wait_for(lambda: list(switch.ports) == ["a"], "the port to go")


def test_the_file_is_for_user_and_group_and_goes_with_the_switch(place):
    with Switch() as switch:
        switch.listen(QemuListener(place))
        assert stat.S_IMODE(place.stat().st_mode) == 0o660

    assert not place.exists()


def test_mode_and_group_are_as_asked(place):
    group = os.getegid()
    listener = QemuListener(place, mode=0o600, group=group)

    assert stat.S_IMODE(place.stat().st_mode) == 0o600
    assert place.stat().st_gid == group
    listener.close()


def test_the_file_of_one_who_was_killed_is_replaced(place):
    dead = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    dead.bind(str(place))
    dead.close()

    listener = QemuListener(place)

    StreamPeer.connect(place).close()
    listener.close()
    assert not place.exists()


@pytest.mark.parametrize("kind", [socket.SOCK_STREAM, socket.SOCK_DGRAM])
def test_the_file_of_one_who_lives_is_not(place, kind):
    first = SocketFile(place, kind)

    with pytest.raises(PortError, match="in use by another program"):
        SocketFile(place, kind)

    assert place.exists()
    first.close()


def test_a_file_that_is_no_socket_stays(place):
    place.write_text("precious")

    with pytest.raises(PortError, match="is not a socket"):
        QemuListener(place)

    assert place.read_text() == "precious"


def test_a_place_that_cannot_be_is_named(tmp_path):
    with pytest.raises(PortError, match="No such file or directory"):
        QemuListener(tmp_path / "none" / "lan.sock")
    with pytest.raises(PortError, match="at most 107 bytes"):
        DgramPort.unix("x", tmp_path / ("x" * 108), remote=tmp_path / "y")


def test_connecting_to_a_qemu_that_listens(lab, place):
    net = lab("a")
    qemu = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    qemu.bind(str(place))
    qemu.listen()

    net.switch.add_port(QemuPort.connect("vm", place))
    connection, _ = qemu.accept()
    f = frame(BROADCAST, VM)
    connection.sendall(prefixed(f))

    assert net.send("a") == {"a": [f]}
    connection.close()
    qemu.close()


def test_connecting_where_nobody_listens_says_what_to_do(place):
    with pytest.raises(DeviceError, match=f"vm: cannot connect to {place}") as e:
        QemuPort.connect("vm", place)

    assert "--listen qemu:" in str(e.value.hint)


def test_without_descriptors_the_others_go_on_and_it_is_tried_again(lab, place, caplog):
    class Tired(QemuListener):
        tries = 0

        def accept(self):
            self.tries += 1
            if self.tries == 1:
                raise OSError(errno.EMFILE, "Too many open files")
            return super().accept()

    net = lab("a", "b")
    net.switch.listen(Tired(place))
    vm = StreamPeer.connect(place)

    assert net.send("a", frame(BROADCAST, A)).keys() == {"b"}
    assert "cannot accept" in caplog.text
    net.switch.poll()

    assert "lan-1" in net.switch.ports
    vm.close()


def test_who_leaves_between_two_looks_is_not_called_down(lab, place, caplog, monkeypatch):
    """The poller may find the end after we looked for ended ones; the next look removes it."""
    caplog.set_level("INFO")
    net = lab("a")
    net.switch.listen(QemuListener(place))
    vm = StreamPeer.connect(place)
    net.switch.poll()
    with monkeypatch.context() as m:
        m.setattr(net.switch._listeners, "remove_ended", lambda: None)
        vm.close()
        net.switch.poll()

    net.switch.poll()

    assert "port down" not in caplog.text
    assert names(net) == []
