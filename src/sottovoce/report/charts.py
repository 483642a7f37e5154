"""The figures of a report, each one function that gives a closed canvas.

Owns what each figure shows. Does not compute metrics (`evaluation`) nor know the page (`page`).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sottovoce.evaluation import BandRow, CutOffRow, Evaluation, Points
from sottovoce.instruments import Instrument
from sottovoce.metrics import Figure
from sottovoce.report.canvas import (
    BLUE,
    MIDDLE,
    MUTED,
    ORANGE,
    PAPER,
    RULE,
    TALL,
    Canvas,
    legend_above,
)

MOST_INTERVALS = 300
"""Points beyond which single intervals would be a grey wall and are left out."""


def scatter(evaluation: Evaluation, points: Points) -> Canvas:
    """Draw estimates against questionnaire totals, each with its interval."""
    used = evaluation.instrument
    inside = np.ones(len(points.total), dtype=bool)
    if points.lower is not None and points.upper is not None:
        inside = (points.lower <= points.total) & (points.total <= points.upper)
    label = (
        f"Scatter of {len(points.total)} estimates against {used.title} totals; "
        f"{int(inside.sum())} of them have the total inside their interval."
    )
    if points.lower is None:
        label = f"Scatter of {len(points.total)} estimates against {used.title} totals."
    canvas = Canvas("scatter", label)
    margin = 0.03 * (used.maximum - used.minimum)
    with canvas.axes(MIDDLE) as axes:
        _band_lines(axes, used)
        ends = [used.minimum, used.maximum]
        axes.plot(ends, ends, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), label="no error")
        within = "total inside the interval" if points.lower is not None else "estimate"
        _cloud(axes, points, inside, "o", BLUE, within)
        _cloud(axes, points, ~inside, "D", ORANGE, "outside it")
        lowest, highest = min(used.minimum, *points.score), max(used.maximum, *points.score)
        axes.set_xlim(used.minimum - margin, used.maximum + margin)
        axes.set_ylim(lowest - margin, highest + margin)
        axes.set_xlabel(f"{used.title} total")
        axes.set_ylabel("Estimate (points)")
        legend_above(axes)
    return canvas


def _cloud(axes: Any, points: Points, rows: Any, marker: str, colour: str, name: str) -> None:
    """Draw some of the points, with their intervals while they can be told apart."""
    if not rows.any():
        return
    x = (points.total + _dodge(points.total))[rows]
    if points.lower is not None and points.upper is not None and len(rows) <= MOST_INTERVALS:
        low, high = points.lower[rows], points.upper[rows]
        axes.vlines(x, low, high, color=colour, alpha=0.22, linewidth=1)
    face = PAPER if marker == "D" else colour
    style = {"s": 18, "linewidths": 0.9, "edgecolors": colour, "c": face}
    axes.scatter(x, points.score[rows], marker=marker, zorder=3, label=name, **style)


def error_by_band(evaluation: Evaluation) -> Canvas:
    """Draw size and direction of the error in each severity band."""
    bands = evaluation.bands
    canvas = Canvas("error", _spoken("Error by severity band", bands, ("mae", "bias")))
    with canvas.axes(MIDDLE) as axes:
        axes.axhline(0, color=MUTED, linewidth=1)
        axes.grid(axis="y")
        _dots(axes, [row.figures["mae"] for row in bands], -0.12, BLUE, "o", "mean absolute error")
        _dots(axes, [row.figures["bias"] for row in bands], 0.12, ORANGE, "D", "bias")
        _band_ticks(axes, bands)
        axes.set_ylabel("Points")
        legend_above(axes)
    return canvas


def auc_by_cut_off(evaluation: Evaluation) -> Canvas:
    """Draw the AUC at every cut-off above the count of people at or above it."""
    rows = evaluation.cut_offs
    computed = [row for row in rows if row.auc.value is not None]
    values = [row.auc.value or 0.0 for row in computed]
    label = (
        f"AUC at cut-offs from {rows[0].cut_off} to {rows[-1].cut_off}; it runs from "
        f"{min(values):.2f} to {max(values):.2f} where it could be computed."
    )
    canvas = Canvas("auc", label)
    ratios = {"height_ratios": (3, 1.25)}
    with canvas.axes(TALL, nrows=2, sharex=True, gridspec_kw=ratios) as (upper, lower):
        _auc_curve(upper, rows, f"{evaluation.settings.level:.0%} interval")
        upper.set_ylim(min(0.45, *values) - 0.02, 1.02)
        cuts = [row.cut_off for row in rows]
        bars = lower.bar(cuts, [row.positives for row in rows], color=RULE)
        lower.bar_label(bars, fontsize=6.5, color=MUTED, padding=1)
        lower.margins(y=0.28)
        lower.set_ylabel("Positives")
        lower.set_xlabel(f"{evaluation.instrument.title} total at or above")
        lower.set_xticks(cuts[::3])
    return canvas


def _auc_curve(axes: Any, rows: Sequence[CutOffRow], interval: str) -> None:
    """Draw the AUC by cut-off; gaps stay gaps, and what has no interval is hollow."""
    cuts = np.array([row.cut_off for row in rows])
    value, low, high = (
        np.array([np.nan if bound is None else bound for bound in bounds], dtype=float)
        for bounds in zip(
            *((row.auc.value, row.auc.lower, row.auc.upper) for row in rows), strict=True
        )
    )
    axes.fill_between(cuts, low, high, color=BLUE, alpha=0.16, linewidth=0, label=interval)
    axes.plot(cuts, value, color=BLUE, marker="o", markersize=3.6, label="AUC")
    bare = np.isnan(low) & ~np.isnan(value)
    if bare.any():
        style = {"s": 26, "c": PAPER, "edgecolors": BLUE, "zorder": 3}
        axes.scatter(cuts[bare], value[bare], label="without interval", **style)
    axes.axhline(0.5, color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    axes.grid(axis="y")
    axes.set_ylabel("AUC")
    legend_above(axes)


def calibration(evaluation: Evaluation) -> Canvas:
    """Draw the observed against the nominal coverage of the intervals."""
    rows = [row for row in evaluation.calibration if row.coverage.value is not None]
    pairs = ", ".join(f"{row.coverage.value:.2f} at {row.nominal:g}" for row in rows)
    canvas = Canvas("calibration", f"Observed coverage of the intervals: {pairs}.")
    with canvas.axes() as axes:
        axes.plot([0, 1], [0, 1], color=MUTED, lw=1, linestyle=(0, (4, 3)), label="as promised")
        sure = [row for row in rows if row.coverage.lower is not None]
        axes.vlines(
            [row.nominal for row in sure],
            [row.coverage.lower for row in sure],
            [row.coverage.upper for row in sure],
            color=BLUE,
            alpha=0.5,
            linewidth=1.6,
        )
        nominal = [row.nominal for row in rows]
        observed = [row.coverage.value for row in rows]
        axes.plot(nominal, observed, color=BLUE, marker="o", markersize=4.5, label="observed")
        axes.grid()
        axes.set_xlim(0, 1.02)
        axes.set_ylim(0, 1.02)
        axes.set_xlabel("Nominal coverage")
        axes.set_ylabel("Observed coverage")
        legend_above(axes)
    return canvas


def coverage_by_band(evaluation: Evaluation) -> Canvas:
    """Draw the observed coverage in each severity band against the nominal one."""
    bands = evaluation.bands
    canvas = Canvas("coverage", _spoken("Interval coverage by severity band", bands, ("coverage",)))
    with canvas.axes() as axes:
        axes.grid(axis="y")
        if evaluation.coverage is not None:
            axes.axhline(
                evaluation.coverage,
                color=MUTED,
                lw=1,
                linestyle=(0, (4, 3)),
                label=f"nominal, {evaluation.coverage:.0%}",
            )
        _dots(axes, [row.figures["coverage"] for row in bands], 0, BLUE, "o", "observed")
        _band_ticks(axes, bands)
        axes.set_ylim(-0.02, 1.04)
        axes.set_ylabel("Share inside the interval")
        legend_above(axes)
    return canvas


def _dodge(totals: Any) -> Any:
    """Shift points that share a total a little apart, the same way each time."""
    shift = np.zeros(len(totals))
    for total in np.unique(totals):
        rows = np.flatnonzero(totals == total)
        shift[rows] = np.linspace(-0.3, 0.3, len(rows)) if len(rows) > 1 else 0
    return shift


def _band_lines(axes: Any, used: Instrument) -> None:
    for band in used.bands[1:]:
        axes.axvline(band.lower - 0.5, color=RULE, linewidth=0.8)
        axes.axhline(band.lower - 0.5, color=RULE, linewidth=0.8)
    ticks = [used.minimum, *(band.lower for band in used.bands[1:]), used.maximum]
    axes.set_xticks(ticks)
    axes.set_yticks(ticks)


def _band_ticks(axes: Any, bands: Sequence[BandRow]) -> None:
    names = [
        f"{row.band.replace(' ', chr(10))}\n{row.lower}–{row.upper}\nn = {row.n - row.abstained}"
        for row in bands
    ]
    axes.set_xticks(range(len(bands)), names)
    axes.tick_params(axis="x", length=0)
    axes.set_xlim(-0.6, len(bands) - 0.4)


def _dots(
    axes: Any, figures: Sequence[Figure], shift: float, colour: str, marker: str, name: str
) -> None:
    """Draw figures standing side by side, each with its interval."""
    for place, figure in enumerate(figures):
        if figure.value is None:
            continue
        if figure.lower is not None:
            axes.vlines(place + shift, figure.lower, figure.upper, color=colour, linewidth=2)
        axes.plot(
            place + shift,
            figure.value,
            marker,
            color=colour,
            markersize=6,
            mfc=PAPER if marker == "D" else colour,
            mew=1.5,
        )
    axes.plot([], [], marker, color=colour, mfc=PAPER if marker == "D" else colour, label=name)


def _spoken(title: str, bands: Sequence[BandRow], keys: Sequence[str]) -> str:
    told = "; ".join(
        f"{row.band}: " + ", ".join(f"{key} {row.figures[key].number()}" for key in keys)
        for row in bands
    )
    return f"{title}. {told}."
