"""Predictors side by side: one metric of each, lying in its row.

Owns this figure. Does not compute the comparison (`evaluation`).
"""

from typing import Any

from sottovoce.evaluation import Comparison
from sottovoce.metrics import Figure
from sottovoce.report.canvas import BLUE, MUTED, Canvas

LONGEST_NAME = 30
"""Characters of a predictor's name beside the figure; the table has the whole name."""


def predictors(comparison: Comparison, key: str, title: str) -> str:
    """Draw one metric of each predictor with its interval, the reference in colour."""
    rows = comparison.rows
    told = "; ".join(f"{row.name} {row.figures[key].number()}" for row in rows)
    canvas = Canvas(f"predictors-{key}", f"{title}, by predictor. {told}.")
    with canvas.axes((4.9, 0.8 + 0.36 * len(rows))) as axes:
        axes.grid(axis="x")
        for place, row in enumerate(rows):
            colour = BLUE if row.name == comparison.reference else MUTED
            _lying(axes, row.figures[key], place, colour)
        axes.set_xlabel(title)
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
        axes.set_yticks(range(len(rows)), [_short(row.name) for row in rows])
        axes.set_ylim(len(rows) - 0.5, -0.5)
    return canvas.svg


def _lying(axes: Any, figure: Figure, place: float, colour: str) -> None:
    """Draw a figure lying in its row, with its interval and its value written beside it."""
    if figure.value is None:
        axes.text(
            0.02,
            place,
            "not computed",
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=8,
            color=MUTED,
        )
        return
    if figure.lower is not None:
        axes.hlines(place, figure.lower, figure.upper, color=colour, linewidth=2.2, alpha=0.65)
    axes.plot(figure.value, place, "o", color=colour, markersize=6)


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
