"""Area under the ROC curve. Owns the one figure; does not know instruments or files."""

import dataclasses

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sottovoce.metrics.bootstrap import Resamples, measured
from sottovoce.metrics.columns import floats, problem
from sottovoce.metrics.figure import Figure, Floats

LEAST_OF_A_CLASS = 5
"""Fewest rows of either class for an interval: with 5 there are 126 different resamples of them,
with 4 only 35, and the interval is then narrower than what is known."""


def auc(positive: ArrayLike, scores: ArrayLike, resamples: Resamples | None = None) -> Figure:
    """Area under the ROC curve: the chance that a case scores above a non-case.

    The Mann-Whitney form; a tie counts one half, so a constant score has 0.5.

    Parameters
    ----------
    positive
        Whether each row is a case, shape (n,), true or false.
    scores
        What ranks the rows, shape (n,), in any unit.
    resamples
        Draws for the interval.

    References
    ----------
    Hanley, McNeil 1982, doi:10.1148/radiology.143.1.7063747.

    Examples
    --------
    >>> auc([False, False, True, True], [1, 3, 3, 9]).value
    0.875
    >>> auc([True, True], [1, 2]).text()
    'not computed: one class only (2 of 2 rows are positive)'
    """
    cases, ranks = floats(positive), floats(scores)
    if reason := no_auc(cases, ranks):
        return Figure.missing(reason, n=len(cases))
    chosen = cases != 0
    statistic = _Ranking(chosen, ranks)
    figure = measured(statistic.area, len(chosen), None)
    assert figure.value is not None
    if resamples is None:
        return figure
    if reason := no_interval(min(int(chosen.sum()), int((~chosen).sum())), figure.value):
        return dataclasses.replace(figure, reason=reason)
    return measured(statistic.area, len(chosen), resamples)


def no_auc(cases: Floats, ranks: Floats) -> str | None:
    """Say why there is no AUC, or None when there is one."""
    if reason := problem(cases, ranks):
        return reason
    positives = int((cases != 0).sum())
    if positives in (0, len(cases)):
        return f"one class only ({positives} of {len(cases)} rows are positive)"
    return None


def no_interval(smaller: int, area: float) -> str | None:
    """Say why an AUC has no interval, with so many of the smaller class, or None when it may."""
    if smaller < LEAST_OF_A_CLASS:
        return f"no interval: fewer than {LEAST_OF_A_CLASS} in the smaller class"
    if area in (0.0, 1.0):
        return "no interval: the classes are wholly apart"
    return None


class _Ranking:
    """Rows in the order of their scores, with where each one's ties begin and end."""

    __slots__ = ("_first", "_last", "_order", "_positive")

    def __init__(self, positive: NDArray[np.bool_], scores: Floats) -> None:
        self._order = np.argsort(scores, kind="stable")
        ordered = scores[self._order]
        self._positive = positive[self._order]
        cases = ordered[self._positive]
        others = ordered[~self._positive]
        self._first = np.searchsorted(others, cases, side="left")
        self._last = np.searchsorted(others, cases, side="right")

    def area(self, weights: Floats) -> Floats:
        """Give the AUC of each resample; NaN where one class was not drawn."""
        ordered = weights[:, self._order]
        cases, others = ordered[:, self._positive], ordered[:, ~self._positive]
        below = np.zeros((len(weights), others.shape[1] + 1))
        np.cumsum(others, axis=1, out=below[:, 1:])
        wins = (cases * (below[:, self._first] + below[:, self._last])).sum(axis=1) / 2
        pairs = cases.sum(axis=1) * below[:, -1]
        areas: Floats = np.full(len(weights), np.nan)
        np.divide(wins, pairs, out=areas, where=pairs > 0)
        return areas
