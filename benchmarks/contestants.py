"""Everybody who can stand between the two ends, built and removed in the same way.

A contestant creates its devices inside the namespace ``middle``; the ends that carry addresses
are then moved to ``left`` and ``right`` by the same code for all. TAP contestants keep the file
end of their TAPs, whose interface ends move.
"""

import os
import shutil
import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar, Self

from cpu import Placement
from processes import BenchmarkError, Process, run
from wires import Wires

REPOSITORY = Path(__file__).resolve().parent.parent
OVS_SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")


class Contestant(ABC):
    """A switch between two wires, for the length of a ``with`` block.

    `devices` are the names, in ``middle``, of the far ends of its ports; the first two become the
    wires. `start_s` is the time from the start of its first program until it says that it
    forwards, or until its last command has ended.
    """

    programs: tuple[str, ...] = ()
    package = ""
    many_ports = False

    def __init__(self, name: str, *, tools: Path, placement: Placement, ports: int = 2) -> None:
        self.name = name
        self.tools = tools
        self.devices = [f"port{i}" for i in range(ports)]
        self.wires = Wires(tools=tools, placement=placement)
        self.start_s = 0.0
        self._processes: list[Process] = []
        self._cleanup = ExitStack()

    def missing(self) -> str:
        """Why it cannot run here, or an empty string."""
        absent = [p for p in self.programs if shutil.which(p) is None]
        return f"{', '.join(absent)} not found; install {self.package}" if absent else ""

    @abstractmethod
    def open(self) -> None:
        """Start the programs and make the devices; may leave `start_s` to the caller."""

    def pids(self) -> list[int]:
        """Processes whose CPU time is the contestant's; empty when it lives in the kernel."""
        return [p.pid for p in self._processes]

    def check_alive(self) -> None:
        """Raise BenchmarkError when one of its programs has ended: then nothing was measured."""
        for process in self._processes:
            if not process.alive:
                raise BenchmarkError(f"{process.name} ended: {process.last_words()}")

    def __enter__(self) -> Self:
        if why := self.missing():
            raise BenchmarkError(why)
        with ExitStack() as undo:
            undo.enter_context(self.wires)
            before_s = time.monotonic()
            self.open()
            self.start_s = self.start_s or time.monotonic() - before_s
            for device, side in zip(self.devices, ("left", "right"), strict=False):
                self.wires.attach(device, side)
            for device in self.devices[2:]:
                self.wires.ip("middle", "link", "set", device, "up")
            self.ready()
            self._cleanup = undo.pop_all()
        return self

    def ready(self) -> None:
        """Last touches at the ends, then proof that frames cross."""
        self.wires.wait_for_path()

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def start(self, *words: str, env: dict[str, str] | None = None) -> Process:
        """Start one of its programs in ``middle``."""
        process = self.wires.start("middle", words, env=env, cwd=REPOSITORY)
        self._processes.append(process)
        return process


class Vswitch(Contestant):
    """This project, from the source tree the benchmark is in; on TAPs, or on veth pairs.

    ``vswitch-vlan`` has both TAPs as access ports of VLAN 10.
    """

    many_ports = True

    def missing(self) -> str:
        there = (REPOSITORY / "vswitch" / "__main__.py").exists()
        return "" if there else "the source tree has no vswitch/__main__.py"

    def open(self) -> None:
        devices = self.devices
        if self.name == "vswitch-veth":
            devices = [_add_veth(self.wires, device) for device in devices]
        vlan = ",access=10" if self.name == "vswitch-vlan" else ""
        ports = [word for device in devices for word in ("--port", device + vlan)]
        name = f"bench{os.getpid()}"
        api = str(self.tools / f"{name}.sock")
        path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
        command = [sys.executable, "-m", "vswitch", "run", "--name", name, "--api", api, *ports]
        self.start_s = self.start(*command, env=os.environ | {"PYTHONPATH": path}).wait_for(
            "forwarding"
        )
        # Frames flow; its API is being loaded meanwhile, which is not what is measured next.
        run([*command[:3], "show", "--api", api], env=os.environ | {"PYTHONPATH": path})


class Bare(Contestant):
    """The ceiling: a read/write loop in C.

    ``bare-spin`` never sleeps. ``bare-again`` is the same once more: its ratio to ``bare`` shows
    how far two equal contestants differ on this machine.
    """

    def open(self) -> None:
        options = ["--spin"] if self.name == "bare-spin" else []
        loop = str(self.tools / "bare_loop")
        self.start_s = self.start(loop, *options, *self.devices).wait_for("forwarding")


class Bridge(Contestant):
    """The Linux bridge between veth pairs; its work is done in the softirq of the senders."""

    def open(self) -> None:
        ip = self.wires.ip
        ip("middle", "link", "add", "br0", "type", "bridge")
        ip("middle", "link", "set", "br0", "up")
        for device in self.devices:
            ip("middle", "link", "set", _add_veth(self.wires, device), "master", "br0")


class BetweenVeths(Contestant):
    """A program at the near ends of veth pairs; their far ends become the wires."""

    finished_frames = False  # it has no virtio-net header: the ends must leave nothing undone

    def open(self) -> None:
        near = [_add_veth(self.wires, device) for device in self.devices]
        self.start_s = self.start(*self.command(near)).wait_for("forwarding")

    @abstractmethod
    def command(self, near: list[str]) -> list[str]:
        """The program that prints ``forwarding``, between those devices."""

    def ready(self) -> None:
        if self.finished_frames:
            _finish_at_the_ends(self.wires)
        super().ready()


class BareVeth(BetweenVeths):
    """The ceilings at the interface end, one per way to receive and send there."""

    COMMANDS: ClassVar = {
        "bare-mmsg": ("bare_packet",),
        "bare-ring": ("bare_ring",),
        "bare-ring-v3": ("bare_ring", "--v3"),
        "bare-ring-tx": ("bare_ring", "--tx"),
        "bare-xdp": ("bare_xdp",),
        "bare-xdp-drv": ("bare_xdp", "--native"),
    }

    @property
    def finished_frames(self) -> bool:
        return self.name.startswith("bare-xdp")

    def command(self, near: list[str]) -> list[str]:
        program, *options = self.COMMANDS[self.name]
        return [str(self.tools / program), *options, *near]


class Ovs(Contestant):
    """Open vSwitch's user-space datapath, a private instance of it.

    ``ovs-tap`` and ``ovs-veth`` are as installed. Then OVS reads frames without the virtio-net
    header, so the ends of a veth must finish checksums themselves. The names ending in ``-tso``
    set ``userspace-tso-enable=true``, which OVS calls experimental.
    """

    programs = ("ovsdb-tool", "ovsdb-server", "ovs-vswitchd", "ovs-vsctl", "ethtool")
    package = "openvswitch-switch and ethtool"
    many_ports = True

    def open(self) -> None:
        folder = self.tools / f"ovs{time.monotonic_ns()}"
        folder.mkdir()
        variables = ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR")
        env = os.environ | {variable: str(folder) for variable in variables}
        database, socket = str(folder / "conf.db"), f"{folder}/db.sock"
        run(["ovsdb-tool", "create", database, str(OVS_SCHEMA)], env=env)
        quiet = "-vconsole:warn"
        server = ["ovsdb-server", database, f"--remote=punix:{socket}", quiet]
        self.start(*server, f"--unixctl={folder}/server.ctl", env=env)
        _wait_for_file(Path(socket))
        vsctl = ["ovs-vsctl", f"--db=unix:{socket}", "--timeout=10"]
        run([*vsctl, "--no-wait", "init"], env=env)
        if self.name.endswith("-tso"):
            tso = "other_config:userspace-tso-enable=true"
            run([*vsctl, "--no-wait", "set", "Open_vSwitch", ".", tso], env=env)
        daemon = ["ovs-vswitchd", f"unix:{socket}", quiet, f"--unixctl={folder}/daemon.ctl"]
        self.start(*daemon, env=env)
        run([*vsctl, *self._bridge()], env=env)

    def _bridge(self) -> list[str]:
        """The arguments of ovs-vsctl that make the bridge; veth pairs are made on the way."""
        words = ["add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev"]
        for device in self.devices:
            if self.name.startswith("ovs-tap"):
                words += ["--", "add-port", "br0", device]
                words += ["--", "set", "interface", device, "type=tap"]
                continue
            words += ["--", "add-port", "br0", _add_veth(self.wires, device)]
        return words

    def ready(self) -> None:
        if self.name == "ovs-veth":
            _finish_at_the_ends(self.wires)
        super().ready()


class Vde(Contestant):
    """vde_switch with its own TAPs, which is its shortest way: no plug process in between."""

    programs = ("vde_switch",)
    package = "vde2"
    many_ports = True

    def open(self) -> None:
        taps = [word for device in self.devices for word in ("-t", device)]
        socket = self.tools / f"vde{time.monotonic_ns()}"
        self.start("vde_switch", "-s", str(socket), *taps)
        for device in self.devices:
            _wait_for_device(self.wires, device)


CONTESTANTS: dict[str, type[Contestant]] = {
    "vswitch": Vswitch,
    "vswitch-veth": Vswitch,
    "vswitch-vlan": Vswitch,
    "bare": Bare,
    "bare-again": Bare,
    "bare-spin": Bare,
    **dict.fromkeys(BareVeth.COMMANDS, BareVeth),
    "bridge": Bridge,
    "ovs-tap": Ovs,
    "ovs-veth": Ovs,
    "ovs-tap-tso": Ovs,
    "ovs-veth-tso": Ovs,
    "vde": Vde,
}


def _add_veth(wires: Wires, device: str) -> str:
    """Make the veth pair of which *device* is to be a wire; the name of its other end, up."""
    near = f"{device}b"
    wires.ip("middle", "link", "add", device, "type", "veth", "peer", "name", near)
    wires.ip("middle", "link", "set", near, "up")
    return near


def _finish_at_the_ends(wires: Wires) -> None:
    """Have both ends make their checksums and cut their segments themselves."""
    for side in ("left", "right"):
        wires.run(side, "ethtool", "-K", "eth0", "tx", "off")


def _wait_for_file(path: Path) -> None:
    _wait(path.exists, f"{path.name} did not appear")


def _wait_for_device(wires: Wires, device: str) -> None:
    def there() -> bool:
        try:
            return bool(wires.ip("middle", "link", "show", device))
        except BenchmarkError:
            return False

    _wait(there, f"device {device} did not appear")


def _wait(condition: Callable[[], bool], failure: str) -> None:
    deadline_s = time.monotonic() + 5.0
    while not condition():
        if time.monotonic() > deadline_s:
            raise BenchmarkError(failure)
        time.sleep(0.005)
