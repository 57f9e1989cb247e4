"""The result as a picture; the only file that needs matplotlib."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

_COLUMNS = 2
_OWN, _OTHER = "#c2410c", "#64748b"


@dataclass(frozen=True)
class Panel:
    """One metric: what every contestant reached in its rounds, the subject first."""

    title: str
    digits: int
    values: dict[str, list[float]]


def draw(panels: Sequence[Panel], path: Path, *, title: str) -> None:
    """Write a PNG: medians as bars, the range as a line."""
    rows = max(1, -(-len(panels) // _COLUMNS))
    figure = Figure(figsize=(10, 2.6 * rows + 0.6))
    for place, panel in enumerate(panels, start=1):
        _draw_panel(figure.add_subplot(rows, _COLUMNS, place), panel)
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=130, format="png")


def _draw_panel(axes: Axes, panel: Panel) -> None:
    for place, (name, values) in enumerate(reversed(panel.values.items()), start=1):
        middle, low, high = statistics.median(values), min(values), max(values)
        colour = _OWN if place == len(panel.values) else _OTHER
        error = [[middle - low], [high - middle]]
        axes.barh(name, middle, xerr=error, color=colour, ecolor="black", capsize=2)
        text = f"  {middle:,.{panel.digits}f}"
        axes.annotate(text, (high, place - 1), va="center", fontsize=8)
    axes.set_title(panel.title, fontsize=10)
    axes.margins(x=0.18)
    axes.spines[["top", "right"]].set_visible(False)
