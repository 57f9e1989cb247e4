"""The result as text of at most 80 columns."""

import statistics
import textwrap
from collections.abc import Sequence

from rounds import Ratio, Sample, by_round, ratio
from targets import METRICS, Metric, target_text

WIDTH = 80
_ROW = "{:<17} {:>8} {:<12} {:>8} {:>6} {:>12} {:<11}"


def render(
    samples: Sequence[Sample],
    *,
    subject: str,
    references: Sequence[str],
    left_out: dict[str, str],
) -> str:
    """Medians and ratios of *subject* to each reference, and who was left out and why."""
    lines = [
        _ROW.format("", subject[:8], "against", "", "ratio", "range", "target"),
        "-" * WIDTH,
    ]
    for metric in METRICS:
        lines += _rows(samples, metric, subject, references)
    lines += ["", _legend(samples)]
    for name, why in left_out.items():
        lines += textwrap.wrap(f"left out: {name}: {why}", WIDTH, subsequent_indent="  ")
    return "\n".join(line.rstrip() for line in lines)


def _rows(
    samples: Sequence[Sample], metric: Metric, subject: str, references: Sequence[str]
) -> list[str]:
    ours = by_round(samples, metric.name, subject)
    own = metric.text(statistics.median(ours.values())) if ours else "-"
    rows = []
    target = target_text(metric.name, None, subject)
    if ours and (target or not references):
        values = ours.values()
        span = f"{metric.text(min(values))}-{metric.text(max(values))}"
        rows.append(_ROW.format(metric.label, own, "", "", "", span, target))
    for name in references:
        theirs = by_round(samples, metric.name, name)
        if not theirs:
            continue
        value = metric.text(statistics.median(theirs.values()))
        pair = ratio(samples, metric.name, subject, name)
        target = target_text(metric.name, name, subject)
        rows.append(_ROW.format(metric.label, own, name, value, *_ratio_text(pair), target))
    # The label and our own value stand in the first row of a group only.
    return [rows[0], *(" " * 26 + row[26:] for row in rows[1:])] if rows else []


def _ratio_text(pair: Ratio | None) -> tuple[str, str]:
    if pair is None:
        return "", ""
    return f"{pair.median:.2f}", f"{pair.low:.2f}-{pair.high:.2f}"


def _legend(samples: Sequence[Sample]) -> str:
    rounds = len({sample.round for sample in samples})
    many = "1 round" if rounds == 1 else f"{rounds} rounds"
    return f"Medians of {many}; ratio within each round; target: bound (aim)."
