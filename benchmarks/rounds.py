"""Pairing and statistics: rounds of measurements, and ratios within each round.

An absolute figure says more about the machine than about the contestants, and machines drift.
So in every round all contestants are measured one right after the other, the order turns round
from round to round, and what is reported is the median of the ratios *within* the rounds.
"""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Sample:
    """What one contestant reached in one figure in one round; several metrics at once."""

    round: int
    figure: str
    contestant: str
    metrics: dict[str, float]


@dataclass(frozen=True)
class Ratio:
    """A metric of the subject divided by that of the reference; one value per round."""

    metric: str
    subject: str
    reference: str
    subject_median: float
    reference_median: float
    per_round: list[float]

    @property
    def median(self) -> float:
        return statistics.median(self.per_round)

    @property
    def low(self) -> float:
        return min(self.per_round)

    @property
    def high(self) -> float:
        return max(self.per_round)


def order(names: Sequence[str], round_number: int) -> list[str]:
    """The contestants in the order of that round: turned round in every second one."""
    return list(names) if round_number % 2 == 0 else list(reversed(names))


def play_rounds(
    figures: Sequence[str],
    contestants: Sequence[str],
    *,
    rounds: int,
    measure: Callable[[str, str], dict[str, float] | None],
) -> list[Sample]:
    """Measure every figure of every contestant *rounds* times.

    ``measure(figure, contestant)`` returns None when that contestant has no such figure. The
    contestants of one figure follow one another directly: those are the pairs.
    """
    samples = []
    for number in range(rounds):
        for figure in figures:
            for name in order(contestants, number):
                metrics = measure(figure, name)
                if metrics is not None:
                    samples.append(Sample(number, figure, name, metrics))
    return samples


def by_round(samples: Iterable[Sample], metric: str, contestant: str) -> dict[int, float]:
    """Round number → value, for the rounds in which it was measured."""
    return {
        s.round: s.metrics[metric]
        for s in samples
        if s.contestant == contestant and metric in s.metrics
    }


def ratio(samples: Sequence[Sample], metric: str, subject: str, reference: str) -> Ratio | None:
    """The pairs of two contestants; None when no round has both.

    A round in which the reference shows 0 has no ratio and is left out.
    """
    ours = by_round(samples, metric, subject)
    theirs = by_round(samples, metric, reference)
    both = [number for number in sorted(ours) if theirs.get(number)]
    if not both:
        return None
    return Ratio(
        metric=metric,
        subject=subject,
        reference=reference,
        subject_median=statistics.median(ours[number] for number in both),
        reference_median=statistics.median(theirs[number] for number in both),
        per_round=[ours[number] / theirs[number] for number in both],
    )
