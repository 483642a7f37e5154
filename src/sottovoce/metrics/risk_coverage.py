"""Error against the share that is still scored. Owns the curve and its area.

Does not know what says how sure an estimate is, nor instruments or files.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sottovoce.metrics.bootstrap import Resamples, measured
from sottovoce.metrics.columns import floats, problem
from sottovoce.metrics.figure import Figure, Floats


def aurc(errors: ArrayLike, doubt: ArrayLike, resamples: Resamples | None = None) -> Figure:
    """Area under the risk-coverage curve: the mean error of the surest k rows, averaged over k.

    Below the mean error of all rows the doubt is good for something; at it, leaving out the most
    doubtful is no better than leaving out anybody. Rows of equal doubt count in every order.

    Parameters
    ----------
    errors
        Absolute error of each row in points, shape (n,).
    doubt
        How unsure each estimate is, shape (n,), in any unit; the least is the surest.
    resamples
        Draws for the interval.

    References
    ----------
    Geifman, Uziel, El-Yaniv 2019, Bias-reduced uncertainty estimation for deep neural
    classifiers, arXiv:1805.08206, section 3. El-Yaniv, Wiener 2010, JMLR 11:1605.

    Examples
    --------
    >>> aurc([1, 2, 6], [0.1, 0.2, 0.9]).number(), aurc([1, 2, 6], [1, 1, 1]).number()
    ('1.83', '3.00')
    """
    risk, unsure = floats(errors), floats(doubt)
    if reason := problem(risk, unsure):
        return Figure.missing(reason, n=len(risk))
    order = np.argsort(unsure, kind="stable")
    _, place = np.unique(unsure[order], return_inverse=True)
    ordered = risk[order]

    def area(weights: Floats) -> Floats:
        drawn = weights[:, order].astype(np.intp)
        areas: Floats = np.array([_area(ordered, place, counts) for counts in drawn])
        return areas

    return measured(area, len(risk), resamples)


def risk_curve(errors: ArrayLike, doubt: ArrayLike) -> Floats:
    """Give the mean error of the surest 1, 2, ..., n rows, shape (n,).

    Parameters
    ----------
    errors, doubt
        As of `aurc`, finite.

    Examples
    --------
    >>> risk_curve([6, 1, 2], [0.9, 0.1, 0.2]).tolist()
    [1.0, 1.5, 3.0]
    """
    risk, unsure = floats(errors), floats(doubt)
    order = np.argsort(unsure, kind="stable")
    _, place = np.unique(unsure[order], return_inverse=True)
    return _curve(risk[order], place)


def _area(ordered: Floats, place: NDArray[np.intp], counts: NDArray[np.intp]) -> float:
    repeated = np.repeat(np.arange(len(ordered)), counts)
    if len(repeated) == 0:
        return np.nan
    return float(_curve(ordered[repeated], place[repeated]).mean())


def _curve(ordered: Floats, place: NDArray[np.intp]) -> Floats:
    """Mean error so far; within a tie each row counts as the tie's mean, as in a random order."""
    sums = np.bincount(place, weights=ordered)
    sizes = np.maximum(np.bincount(place), 1)
    return np.cumsum((sums / sizes)[place]) / np.arange(1, len(ordered) + 1)
