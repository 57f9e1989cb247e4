#!/usr/bin/env python3
"""What silent VMs cost two that talk: 2 to 64 connected to one vswitch. No root.

    python benchmarks/idle_ports.py --rounds 5 --seconds 2 --svg benchmarks/idle-ports.svg

Two VMs are the measure of all others, round by round.
"""

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from processes import BenchmarkError, compile_tools
from rounds import Ratio, Sample, play_rounds, ratio
from streams import CANNOT_MEASURE, FIGURES, StreamSwitch, progress, save

VMS = ("2", "8", "16", "32", "64")
BOUND = 0.97
WIDTH, HEIGHT, LEFT, BOTTOM = 560, 260, 60, 40  # of the chart, pixels
LOW, HIGH = 0.8, 1.1  # of its axis


def measure(tools: Path, seconds: float, figure: str, vms: str) -> dict[str, float]:
    """Frames per second between two of so many VMs, the others silent."""
    with StreamSwitch("vswitch", tools=tools, silent=int(vms) - 2) as switch:
        fps, cpu_us = switch.rate(FIGURES[figure], seconds)
    progress(f"{figure:10} {vms:>3} VMs fps={fps:.4g} cpu_us={cpu_us:.4g}")
    return {figure: fps, f"{figure}_cpu_us": cpu_us}


def ratios(samples: Sequence[Sample], figure: str) -> list[Ratio]:
    """Each number of VMs against two."""
    found = [ratio(samples, figure, vms, VMS[0]) for vms in VMS]
    return [r for r in found if r]


def table(samples: Sequence[Sample]) -> str:
    """Frames per second and ratios as text."""
    lines = [f"{'':12} {'VMs':>4} {'kframe/s':>9} {'to 2 VMs':>9} {'range':>12}"]
    for figure in FIGURES:
        for r in ratios(samples, figure):
            kfps = statistics.median(
                s.metrics[figure]
                for s in samples
                if s.contestant == r.subject and figure in s.metrics
            )
            span = f"{r.low:.2f}-{r.high:.2f}"
            lines.append(
                f"{figure:12} {r.subject:>4} {kfps / 1e3:9,.0f} {r.median:9.2f} {span:>12}"
            )
    return "\n".join([*lines, "", f"target: at least {BOUND} with 64"])


def svg(samples: Sequence[Sample]) -> str:
    """The same as a picture: a line for each length of frame, the range of the rounds as bars."""
    step = (WIDTH - LEFT - 40) / (len(VMS) - 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        ' font-family="sans-serif" font-size="12">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        f'<text x="{LEFT}" y="16">frames/s of two talking VMs, relative to two alone</text>',
    ]
    for value in (LOW, 0.9, BOUND, 1.0, HIGH):
        dash = ' stroke-dasharray="4"' if value == BOUND else ""
        parts.append(
            f'<path d="M{LEFT} {_y(value)}H{WIDTH - 20}" stroke="#cbd5e1"{dash}/>'
            f'<text x="{LEFT - 34}" y="{_y(value) + 4}">{value:g}</text>'
        )
    for i, vms in enumerate(VMS):
        parts.append(f'<text x="{LEFT + i * step:.0f}" y="{HEIGHT - 20}">{vms}</text>')
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 4}">VMs connected, all but two silent</text>')
    for figure, colour, shift in zip(FIGURES, ("#c2410c", "#1d4ed8"), (0, 4), strict=True):
        points = [(LEFT + i * step + shift, r) for i, r in enumerate(ratios(samples, figure))]
        line = " ".join(f"{x:.0f},{_y(r.median)}" for x, r in points)
        parts.append(f'<polyline points="{line}" fill="none" stroke="{colour}"/>')
        parts += [
            f'<path d="M{x:.0f} {_y(r.low)}V{_y(r.high)}" stroke="{colour}"/>' for x, r in points
        ]
        at = 32 + 16 * (shift > 0)
        parts.append(f'<text x="{WIDTH - 150}" y="{at}" fill="{colour}">{figure[6:]} bytes</text>')
    return "\n".join([*parts, "</svg>", ""])


def _y(value: float) -> int:
    inside = min(max(value, LOW), HIGH)
    return round(HEIGHT - BOTTOM - (inside - LOW) / (HIGH - LOW) * (HEIGHT - BOTTOM - 40))


def main() -> int:
    parser = argparse.ArgumentParser(description="What silent VMs cost two that talk.")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0, help="per measurement")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--svg", type=Path, metavar="FILE", help="a chart, as text")
    options = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="vswitch-bench-") as folder:
            tools = Path(folder)
            compile_tools(tools)
            samples = play_rounds(
                list(FIGURES), VMS, rounds=options.rounds,
                measure=lambda figure, vms: measure(tools, options.seconds, figure, vms),
            )  # fmt: skip
    except BenchmarkError as error:
        print(f"idle_ports.py: {error}", file=sys.stderr)
        return CANNOT_MEASURE
    print(table(samples))
    if options.json:
        save(options.json, samples)
    if options.svg:
        options.svg.write_text(svg(samples))
    return 0


if __name__ == "__main__":
    sys.exit(main())
