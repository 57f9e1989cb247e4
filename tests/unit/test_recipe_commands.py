"""qemu-args, libvirt-xml and docker-args in this process: which port, version and words."""

import platform
import re
from contextlib import closing
from pathlib import Path

import pytest

from support.plugged import PluggedVm
from support.served import served
from support.stream_peer import StreamPeer
from support.wait import wait_for
from vswitch import DgramPort, QemuListener, VhostUserFolder, cli
from vswitch.cli import _qemu
from vswitch.control import address

DEVICE = r"-device virtio-net-pci,netdev=n0,mac=52:54:00(:[0-9a-f]{2}){3}"
MAC = re.compile(r"mac=([0-9a-f:]{17})")


@pytest.fixture
def vswitch(capsys):
    """Run a command line; returns (status, standard output, standard error)."""

    def run(line):
        status = cli.main(line.split())
        return status, *capsys.readouterr()

    return run


@pytest.fixture
def nobody(monkeypatch, tmp_path):
    """No switch runs."""
    monkeypatch.setattr(address, "directory", lambda: tmp_path / "run")


@pytest.fixture
def running(lab, monkeypatch, tmp_path):
    """A switch called lab runs: a memory port a, a datagram port vm, and a listener lan."""
    monkeypatch.setattr(address, "directory", lambda: tmp_path / "run")
    made = lab("a")
    made.switch.listen(QemuListener(tmp_path / "lan.sock", mtu=9000))
    made.switch.add_port(DgramPort.unix("vm", tmp_path / "sw", remote=tmp_path / "there"))
    with served(made.switch, address.path_of("lab")):
        yield made


@pytest.fixture
def qemu(tmp_path):
    """Factory: a program that says it is QEMU of that version."""

    def make(says):
        program = tmp_path / "qemu"
        program.write_text(f"#!/bin/sh\necho '{says}'\n")
        program.chmod(0o755)
        return str(program)

    return make


# ---------------------------------------------------------------------- which port


def test_a_listener_of_a_running_switch_is_asked_for(vswitch, running, tmp_path):
    status, out, err = vswitch("qemu-args lan --qemu-version 9.2")

    assert (status, err) == (0, "")
    assert re.fullmatch(
        rf"{DEVICE},host_mtu=9000 -netdev stream,id=n0,server=off,addr\.type=unix,"
        rf"addr\.path={tmp_path}/lan\.sock,reconnect-ms=1000\n",
        out,
    )


def test_the_port_of_a_vm_is_its_listeners_for_another_vm(vswitch, running, tmp_path):
    with closing(StreamPeer.connect(tmp_path / "lan.sock")):
        wait_for(lambda: running.switch.poll() or len(running.switch.ports) == 3, "the VM's port")
        name = next(name for name in running.switch.ports if name not in ("a", "vm"))

        out, again = (vswitch(f"qemu-args {name} -S lab")[1] for _ in range(2))

    assert MAC.search(out)[1] != MAC.search(again)[1]
    assert f"server=off,addr.type=unix,addr.path={tmp_path}/lan.sock" in out


def test_a_port_of_a_running_switch_is_asked_for(vswitch, running, tmp_path):
    assert vswitch("qemu-args vm --mac 02-00-00-00-00-07 --id net7") == (
        0,
        "-device virtio-net-pci,netdev=net7,mac=02:00:00:00:00:07 "
        f"-netdev dgram,id=net7,local.type=unix,local.path={tmp_path}/there,"
        f"remote.type=unix,remote.path={tmp_path}/sw\n",
        "",
    )


def test_a_folder_says_the_socket_that_is_free(vswitch, running, tmp_path):
    folder = tmp_path / "lan2"
    running.switch.listen(VhostUserFolder(folder))
    with closing(PluggedVm(folder / "lan2-1.sock", running.switch.poll)) as first:
        first.boot()

        status, out, err = vswitch("qemu-args lan2 --qemu-version 9.2 --memory 1G")

    assert status == 0
    assert f"-chardev socket,id=n0-socket,path={folder}/lan2-2.sock,reconnect-ms=1000 " in out
    assert "size=1G,share=on" in out
    assert "note: this is the socket that is free now: ask again for the next machine\n" in err


def test_a_folder_without_a_free_socket_is_said(vswitch, running, tmp_path):
    running.switch.listen(VhostUserFolder(tmp_path / "lan2"))
    running.switch.remove_port("lan2-1")

    assert vswitch("qemu-args lan2") == (
        1,
        "",
        f"vswitch: lan2: no socket in {tmp_path}/lan2/ is free\nhint: vswitch show says why\n",
    )


def test_a_folder_that_is_to_be_has_a_first_socket(vswitch, nobody):
    _, out, err = vswitch("qemu-args vhost-user:/tmp/lan/ --qemu-version 9.2")

    assert "path=/tmp/lan/lan-1.sock," in out
    assert "note: this is the socket of the first machine in the folder" in err


@pytest.mark.parametrize("command", ["qemu-args", "libvirt-xml"])
def test_a_vhost_user_port_that_calls_needs_a_server(vswitch, nobody, command):
    out = vswitch(f"{command} vhost-user:/tmp/vm,client --qemu-version 9.2")[1]

    assert "server=on,wait=off" in out or "mode='server'" in out


@pytest.mark.parametrize("size", ["x", "0", "1.5G", "12T", "512M,share=off"])
def test_what_is_no_size_of_memory_is_said(vswitch, nobody, size):
    assert vswitch(f"qemu-args vhost-user:/tmp/vm --memory {size}") == (
        2, "", f"vswitch: --memory: not a size: {size!r}\nhint: as 512M or 4G\n",
    )  # fmt: skip


@pytest.mark.parametrize("command", ["qemu-args", "libvirt-xml", "docker-args"])
def test_an_unknown_name_is_told_the_known_ones(vswitch, running, command):
    assert vswitch(f"{command} nix") == (
        1,
        "",
        "vswitch: switch lab has no port or listener nix\n"
        "hint: it has: a, vm, lan; or spell one as --port does, as netdev:tap0\n",
    )


@pytest.mark.parametrize("command", ["qemu-args", "libvirt-xml", "docker-args"])
def test_where_nothing_can_be_plugged_in_the_status_is_2(vswitch, running, command):
    status, out, err = vswitch(f"{command} a")

    assert (status, out) == (2, "")
    assert err.startswith("vswitch: a is a port of kind memory")
    assert "\nhint: " in err


def test_a_relative_path_begins_where_the_switch_runs(vswitch, lab, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    made = lab()
    made.switch.listen(QemuListener(Path("lan.sock")))
    made.switch.add_port(DgramPort.unix("vm", Path("sw"), remote=Path("there")))
    with served(made.switch, tmp_path / "api"):
        assert f"addr.path={tmp_path}/lan.sock" in vswitch(f"qemu-args lan --api {tmp_path}/api")[1]
        assert f"remote.path={tmp_path}/sw" in vswitch(f"qemu-args vm --api {tmp_path}/api")[1]


@pytest.mark.parametrize(
    ("spelled", "wire"),
    [
        ("qemu:/tmp/lan.sock", "stream,id=n0,server=off,addr.type=unix,addr.path=/tmp/lan.sock"),
        ("qemu:./lan.sock", "stream,id=n0,server=off,addr.type=unix,addr.path={here}/lan.sock"),
        (
            "qemu:/tmp/vm.sock --server",
            "stream,id=n0,server=on,addr.type=unix,addr.path=/tmp/vm.sock",
        ),
        (
            "udp:127.0.0.1:5000,remote=127.0.0.1:5001",
            "dgram,id=n0,local.type=inet,local.host=127.0.0.1,local.port=5001,"
            "remote.type=inet,remote.host=127.0.0.1,remote.port=5000",
        ),
        ("tap0", "tap,id=n0,ifname=tap0,script=no,downscript=no,vnet_hdr=on"),
        ("netdev:tap0", "tap,id=n0,ifname=tap0,script=no,downscript=no,vnet_hdr=on"),
    ],
)
def test_a_port_that_is_not_there_yet_is_spelled(
    vswitch, nobody, monkeypatch, tmp_path, spelled, wire
):
    monkeypatch.chdir(tmp_path)

    status, out, _ = vswitch(f"qemu-args {spelled} --qemu-version 7.2")

    assert status == 0
    assert re.fullmatch(rf"{DEVICE} -netdev {re.escape(wire.format(here=tmp_path))}\n", out)


def test_options_of_a_port_that_is_spelled_count(vswitch, nobody):
    _, out, _ = vswitch("qemu-args tap0,queues=2,mtu=9000 --qemu-version 7.2")

    assert ",host_mtu=9000,mq=on,vectors=6 " in out
    assert out.endswith(",queues=2\n")


def test_the_file_end_of_a_tap_is_refused_with_what_to_do(vswitch, nobody):
    status, out, err = vswitch("qemu-args tap:tap0")

    assert (status, out) == (2, "")
    assert err.startswith("vswitch: tap0: the switch holds the file end of this TAP")
    assert "hint: start QEMU first, with -netdev tap," in err


def test_a_port_that_cannot_be_is_refused(vswitch, nobody):
    status, _, err = vswitch("qemu-args frob:x")

    assert status == 2
    assert "unknown kind 'frob'" in err


# ---------------------------------------------------------------------- which address


def test_each_vm_of_a_listener_has_an_address_of_its_own(vswitch, nobody):
    said = {MAC.search(vswitch("qemu-args qemu:/tmp/lan.sock")[1])[1] for _ in range(3)}

    assert len(said) == 3


def test_a_port_has_always_the_same_address_and_no_other_has_it(vswitch, nobody):
    said = [
        MAC.search(vswitch(f"qemu-args {port}")[1])[1]
        for port in ("tap0", "tap0", "tap1", "tap0,mtu=1400 -S lab", "tap0,mtu=1400 -S lab")
    ]

    assert said[0] == said[1]
    assert said[3] == said[4]
    assert len(set(said)) == 3


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("qemu-args tap0 --mac 01:00:00:00:00:01", "--mac: a station's address is unicast"),
        ("qemu-args tap0 --id 1x", "--id '1x': a letter, then letters, digits, "),
        ("qemu-args tap0 --qemu-version new", "--qemu-version: not a version of QEMU: 'new'"),
        ("qemu-args tap0 --qemu x --qemu-version 7.2", "--qemu and --qemu-version exclude one "),
        ("qemu-args", "missing argument 'PORT'"),
        ("docker-args tap0 --ip 10.0.0", "--ip: '10.0.0' does not appear to be an IPv4 or IPv6"),
        ("docker-args tap0 --engine lxc", "invalid value for '--engine': 'lxc' is not one of"),
    ],
)
def test_bad_usage_is_a_sentence_and_status_2(vswitch, nobody, line, said):
    status, out, err = vswitch(line)

    assert (status, out) == (2, "")
    assert err.startswith(f"vswitch: {said}")


# ---------------------------------------------------------------------- which version


@pytest.mark.parametrize(
    ("says", "end"),
    [
        ("QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7+deb12u18)", "lan.sock"),
        ("QEMU emulator version 8.0.50 (v8.0.0-1-gabc)", "lan.sock,reconnect=1"),
        ("QEMU emulator version 10.1.0", "lan.sock,reconnect-ms=1000"),
    ],
)
def test_the_version_is_what_qemu_says(vswitch, nobody, qemu, says, end):
    _, out, _ = vswitch(f"qemu-args qemu:/tmp/lan.sock --qemu {qemu(says)}")

    assert out.endswith(f"/{end}\n")


def test_without_qemu_the_words_are_those_of_7_2_and_that_is_said(vswitch, nobody, monkeypatch):
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(platform, "machine", lambda: "none")

    status, out, err = vswitch("qemu-args qemu:/tmp/lan.sock")

    assert (status, out.endswith("/tmp/lan.sock\n")) == (0, True)
    assert err.startswith("note: no QEMU is installed here, so this is for 7.2\n")


@pytest.mark.parametrize(
    ("machine", "program"),
    [("x86_64", "qemu-system-x86_64"), ("i686", "qemu-system-i386"), ("aarch64", None)],
)
def test_the_qemu_that_is_asked_is_that_of_this_machine(monkeypatch, machine, program, tmp_path):
    for name in ("qemu-system-x86_64", "qemu-system-i386"):
        (tmp_path / name).touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(platform, "machine", lambda: machine)

    assert _qemu._installed() == program


def test_a_qemu_that_is_not_there_is_refused(vswitch, nobody):
    status, _, err = vswitch("qemu-args tap0 --qemu /nowhere/qemu")

    assert status == 2
    assert err.startswith("vswitch: cannot ask /nowhere/qemu for its version: ")
    assert err.endswith("hint: say it: --qemu-version 7.2\n")


def test_a_program_that_is_no_qemu_is_refused(vswitch, nobody, qemu):
    status, _, err = vswitch(f"qemu-args tap0 --qemu {qemu('hello')}")

    assert status == 2
    assert "does not say a version of QEMU" in err


# ---------------------------------------------------------------------- libvirt and containers


def test_the_xml_of_a_running_switch(vswitch, running, tmp_path):
    status, out, err = vswitch("libvirt-xml lan --qemu-version 9.2")

    assert status == 0
    assert out.startswith("<qemu:commandline xmlns:qemu=")
    assert f"addr.path={tmp_path}/lan.sock,reconnect-ms=1000'/>" in out
    assert "note: libvirt has no interface of this kind" in err


def test_the_words_for_a_container_and_the_lines_for_a_shell(vswitch, nobody):
    status, out, err = vswitch("docker-args tap:tap0 --ip 10.0.0.2/24")

    assert (status, out) == (0, "--network none --name tap0\n")
    assert err.endswith("\nnsenter -t $pid -n ip addr add 10.0.0.2/24 dev eth0\n")


def test_the_words_for_podman(vswitch, nobody):
    assert vswitch("docker-args tap:tap0 --engine podman --name web")[1] == (
        "--network ns:/run/netns/web --name web\n"
    )
