"""Figures lying in rows: predictors side by side, gaps of groups, how far estimates move.

Owns these drawings. Does not compute what they show (`evaluation`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sottovoce.evaluation import Comparison, Evaluation, Gap, Robustness
from sottovoce.metrics import Figure
from sottovoce.report.canvas import BLUE, MUTED, ORANGE, PAPER, Canvas, legend_outside

LONGEST_NAME = 30
"""Characters of a row's name beside the figure; the table has the whole name."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A figure in its row: how it is drawn, and how far from the middle of the row."""

    figure: Figure
    colour: str
    marker: str = "o"
    shift: float = 0.0


Line = tuple[str, tuple[Mark, ...]]
"""A row's name and the marks in it."""


def predictors(comparison: Comparison, key: str, title: str) -> Canvas:
    """Draw one metric of each predictor with its interval, the reference in colour."""
    rows = comparison.rows
    told = "; ".join(f"{row.name} {row.figures[key].number()}" for row in rows)
    canvas = Canvas(f"predictors-{key}", f"{title}, by predictor. {told}.")
    lines: list[Line] = [
        (row.name, (Mark(row.figures[key], BLUE if row.name == comparison.reference else MUTED),))
        for row in rows
    ]
    with canvas.axes(_size(lines)) as axes:
        _lay(axes, lines, title)
    return canvas


def gaps_of(evaluation: Evaluation, key: str) -> list[tuple[str, str, Gap]]:
    """Give column, group and gap of every group whose gap on a metric was computed."""
    return [
        (table.column, row.label, row.gaps[key])
        for table in evaluation.groups
        for row in table.rows
        if key in row.gaps and row.gaps[key].difference.computed
    ]


def gaps(evaluation: Evaluation, key: str, title: str) -> Canvas:
    """Draw each group's gap to everybody else; those that hold after adjustment in colour."""
    found = gaps_of(evaluation, key)
    lines: list[Line] = []
    column = None
    for name, group, gap in found:
        if name != column:
            lines.append((name, ()))
            column = name
        lines.append((f"   {group}", (_gap_mark(evaluation, gap),)))
    sure = sum(_holds(evaluation, gap) for _, _, gap in found)
    label = (
        f"{title}: gaps of {len(found)} groups to everybody else, {sure} of them different "
        "from 0 after adjustment."
    )
    canvas = Canvas(f"gaps-{key}", label)
    with canvas.axes(_size(lines)) as axes:
        axes.axvline(0, color=MUTED, linewidth=1)
        _lay(axes, lines, title)
        axes.plot([], [], "o", color=MUTED, label="within chance")
        if sure:
            axes.plot(
                [], [], "D", color=ORANGE, mfc=PAPER, mew=1.5, label="different after adjustment"
            )
        legend_outside(axes)
    return canvas


def _gap_mark(evaluation: Evaluation, gap: Gap) -> Mark:
    holds = _holds(evaluation, gap)
    return Mark(gap.difference, ORANGE if holds else MUTED, "D" if holds else "o")


def _holds(evaluation: Evaluation, gap: Gap) -> bool:
    return gap.adjusted is not None and gap.adjusted < 1 - evaluation.settings.level


MOVES = (
    ("moved", "mean size of the change", BLUE, "o", -0.16),
    ("change", "mean change", ORANGE, "D", 0.16),
)
"""What of a disturbance is drawn: key, name, colour, mark, shift."""


def shifts(robustness: Robustness) -> Canvas:
    """Draw how far estimates move under each disturbance, and in which direction."""
    rows = [row for row in robustness.shifts if any(row.figures.get(key[0]) for key in MOVES)]
    lines: list[Line] = [
        (
            row.title,
            tuple(
                Mark(row.figures[key], colour, marker, shift)
                for key, _, colour, marker, shift in MOVES
                if key in row.figures
            ),
        )
        for row in rows
    ]
    told = "; ".join(
        f"{row.title} {row.figures['moved'].number()}" for row in rows if "moved" in row.figures
    )
    canvas = Canvas("robustness", f"Mean size of the change of the estimate, points. {told}.")
    with canvas.axes(_size(lines, 0.48)) as axes:
        axes.axvline(0, color=MUTED, linewidth=1)
        _lay(axes, lines, "Points")
        for _, name, colour, marker, _ in MOVES:
            axes.plot([], [], marker, color=colour, mfc=_face(marker, colour), label=name)
        legend_outside(axes)
    return canvas


def _size(lines: Sequence[Line], height: float = 0.36) -> tuple[float, float]:
    return 4.9, 0.8 + height * len(lines)


def _lay(axes: Any, lines: Sequence[Line], title: str) -> None:
    """Draw rows of marks, names at the left."""
    axes.grid(axis="x")
    for place, (_, marks) in enumerate(lines):
        for mark in marks:
            _lying(axes, mark, place)
    axes.set_xlabel(title)
    axes.spines["left"].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_yticks(range(len(lines)), [_short(name) for name, _ in lines])
    for name, label in zip(lines, axes.get_yticklabels(), strict=True):
        label.set_fontweight("normal" if name[1] else "bold")
    axes.set_ylim(len(lines) - 0.5, -0.5)


def _lying(axes: Any, mark: Mark, place: float) -> None:
    """Draw a figure lying in its row, with its interval."""
    figure, colour, height = mark.figure, mark.colour, place + mark.shift
    if figure.value is None:
        axes.text(
            0.02,
            height,
            "not computed",
            transform=axes.get_yaxis_transform(),
            va="center",
            fontsize=8,
            color=MUTED,
        )
        return
    if figure.lower is not None:
        axes.hlines(height, figure.lower, figure.upper, color=colour, linewidth=2.2, alpha=0.65)
    face = _face(mark.marker, colour)
    axes.plot(figure.value, height, mark.marker, color=colour, mfc=face, mew=1.5, markersize=6)


def _face(marker: str, colour: str) -> str:
    return PAPER if marker == "D" else colour


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
