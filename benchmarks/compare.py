#!/usr/bin/env python3
"""vswitch against a bare loop, the Linux bridge, Open vSwitch and VDE, in paired rounds.

    python benchmarks/compare.py --rounds 5 --seconds 3 --json result.json --png result.png

All contestants stand between the same two namespaces and the same programs talk through them:

    left: eth0 ---- contestant ---- right: eth0

Exit status 0: a table was printed; 1: nothing could be compared; 2: wrong arguments;
77: this machine cannot measure (no root, a program is missing), which is not a failure.
"""

import argparse
import json
import os
import shlex
import shutil
import signal
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from importlib.util import find_spec
from pathlib import Path

from contestants import CONTESTANTS
from figures import FIGURES
from machine import facts
from processes import BenchmarkError, compile_tools
from rounds import Sample, by_round, play_rounds, ratio
from table import render
from targets import METRICS

CANNOT_MEASURE = 77
QUIET_LOAD = 0.5  # above it somebody else has a good part of one of the two CPUs we need
DEFAULT_CONTESTANTS = "vswitch,bare,bridge,ovs-tap,ovs-veth,ovs-tap-tso,vde"
DEFAULT_FIGURES = "tcp,fps60,fps1514,rtt,rtt-split,cpu100,idle16,start"
SMOKE = {"rounds": 1, "seconds": 1.0, "contestants": "vswitch,bare", "figures": "tcp,fps60,rtt"}


class Run:
    """One run of the benchmark: measures, and remembers who had to be left out and why."""

    def __init__(self, tools: Path, seconds: float) -> None:
        self._tools = tools
        self._seconds = seconds
        self.left_out: dict[str, str] = {}

    def measure(self, figure_name: str, contestant_name: str) -> dict[str, float] | None:
        """The metrics, or None where the figure does not apply or the contestant is out."""
        figure = FIGURES[figure_name]
        if contestant_name in self.left_out or not figure.suits(contestant_name):
            return None
        contestant = CONTESTANTS[contestant_name](
            contestant_name,
            tools=self._tools,
            placement=figure.placement(),
            ports=figure.ports,
        )
        try:
            with contestant:
                metrics = figure.measure(contestant, self._seconds)
                contestant.check_alive()
        except BenchmarkError as error:
            self.left_out[contestant_name] = f"{figure.name}: {error}"
            _progress(f"{figure.name:8} {contestant_name:12} left out: {error}")
            return None
        values = " ".join(f"{name}={value:.4g}" for name, value in metrics.items())
        _progress(f"{figure.name:8} {contestant_name:12} {values}")
        return metrics


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The command line, with --smoke already turned into the values it stands for."""
    parser = argparse.ArgumentParser(description="Compare vswitch with other switches.")
    parser.add_argument("--rounds", type=_at_least_one, default=5)
    parser.add_argument("--seconds", type=float, default=3.0, help="per measurement")
    parser.add_argument(
        "--contestants",
        default=DEFAULT_CONTESTANTS,
        metavar="A,B,...",
        help=f"the first is compared with the others; {', '.join(CONTESTANTS)}",
    )
    parser.add_argument(
        "--figures",
        default=DEFAULT_FIGURES,
        metavar="A,B,...",
        help=", ".join(f"{f.name} ({f.text})" for f in FIGURES.values()),
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="raw rounds and machine facts")
    parser.add_argument("--png", type=Path, metavar="FILE", help="a picture; needs matplotlib")
    parser.add_argument(
        "--smoke",
        action="store_true",
        help="seconds instead of minutes: only shows that a ratio is printed",
    )
    options = parser.parse_args(arguments)
    if options.smoke:
        vars(options).update(SMOKE)
    options.contestants = _names(parser, "contestant", options.contestants, CONTESTANTS)
    options.figures = _names(parser, "figure", options.figures, FIGURES)
    return options


def _names(
    parser: argparse.ArgumentParser, kind: str, text: str, known: Mapping[str, object]
) -> list[str]:
    names = [name.strip() for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            parser.error(f"no {kind} {name!r}; there are {', '.join(known)}")
    if not names:
        parser.error(f"no {kind} given")
    return list(dict.fromkeys(names))


def _at_least_one(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError("at least 1")
    return value


def check_machine(options: argparse.Namespace) -> None:
    """Raise BenchmarkError when nothing can be measured here, or its result not be written."""
    if os.geteuid() != 0:
        raise BenchmarkError("network namespaces need root", "run it with sudo")
    packages = {"ip": "iproute2", "taskset": "util-linux", "iperf3": "iperf3"}
    for program, package in packages.items():
        if shutil.which(program) is None:
            raise BenchmarkError(f"{program} not found", f"install {package}")
    if options.png and find_spec("matplotlib") is None:
        raise BenchmarkError("matplotlib not found", "pip install matplotlib, or no --png")
    for path in filter(None, (options.json, options.png)):
        if not path.parent.is_dir():
            raise BenchmarkError(f"{path.parent} is not a folder", "create it first")


def save_json(
    path: Path,
    run: Run,
    samples: Sequence[Sample],
    options: argparse.Namespace,
    machine: dict[str, object],
) -> None:
    """Raw rounds, ratios and the circumstances."""
    subject, *references = _present(samples, options.contestants)
    pairs = [ratio(samples, m.name, subject, other) for m in METRICS for other in references]
    result = {
        "command": shlex.join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "machine": machine,
        "rounds": options.rounds,
        "seconds": options.seconds,
        "placement": {name: asdict(FIGURES[name].placement()) for name in options.figures},
        "left_out": run.left_out,
        "samples": [asdict(sample) for sample in samples],
        "ratios": [asdict(p) | {"median": p.median} for p in pairs if p is not None],
    }
    path.write_text(json.dumps(result, indent=1) + "\n")


def _present(samples: Sequence[Sample], names: Sequence[str]) -> list[str]:
    """The contestants that have at least one result, in the order asked for."""
    measured = {sample.contestant for sample in samples}
    return [name for name in names if name in measured]


def compare(options: argparse.Namespace) -> int:
    """Measure, print the table, write the files; the exit status."""
    machine = facts()
    if os.getloadavg()[0] > QUIET_LOAD:
        _progress(f"the machine is busy (load {os.getloadavg()[0]:.1f}): the figures will scatter")
    with tempfile.TemporaryDirectory(prefix="vswitch-bench-") as folder:
        compile_tools(Path(folder))
        run = Run(Path(folder), options.seconds)
        samples = play_rounds(
            options.figures, options.contestants, rounds=options.rounds, measure=run.measure
        )
    present = _present(samples, options.contestants)
    if not present:
        print("nothing could be measured:", *run.left_out.items(), sep="\n  ", file=sys.stderr)
        return 1
    print(render(samples, subject=present[0], references=present[1:], left_out=run.left_out))
    if options.json:
        save_json(options.json, run, samples, options, machine)
    if options.png:
        _draw(options.png, samples, present, machine)
    return 0 if len(present) > 1 or len(options.contestants) == 1 else 1


def _draw(
    path: Path, samples: Sequence[Sample], names: list[str], machine: dict[str, object]
) -> None:
    # Takes a second to import, and is not always installed.
    from chart import Panel, draw

    panels = []
    for metric in (m for m in METRICS if m.drawn):
        found = {name: by_round(samples, metric.name, name).values() for name in names}
        values = {name: [v * metric.scale for v in vs] for name, vs in found.items() if vs}
        if values:
            panels.append(Panel(metric.label, metric.digits, values))
    words = "{cpu}, {cpus} CPUs, Linux {kernel}, {date}".format_map(machine)
    draw(panels, path, title=words)


def _progress(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; see the module's first lines for the exit status."""
    options = parse(sys.argv[1:] if arguments is None else arguments)
    # SIGTERM must unwind the with blocks as Ctrl-C does, or namespaces stay behind.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        check_machine(options)
        return compare(options)
    except BenchmarkError as error:
        print(f"compare.py: {error}", file=sys.stderr)
        return CANNOT_MEASURE
    except KeyboardInterrupt:
        print("compare.py: interrupted", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
