"""Pearson's correlation. Owns the one figure; does not know instruments or files."""

import numpy as np
from numpy.typing import ArrayLike

from sottovoce.metrics.bootstrap import Resamples, measured
from sottovoce.metrics.columns import floats
from sottovoce.metrics.figure import Figure
from sottovoce.metrics.moments import correlation, no_line


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
    if reason := no_line(true, predicted):
        return Figure.missing(reason, n=len(true))
    x, y = (column - column.mean() for column in (true, predicted))
    x, y = x / np.abs(x).max(), y / np.abs(y).max()
    return measured(lambda weights: correlation(x, y, weights), len(true), resamples)
