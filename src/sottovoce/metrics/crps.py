"""Score of a whole predictive distribution. Owns the one figure; knows no instrument, no file."""

import numpy as np
from numpy.typing import ArrayLike

from sottovoce.errors import DataError
from sottovoce.metrics.bootstrap import BLOCK, Resamples, average, measured
from sottovoce.metrics.columns import LARGEST, floats, problem
from sottovoce.metrics.figure import Figure, Floats


def crps(y_true: ArrayLike, samples: ArrayLike, resamples: Resamples | None = None) -> Figure:
    """Continuous ranked probability score, in points: the absolute error of a distribution.

    Mean distance from the predicted distribution to the questionnaire, minus half the mean
    distance within the distribution. A distribution of one point has the absolute error; smaller
    is better, and neither too wide nor too narrow pays.

    Parameters
    ----------
    y_true
        Questionnaire totals in points, shape (n,).
    samples
        Each row's predictive distribution as m equally likely totals, shape (n, m).
    resamples
        Draws for the interval.

    References
    ----------
    Gneiting, Raftery 2007, doi:10.1198/016214506000001437, equation 21.

    Examples
    --------
    >>> crps([4, 10], [[4, 8], [10, 10]]).value
    0.5
    """
    true = floats(y_true)
    drawn = np.asarray(samples, dtype=np.float64)
    if drawn.ndim != 2 or len(drawn) != len(true) or drawn.shape[1] == 0:
        raise DataError(
            "the predictive distributions are not one row of numbers per total",
            fix="give an array of shape (rows, samples)",
        )
    if reason := problem(true):
        return Figure.missing(reason, n=len(true))
    with np.errstate(invalid="ignore"):
        broken = int((~(np.abs(drawn) <= LARGEST)).any(axis=1).sum())
    if broken:
        reason = f"{broken} of {len(true)} rows hold a distribution that is not of finite numbers"
        return Figure.missing(reason, n=len(true))
    scores = _scores(true, drawn)
    return measured(lambda weights: average(scores, weights), len(true), resamples)


def _scores(true: Floats, samples: Floats) -> Floats:
    """Give each row's score, some rows at a time so that memory stays small.

    Half the mean distance between two of m ordered numbers is the sum of (2i - m - 1) x_i over
    the square of m, i from 1.
    """
    n, m = samples.shape
    ranks = (2 * np.arange(1, m + 1) - m - 1) / m**2
    step = max(1, BLOCK // m)
    scores = np.empty(n)
    for start in range(0, n, step):
        rows = slice(start, start + step)
        ordered = np.sort(samples[rows], axis=1)
        distance = np.abs(ordered - true[rows, np.newaxis]).mean(axis=1)
        scores[rows] = distance - ordered @ ranks
    return scores
