"""An evaluation as tables in a terminal of 100 columns.

Owns what `sottovoce evaluate` prints. Does not compute anything.
"""

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING, Literal

from rich import box
from rich.table import Table

from sottovoce.cli.console import stdout

if TYPE_CHECKING:
    from sottovoce.evaluation import CutOffRow, Evaluation, GroupRow, GroupTable, Pairing
    from sottovoce.metrics import Figure


def print_tables(evaluation: "Evaluation", pairing: "Pairing") -> None:
    """Print the result: all metrics, tables by severity, cut-off and group, who is not counted."""
    console = stdout()
    for part in _parts(evaluation):
        if isinstance(part, Table):
            console.print(part)
        else:
            console.print(part, markup=False, soft_wrap=True)
    for title, reasons in (
        ("Abstained", evaluation.abstentions),
        ("Questionnaires without an estimate", pairing.unmatched_labels),
        ("Estimates without a questionnaire", pairing.unmatched_scores),
    ):
        for reason, count in reasons.items():
            console.print(f"{title}: {count}, {reason}", markup=False)
    for note in evaluation.notes:
        console.print(note, markup=False)


def _parts(evaluation: "Evaluation") -> Iterator[Table | str]:
    """Give tables and sentences in the order in which they are read."""
    yield _metric_table(evaluation)
    yield from _reasons(evaluation)
    if evaluation.risk_coverage is not None:
        yield f"Left out first: the least sure by {evaluation.risk_coverage.order}."
    if evaluation.bands:
        yield _band_table(evaluation)
    if any(row.auc.computed for row in evaluation.cut_offs):
        yield _cut_off_table(evaluation)
    if any(row.counts for row in evaluation.thresholds):
        yield _threshold_table(evaluation)
    if any(curve.figures["brier"].computed for curve in evaluation.reliability):
        yield _probability_table(evaluation)
    for groups in evaluation.groups:
        yield _group_table(groups, evaluation)
    if evaluation.groups:
        yield (
            "Gap: the group minus everybody else. p: permutation of people, adjusted over all gaps "
            "(Holm)."
        )


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for number, name in enumerate(columns):
        side: Literal["left", "right"] = "right" if number else "left"
        table.add_column(name, justify=side, no_wrap=number > 0, overflow="fold")
    return table


def _stacked(figure: "Figure | None", *, sign: bool = False) -> str:
    """Write a figure with its interval beneath; nothing for a figure that does not apply."""
    if figure is None:
        return ""
    return f"{figure.number(sign=sign)}\n{figure.interval(sign=sign)}".strip()


def _metric_table(evaluation: "Evaluation") -> Table:
    from sottovoce.evaluation.record import metric_title

    table = _table(
        f"{evaluation.instrument.title}: {evaluation.n_scored} scored of "
        f"{evaluation.n_rows} pairs, {evaluation.n_people} people",
        *("Metric", "Value", f"{evaluation.settings.level:.0%} interval", "n"),
    )
    for key, figure in evaluation.figures.items():
        table.add_row(metric_title(key), figure.number(), figure.interval(), str(figure.n))
    return table


def _reasons(evaluation: "Evaluation") -> Iterator[str]:
    """Say once for each reason which metrics, or only their intervals, are missing for it."""
    missing: dict[str, list[str]] = {}
    for key, figure in evaluation.figures.items():
        if figure.reason:
            reason = figure.reason if figure.computed else f"not computed: {figure.reason}"
            missing.setdefault(reason, []).append(key)
    for reason, keys in missing.items():
        yield f"{', '.join(keys)}: {reason}"


def _band_table(evaluation: "Evaluation") -> Table:
    table = _table("Error by severity band", "Band", "n", "MAE", "Bias", "Coverage")
    for row in evaluation.bands:
        cells = [_stacked(row.figures.get(key)) for key in ("mae", "bias", "coverage")]
        name = f"{row.band} ({row.lower}–{row.upper})"
        table.add_row(name, str(row.n - row.abstained), *cells)
    return table


def _cut_off_table(evaluation: "Evaluation") -> Table:
    """Lay the cut-offs out in two columns: a page then holds all of them."""
    title = f"AUC at every cut-off, DeLong's intervals, n = {evaluation.n_scored}"
    names = ("Total", "Positives", "AUC", "Interval")
    table = _table(title, *names, "", *names)
    half = (len(evaluation.cut_offs) + 1) // 2
    sides = evaluation.cut_offs[:half], evaluation.cut_offs[half:]
    for left, right in zip_longest(*sides):
        table.add_row(*_cut_off_cells(left), "", *_cut_off_cells(right))
    return table


def _cut_off_cells(row: "CutOffRow | None") -> Sequence[str]:
    if row is None:
        return ("",) * 4
    return f"≥ {row.cut_off}", str(row.positives), row.auc.number(), row.auc.interval()


def _threshold_table(evaluation: "Evaluation") -> Table:
    cut_off = evaluation.instrument.screening_cut_off
    table = _table(
        f"Called a case at or above a threshold; a case is a total of {cut_off} or more",
        *("Threshold", "Points", "Sensitivity", "Specificity", "PPV", "NPV"),
    )
    for row in evaluation.thresholds:
        points = "–" if row.threshold is None else f"{row.threshold:.1f}"
        reason = next((each.reason for each in row.figures.values() if not each.computed), None)
        name = row.chosen if reason is None else f"{row.chosen}\n({reason})"
        table.add_row(name, points, *(_stacked(figure) for figure in row.figures.values()))
    return table


def _probability_table(evaluation: "Evaluation") -> Table:
    table = _table(
        "Do the probabilities come true?",
        *("P(total ≥ k)", "n", "Calibration error", "Brier score", "Interval"),
    )
    for curve in evaluation.reliability:
        error, score = curve.figures["ece"], curve.figures["brier"]
        cells = (error.number(3), score.number(3), score.interval(3))
        table.add_row(f"≥ {curve.cut_off}", str(score.n), *cells)
    return table


def _group_table(groups: "GroupTable", evaluation: "Evaluation") -> Table:
    cut_off = evaluation.instrument.screening_cut_off
    title = f"By {groups.column}" + (f" ({groups.note})" if groups.note else "")
    missed = f"Missed ≥ {cut_off}"
    table = _table(title, "Group", "People", missed, "Gap", "p", "MAE", "Gap", "p")
    for row in groups.rows:
        table.add_row(row.label, *_group_cells(row))
    return table


def _group_cells(row: "GroupRow") -> Iterator[str]:
    if row.people is None:
        yield "hidden"
        return
    yield str(row.people)
    for key in ("fnr", "mae"):
        gap = row.gaps[key]
        yield _stacked(row.figures[key])
        yield _stacked(gap.difference, sign=True)
        yield "–" if gap.adjusted is None else f"{gap.adjusted:.3f}"
