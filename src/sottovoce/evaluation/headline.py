"""Which metrics a table shows, overall, in a severity band and in a group of people.

Owns the choice and the order. Does not know the metrics' arithmetic (`metrics`) nor the gate
through which rows go (`table`).
"""

from collections.abc import Callable
from functools import partial

import numpy as np

from sottovoce.evaluation.certainty import UNSURE, doubt_of
from sottovoce.evaluation.record import auc_key
from sottovoce.evaluation.table import Rows, Table
from sottovoce.metrics import (
    Figure,
    Resamples,
    aurc,
    bias,
    ccc,
    corrected_pearson,
    coverage,
    crps,
    delong,
    error_slope,
    fnr,
    mae,
    pearson,
    qwk,
    r2,
    rmse,
    slope,
    spearman,
    width,
)
from sottovoce.metrics.figure import Floats

NO_DISTRIBUTION = "the predictive distribution is not given"


def errors(table: Table, rows: Rows) -> dict[str, Figure]:
    """Error and interval on some rows: what also makes sense within a band."""
    score = table.predictions.score
    figures = {
        "mae": table.measure(mae, rows, table.total, score),
        "rmse": table.measure(rmse, rows, table.total, score),
        "bias": table.measure(bias, rows, table.total, score),
    }
    return figures | intervals(table, rows)


def intervals(table: Table, rows: Rows) -> dict[str, Figure]:
    """Coverage and width of the prediction intervals on some rows; nothing without intervals."""
    lower, upper = table.predictions.lower, table.predictions.upper
    if lower is None or upper is None:
        return {}
    covered = table.measure(coverage, rows, table.total, lower, upper)
    if table.nominal is None and (rows & table.scored).any():
        covered = Figure.missing("the intervals have different nominal coverages")
    return {"coverage": covered, "width": table.measure(width, rows, lower, upper)}


def headline(table: Table) -> dict[str, Figure]:
    """Every metric on all rows, in the order in which tables show them."""
    rows, score, used = table.everybody, table.predictions.score, table.instrument
    screening = used.screening_cut_off
    on_points: dict[str, Callable[..., Figure]] = {
        "rmse": rmse,
        "bias": bias,
        "r": pearson,
        "spearman": spearman,
        "ccc": ccc,
        "r_corrected": partial(_corrected, used.alpha),
        "slope": slope,
        "error_slope": error_slope,
        "r2": r2,
    }
    figures = {"mae": table.measure(mae, rows, table.total, score)}
    if table.predictions.abstained.any():
        figures["mae_all"] = _mae_of_all(table)
    figures |= {
        key: table.measure(metric, rows, table.total, score) for key, metric in on_points.items()
    }
    bands = _band_numbers(table, table.total), _band_numbers(table, score)
    figures |= {
        auc_key(screening): cut(table, screening, rows),
        "qwk": table.measure(qwk, rows, *bands),
        "crps": _crps(table),
        "aurc": _aurc(table),
    }
    return figures | intervals(table, rows)


def of_group(table: Table, rows: Rows) -> dict[str, Figure]:
    """Give the few metrics that groups are compared on; the rate of missed cases comes first."""
    score, screening = table.predictions.score, table.instrument.screening_cut_off
    figures = {
        "fnr": missed(table, rows),
        "mae": table.measure(mae, rows, table.total, score),
        "bias": table.measure(bias, rows, table.total, score),
        "r": table.measure(pearson, rows, table.total, score),
        auc_key(screening): cut(table, screening, rows),
    }
    found = intervals(table, rows)
    return figures | {key: found[key] for key in ("coverage",) if key in found}


def missed(table: Table, rows: Rows) -> Figure:
    """Give the false-negative rate at the screening cut-off on some rows.

    A person on whom the model abstained is not counted as missed: abstentions have a column. How
    many cases there are is not told where they are too few: that is a small cell, too.
    """
    screening = table.instrument.screening_cut_off
    positive = table.positive(screening)
    cases = rows & table.scored & (positive != 0)
    minimum = table.settings.minimum
    if table.people(cases) < minimum and not table.stopped(rows):
        # how many is a small cell, too, and is not told
        return Figure.missing(f"fewer than {minimum} people at or above {screening}")
    return table.measure(fnr, rows, positive, table.called(screening))


def cut(table: Table, cut_off: int, rows: Rows) -> Figure:
    """Tell totals at and above a cut-off from lower ones, on some rows."""
    return table.measure(_area, rows, table.positive(cut_off), table.predictions.score)


def _area(positive: Floats, scores: Floats, resamples: Resamples) -> Figure:
    return delong(positive, scores, resamples.person, resamples.level)


def _corrected(alpha: float, total: Floats, score: Floats, resamples: Resamples) -> Figure:
    return corrected_pearson(total, score, alpha, resamples)


def _mae_of_all(table: Table) -> Figure:
    """Give the MAE when whoever the model abstained on gets the mean of its scores.

    That is what is left to somebody who must have a number, and it knows no questionnaire.
    """
    score, scored = table.predictions.score, table.scored
    if reason := table.stopped(table.everybody):
        return Figure.missing(reason, n=len(score))
    filled = np.where(scored, score, score[scored].mean())
    return mae(table.total, filled, table.resamples)


def _band_numbers(table: Table, points: Floats) -> Floats:
    """Give the number of each row's severity band, rounding half up as `Instrument.band` does."""
    lowest = [band.lower for band in table.instrument.bands]
    numbers = np.searchsorted(lowest, np.floor(points + 0.5), side="right") - 1.0
    return np.where(np.isnan(points), np.nan, np.maximum(numbers, 0.0))


def _crps(table: Table) -> Figure:
    samples = table.predictions.samples
    if samples is None:
        reason = table.stopped(table.everybody) or NO_DISTRIBUTION
        return Figure.missing(reason, n=int(table.scored.sum()))
    inside = np.clip(samples, table.instrument.minimum, table.instrument.maximum)
    return table.measure(crps, table.everybody, table.total, inside)


def _aurc(table: Table) -> Figure:
    doubt = doubt_of(table)
    if doubt is None:
        reason = table.stopped(table.everybody) or UNSURE
        return Figure.missing(reason, n=int(table.scored.sum()))
    distance = np.abs(table.predictions.score - table.total)
    return table.measure(aurc, table.everybody, distance, doubt.amount)
