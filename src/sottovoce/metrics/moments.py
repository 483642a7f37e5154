"""First and second moments of two columns on every resample.

Owns the sums that correlation, agreement and regression rest on. Does not know any metric.
"""

from dataclasses import dataclass

import numpy as np

from sottovoce.metrics.bootstrap import average
from sottovoce.metrics.columns import constant, problem
from sottovoce.metrics.figure import Floats

LEAST_ROWS = 3
"""Two points always lie on a line, so their correlation says nothing."""

LEAST_VARIANCE = 1e-12
"""Variance, on columns scaled to 1, below which a resample counts as constant: a mean of squares
minus a squared mean is only exact to about 1e-16."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Means, variances and covariance of two columns, shape (resamples,) each; divided by n.

    A variance too small to be told from rounding is NaN, so that what is divided by it is, too.
    """

    mean_x: Floats
    mean_y: Floats
    variance_x: Floats
    variance_y: Floats
    covariance: Floats


def moments(x: Floats, y: Floats, weights: Floats) -> Moments:
    """Compute the moments of two columns, each about 1 in size, on each resample."""
    mean_x, mean_y = average(x, weights), average(y, weights)
    return Moments(
        mean_x,
        mean_y,
        _told_apart(average(x * x, weights) - mean_x**2),
        _told_apart(average(y * y, weights) - mean_y**2),
        average(x * y, weights) - mean_x * mean_y,
    )


def correlation(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Pearson's r on each resample; NaN where a column does not vary."""
    found = moments(x, y, weights)
    scale = np.sqrt(found.variance_x * found.variance_y)
    return np.clip(found.covariance / scale, -1.0, 1.0)


def centred(true: Floats, predicted: Floats) -> tuple[Floats, Floats, float]:
    """Shift both columns by the mean of the first and scale both to about 1, against rounding.

    Returns
    -------
    x, y, unit
        The columns, and what 1 of them is in the columns as given.
    """
    shift = float(true.mean())
    x, y = true - shift, predicted - shift
    unit = float(max(np.abs(x).max(), np.abs(y).max()))
    return x / unit, y / unit, unit


def no_line(true: Floats, predicted: Floats) -> str | None:
    """Say why no line can be laid through two columns, or None when one can."""
    if reason := problem(true, predicted):
        return reason
    if len(true) < LEAST_ROWS:
        return f"{len(true)} rows, at least {LEAST_ROWS} are needed"
    for column, name in ((true, "questionnaire totals"), (predicted, "estimates")):
        if constant(column):
            return f"the {name} are all the same"
    return None


def _told_apart(variance: Floats) -> Floats:
    with np.errstate(invalid="ignore"):
        return np.where(variance > LEAST_VARIANCE, variance, np.nan)
