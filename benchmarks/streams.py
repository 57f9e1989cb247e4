#!/usr/bin/env python3
"""Stream ports: two VMs of vswitch on a unix socket, against a bare relay and VDE. No root.

    python benchmarks/streams.py --rounds 5 --seconds 2 --json result.json

    stream_frames send ==unix socket== contestant ==unix socket== stream_frames count

Both ends share the first CPU, the contestant has the second. Exit status as compare.py.
"""

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Self

from cpu import Meter, Placement
from machine import facts
from processes import BenchmarkError, Process, compile_tools, run
from rounds import Sample, play_rounds
from table import render

CANNOT_MEASURE = 77
REPOSITORY = Path(__file__).resolve().parent.parent
LATE_FRAMES_S = 0.05  # for frames still in a socket when the sender has ended
FIGURES = {"stream60": 60, "stream1514": 1514}  # bytes of a frame
CONTESTANTS = {
    "vswitch": "python -m vswitch run --listen qemu:PATH",
    "bare-stream": "bare_stream.c: all complete frames of a read with one send",
    "bare-32": "bare_stream.c: at most 32 frames with one send",
    "vde": "vde_switch, each frame a datagram",
}
SMOKE = {"rounds": 1, "seconds": 0.5}


class StreamSwitch:
    """A contestant with its two ends, and any number of silent VMs, for a ``with`` block.

    Args:
        name: One of CONTESTANTS.
        tools: Where the compiled programs are, and files may lie.
        silent: VMs that are connected and say nothing.
    """

    def __init__(self, name: str, *, tools: Path, silent: int = 0) -> None:
        self.name = name
        self._tools = tools
        self._silent = silent
        self._place = Placement.split()
        self._cleanup = ExitStack()

    def __enter__(self) -> Self:
        self.wire = "vde" if self.name == "vde" else "stream"
        folder = tempfile.mkdtemp(dir=self._tools)
        self.path = str(Path(folder) / "wire")
        with ExitStack() as undo:
            undo.callback(shutil.rmtree, folder, ignore_errors=True)
            self._cleanup = undo
            self.switch = self._start(self._command(folder), self._place.contestant)
            self._wait_until_ready()
            if self._silent:
                words = ["idle", self.wire, self.path, str(self._silent)]
                self._start([self._frames, *words], self._place.ends).wait_for("connected")
            self.counter = self._start(
                [self._frames, "count", self.wire, self.path], self._place.ends
            )
            self.counter.wait_for("counting")
            self._cleanup = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._cleanup.close()

    @property
    def _frames(self) -> str:
        return str(self._tools / "stream_frames")

    def _command(self, folder: str) -> list[str]:
        if self.name == "vde":
            return ["vde_switch", "-s", self.path]
        if self.name == "vswitch":
            options = ["--name", f"bench{os.getpid()}", "--api", f"{folder}/api"]
            command = [sys.executable, "-m", "vswitch", "run", *options]
            return [*command, "--listen", f"qemu:{self.path}"]
        options = ["--burst", "32"] if self.name == "bare-32" else []
        return [str(self._tools / "bare_stream"), *options, self.path]

    def _start(self, command: list[str], cpu: str) -> Process:
        log = Path(tempfile.mkstemp(dir=self._tools, suffix=".log")[1])
        env = os.environ | {"PYTHONPATH": str(REPOSITORY)}
        process = Process(["taskset", "-c", cpu, *command], log=log, env=env, cwd=REPOSITORY)
        process.name = Path(command[0]).name
        self._cleanup.callback(process.stop)
        return process

    def _wait_until_ready(self) -> None:
        if self.name != "vde":
            self.switch.wait_for("forwarding")
            return
        deadline_s = time.monotonic() + 5.0
        while not Path(self.path, "ctl").exists():
            if time.monotonic() > deadline_s:
                raise BenchmarkError(f"vde_switch did not get ready: {self.switch.last_words()}")
            time.sleep(0.005)

    def rate(self, frame_bytes: int, seconds: float) -> tuple[float, float]:
        """Frames per second that arrived, and the switch's CPU microseconds for each; once."""
        words = ["send", self.wire, self.path, str(frame_bytes), str(seconds)]
        with Meter([self.switch.pid]) as meter:
            sent = run(["taskset", "-c", self._place.ends, self._frames, *words]).split()
        time.sleep(LATE_FRAMES_S)
        received = int(self.counter.finish().split("received ")[1].split()[0])
        if not self.switch.alive and self.name != "bare-stream" and self.name != "bare-32":
            raise BenchmarkError(f"{self.switch.name} ended: {self.switch.last_words()}")
        if not received:
            raise BenchmarkError("no frame arrived")
        return received / float(sent[2]), 1e6 * meter.process_s / received


class Run:
    """One run: measures, and remembers who had to be left out and why."""

    def __init__(self, tools: Path, seconds: float) -> None:
        self._tools = tools
        self._seconds = seconds
        self.left_out: dict[str, str] = {}

    def measure(self, figure: str, name: str) -> dict[str, float] | None:
        if name in self.left_out:
            return None
        try:
            if name == "vde" and not shutil.which("vde_switch"):
                raise BenchmarkError("vde_switch not found; install vde2")
            with StreamSwitch(name, tools=self._tools) as contestant:
                fps, cpu_us = contestant.rate(FIGURES[figure], self._seconds)
        except BenchmarkError as error:
            self.left_out[name] = f"{figure}: {error}"
            progress(f"{figure:10} {name:12} left out: {error}")
            return None
        progress(f"{figure:10} {name:12} fps={fps:.4g} cpu_us={cpu_us:.4g}")
        return {figure: fps, f"{figure}_cpu_us": cpu_us}


def progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line, with --smoke already turned into the values it stands for."""
    parser = argparse.ArgumentParser(description="Compare stream ports with a bare relay and VDE.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="per measurement")
    help_text = f"the first is compared with the others; {', '.join(CONTESTANTS)}"
    parser.add_argument("--contestants", default=",".join(CONTESTANTS), help=help_text)
    parser.add_argument("--json", type=Path, metavar="FILE", help="raw rounds and machine facts")
    parser.add_argument("--smoke", action="store_true", help="seconds instead of minutes")
    options = parser.parse_args(arguments)
    if options.smoke:
        vars(options).update(SMOKE)
    options.contestants = options.contestants.split(",")
    if unknown := set(options.contestants) - set(CONTESTANTS):
        parser.error(f"no contestant {unknown.pop()!r}; there are {', '.join(CONTESTANTS)}")
    return options


def compare(options: argparse.Namespace) -> int:
    """Measure, print the table, write the file; the exit status."""
    with tempfile.TemporaryDirectory(prefix="vswitch-bench-") as folder:
        compile_tools(Path(folder))
        measured = Run(Path(folder), options.seconds)
        samples = play_rounds(
            list(FIGURES), options.contestants, rounds=options.rounds, measure=measured.measure
        )
    present = [name for name in options.contestants if name in {s.contestant for s in samples}]
    if not present:
        print(*measured.left_out.items(), sep="\n", file=sys.stderr)
        return 1
    text = render(samples, subject=present[0], references=present[1:], left_out=measured.left_out)
    print(text)
    if options.json:
        save(options.json, samples)
    return 0 if len(present) > 1 else 1


def save(path: Path, samples: Sequence[Sample]) -> None:
    """Write every round, with what there is to know of the machine."""
    facts_and_rounds = {"machine": facts(), "samples": [asdict(s) for s in samples]}
    path.write_text(json.dumps(facts_and_rounds, indent=1) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(sys.argv[1:] if arguments is None else arguments)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return compare(options)
    except BenchmarkError as error:
        print(f"streams.py: {error}", file=sys.stderr)
        return CANNOT_MEASURE
    except KeyboardInterrupt:
        print("streams.py: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
