"""What the recipes print, pasted: QEMU joins the switch, the TAP becomes a container's eth0."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from support.command import environment, ip, persistent_tap, ports, running, vswitch
from support.wait import wait_for
from vswitch.cli import _qemu

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("nothing_left")]

QEMU = _qemu._installed()
needs_qemu = pytest.mark.skipif(QEMU is None, reason="needs QEMU")
MACHINE = ["-machine", "pc" if os.uname().machine in ("x86_64", "i686") else "virt"]


def printed(*line: str) -> list[str]:
    """The words on standard output of a recipe, as a shell reads them."""
    status, out, err = vswitch(*line)
    assert status == 0, err
    return shlex.split(out)


# QEMU 7.2 dies of MSI-X when it is emulated and has a vhost-user back-end.
NO_VECTORS = ["-global", "virtio-net-pci.vectors=0"]


@contextmanager
def vm(words: Sequence[str]) -> Iterator[subprocess.Popen[str]]:
    """A QEMU with *words* whose processor never runs: its wires are there, a guest is not."""
    process = subprocess.Popen(
        [QEMU, *MACHINE, "-S", "-nodefaults", "-display", "none", *words],
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    with process:
        try:
            yield process
        finally:
            process.terminate()
            said = process.communicate(timeout=10)[0]
            # A word it does not know, it says so and exits; the signal is ours.
            assert not re.search(
                r"-(netdev|device|chardev|object|numa) (?!.*: (info|warning): )", said
            ), said


@needs_qemu
def test_any_number_of_vms_join_a_listener_with_the_line_for_it(tmp_path):
    with running("--listen", f"qemu:{tmp_path}/lan.sock,mtu=9000") as switch, ExitStack() as vms:
        line = ("qemu-args", "lan", "--api", str(switch.api))
        words = [printed(*line) for _ in range(2)]
        for each in words:
            vms.enter_context(vm(each))
        wait_for(lambda: len(switch.ports()) == 2, "two ports")

        assert words[0] != words[1]
        assert "host_mtu=9000" in words[0][1]
        assert "listener lan: 2 ports" in switch.ask("show")


@needs_qemu
def test_a_vm_that_listens_is_connected_to(tmp_path):
    place = f"qemu:{tmp_path}/vm.sock"
    with vm(printed("qemu-args", place, "--server")):
        wait_for((tmp_path / "vm.sock").is_socket, "QEMU to listen")
        with running("--port", place) as switch:
            wait_for(lambda: switch.ports()["vm"]["state"] == "forwarding", "the connection")

            again = printed("qemu-args", "vm", "--api", str(switch.api))

    assert again == printed("qemu-args", place, "--server")


@needs_qemu
@pytest.mark.parametrize("queues", [1, 2])
def test_a_vm_on_a_vhost_user_port_hands_over_its_memory(queues, tmp_path):
    spelled = f"vhost-user:{tmp_path}/vm.sock,queues={queues}"
    with running("--port", spelled) as switch:
        words = printed("qemu-args", "vm", "--api", str(switch.api), "--memory", "64M")
        assert printed("qemu-args", spelled, "-S", "vswitch", "--memory", "64M") == words
        with vm([*words, *NO_VECTORS]):
            wait_for(lambda: connected(tmp_path / "vm.sock"), "QEMU to connect", timeout_s=20)

            assert switch.ports()["vm"]["state"] == "down"  # as long as no driver is there


@needs_qemu
def test_a_vm_that_listens_for_vhost_user_is_connected_to(tmp_path):
    spelled = f"vhost-user:{tmp_path}/vm.sock,client"
    words = printed("qemu-args", spelled, "--memory", "64M")
    with running("--port", spelled) as switch, vm([*words, *NO_VECTORS]):
        wait_for(lambda: connected(tmp_path / "vm.sock"), "the connection", timeout_s=20)

        assert printed("qemu-args", "vm", "--api", str(switch.api), "--memory", "64M") == words


def connected(path: Path) -> bool:
    """Whether a connection ends at a socket with that path."""
    lines = Path("/proc/net/unix").read_text().splitlines()
    return any(line.endswith(f" {path}") and line.split()[5] == "03" for line in lines)


@needs_qemu
def test_a_vm_with_datagrams_is_heard_and_hears(tmp_path):
    spelled = f"dgram:{tmp_path}/sw,remote={tmp_path}/vm,name=vm0"
    with running("--port", spelled) as switch:
        words = printed("qemu-args", "vm0", "--api", str(switch.api))
        with vm(words):
            wait_for((tmp_path / "vm").is_socket, "QEMU's socket")

            assert printed("qemu-args", spelled) == words


@needs_qemu
def test_a_vm_over_udp_takes_its_end():
    here, there = free_port(), free_port()
    spelled = f"udp:127.0.0.1:{here},remote=127.0.0.1:{there}"
    with running("--port", spelled) as switch:
        words = printed("qemu-args", f"udp{here}", "--api", str(switch.api))
        with vm(words) as qemu:
            wait_for(lambda: taken(there), "QEMU to take its port")

            assert qemu.poll() is None
            assert printed("qemu-args", spelled) == words


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def taken(number: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        try:
            s.bind(("127.0.0.1", number))
        except OSError:
            return True
    return False


@needs_qemu
@pytest.mark.parametrize("queues", [1, 2])
def test_a_vm_opens_a_tap_and_the_switch_takes_the_other_end(queues, tmp_path):
    settings = ["multi_queue"] if queues > 1 else []
    with persistent_tap(*settings) as tap:
        spelled = f"{tap},queues={queues}"
        words = printed("qemu-args", spelled, "-S", "vswitch")
        with vm(words):
            wait_for(lambda: "LOWER_UP" in up(tap), "QEMU to hold the TAP")
            with running("--port", spelled) as switch:
                assert f"{tap}: existing, interface end" in switch.out
                assert switch.ports()[tap]["driver"] == "tap"

                assert printed("qemu-args", tap, "--api", str(switch.api)) == words


def up(tap: str) -> str:
    ip("link", "set", tap, "up")
    return ip("link", "show", tap)


def test_the_driver_of_a_veth_is_told_and_no_vm_gets_it(two):
    ip("link", "add", two[0], "type", "veth", "peer", "name", two[1])
    try:
        with running("--port", two[0]) as switch:
            status, out, err = vswitch("qemu-args", two[0], "--api", str(switch.api))

            assert switch.ports()[two[0]]["driver"] == "veth"
            assert (status, out) == (2, "")
            assert err.startswith(f"vswitch: {two[0]} is a device of driver veth, and a VM can")
    finally:
        ip("link", "del", two[0])


# ---------------------------------------------------------------------- containers


def steps(*line: str) -> str:
    """What a recipe says for a root shell."""
    status, _, err = vswitch(*line)
    assert status == 0, err
    return "".join(x for x in err.splitlines(keepends=True) if not x.startswith("note: "))


def shell(script: str) -> None:
    done = subprocess.run(
        ["sh", "-eu", "-c", script], capture_output=True, text=True, timeout=20, env=environment(),
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_the_lines_for_podman_make_a_namespace_with_eth0(two, netns):
    name = netns("pod").name  # by which it is removed at the end, whoever made it
    ip("netns", "del", name)
    with running(*ports(*two)) as switch:
        line = ("docker-args", two[0], "--engine", "podman", "--name", name)
        shell(steps(*line, "--ip", "198.51.100.2/24", "--api", str(switch.api)))

        assert printed(*line, "--api", str(switch.api))[1] == f"ns:/run/netns/{name}"
        assert "198.51.100.2/24" in ip("-n", name, "addr", "show", "eth0")
        assert "LOWER_UP" in ip("-n", name, "link", "show", "eth0")
        wait_for(lambda: switch.ports()[two[0]]["state"] == "forwarding", "the port to be up")


@pytest.mark.skipif(shutil.which("nsenter") is None, reason="needs nsenter")
def test_the_lines_for_docker_move_the_tap_into_the_container(two, netns):
    # No docker here: a process in a namespace of its own is what it makes, as far as we see it.
    room = netns("box")
    with running(*ports(*two)) as switch, room.background("sleep", "60") as container:
        docker = f"docker() {{ test $4 = web && echo {container.pid}; }}\n"
        line = ("docker-args", two[0], "--name", "web", "--ip", "198.51.100.2/24")
        wait_for(lambda: "sleep" in command_of(container.pid), "the container")
        shell(docker + steps(*line, "--api", str(switch.api)))

        assert switch.ports()[two[0]]["driver"] == "tap"
        assert "198.51.100.2/24" in room.ip("addr", "show", "eth0")
        wait_for(lambda: switch.ports()[two[0]]["state"] == "forwarding", "the port to be up")


def command_of(pid: int) -> str:
    with open(f"/proc/{pid}/comm") as f:
        return f.read()
