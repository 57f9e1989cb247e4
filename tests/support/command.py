"""The real command as a process, and the devices it leaves behind or does not."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec

from support.wait import PATIENCE_S, wait_for
from vswitch.control.client import connect
from vswitch.control.schema import PortInfo

NOBODY = 65534
FACTS = "file end, 1 queue, mtu 1500, vnet header, csum tso4 tso6 ecn uso ufo"
INTERFACE_FACTS = FACTS.replace("file", "interface")
ROOT = Path(__file__).parents[2]

_serial = itertools.count()


def device(word: str) -> str:
    """An interface name nobody else uses: vsw, the pid, a number and *word*, 15 bytes at most."""
    name = f"vsw{os.getpid()}{next(_serial)}{word}"
    assert len(name) <= 15, name
    return name


def ip(*args: str, check: bool = True) -> str:
    """Run ip(8) here."""
    done = subprocess.run(["ip", *args], capture_output=True, text=True, timeout=10, check=False)
    if check and done.returncode:
        raise AssertionError(f"ip {' '.join(args)}: {done.stderr.strip()}")
    return done.stdout


def devices() -> set[str]:
    """The names of this test process's devices that exist now."""
    return {
        link["ifname"]
        for link in json.loads(ip("-j", "link", "show"))
        if link["ifname"].startswith(f"vsw{os.getpid()}")
    }


def exists(name: str) -> bool:
    return name in devices()


@contextmanager
def persistent_tap(*settings: str) -> Iterator[str]:
    """A TAP as an administrator makes it."""
    name = device("p")
    ip("tuntap", "add", "dev", name, "mode", "tap", *settings)
    try:
        yield name
    finally:
        ip("link", "del", name, check=False)


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": str(ROOT)}


def command(*args: str) -> list[str]:
    return [sys.executable, "-m", "vswitch", *args]


def _named(args: Sequence[str]) -> Sequence[str]:
    """*args* of a switch to be run, with a name that no other switch of this host has."""
    if not args or not args[0].startswith("--") or {"--name", "--api"} & {*args}:
        return args
    return (*args, "--name", f"vsw{os.getpid()}")


def vswitch(*args: str, before: Sequence[str] = ()) -> tuple[int, str, str]:
    """Run the command to its end: (status, standard output, standard error)."""
    done = subprocess.run(
        [*before, *command(*_named(args))],
        capture_output=True, text=True, timeout=PATIENCE_S, env=environment(),
        check=False,
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


def refused(*args: str, before: Sequence[str] = ()) -> str:
    """Run what must fail; its standard error, after the checks that hold for all."""
    status, out, err = vswitch(*args, before=before)
    assert (status, out) == (2, "")
    assert devices() == set()
    assert "Traceback" not in err
    return err


# An ordinary user may not be able to read this Python; so it loads everything first.
_AS_NOBODY = f"""
import os, sys
os.environ["OPENBLAS_NUM_THREADS"] = "1"  # they would run before anything is given up
import vswitch.cli, vswitch.cli.run, vswitch.daemon, vswitch.logs, vswitch.control.server
import vswitch.stationlists
import pyroute2, pyseccomp, asyncio, concurrent.futures.thread
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
sys.exit(vswitch.cli.main(sys.argv[1:]))
"""


def as_nobody(*args: str) -> list[str]:
    """The command line that runs the command as an ordinary user."""
    return [sys.executable, "-c", _AS_NOBODY, *args]


def as_user(*args: str, before: Sequence[str] = ()) -> tuple[int, str, str]:
    """The same as `vswitch`, as an ordinary user."""
    # /run/vswitch is root's: an ordinary user without a login session has a folder in /tmp.
    done = subprocess.run(
        [*before, *as_nobody(*_named(args))],
        capture_output=True, text=True, timeout=PATIENCE_S, check=False,
        env={k: v for k, v in environment().items() if k != "XDG_RUNTIME_DIR"},
    )  # fmt: skip
    return done.returncode, done.stdout, done.stderr


_ACTIVATE = """
import fcntl, os, sys
count, names, *command = sys.argv[1:]
high = [fcntl.fcntl(int(fd), fcntl.F_DUPFD, 100) for fd in command[: int(count)]]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i)
    os.close(fd)
os.environ.update(LISTEN_PID=str(os.getpid()), LISTEN_FDS=count, LISTEN_FDNAMES=names)
os.execvp(command[int(count)], command[int(count) :])
"""


def activated(fds: Sequence[int], names: Sequence[str]) -> list[str]:
    """What to put before a command that is to get *fds* as systemd hands them in: from 3 on."""
    return [sys.executable, "-c", _ACTIVATE, str(len(fds)), ":".join(names), *map(str, fds)]


def tun_node(folder: Path, mode: int) -> Path:
    """A node in *folder* to be /dev/net/tun, with permissions of its own."""
    node = folder / "tun"
    subprocess.run(["cp", "-a", "/dev/net/tun", node], check=True)
    node.chmod(mode)
    return node


def with_tun(node: Path) -> list[str]:
    """What to put before a command that is to find *node* as /dev/net/tun."""
    script = f'mount --bind "{node}" /dev/net/tun && exec "$@"'
    return ["unshare", "-m", "sh", "-c", script, "sh"]


class Running:
    """A `vswitch run` that forwards; its API is in a folder of its own."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.api = folder / "api.sock"
        self._out, self._err = folder / "out", folder / "err"

    @property
    def out(self) -> str:
        return self._out.read_text()

    @property
    def err(self) -> str:
        return self._err.read_text()

    def ask(self, *args: str) -> str:
        """Run a client of this switch; what it said."""
        status, out, err = vswitch(*args, "--api", str(self.api))
        assert (status, err) == (0, "")
        return out

    def ports(self) -> dict[str, dict[str, object]]:
        """Ports by name, as `vswitch show -j` has them; asked without a process, which costs a
        quarter of a second."""
        with connect(path=self.api) as client:
            return {port["name"]: port for port in msgspec.to_builtins(client.ports())}

    def port(self, name: str) -> PortInfo:
        """One port, asked in the same way."""
        with connect(path=self.api) as client:
            return next(port for port in client.ports() if port.name == name)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal; the exit status."""
        self.process.send_signal(number)
        return self.process.wait(PATIENCE_S)


@contextmanager
def running(
    *args: str,
    nobody: bool = False,
    tun: Path | None = None,
    before: Sequence[str] = (),
    fds: Sequence[int] = (),
) -> Iterator[Running]:
    """``vswitch run`` with *args*, from its line "forwarding" on; killed at the end.

    *tun* is what the command finds as /dev/net/tun; *before* stands in front of it, as
    `Netns.command` does; *fds* are handed in under their own numbers.
    """
    with tempfile.TemporaryDirectory(prefix="vsw") as name:
        folder = Path(name)
        if nobody:
            os.chown(folder, NOBODY, NOBODY)
        before = [*before, *(with_tun(tun) if tun else ())]
        given = ("run", *args, "--api", str(folder / "api.sock"))
        with (folder / "out").open("w") as out, (folder / "err").open("w") as err:
            process = subprocess.Popen(
                [*before, *(as_nobody(*given) if nobody else command(*given))],
                stdout=out, stderr=err, text=True, env=environment(), pass_fds=fds,
            )  # fmt: skip
        try:
            made = Running(process, folder)
            wait_for(
                lambda: "forwarding" in made.out or process.poll() is not None,
                "a line that says forwarding",
            )
            assert process.poll() is None, made.err
            yield made
        finally:
            process.kill()
            process.wait(PATIENCE_S)


def ports(*names):
    return [word for name in names for word in ("--port", name)]


def state_of(name):
    """Everything ip(8) says of a device that a switch could leave changed."""
    link = json.loads(ip("-j", "-d", "link", "show", name))[0]
    return {
        "up": "UP" in link["flags"],
        **{key: link[key] for key in ("mtu", "address")},
        **{
            key: link["linkinfo"]["info_data"].get(key) for key in ("vnet_hdr", "multi_queue", "pi")
        },
    }


def shout(name, frames=3):
    """Send broadcast frames into a device's interface end."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as s:
        s.bind((name, 0))
        for _ in range(frames):
            s.send(b"\xff" * 6 + bytes([2, 0, 0, 0, 0, 9]) + b"\x88\xb5" + bytes(46))
