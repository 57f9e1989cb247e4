"""`vswitch doctor` on real faults: each is found, and gone after its command was pasted."""

import json
import os
import shlex
import socket
import subprocess
from contextlib import closing, contextmanager

from support.command import command, environment, ip, persistent_tap, ports, running, vswitch
from support.wait import wait_for
from vswitch.control import address
from vswitch.linux import tun


def doctor(switch):
    """What is found that concerns *switch*, by check and port: its command."""
    status, out, err = vswitch("doctor", "-j", "--api", str(switch.api))
    found = json.loads(out)
    assert (status, err) == (int(any(f["severity"] != "note" for f in found)), "")
    return {(f["check"], f["port"]): f["fix"] for f in found if f["switch"]}


def paste(line):
    done = subprocess.run(
        f"vswitch() {{ {shlex.join(command())} \"$@\"; }}; {line}",
        shell=True, capture_output=True, text=True, timeout=30, check=False, env=environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@contextmanager
def holder(tap):
    """A program that holds the file end of a TAP as QEMU does; called sleep."""
    queue = tun.open_queue(tap)
    os.set_inheritable(queue.fd, True)
    process = subprocess.Popen(["sleep", "60"], pass_fds=[queue.fd])
    os.close(queue.fd)
    try:
        yield process
    finally:
        process.kill()
        process.wait(10)


def test_what_is_found_is_gone_after_its_command(nothing_left, made, two):
    a, (b, c) = made("veth"), two
    far = json.loads(ip("-j", "link", "show", a))[0]["link"]
    ip("addr", "add", "192.0.2.77/24", "dev", a)
    with running("--port", f"{a},force", "--port", f"{b},mtu=1400", "--port", c) as switch:
        found = doctor(switch)

        assert found == {
            ("host-address", a): f"ip addr flush dev {a}",
            ("carrier", a): f"ip link set dev {far} up",
            ("mtu", b): f"ip link set dev {b} mtu 1500",
        }
        for fix in found.values():
            paste(fix)
        wait_for(lambda: switch.port(b).mtu == 1500, "the switch hears of the MTU")
        wait_for(lambda: switch.port(a).state == "forwarding", "a carrier")
        assert doctor(switch) == {}


def test_a_tap_is_held_by_a_vm_and_then_by_nobody(nothing_left):
    with persistent_tap() as tap, holder(tap) as vm, running(*ports(tap)) as switch:
        held = switch.ask("doctor")
        vm.kill()
        vm.wait(10)
        found = doctor(switch)
        for fix in found.values():
            paste(fix)

        assert f"{tap} is held by sleep (pid {vm.pid})" in held
        assert list(found) == [("holders", tap)]
        assert switch.port(tap).end == "file"
        assert ("holders", tap) not in doctor(switch)


def test_a_socket_that_a_killed_switch_left_is_found_and_removed(nothing_left):
    path = address.ROOT_DIR / f"vsw{os.getpid()}dead.sock"
    path.parent.mkdir(exist_ok=True)
    with closing(socket.socket(socket.AF_UNIX)) as dead:
        dead.bind(str(path))
    [fix] = [f["fix"] for f in _leftovers() if str(path) in f["text"]]

    paste(fix)

    assert not path.exists()
    assert not [f for f in _leftovers() if str(path) in f["text"]]


def _leftovers():
    return [f for f in json.loads(vswitch("doctor", "-j")[1]) if f["check"] == "leftovers"]
