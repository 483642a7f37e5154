"""The study's published numbers beside a run's.

Owns the numbers and the warning that goes with them. Does not judge: without intervals, and on
other people, a difference says nothing by itself.

References
----------
Tieleman, Zhu, Su, Bell, Hull, Stamatis 2026, Fine-tuning LLMs for Passive Depression Severity
Estimation from AI Mental Health Dialogue, arXiv 2606.17973 (preprint), abstract.
"""

import math

import numpy as np

from sottovoce.evaluation import Evaluation
from sottovoce.evaluation.record import auc_key, metric_title
from sottovoce.instruments import PHQ_9
from sottovoce.metrics import Figure
from sottovoce.report.content import Report
from sottovoce.report.results import level_of
from sottovoce.report.section import Section, Words
from sottovoce.report.table import Cell, Column, Row, Table

CITATION = "Tieleman et al. 2026, arXiv 2606.17973 (preprint)"
PEOPLE, MAE, RMSE, R, AUC = 842, 2.6, 4.0, 0.80, 0.91
LOWEST_AUC, LOWEST_CUT_OFF, HIGHEST_CUT_OFF = 0.87, 3, 24
"""As its abstract has them: held-out people of one app, and an AUC above `LOWEST_AUC` at every
cut-off of the range."""


def derived_sd() -> float:
    """Give the sd of the study's totals that its r and RMSE imply, in points.

    RMSE² = sd² (1 - r²) when estimates are calibrated: unbiased, with slope 1. The abstract gives
    no sd, and does not say that they are.
    """
    return RMSE / math.sqrt(1 - R**2)


def beside_the_study(report: Report) -> Section | None:
    """Set a run beside the study; nothing for another questionnaire or where nothing is computed.

    Parameters
    ----------
    report
        Its evaluation's figures are the run's.
    """
    evaluation = report.evaluation
    if evaluation.instrument.key != PHQ_9.key or not evaluation.figures["mae"].computed:
        return None
    caption = (
        f"The study: {CITATION}; it publishes no intervals. This run: with "
        f"{level_of(evaluation)} intervals, n = {evaluation.n_scored}."
    )
    columns = (Column("study", "The study"), Column("run", "This run"))
    table = Table(
        "study", "Beside the study", caption, "Measure", columns, _rows(evaluation), "inline"
    )
    warning = (
        "A difference between the two columns says nothing by itself: other people, another app, "
        "other conversations and other ways of asking for the questionnaire. Totals that spread "
        "more make r and AUC higher and errors larger, and totals that spread less the reverse, "
        "for the same model."
    )
    words = Words(
        "How does this compare with the study whose method the software follows? " + warning
    )
    return Section("study", "Beside the published study", "The study", (words, table))


def _rows(evaluation: Evaluation) -> tuple[Row, ...]:
    figures = evaluation.figures
    screening = auc_key(evaluation.instrument.screening_cut_off)
    published = {"mae": MAE, "rmse": RMSE, "r": R, screening: AUC}
    rows = [Row("People", (PEOPLE, evaluation.n_people), key="people")]
    rows += [
        Row(metric_title(key), (value, figures[key]), key=key)
        for key, value in published.items()
        if key in figures
    ]
    rows.append(
        Row(
            f"Lowest AUC, cut-offs {LOWEST_CUT_OFF} to {HIGHEST_CUT_OFF}",
            (f"above {LOWEST_AUC}", _lowest(evaluation)),
            key="lowest_auc",
        )
    )
    note = (
        "the study's is derived from its r and RMSE as if its estimates were calibrated; it "
        "publishes none",
    )
    rows.append(
        Row("Spread (sd) of the totals, points", (derived_sd(), _sd(evaluation)), note, key="sd")
    )
    return tuple(rows)


def _lowest(evaluation: Evaluation) -> Cell:
    """Give the lowest AUC over the study's cut-offs, where every one of them was computed."""
    found = [
        row.auc for row in evaluation.cut_offs if LOWEST_CUT_OFF <= row.cut_off <= HIGHEST_CUT_OFF
    ]
    missing = sum(not figure.computed for figure in found)
    if missing or not found:
        return Figure.missing(f"{missing} of the cut-offs have no AUC", n=evaluation.n_scored)
    return min(found, key=lambda figure: figure.value or 0.0)


def _sd(evaluation: Evaluation) -> Cell:
    points = evaluation.points
    return None if points is None else float(np.std(points.total, ddof=1))
