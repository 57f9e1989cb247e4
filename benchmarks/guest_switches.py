"""Everybody who can stand between two guests, built and removed in the same way.

The guests are the two ports of one testpmd (`testpmd.py`) on the first CPU; the contestant has the
second. Only the contestant of TAPs needs devices, in a network namespace of its own.
"""

import os
import shutil
import sys
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Self

import testpmd
from cpu import Meter, Placement, process_seconds
from huge_pages import HugePages
from processes import BenchmarkError, Process, run
from testpmd import Load, Rings

REPOSITORY = Path(__file__).resolve().parent.parent
OVS_SCHEMA = Path("/usr/share/openvswitch/vswitch.ovsschema")
# By its path: which ovs-vswitchd the alternatives name is not ours to change.
OVS_DAEMON = "/usr/lib/openvswitch-switch-dpdk/ovs-vswitchd-dpdk"
OVS_MEMORY_MIB = 1024
SETTLE_S = 0.5  # until every station is known and the caches are warm


class GuestSwitch(ABC):
    """A contestant with two guests, for a ``with`` block.

    Args:
        tools: Where files may lie.
        rings: What the guests' queues look like.
        ports: Guests that are connected; the first two of them talk.
    """

    programs: tuple[str, ...] = (testpmd.PROGRAM, "stdbuf", "taskset")
    package = testpmd.PACKAGE
    guests_listen = False

    def __init__(self, *, tools: Path, rings: Rings, ports: int = 2) -> None:
        self._folder = Path(tempfile.mkdtemp(dir=tools))
        self._rings = rings
        self._place = Placement.split()
        self._cleanup = ExitStack()
        self._own: list[Process] = []
        self.paths = [self._folder / f"guest{i}" for i in range(ports)]

    def missing(self) -> str:
        """Why it cannot run here, or an empty string."""
        absent = [p for p in self.programs if shutil.which(p) is None]
        return f"{', '.join(absent)} not found; install {self.package}" if absent else ""

    @abstractmethod
    def open(self) -> None:
        """Start the contestant's programs."""

    def connected(self) -> None:
        """Return once the guests are there and their links are up."""
        self.guests.wait_for(testpmd.PROMPT)

    def devices(self) -> list[str]:
        """The guests' network cards, as testpmd is told about them."""
        return [
            testpmd.guest(i, path, self._rings, server=self.guests_listen)
            for i, path in enumerate(self.paths)
        ]

    def pids(self) -> list[int]:
        return [process.pid for process in self._own]

    def __enter__(self) -> Self:
        if why := self.missing():
            raise BenchmarkError(why)
        with ExitStack() as undo:
            undo.callback(shutil.rmtree, self._folder, ignore_errors=True)
            self._cleanup = undo
            self.open()
            command = testpmd.command(self._place.ends, f"ends{os.getpid()}", self.devices())
            self.guests = self.start(command)
            self.connected()
            self._cleanup = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    def start(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> Process:
        """Start a program that ends with the ``with`` block."""
        log = Path(tempfile.mkstemp(dir=self._folder, suffix=".log")[1])
        process = Process(command, log=log, env=env, cwd=REPOSITORY)
        process.name = Path(command[0]).name
        self._cleanup.callback(process.stop)
        return process

    def start_own(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> Process:
        """Start a program of the contestant, on its CPU."""
        process = self.start(["taskset", "-c", self._place.contestant, *command], env)
        process.name = Path(command[0]).name
        self._own.append(process)
        return process

    def rate(self, load: Load, seconds: float) -> tuple[float, float]:
        """Frames a second that both guests received, and the contestant's CPU ns for each."""
        testpmd.bounce(self.guests, load)
        meter = Meter(self.pids())
        fps, mean_bytes = testpmd.received(self.guests, meter, (SETTLE_S, seconds))
        for process in self._own:
            if not process.alive:
                raise BenchmarkError(f"{process.name} ended: {process.last_words()}")
        if not fps:
            raise BenchmarkError("no frame arrived")
        if abs(mean_bytes - load.frame_bytes) > 1:  # something else is going round, too
            raise BenchmarkError(f"frames of {mean_bytes:.1f} bytes, not {load.frame_bytes}")
        return fps, 1e9 * meter.process_s / meter.wall_s / fps

    def idle_percent(self, seconds: float) -> float:
        """Share of a CPU that the contestant takes while the guests are silent."""
        time.sleep(SETTLE_S)
        before_s = process_seconds(self.pids())
        time.sleep(seconds)
        return 100 * (process_seconds(self.pids()) - before_s) / seconds

    def resident_mib(self) -> float:
        """Memory of its own that the contestant has: see `own_kib`."""
        files = (Path(f"/proc/{pid}/smaps").read_text() for pid in self.pids())
        return sum(map(own_kib, files)) / 1024


class Vswitch(GuestSwitch):
    """This project, from the source tree the benchmark is in."""

    def open(self) -> None:
        self.run_vswitch([f"vhost-user:{path}" for path in self.paths])

    def run_vswitch(self, ports: list[str], prefix: Sequence[str] = ()) -> None:
        words = [word for port in ports for word in ("--port", port)]
        path = os.pathsep.join(filter(None, [str(REPOSITORY), os.environ.get("PYTHONPATH")]))
        options = ["--name", f"bench{os.getpid()}", "--api", str(self._folder / "api")]
        command = [*prefix, sys.executable, "-m", "vswitch", "run", *options, *words]
        self.start_own(command, os.environ | {"PYTHONPATH": path}).wait_for("forwarding")


class VhostIo(GuestSwitch):
    """The ceiling: testpmd's own vhost ports, each frame passed on without a look at it."""

    def open(self) -> None:
        devices = [f"net_vhost{i},iface={path},queues=1" for i, path in enumerate(self.paths)]
        command = testpmd.command(self._place.contestant, f"io{os.getpid()}", devices)
        testpmd.forward(self.start_own(command))


class OvsDpdk(GuestSwitch):
    """Open vSwitch with DPDK, a private instance: vhost-user client ports, action NORMAL."""

    programs = (*GuestSwitch.programs, "ovsdb-tool", "ovsdb-server", "ovs-vsctl", OVS_DAEMON)
    package = f"openvswitch-switch-dpdk, {testpmd.PACKAGE}"
    guests_listen = True

    def open(self) -> None:
        self._cleanup.enter_context(HugePages())
        variables = ("OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR")
        env = os.environ | {variable: str(self._folder) for variable in variables}
        database, socket = str(self._folder / "conf.db"), self._folder / "db.sock"
        run(["ovsdb-tool", "create", database, str(OVS_SCHEMA)], env=env)
        server = ["ovsdb-server", database, f"--remote=punix:{socket}", "-vconsole:warn"]
        self.start([*server, f"--unixctl={self._folder}/server.ctl"], env)
        wait_until(socket.exists, "the database of Open vSwitch")
        self._vsctl = ["ovs-vsctl", f"--db=unix:{socket}", "--timeout=20"]
        run([*self._vsctl, "--no-wait", "init"], env=env)
        run([*self._vsctl, "--no-wait", "set", "Open_vSwitch", ".", *self._settings()], env=env)
        daemon = [OVS_DAEMON, f"unix:{socket}", "-vconsole:warn"]
        self.start_own([*daemon, f"--unixctl={self._folder}/daemon.ctl"], env)
        run([*self._vsctl, *self._bridge()], env=env)

    def _settings(self) -> list[str]:
        """Everything on the contestant's CPU, as for the others."""
        mask = hex(1 << int(self._place.contestant))
        extra = f"--no-pci --in-memory --no-telemetry --file-prefix=ovs{os.getpid()}"
        values = {
            "dpdk-init": "true",
            "dpdk-socket-mem": OVS_MEMORY_MIB,
            "dpdk-extra": f'"{extra}"',
            "dpdk-lcore-mask": mask,
            "pmd-cpu-mask": mask,
        }
        return [f"other_config:{name}={value}" for name, value in values.items()]

    def _bridge(self) -> list[str]:
        words = ["add-br", "br0", "--", "set", "bridge", "br0", "datapath_type=netdev"]
        for path in self.paths:
            words += ["--", "add-port", "br0", path.name, "--", "set", "interface", path.name]
            words += ["type=dpdkvhostuserclient", f"options:vhost-server-path={path}"]
        return words

    def connected(self) -> None:
        for path in self.paths:
            wait = [*self._vsctl, "wait-until", "interface", path.name, "link_state=up"]
            run(wait)
        super().connected()


class VswitchTap(Vswitch):
    """The same work through TAPs: the guests are packet sockets on their interface ends."""

    programs = (*GuestSwitch.programs, "ip")
    package = f"iproute2, {testpmd.PACKAGE} and librte-net-af-packet23"

    def open(self) -> None:
        self._space = f"vswg{os.getpid()}"
        run(["ip", "netns", "add", self._space])
        self._cleanup.callback(run, ["ip", "netns", "del", self._space])
        inside = ["ip", "netns", "exec", self._space]
        run([*inside, "sysctl", "-q", "net.ipv6.conf.default.disable_ipv6=1"])
        self.run_vswitch([path.name for path in self.paths], inside)
        for path in self.paths:
            run([*inside, "ip", "link", "set", path.name, "up"])

    def devices(self) -> list[str]:
        return [f"net_af_packet{i},iface={path.name}" for i, path in enumerate(self.paths)]

    def start(self, command: Sequence[str], env: Mapping[str, str] | None = None) -> Process:
        if testpmd.PROGRAM in command:
            command = ["ip", "netns", "exec", self._space, *command]
        return super().start(command, env)


CONTESTANTS: dict[str, type[GuestSwitch]] = {
    "vswitch": Vswitch,
    "vhost-io": VhostIo,
    "ovs-dpdk": OvsDpdk,
    "vswitch-tap": VswitchTap,
}


def own_kib(smaps: str) -> int:
    """KiB resident in all mappings of a /proc/PID/smaps, but for the guests' memory.

    A guest's memory is what it maps as a file without a name in any file system (memfd), or of huge
    pages; vswitch itself has none of these. Its programs and libraries count in full.
    """
    total, guests = 0, False
    for line in smaps.splitlines():
        words = line.split()
        if not words[0].endswith(":"):  # the first line of a mapping
            guests = words[-1] == "(deleted)" and ("memfd:" in line or "hugepages" in line)
        elif words[0] == "Rss:" and not guests:
            total += int(words[1])
    return total


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Raise BenchmarkError when *condition* does not come true within five seconds."""
    deadline_s = time.monotonic() + 5.0
    while not condition():
        if time.monotonic() > deadline_s:
            raise BenchmarkError(f"{what} did not appear")
        time.sleep(0.005)
