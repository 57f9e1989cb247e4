"""What is measured: each figure asks one contestant for a few metrics.

The two ends, `left` and `right`, run the same programs for every contestant. Where a figure says
``split`` the contestant has a CPU of its own and both ends share the other one; ``together``
means that all share one CPU.
"""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass

from contestants import CONTESTANTS, Contestant
from cpu import Meter, Placement
from processes import BenchmarkError
from wires import ADDRESSES

TCP_PORT = 5201
RTT_PORT = 9010
TRIPS_PER_SECOND_ASKED = 5000
QUIET_S = 0.5  # before an idle measurement: the start is over, caches of timers have fired
IDLE_PORTS = 16
LOW_FPS = 100
LATE_FRAMES_S = 0.05  # for frames still in a queue when the sender has ended

Metrics = dict[str, float]


@dataclass(frozen=True)
class Figure:
    """One kind of measurement; `suits` says whether a contestant takes part, by name."""

    name: str
    text: str
    measure: Callable[[Contestant, float], Metrics]
    placement: Callable[[], Placement] = Placement.split
    ports: int = 2
    suits: Callable[[str], bool] = lambda _name: True


def measure_tcp(c: Contestant, seconds: float) -> Metrics:
    """One TCP stream from left to right, and the CPU time it cost."""
    return _tcp(c, seconds, prefix="tcp", options=[])


def measure_bidir(c: Contestant, seconds: float) -> Metrics:
    """One TCP stream in each direction at once; the sum."""
    return _tcp(c, seconds, prefix="bidir", options=["--bidir"])


def _tcp(c: Contestant, seconds: float, *, prefix: str, options: list[str]) -> Metrics:
    server = c.wires.start("right", ["iperf3", "-s", "-1", "--forceflush", "-p", str(TCP_PORT)])
    server.wait_for("Server listening")
    command = ["iperf3", "-J", "-c", ADDRESSES["right"], "-p", str(TCP_PORT)]
    command += ["--connect-timeout", "2000", "-t", str(seconds), *options]
    with Meter(c.pids()) as meter:
        end = json.loads(c.wires.run("left", *command))["end"]
    server.finish()
    sums = [end[key] for key in ("sum_received", "sum_received_bidir_reverse") if key in end]
    gigabits = sum(s["bytes"] for s in sums) * 8 / 1e9
    if gigabits == 0:
        raise BenchmarkError("iperf3 moved no data")
    metrics = {
        f"{prefix}_gbps": sum(s["bits_per_second"] for s in sums) / 1e9,
        f"{prefix}_system_s_per_gbit": meter.system_s / gigabits,
    }
    if c.pids():
        metrics[f"{prefix}_cpu_s_per_gbit"] = meter.process_s / gigabits
    return metrics


def fps(frame_bytes: int) -> Callable[[Contestant, float], Metrics]:
    """The measuring function for frames of one length, in one direction, counted on arrival."""

    def measure(c: Contestant, seconds: float) -> Metrics:
        counter = c.wires.start("right", [str(c.tools / "frames"), "count", "eth0"])
        counter.wait_for("counting")
        with Meter(c.pids()) as meter:
            sent, wall_s, refused = _send(c, frame_bytes, seconds)
        time.sleep(LATE_FRAMES_S)
        received = int(counter.finish().split("received ")[1].split()[0])
        metrics = {
            f"fps{frame_bytes}": received / wall_s,
            f"fps{frame_bytes}_sent": sent / wall_s,
            f"fps{frame_bytes}_refusals": refused,
        }
        if c.pids() and received:
            metrics[f"fps{frame_bytes}_cpu_us"] = meter.process_s * 1e6 / received
        return metrics

    return measure


def _send(c: Contestant, frame_bytes: int, seconds: float, *rate: str) -> tuple[int, float, int]:
    """Frames sent, seconds it took, and how often the device refused."""
    frames = str(c.tools / "frames")
    words = ["send", "eth0", c.wires.mac("right"), str(frame_bytes), str(seconds), *rate]
    _, sent, wall_s, refused = c.wires.run("left", frames, *words).split()
    return int(sent), float(wall_s), int(refused)


def rtt(prefix: str) -> Callable[[Contestant, float], Metrics]:
    """The measuring function for round trips of 60-byte frames."""

    def measure(c: Contestant, seconds: float) -> Metrics:
        target = [ADDRESSES["right"], str(RTT_PORT)]
        pingpong = str(c.tools / "pingpong")
        server = c.wires.start("right", [pingpong, "serve", *target])
        server.wait_for("serving")
        trips = str(int(TRIPS_PER_SECOND_ASKED * seconds))
        words = c.wires.run("left", pingpong, "play", *target, trips).split()
        server.stop()
        p50, p99, lost = float(words[1]), float(words[2]), float(words[5])
        return {f"{prefix}_p50_us": p50, f"{prefix}_p99_us": p99, f"{prefix}_lost": lost}

    return measure


def measure_low_rate(c: Contestant, seconds: float) -> Metrics:
    """CPU share at LOW_FPS frames per second."""
    with Meter(c.pids()) as meter:
        _send(c, 60, max(seconds, 2.0), str(LOW_FPS))
    return {"cpu100_percent": 100 * meter.process_s / meter.wall_s}


def measure_idle(c: Contestant, seconds: float) -> Metrics:
    """CPU share with IDLE_PORTS ports and no frame at all."""
    time.sleep(QUIET_S)
    with Meter(c.pids()) as meter:
        time.sleep(max(seconds, 3.0))
    return {"idle16_percent": 100 * meter.process_s / meter.wall_s}


def measure_start(c: Contestant, _seconds: float) -> Metrics:
    """From the start of the first program until it forwards; taken while it was set up."""
    return {"start_s": c.start_s}


def _has_processes(name: str) -> bool:
    return name != "bridge"


def _sleeps(name: str) -> bool:
    return name != "bare-spin"  # it would take the CPU that the ends are on


def _has_many_ports(name: str) -> bool:
    return CONTESTANTS[name].many_ports


FIGURES = {
    figure.name: figure
    for figure in (
        Figure("tcp", "one TCP stream", measure_tcp),
        Figure("bidir", "a TCP stream in each direction", measure_bidir),
        Figure("fps60", "60-byte frames", fps(60)),
        Figure("fps1514", "1514-byte frames", fps(1514)),
        Figure("rtt", "round trips, one CPU", rtt("rtt"), Placement.together, suits=_sleeps),
        Figure("rtt-split", "round trips, two CPUs", rtt("rttsplit")),
        Figure("rtt-free", "round trips, any CPU", rtt("rttfree"), Placement.free, suits=_sleeps),
        Figure("cpu100", "CPU at 100 frames/s", measure_low_rate, suits=_has_processes),
        Figure("idle16", "idle, 16 ports", measure_idle, ports=16, suits=_has_many_ports),
        Figure("start", "start", measure_start),
    )
}
