#!/usr/bin/env python3
"""vhost-user ports: two guests of vswitch in shared memory, against Open vSwitch with DPDK.

    sudo python benchmarks/guests.py --rounds 5 --seconds 3 --json guests.json

    testpmd guest 0 == contestant == testpmd guest 1

Both guests share the first CPU and send each frame back; the contestant has the second. Exit status
as compare.py.
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path

import testpmd
from guest_switches import CONTESTANTS, Vswitch
from machine import facts
from processes import BenchmarkError
from rounds import Sample, play_rounds
from table import render
from testpmd import Load, Rings

CANNOT_MEASURE = 77
SPEED = {"guest64": 64, "guest1514": 1514}  # bytes of a frame
IDLE, MEMORY = "guestidle", "guest16"
MANY_PORTS = 16
DEFAULT_BURSTS = 8
SMOKE = {"rounds": 1, "seconds": 0.5, "contestants": "vswitch,vhost-io", "figures": "guest64"}


class Run:
    """One run: measures, and remembers who had to be left out and why."""

    def __init__(self, tools: Path, options: argparse.Namespace) -> None:
        self._tools = tools
        self._options = options
        self._rings = Rings(packed=options.packed == "on", mergeable=options.mergeable == "on")
        self.left_out: dict[str, str] = {}

    def measure(self, figure: str, name: str) -> dict[str, float] | None:
        """The metrics, or None where the figure does not apply or the contestant is out."""
        if name in self.left_out or (figure not in SPEED and name != "vswitch"):
            return None
        try:
            metrics = self._speed(figure, name) if figure in SPEED else self._costs(figure)
        except BenchmarkError as error:
            self.left_out[name] = f"{figure}: {error}"
            progress(f"{figure:10} {name:12} left out: {error}")
            return None
        values = " ".join(f"{metric}={value:.4g}" for metric, value in metrics.items())
        progress(f"{figure:10} {name:12} {values}")
        return metrics

    def _speed(self, figure: str, name: str) -> dict[str, float]:
        load = Load(frame_bytes=SPEED[figure], bursts=self._options.bursts)
        with CONTESTANTS[name](tools=self._tools, rings=self._rings) as contestant:
            fps, cpu_ns = contestant.rate(load, self._options.seconds)
        return {figure: fps, f"{figure}_cpu_ns": cpu_ns}

    def _costs(self, figure: str) -> dict[str, float]:
        ports = MANY_PORTS if figure == MEMORY else 2
        with Vswitch(tools=self._tools, rings=self._rings, ports=ports) as contestant:
            if figure == MEMORY:
                return {"guest16_mib": contestant.resident_mib()}
            return {"guestidle_percent": contestant.idle_percent(self._options.seconds)}


def progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line, with --smoke already turned into the values it stands for."""
    parser = argparse.ArgumentParser(description="Compare vhost-user ports with those of others.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="per measurement")
    help_text = f"the first is compared with the others; {', '.join(CONTESTANTS)}"
    parser.add_argument("--contestants", default=",".join(CONTESTANTS), help=help_text)
    figures = [*SPEED, IDLE, MEMORY]
    parser.add_argument("--figures", default=",".join(figures), help=", ".join(figures))
    parser.add_argument("--packed", choices=("on", "off"), default="off", help="packed rings")
    parser.add_argument(
        "--mergeable", choices=("on", "off"), default="on", help="mergeable receive buffers"
    )
    parser.add_argument(
        "--bursts",
        type=int,
        default=DEFAULT_BURSTS,
        help=f"of {testpmd.BURST} frames, on their way in each direction",
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="raw rounds and machine facts")
    parser.add_argument("--smoke", action="store_true", help="seconds instead of minutes")
    options = parser.parse_args(arguments)
    if options.smoke:
        vars(options).update(SMOKE)
    options.contestants = names(parser, "contestant", options.contestants, CONTESTANTS)
    options.figures = names(parser, "figure", options.figures, figures)
    if not 1 <= options.bursts * testpmd.BURST <= testpmd.QUEUE_SIZE // 2:
        parser.error(f"--bursts {options.bursts}: 1 to {testpmd.QUEUE_SIZE // 2 // testpmd.BURST}")
    return options


def names(parser: argparse.ArgumentParser, kind: str, text: str, known: Iterable[str]) -> list[str]:
    """The names in *text*; ends the program when one of them is not *known*."""
    found = text.split(",")
    known = list(known)
    if unknown := [name for name in found if name not in known]:
        parser.error(f"no {kind} {unknown[0]!r}; there are {', '.join(known)}")
    return list(dict.fromkeys(found))


def compare(options: argparse.Namespace) -> int:
    """Measure, print the table, write the file; the exit status."""
    if shutil.which(testpmd.PROGRAM) is None:
        raise BenchmarkError(f"{testpmd.PROGRAM} not found", f"install {testpmd.PACKAGE}")
    with tempfile.TemporaryDirectory(prefix="vswitch-bench-") as folder:
        measured = Run(Path(folder), options)
        samples = play_rounds(
            options.figures, options.contestants, rounds=options.rounds, measure=measured.measure
        )
    present = [name for name in options.contestants if name in {s.contestant for s in samples}]
    if not present:
        print(*measured.left_out.items(), sep="\n", file=sys.stderr)
        return 1
    text = render(samples, subject=present[0], references=present[1:], left_out=measured.left_out)
    print(text)
    if options.json:
        save(options.json, samples, options)
    return 0 if len(present) > 1 else 1


def save(path: Path, samples: Sequence[Sample], options: argparse.Namespace) -> None:
    """Write every round, with the guests' queues and what there is to know of the machine."""
    asked = {name: vars(options)[name] for name in ("packed", "mergeable", "bursts", "seconds")}
    result = {"machine": facts(), "options": asked, "samples": [asdict(s) for s in samples]}
    path.write_text(json.dumps(result, indent=1) + "\n")


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(sys.argv[1:] if arguments is None else arguments)
    # SIGTERM must unwind the with blocks as Ctrl-C does, or huge pages stay behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        return compare(options)
    except BenchmarkError as error:
        print(f"guests.py: {error}", file=sys.stderr)
        return CANNOT_MEASURE
    except KeyboardInterrupt:
        print("guests.py: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
