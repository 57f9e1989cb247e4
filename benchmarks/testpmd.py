"""DPDK's testpmd: as a pair of guests that bounce frames to each other, and as a forwarder."""

import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cpu import Meter
from processes import Process

PROGRAM = "dpdk-testpmd"
PACKAGE = "dpdk-dev, librte-net-virtio23, librte-net-vhost23 and librte-mempool-ring23"
PROMPT = "testpmd> "
MEMORY_MIB = 256  # of ordinary pages, shared with the contestant
FRAME_BUFFERS = 8192  # two rings of 1,024 each way, and what is in flight
QUEUE_SIZE = 1024  # as much as a guest can have
BURST = 32  # frames of `start tx_first 1` for each port


@dataclass(frozen=True)
class Rings:
    """How the guests' queues look."""

    packed: bool = False
    mergeable: bool = True

    def words(self) -> str:
        """The arguments of virtio-user."""
        return f"packed_vq={int(self.packed)},mrg_rxbuf={int(self.mergeable)}"


@dataclass(frozen=True)
class Load:
    """Frames of one length, going round between the two guests for ever."""

    frame_bytes: int
    bursts: int  # of BURST frames, for each direction


def command(
    cpu: str, prefix: str, devices: Sequence[str], *, buffers: int = FRAME_BUFFERS
) -> list[str]:
    """The command of a testpmd with all its threads on *cpu*, on ordinary pages."""
    # Into a file it would print nothing before it ends, but for stdbuf.
    words = [
        "stdbuf",
        "-oL",
        PROGRAM,
        "--no-huge",
        "-m",
        str(MEMORY_MIB),
        "--no-pci",
        "--no-telemetry",
    ]
    words += ["--lcores", f"0@{cpu},1@{cpu}", f"--file-prefix={prefix}"]
    words += [f"--vdev={device}" for device in devices]
    return [*words, "--", f"--total-num-mbufs={buffers}", "-i"]


def mac(number: int) -> str:
    """The address of guest *number*."""
    return f"02:00:00:00:00:{number + 1:02x}"


def guest(number: int, path: Path, rings: Rings, *, server: bool = False) -> str:
    """The device that is a guest's network card, with the other end of its queues at *path*."""
    listen = ",server=1" if server else ""
    queues = f"queues=1,queue_size={QUEUE_SIZE},{rings.words()}"
    return f"net_virtio_user{number},path={path},{queues},mac={mac(number)}{listen}"


def forward(process: Process) -> None:
    """Have a testpmd pass on whatever comes, from its first port to its second and back."""
    process.wait_for(PROMPT)
    process.ask("start", PROMPT)


def bounce(process: Process, load: Load) -> None:
    """Have the two guests send each frame back to where it came from."""
    process.wait_for(PROMPT)
    for line in ("set fwd mac", f"set eth-peer 0 {mac(1)}", f"set eth-peer 1 {mac(0)}"):
        process.ask(line, PROMPT)
    process.ask(f"set txpkts {load.frame_bytes}", PROMPT)
    process.ask(f"start tx_first {load.bursts}", PROMPT)


def received(process: Process, meter: Meter, wait: Sequence[float]) -> tuple[float, float]:
    """Frames per second that both guests received while *meter* ran, and their mean length.

    *wait* is the time for settling, and the time measured. The rate is testpmd's own, between two
    looks at its counters by its own clock: how long it took us to ask does not matter.
    """
    settle_s, seconds = wait
    time.sleep(settle_s)
    process.ask("show port stats all", "Tx-pps", 2)
    with meter:
        time.sleep(seconds)
    return parse_rates(process.ask("show port stats all", "Tx-pps", 2))


def parse_rates(answer: str) -> tuple[float, float]:
    """Frames per second of all ports and their mean length, of ``show port stats all``."""
    fps = sum(int(rate) for rate in re.findall(r"Rx-pps:\s+(\d+)", answer))
    bps = sum(int(rate) for rate in re.findall(r"Rx-bps:\s+(\d+)", answer))
    return float(fps), bps / 8 / fps if fps else 0.0
