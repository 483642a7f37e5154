"""Spearman's rank correlation. Owns the one figure; does not know instruments or files."""

import numpy as np
from numpy.typing import ArrayLike

from sottovoce.metrics.bootstrap import Resamples, measured
from sottovoce.metrics.columns import floats
from sottovoce.metrics.figure import Figure, Floats
from sottovoce.metrics.moments import LEAST_VARIANCE, no_line


def spearman(y_true: ArrayLike, y_pred: ArrayLike, resamples: Resamples | None = None) -> Figure:
    """Spearman's r: Pearson's r of the ranks, which large misses and bent scales do not move.

    Ties share the middle of their ranks. Every resample is ranked anew: a row that is drawn twice
    ties with itself.

    Parameters
    ----------
    y_true, y_pred
        Questionnaire totals and estimates in points, shape (n,).
    resamples
        Draws for the interval.

    References
    ----------
    Spearman 1904, doi:10.2307/1412159.

    Examples
    --------
    >>> spearman([4, 10, 18, 27], [1, 2, 9, 5]).number()
    '0.80'
    """
    true, predicted = floats(y_true), floats(y_pred)
    if reason := no_line(true, predicted):
        return Figure.missing(reason, n=len(true))
    first, second = _Ranks(true), _Ranks(predicted)
    return measured(lambda weights: _correlation(first, second, weights), len(true), resamples)


class _Ranks:
    """A column as the order of its different values."""

    __slots__ = ("_ends", "_order", "_place")

    def __init__(self, column: Floats) -> None:
        self._order = np.argsort(column, kind="stable")
        _, starts, self._place = np.unique(column, return_index=True, return_inverse=True)
        counts = np.bincount(self._place, minlength=len(starts))
        self._ends = np.cumsum(counts)

    def middle(self, weights: Floats) -> Floats:
        """Give each row's midrank among the drawn rows, from -1/2 to 1/2 and 0 on average.

        The weight below a value plus half of its own: the midrank of all its copies, less one
        half, over the number of rows.
        """
        reached = np.zeros((len(weights), len(self._ends) + 1))
        reached[:, 1:] = np.cumsum(weights[:, self._order], axis=1)[:, self._ends - 1]
        drawn = np.where(reached[:, -1:] > 0, reached[:, -1:], 1.0)
        middles = (reached[:, :-1] + reached[:, 1:]) / (2 * drawn) - 0.5
        ranks: Floats = middles[:, self._place]
        return ranks


def _correlation(first: _Ranks, second: _Ranks, weights: Floats) -> Floats:
    """Correlate the ranks of each resample; the mean of midranks is 0, whatever was drawn."""
    x, y = first.middle(weights), second.middle(weights)
    drawn = weights.sum(axis=1)
    drawn = np.where(drawn > 0, drawn, 1.0)
    spread = (weights * x * x).sum(axis=1) / drawn, (weights * y * y).sum(axis=1) / drawn
    varied = (spread[0] > LEAST_VARIANCE) & (spread[1] > LEAST_VARIANCE)
    scale = np.sqrt(np.where(varied, spread[0] * spread[1], 1.0))
    together = (weights * x * y).sum(axis=1) / drawn
    return np.where(varied, np.clip(together / scale, -1.0, 1.0), np.nan)
