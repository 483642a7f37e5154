"""Curves: are probabilities right, does leaving out the unsure help, are totals pulled inwards.

Owns these drawings. Does not compute what they show (`evaluation`).
"""

from collections.abc import Sequence
from typing import Any

from sottovoce.evaluation import Evaluation, Points, Reliability, ReliabilityBin, RiskCoverage
from sottovoce.instruments import Instrument
from sottovoce.report.canvas import BLUE, MIDDLE, MUTED, NARROW, ORANGE, PAPER, Canvas, legend_above

MOST_PANELS = 4
"""Curves that can be told apart side by side on a telephone; the table has every cut-off."""


def drawn_curves(curves: Sequence[Reliability], used: Instrument) -> list[Reliability]:
    """Choose which curves are drawn: the instrument's own cut-offs, where there are many."""
    full = [each for each in curves if each.bins]
    if len(full) > MOST_PANELS:
        full = [each for each in full if each.cut_off in used.cut_offs]
    return full[:MOST_PANELS]


def reliability(curves: Sequence[Reliability], level: str) -> Canvas:
    """Draw the share of cases against the predicted probability, a panel for each cut-off."""
    told = "; ".join(f"≥ {each.cut_off}: ECE {each.figures['ece'].number()}" for each in curves)
    canvas = Canvas("reliability", f"Reliability of the probabilities. {told}.")
    columns = min(2, len(curves))
    rows = -(-len(curves) // columns)
    size = (2.6 + 2.3 * (columns - 1), 0.5 + 2.3 * rows)
    shared: dict[str, Any] = {"sharex": True, "sharey": True, "squeeze": False}
    with canvas.axes(size, nrows=rows, ncols=columns, **shared) as grid:
        panels = list(grid.flat)
        for axes, curve in zip(panels, curves, strict=False):
            _panel(axes, curve)
        for axes in panels[len(curves) :]:
            axes.set_visible(False)
        for row in grid:
            row[0].set_ylabel("Share of cases")
        for axes in grid[-1]:
            axes.set_xlabel("Predicted probability")
        panels[0].plot([], [], "o", color=BLUE, label=f"observed, {level} interval")
        legend_above(panels[0], raised=True)
    return canvas


def _panel(axes: Any, curve: Reliability) -> None:
    axes.plot([0, 1], [0, 1], color=MUTED, lw=1, linestyle=(0, (4, 3)))
    axes.grid()
    bins = [each for each in curve.bins if each.observed.computed]
    for each in bins:
        if each.observed.lower is not None:
            low, high = each.observed.lower, each.observed.upper
            axes.vlines(each.predicted, low, high, color=BLUE, alpha=0.5, linewidth=1.6)
    observed = [each.observed.value for each in bins]
    axes.plot([each.predicted for each in bins], observed, color=BLUE, linewidth=1)
    areas = [_area(each, bins) for each in bins]
    axes.scatter([each.predicted for each in bins], observed, s=areas, color=BLUE, zorder=3)
    axes.set_xlim(-0.04, 1.04)
    axes.set_ylim(-0.04, 1.04)
    ticks = [0, 0.25, 0.5, 0.75, 1]
    axes.set_xticks(ticks, ["0", "", "0.5", "", "1"])
    axes.set_yticks(ticks, ["0", "", "0.5", "", "1"])
    axes.set_title(f"total ≥ {curve.cut_off}")


def _area(one: ReliabilityBin, bins: Sequence[ReliabilityBin]) -> float:
    """Give the area of a bin's mark: larger where more rows stand behind it."""
    return 14 + 50 * one.n / max(each.n for each in bins)


def risk_coverage(curve: RiskCoverage) -> Canvas:
    """Draw the error of the surest estimates against their share."""
    first, last = curve.risks[0], curve.risks[-1]
    label = (
        f"Mean absolute error of the surest estimates: {first:.2f} at {curve.shares[0]:.0%} of "
        f"the rows, {last:.2f} at {curve.shares[-1]:.0%}."
    )
    canvas = Canvas("risk-coverage", label)
    with canvas.axes(NARROW) as axes:
        axes.grid()
        axes.plot(curve.shares, curve.risks, color=BLUE, label="surest first")
        if curve.random.value is not None:
            style = (0, (4, 3))
            axes.axhline(curve.random.value, color=MUTED, lw=1, linestyle=style, label="at random")
        axes.plot(curve.shares[-1], last, "D", color=ORANGE, mfc=PAPER, mew=1.5, label="all scored")
        axes.set_xlim(0, 1.02)
        axes.set_ylim(bottom=0)
        axes.set_xlabel("Share of all labelled rows that is scored")
        axes.set_ylabel("Mean absolute error (points)")
        legend_above(axes)
    return canvas


def pull(evaluation: Evaluation, points: Points) -> Canvas:
    """Draw the error of each estimate against the total, and the bias in each severity band."""
    used = evaluation.instrument
    bands = [row for row in evaluation.bands if row.figures["bias"].computed]
    told = ", ".join(f"{row.band} {row.figures['bias'].number(sign=True)}" for row in bands)
    canvas = Canvas("pull", f"Estimate minus {used.title} total, by total. Bias: {told}.")
    with canvas.axes(MIDDLE) as axes:
        axes.grid(axis="y")
        axes.axhline(0, color=MUTED, linewidth=1)
        error = points.score - points.total
        axes.scatter(
            points.total, error, s=12, color=BLUE, alpha=0.45, linewidths=0, label="one estimate"
        )
        for row in bands:
            bias, middle = row.figures["bias"], (row.lower + row.upper) / 2
            if bias.lower is not None:
                axes.vlines(middle, bias.lower, bias.upper, color=ORANGE, linewidth=2.2, zorder=3)
            axes.hlines(bias.value, row.lower, row.upper, color=ORANGE, linewidth=2.2, zorder=3)
        axes.plot([], [], color=ORANGE, linewidth=2.2, label="mean of a band")
        ticks = [used.minimum, *(band.lower for band in used.bands[1:]), used.maximum]
        axes.set_xticks(ticks)
        axes.set_xlabel(f"{used.title} total")
        axes.set_ylabel("Estimate minus total (points)")
        legend_above(axes)
    return canvas
