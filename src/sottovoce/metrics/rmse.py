"""Root mean squared error. Owns the one figure; does not know instruments or files."""

import numpy as np
from numpy.typing import ArrayLike

from sottovoce.metrics.bootstrap import Resamples, average, measured
from sottovoce.metrics.columns import floats, problem
from sottovoce.metrics.figure import Figure


def rmse(y_true: ArrayLike, y_pred: ArrayLike, resamples: Resamples | None = None) -> Figure:
    """Root mean squared error: as the mean absolute error, with large misses weighing more.

    Parameters
    ----------
    y_true, y_pred
        Questionnaire totals and estimates in points, shape (n,).
    resamples
        Draws for the interval.

    References
    ----------
    Chai, Draxler 2014, doi:10.5194/gmd-7-1247-2014.

    Examples
    --------
    >>> rmse([4, 10], [7, 14]).number(3)
    '3.536'
    """
    true, predicted = floats(y_true), floats(y_pred)
    if reason := problem(true, predicted):
        return Figure.missing(reason, n=len(true))
    squares = (predicted - true) ** 2
    return measured(lambda weights: np.sqrt(average(squares, weights)), len(true), resamples)
