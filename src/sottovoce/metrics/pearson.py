"""Pearson's correlation. Owns the one figure; does not know instruments or files."""

import numpy as np
from numpy.typing import ArrayLike

from sottovoce.metrics.bootstrap import Resamples, average, measured
from sottovoce.metrics.columns import constant, floats, problem
from sottovoce.metrics.figure import Figure, Floats

LEAST_ROWS = 3
"""Two points always lie on a line, so their correlation says nothing."""

LEAST_VARIANCE = 1e-12
"""Variance, on columns scaled to 1, below which a resample counts as constant: a mean of squares
minus a squared mean is only exact to about 1e-16."""


def pearson(y_true: ArrayLike, y_pred: ArrayLike, resamples: Resamples | None = None) -> Figure:
    """Pearson's r: how well estimates put people in line, whatever their level and scale.

    Parameters
    ----------
    y_true, y_pred
        Questionnaire totals and estimates in points, shape (n,).
    resamples
        Draws for the interval.

    References
    ----------
    Pearson 1895, doi:10.1098/rspl.1895.0041.

    Examples
    --------
    >>> pearson([4, 10, 18], [6, 12, 20]).number()
    '1.00'
    >>> pearson([4, 10, 18], [9, 9, 9]).text()
    'not computed: the estimates are all the same'
    """
    true, predicted = floats(y_true), floats(y_pred)
    if reason := problem(true, predicted) or _flat(true, predicted):
        return Figure.missing(reason, n=len(true))
    x, y = (column - column.mean() for column in (true, predicted))
    x, y = x / np.abs(x).max(), y / np.abs(y).max()
    return measured(lambda weights: _correlation(x, y, weights), len(true), resamples)


def _flat(true: Floats, predicted: Floats) -> str | None:
    if len(true) < LEAST_ROWS:
        return f"{len(true)} rows, at least {LEAST_ROWS} are needed"
    for column, name in ((true, "questionnaire totals"), (predicted, "estimates")):
        if constant(column):
            return f"the {name} are all the same"
    return None


def _correlation(x: Floats, y: Floats, weights: Floats) -> Floats:
    mean_x, mean_y = average(x, weights), average(y, weights)
    spread_x = average(x * x, weights) - mean_x**2
    spread_y = average(y * y, weights) - mean_y**2
    together = average(x * y, weights) - mean_x * mean_y
    with np.errstate(invalid="ignore"):
        varied = (spread_x > LEAST_VARIANCE) & (spread_y > LEAST_VARIANCE)
    scale = np.sqrt(np.where(varied, spread_x * spread_y, 1.0))
    return np.where(varied, np.clip(together / scale, -1.0, 1.0), np.nan)
