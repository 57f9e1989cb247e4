"""Ports that come and go with a connection: names, limits, who is told, what stays behind."""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from support.frames import BROADCAST, frame, mac
from support.stream_peer import StreamPeer
from support.wait import wait_for
from vswitch import DgramPort, MemoryPort, QemuListener, Switch
from vswitch.errors import PortError, PortLimitError
from vswitch.linux import inet, peer
from vswitch.linux.socketfile import SocketFile
from vswitch.listeners import Listeners
from vswitch.portsettings import PortSettings

A, VM = mac(1), mac(100)


@pytest.fixture(params=["c", "python"])
def core_of_labs(request) -> str:
    return request.param


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
    net.switch.listen(QemuListener(place, name="vm", mtu=9000, settings=PortSettings(fdb_limit=1)))
    vm = StreamPeer.connect(place)
    vm.send(frame(BROADCAST, mac(7)), frame(BROADCAST, mac(8)))
    net.switch.poll()

    status = net.status("vm-1")

    assert (status.mtu, status.stations, status.kind) == (9000, 1, "qemu")
    assert not status.vnet_header
    vm.close()


@pytest.mark.parametrize("core", ["c", "python"])
def test_vms_come_and_go_while_threads_forward(place, core):
    with Switch(core=core) as switch:
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

    with pytest.raises(PortError, match="is in use already"):
        SocketFile(place, kind)

    assert place.exists()
    first.close()


def test_a_full_switch_refuses_one_a_second(place, caplog):
    def full(port, settings):
        raise PortLimitError(1024)

    listeners = Listeners(None, {}, add=full, remove=lambda name: None)
    listeners.add(QemuListener(place))
    vms = [StreamPeer.connect(place) for _ in range(3)]
    watched = listeners.waiting_on()

    listeners.admit()

    assert caplog.text.count("refused") == 1
    assert listeners.waiting_on() == []
    listeners.retry()
    assert listeners.waiting_on() == watched
    listeners.close()
    for vm in vms:
        vm.close()


def test_who_keeps_the_folder_locked_keeps_nobody_from_starting(place, monkeypatch):
    monkeypatch.setattr("vswitch.linux.socketfile.LOCK_TRIES", 2)
    folder = os.open(place.parent, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)

    QemuListener(place).close()

    os.close(folder)


def test_a_closed_switch_takes_no_listener(place):
    switch = Switch()
    switch.close()
    listener = QemuListener(place)

    with pytest.raises(PortError, match="switch vswitch is closed"):
        switch.listen(listener)

    listener.close()


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
        m.setattr(net.switch._upkeep.listeners, "remove_ended", lambda: None)
        vm.close()
        net.switch.poll()

    net.switch.poll()

    assert "port down" not in caplog.text
    assert names(net) == []


# ---------------------------------------------------------------------- TCP


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_vms_connect_over_tcp(lab, host, caplog):
    net = lab("a")
    listener = net.switch.listen(QemuListener((host, 0), name="vm"))
    address = listener._socket.getsockname()[:2]
    vms = [StreamPeer.connect_tcp(address) for _ in range(2)]
    wait_for(lambda: net.switch.poll() or len(names(net)) == 2, "two ports")
    f = frame(BROADCAST, VM)
    vms[0].send(f)

    assert wait_for(lambda: net.send("a"), "the frame") == {"a": [f]}

    assert wait_for(vms[1].frames, "the frame") == [f]
    assert names(net) == ["vm-1", "vm-2"]
    ours, theirs = net.status("vm-1").address, net.status("vm-1").remote
    assert (ours, theirs) == (inet.text(address), inet.text(vms[0].socket.getsockname()))
    assert "neither encrypted" not in caplog.text
    for vm in vms:
        vm.close()


def test_a_tcp_connection_is_quick_and_a_vanished_host_is_noticed(lab):
    net = lab("a")
    listener = net.switch.listen(QemuListener(("127.0.0.1", 0)))
    vm = StreamPeer.connect_tcp(listener._socket.getsockname())
    wait_for(lambda: net.switch.poll() or names(net), "the port")
    connection = net.switch.ports[names(net)[0]]._connection

    def option(number: int, level: int = socket.IPPROTO_TCP) -> int:
        return connection.getsockopt(level, number)

    assert option(socket.TCP_NODELAY) == 1
    assert option(socket.SO_KEEPALIVE, socket.SOL_SOCKET) == 1
    idle, between = option(socket.TCP_KEEPIDLE), option(socket.TCP_KEEPINTVL)
    assert idle + between * option(socket.TCP_KEEPCNT) <= 30
    vm.close()


def test_a_port_of_tcp_is_free_again_at_once(lab):
    net = lab("a")
    first = QemuListener(("127.0.0.1", 0))
    address = first._socket.getsockname()
    vm = StreamPeer.connect_tcp(address)
    wait_for(lambda: (accepted := first.accept()) and (accepted.close() or True), "the VM")
    vm.close()
    first.close()

    net.switch.listen(QemuListener(address))
    with pytest.raises(
        PortError, match=r"cannot listen at 127\.0\.0\.1:.*: Address already in use"
    ):
        QemuListener(address)


def test_beyond_this_host_there_is_a_warning(caplog):
    QemuListener(("0.0.0.0", 0)).close()

    assert caplog.messages == [
        "frames travel neither encrypted nor authenticated port=who connects address=0.0.0.0:0"
    ]


def test_an_ipv6_listener_hears_no_ipv4():
    listener = QemuListener(("::", 0))
    port = listener._socket.getsockname()[1]

    with pytest.raises(ConnectionRefusedError):
        StreamPeer.connect_tcp(("127.0.0.1", port))

    StreamPeer.connect_tcp(("::1", port)).close()
    listener.close()


# ---------------------------------------------------------------------- names


@pytest.fixture
def calls_itself(monkeypatch):
    """Sets what the guest at the other end calls itself."""
    return lambda name: monkeypatch.setattr("vswitch.listeners.guest_name", lambda _: name)


def test_a_port_is_called_as_its_vm(lab, place, calls_itself):
    net = lab("a", "web-2")
    calls_itself("web")
    net.switch.listen(QemuListener(place))
    vms = [StreamPeer.connect(place) for _ in range(3)]
    net.switch.poll()

    assert names(net) == ["web-2", "web", "web-3", "web-4"]
    for vm in vms:
        vm.close()


@pytest.mark.parametrize(
    ("name", "port"),
    [("my vm/1", "my-vm-1"), ("-x", "x"), ("...", "lan-1"), ("ü", "lan-1"), ("a" * 99, "a" * 48)],
)
def test_what_a_vm_calls_itself_becomes_a_proper_name(lab, place, calls_itself, name, port):
    net = lab("a")
    calls_itself(name)
    net.switch.listen(QemuListener(place))
    vm = StreamPeer.connect(place)
    net.switch.poll()

    assert names(net) == [port]
    vm.close()


@pytest.mark.parametrize(
    ("command_line", "name"),
    [
        (["/usr/bin/qemu-system-x86_64", "-m", "1G", "-name", "vm1"], "vm1"),
        (["qemu-kvm", "--name", "guest=vm1,debug-threads=on"], "vm1"),
        (["kvm", "-name", "process=p,guest=vm1"], "vm1"),
        (["qemu-system-arm", "-name", "a,,b,process=p"], "a,b"),
        (["qemu-system-arm", "-name", "debug-threads=on"], ""),
        (["qemu-system-arm", "-name"], ""),
        (["qemu-system-arm", "-m", "1G"], ""),
        (["passt", "-name", "vm1"], ""),
        ([""], ""),
        ([], ""),
    ],
)
def test_the_name_is_read_from_the_command_line_of_a_qemu(command_line, name):
    assert peer.name_option(command_line) == name


def test_the_command_line_of_the_process_that_connected_is_read(lab, place):
    net = lab("a")
    net.switch.listen(QemuListener(place))
    script = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); input()"
    with subprocess.Popen(
        ["qemu-system-test", "-c", script, str(place), "-name", "guest=web"],
        executable=sys.executable, stdin=subprocess.PIPE,
    ) as vm:  # fmt: skip
        wait_for(lambda: net.switch.poll() or names(net), "the port")

        assert names(net) == ["web"]
        vm.communicate(b"\n")


def test_without_a_process_to_look_at_there_are_numbers(place, monkeypatch):
    listener = QemuListener(place)
    vm = StreamPeer.connect(place)
    connection = wait_for(listener.accept, "the VM")
    monkeypatch.setattr(peer, "pid", lambda _: 2**30)

    assert peer.guest_name(connection) == ""

    for s in (vm, connection, listener):
        s.close()
