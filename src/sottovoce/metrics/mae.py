"""Mean absolute error. Owns the one figure; does not know instruments or files."""

import numpy as np
from numpy.typing import ArrayLike

from sottovoce.metrics.bootstrap import Resamples, average, measured
from sottovoce.metrics.columns import floats, problem
from sottovoce.metrics.figure import Figure


def mae(y_true: ArrayLike, y_pred: ArrayLike, resamples: Resamples | None = None) -> Figure:
    """Mean absolute error: by how many points an estimate is off, on average.

    Parameters
    ----------
    y_true, y_pred
        Questionnaire totals and estimates in points, shape (n,).
    resamples
        Draws for the interval.

    References
    ----------
    Willmott, Matsuura 2005, doi:10.3354/cr030079.

    Examples
    --------
    >>> mae([4, 10, 18], [6, 10, 17]).value
    1.0
    """
    true, predicted = floats(y_true), floats(y_pred)
    if reason := problem(true, predicted):
        return Figure.missing(reason, n=len(true))
    errors = np.abs(predicted - true)
    return measured(lambda weights: average(errors, weights), len(true), resamples)
