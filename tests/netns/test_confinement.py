"""What a running switch has given up, read in /proc; and that it goes on working without it."""

import json
import os
import pwd
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from support.command import (
    NOBODY,
    ROOT,
    as_user,
    command,
    device,
    environment,
    ip,
    ports,
    refused,
    running,
    vswitch,
)
from support.wait import wait_for
from vswitch.control import address
from vswitch.control.client import connect
from vswitch.errors import ApiError

pytestmark = [pytest.mark.netns, pytest.mark.usefixtures("nothing_left")]

USER = pwd.getpwuid(NOBODY).pw_name
CHOWN, DAC_OVERRIDE, FOWNER, NET_BROADCAST, NET_ADMIN, NET_RAW = (
    1 << number for number in (0, 1, 3, 11, 12, 13)
)
DEVICES = NET_BROADCAST | NET_ADMIN | NET_RAW
FILES = CHOWN | DAC_OVERRIDE | FOWNER


def tasks(pid):
    """What /proc/PID/status says, of every thread."""
    return [
        dict(line.split(":\t", 1) for line in task.read_text().splitlines() if ":\t" in line)
        for task in Path(f"/proc/{pid}/task").glob("*/status")
    ]


def answers(switch):
    with connect(path=switch.api) as client:
        return client.switch().name


@pytest.mark.parametrize(
    ("options", "uid", "left"),
    [
        ([], 0, DEVICES | FILES),
        (["--lock"], 0, 0),
        (["--user", USER], NOBODY, DEVICES),
        (["--user", f"{NOBODY}:{NOBODY}", "--lock"], NOBODY, 0),
    ],
    ids=["root", "lock", "user", "both"],
)
def test_every_thread_has_what_is_left_and_no_more(two, options, uid, left):
    with running(*ports(*two), "--seccomp", "on", "--pollers", "2", *options) as switch:
        wait_for(lambda: answers(switch), "the API")
        seen = tasks(switch.process.pid)

        assert len(seen) >= 5  # main, two pollers, control, API
        for task in seen:
            for kind in ("CapEff", "CapPrm", "CapBnd"):
                assert int(task[kind], 16) == left, kind
            assert (int(task["CapInh"], 16), int(task["CapAmb"], 16)) == (0, 0)
            assert (task["NoNewPrivs"], task["Seccomp"]) == ("1", "2")
            assert set(task["Uid"].split()) == set(task["Gid"].split()) == {str(uid)}
            assert task["Groups"].split() in ([], [str(uid)])
        assert switch.end() == 0
        assert switch.err == ""


@pytest.mark.parametrize("options", [[], ["--user", USER]], ids=["root", "user"])
def test_ports_are_added_and_devices_followed_with_what_is_left(two, netns, options):
    room = netns("a")
    with running("--port", two[0], *options) as switch, connect(path=switch.api) as client:
        client.add_port(f"{two[1]},mtu=1400")
        ip("link", "set", two[1], "netns", room.name)
        wait_for(lambda: switch.port(two[1]).state == "down", "the port to be down")
        room.ip("link", "set", two[1], "up", "mtu", "1300")
        wait_for(lambda: switch.port(two[1]).state == "forwarding", "the port to be up")

        assert switch.port(two[1]).mtu == 1300
        client.remove_port(two[1])
        assert list(switch.ports()) == [two[0]]
        assert switch.err.count("cannot") == 0


def test_locked_it_adds_no_port_removes_them_and_lets_machines_connect(two, tmp_path):
    place = tmp_path / "lan.sock"
    machines = ("--listen", f"qemu:{place}", "--listen", f"vhost-user:{tmp_path}/vms/")
    with (
        running(*ports(*two), *machines, "--lock") as switch,
        connect(path=switch.api) as client,
        socket.socket(socket.AF_UNIX) as machine,
        socket.socket(socket.AF_UNIX) as guest,
    ):
        name = device("c")
        with pytest.raises(ApiError, match="takes no more ports: it was started with --lock") as e:
            client.add_port(name)
        client.remove_port(two[1])
        machine.connect(str(place))
        guest.connect(f"{tmp_path}/vms/vms-1.sock")

        assert e.value.code == "refused"
        wait_for(lambda: {"lan-1", "vms-2"} <= {*switch.ports()}, "the machines' ports")
        assert two[1] not in switch.ports()
        assert switch.end() == 0
    assert not place.exists()
    assert not (tmp_path / "vms").exists()


def test_locked_it_says_once_that_it_cannot_follow_a_device(two, netns):
    room = netns("a")
    with running(*ports(*two), "--lock") as switch:
        ip("link", "set", two[0], "netns", room.name)
        wait_for(lambda: "cannot look at port" in switch.err, "the line that says so")
        for state in ("up", "down", "up"):
            room.ip("link", "set", two[0], state)
        ip("link", "set", two[1], "mtu", "1300")
        wait_for(lambda: switch.port(two[1]).mtu == 1300, "the next look at all ports")

        assert switch.err.count("cannot look at port") == 1
        assert switch.port(two[0]).state == "forwarding"


def test_the_socket_of_a_user_is_his_and_goes_with_the_switch(two):
    name = device("u")
    given = address.ROOT_DIR / USER
    with running("--port", two[0]):  # a folder of root's is there
        process = subprocess.Popen(
            command("run", "--name", name, *ports(two[1]), "--user", USER),
            stdout=subprocess.PIPE, text=True, env=environment(),
        )  # fmt: skip
        with process:
            assert [process.stdout.readline() for _ in range(2)][1].endswith(
                f"api {given}/{name}.sock)\n"
            )
            found = (given / f"{name}.sock").stat()
            assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (NOBODY, NOBODY, 0o600)
            for ask in (vswitch, as_user):
                assert ask("show", "-S", name)[1].startswith(f"switch {name}: ")
            process.terminate()
            assert process.wait(10) == 0
        assert not (given / f"{name}.sock").exists()


@pytest.mark.parametrize(("user", "status"), [(USER, 0), ("1:1", 1)])
def test_on_a_socket_that_was_handed_in_the_user_is_asked_all_the_same(two, user, status):
    with tempfile.TemporaryDirectory(prefix="vsw") as folder, socket.socket(socket.AF_UNIX) as api:
        place = f"{folder}/api.sock"
        api.bind(place)
        api.listen()
        os.chmod(place, 0o666)  # who made it decides who gets to the door
        os.chmod(folder, 0o755)
        process = subprocess.Popen(
            command("run", *ports(*two), "--user", user, "--api", f"fd:{api.fileno()}"),
            stdout=subprocess.PIPE, text=True, env=environment(), pass_fds=[api.fileno()],
        )  # fmt: skip
        with process:
            assert [process.stdout.readline() for _ in range(3)][2].endswith(f"api {place})\n")
            for task in tasks(process.pid):
                assert set(task["Uid"].split()) == {str(NOBODY if user == USER else 1)}
            assert vswitch("show", "--api", place)[0] == 0
            asked = as_user("show", "--api", place)
            process.terminate()
            assert process.wait(10) == 0

        assert asked[0] == status, asked[2]
        assert Path(place).exists()


def test_what_is_given_up_can_be_said_in_a_file(two, tmp_path):
    file = tmp_path / "lab.toml"
    file.write_text(
        "".join(f'[[port]]\nname = "{name}"\n' for name in two)
        + f'[run]\nuser = "{USER}"\nlock = true\nseccomp = "on"\n'
    )
    with running("--config", str(file)) as switch:
        for task in tasks(switch.process.pid):
            assert (task["CapEff"], task["Seccomp"]) == ("0" * 16, "2")
            assert set(task["Uid"].split()) == {str(NOBODY)}


def test_a_user_who_is_not_there_is_refused_before_anything_is_touched(two):
    assert "--user: no such user: 'nosuchuser'\n" in refused(*ports(*two), "--user", "nosuchuser")
    assert "--user: no such group: 'nosuch'\n" in refused(*ports(*two), "--user", "0:nosuch")
    assert "hint: --user USER:GROUP\n" in refused(*ports(*two), "--user", "4000001")


def test_a_folder_where_the_user_makes_no_sockets_is_refused(tmp_path):
    place = f"vhost-user:{tmp_path}/"
    assert refused("--listen", place, "--user", USER) == (
        f"vswitch: {tmp_path}: user {USER} cannot make further sockets there\n"
        f"hint: make the folder before: install -d -o {USER} {tmp_path}\n"
    )
    assert "is not kept for those made later\n" in refused(
        "--listen", f"{place},owner={NOBODY}", "--lock"
    )


def test_an_ordinary_user_becomes_nobody_else(tmp_path):
    status, _, err = as_user("--listen", f"qemu:{tmp_path}/lan.sock", "--user", "root")

    assert status == 2
    assert err.startswith("vswitch: --user: only root can become root\nhint: ")


def test_an_ordinary_user_gains_nothing():
    with running("--port", "record:/dev/null", "--user", USER, nobody=True) as switch:
        for task in tasks(switch.process.pid):
            assert (int(task["CapPrm"], 16), task["NoNewPrivs"]) == (0, "1")
        assert switch.err == ""


def test_where_capabilities_cannot_be_bounded_it_says_so_and_runs(two):
    container = ["setpriv", "--bounding-set=-setpcap", "--inh-caps=-all"]
    with running(*ports(*two), before=container) as switch:
        assert switch.err.count("\n") == 1
        assert "the bounding set of capabilities stays as it is" in switch.err
        assert {int(task["CapPrm"], 16) for task in tasks(switch.process.pid)} == {DEVICES | FILES}


@pytest.fixture
def without_pyseccomp(tmp_path, monkeypatch):
    (tmp_path / "pyseccomp.py").write_text("raise ImportError('not here')\n")
    path = f"{tmp_path}:{ROOT}"
    monkeypatch.setattr("support.command.environment", lambda: os.environ | {"PYTHONPATH": path})


@pytest.mark.usefixtures("without_pyseccomp")
def test_without_the_binding_system_calls_are_not_restricted_unless_asked_for(two):
    with running(*ports(*two)) as switch:
        assert "info: system calls are not restricted reason='pyseccomp is not" in switch.err
        assert {task["Seccomp"] for task in tasks(switch.process.pid)} == {"0"}
    assert refused(*ports(*two), "--seccomp", "on") == (
        "vswitch: pyseccomp is not installed, which restricts system calls\n"
        "hint: pip install 'vswitch[seccomp]', and Debian's libseccomp2; or --seccomp off\n"
    )


# A process that gives up what a switch gives up, and then does what a switch does not do.
TRIES = """
import ctypes, errno, json, os, socket, sys, threading
from vswitch.confinement import Confinement
libc = ctypes.CDLL(None, use_errno=True)
here = os.open("/proc/self/ns/net", os.O_RDONLY)
zero = ctypes.c_long(0)

def call(*arguments):
    if libc.syscall(*map(ctypes.c_long, arguments)) < 0:
        raise OSError(ctypes.get_errno(), "")

def c(function, *arguments):
    if function(*arguments) < 0:
        raise OSError(ctypes.get_errno(), "")

tries = {
    "execve": lambda: os.execv("/bin/true", ["true"]),
    "fork": os.fork,
    "setns": lambda: c(libc.setns, here, 0x40000000),
    "unshare": lambda: c(libc.unshare, 0x40000000),
    "mount": lambda: c(libc.mount, b"none", b"/mnt", b"tmpfs", 0, None),
    "ptrace": lambda: c(libc.ptrace, 0, 0, None, None),
    "kill": lambda: os.kill(os.getppid(), 0),
    "setuid": lambda: os.setuid(os.getuid()),
    "chroot": lambda: os.chroot("/"),
    "symlink": lambda: os.symlink("/", "/proc/self/nowhere"),
    "io_uring": lambda: call(425, 1, 0),
    "clone3": lambda: call(435, 0, 0),
    "vsock": lambda: socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM).close(),
    "packet": lambda: socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close(),
    "netlink": lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 0).close(),
    "tcp": lambda: socket.socket(socket.AF_INET, socket.SOCK_STREAM).close(),
    "thread": lambda: threading.Thread(target=int).start(),
    "file": lambda: os.close(os.open("/proc/self/status", os.O_RDONLY)),
}
Confinement(lock="lock" in sys.argv, seccomp="on").enter()
said = {}
def all_of_them():
    for name, what in tries.items():
        try:
            what()
            said[name] = ""
        except OSError as e:
            said[name] = errno.errorcode[e.errno]
thread = threading.Thread(target=all_of_them)  # it holds for threads, too
thread.start()
thread.join()
print(json.dumps(said))
"""
REFUSED = {"execve", "fork", "setns", "unshare", "mount", "ptrace", "kill", "setuid", "chroot"}


@pytest.mark.parametrize(("word", "devices"), [("", ""), ("lock", "EPERM")])
def test_what_a_switch_does_not_call_is_refused(word, devices):
    done = subprocess.run(
        [sys.executable, "-c", TRIES, word],
        capture_output=True, text=True, timeout=30, env=environment(), check=True,
    )  # fmt: skip

    assert json.loads(done.stdout) == {
        **dict.fromkeys({*REFUSED, "symlink", "vsock"}, "EPERM"),
        **dict.fromkeys(["io_uring", "clone3"], "ENOSYS"),
        **dict.fromkeys(["packet", "netlink"], devices),
        **dict.fromkeys(["tcp", "thread", "file"], ""),
    }
