"""How members' scores become one: weights on the simplex, and what disagreement says of the error.

Owns the arithmetic over arrays of out-of-fold scores: least squares with weights that are not
negative and sum to one, the spread of the members, the choice between one width and a width that
follows the spread, and all of it again without each fold. Does not know estimators, text or files.

References
----------
Breiman 1996, Stacked regressions, doi:10.1007/BF00117832: weights that are not negative, learnt
on cross-validated scores, keep a combination from losing to its best member.
Lawson, Hanson 1974, Solving least squares problems, chapter 23: least squares under constraints
as one problem of non-negative least squares.
Gneiting, Raftery 2007, doi:10.1198/016214506000001437, section 6.2: the interval score.
Lei, G'Sell, Rinaldo, Tibshirani, Wasserman 2018, doi:10.1080/01621459.2017.1307116, section 5.2:
conformal intervals of locally weighted residuals.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sottovoce.conformal import PredictiveDistribution
from sottovoce.errors import DataError
from sottovoce.instruments import Instrument

Array = npt.NDArray[np.float64]
Weighting = Literal["learnt", "equal"]

SHARES: tuple[float, ...] = (0.0, 0.25, 0.5, 0.75)
"""How much of an interval's width may follow the disagreement; 0 is one width for everybody. Not
1: members that happen to agree would claim to be certain. Our choice, not a published one."""

FEWEST_FOLDS = 3
"""Without one fold there must be two left, one to learn from and one to measure on."""


@dataclass(frozen=True, slots=True)
class Question:
    """What a combination is for.

    Parameters
    ----------
    instrument
        Bounds the intervals.
    coverage
        At which the two kinds of interval are compared, 0 to 1.
    weighting
        ``learnt`` on the members' out-of-fold scores, or ``equal``.
    """

    instrument: Instrument
    coverage: float = 0.9
    weighting: Weighting = "learnt"


@dataclass(frozen=True, slots=True)
class Combination:
    """Weights of the members and the errors of their combination.

    Parameters
    ----------
    weights
        One for each member, not negative, sum 1, shape (k,).
    share
        How much of the interval's width follows the disagreement, 0 to below 1.
    typical
        Mean disagreement of the training people, in points; a width of 1 belongs to it.
    residuals
        Total minus score of weights that were learnt without the person's fold, divided by the
        width at the person's disagreement; points, ascending, shape (n,).
    interval_scores
        Mean interval score out of fold, in points, for each share tried; lower is better.
    """

    weights: Array
    share: float
    typical: float
    residuals: Array
    interval_scores: Mapping[float, float]

    def score(self, points: Array) -> Array:
        """Combine members' scores, shape (n, k), in points, shape (n,)."""
        return _combined(points, self.weights)

    def distribution(self, points: Array) -> PredictiveDistribution:
        """Give the predictive distribution of one window from its members' scores, shape (k,)."""
        spread = disagreement(points[None, :], self.weights)
        width = float(_widths(spread, self.share, self.typical)[0])
        return PredictiveDistribution(self.residuals * width)


def simplex_weights(points: Array, totals: Array) -> Array:
    """Give the weights of least squared error that are not negative and sum to one.

    Parameters
    ----------
    points
        Scores of the members, shape (n, k).
    totals
        Points, shape (n,).

    Returns
    -------
    array, shape (k,)

    Notes
    -----
    With weights that sum to one the error is ``A w``, ``A`` being the members' errors. Let q be
    the least ``|A w|^2``. For u = t w, ``|A u|^2 + (1 - sum u)^2 = t^2 |A w|^2 + (1 - t)^2``,
    whose minimum over t rises with ``|A w|^2``: the minimiser without the sum held is the one
    sought, times ``1 / (1 + q)``. So one non-negative least squares gives it exactly.
    """
    from scipy.optimize import nnls

    errors = points - totals[:, None]
    size = float(np.sqrt(np.mean(errors**2) * len(errors)))
    scaled = errors / size if size > 0 else errors
    augmented = np.vstack([scaled, np.ones(points.shape[1])])
    wanted = np.zeros(len(augmented))
    wanted[-1] = 1.0
    found, _ = nnls(augmented, wanted)
    return np.asarray(found / found.sum(), dtype=np.float64)


def disagreement(points: Array, weights: Array) -> Array:
    """Give the weighted standard deviation of the members around their combination, shape (n,)."""
    centre = _combined(points, weights)
    return np.asarray(np.sqrt(((points - centre[:, None]) ** 2) @ weights))


def combine(
    points: Array, totals: Array, folds: npt.NDArray[np.int64], to: Question
) -> Combination:
    """Learn weights and predictive distribution from members' out-of-fold scores.

    Parameters
    ----------
    points
        Score of each window by each member's training without the person's fold, shape (n, k).
    totals
        Points, shape (n,).
    folds
        Fold of each window, shape (n,), the same for every member; at least two.
    to
        Instrument, coverage and kind of weights.

    Raises
    ------
    DataError
        If there are fewer than two folds.
    """
    held_out, spread = np.empty(len(totals)), np.empty(len(totals))
    _refuse_few(folds, 2)
    for fold in np.unique(folds):
        inside = folds == fold
        weights = _weights(points[~inside], totals[~inside], to)
        held_out[inside] = _combined(points[inside], weights)
        spread[inside] = disagreement(points[inside], weights)
    typical = float(spread.mean())
    errors = totals - held_out
    tried = {
        share: _interval_score(held_out, totals, folds, _widths(spread, share, typical), to)
        for share in (SHARES if typical > 0 else SHARES[:1])
    }
    best = min(tried, key=lambda share: (tried[share], share))
    residuals = np.sort(errors / _widths(spread, best, typical))
    return Combination(_weights(points, totals, to), best, typical, residuals, tried)


def out_of_fold(
    points: Array, totals: Array, folds: npt.NDArray[np.int64], to: Question
) -> dict[int, Combination]:
    """Give for each fold the combination that is learnt without it, weights, width and all.

    Raises
    ------
    DataError
        If there are fewer than three folds.
    """
    _refuse_few(folds, FEWEST_FOLDS)
    return {
        int(fold): combine(points[folds != fold], totals[folds != fold], folds[folds != fold], to)
        for fold in np.unique(folds)
    }


def _weights(points: Array, totals: Array, to: Question) -> Array:
    if to.weighting == "equal":
        return np.full(points.shape[1], 1 / points.shape[1])
    return simplex_weights(points, totals)


def _combined(points: Array, weights: Array) -> Array:
    """Weighted mean, held between the members' scores against rounding."""
    return np.clip(points @ weights, points.min(axis=1), points.max(axis=1))


def _widths(spread: Array, share: float, typical: float) -> Array:
    """Width of the interval at a disagreement; 1 at the typical one, never 0."""
    if share == 0:
        return np.ones(len(spread))
    return np.asarray((1 - share) + share * spread / typical)


def _interval_score(
    scores: Array, totals: Array, folds: npt.NDArray[np.int64], widths: Array, to: Question
) -> float:
    """Mean interval score, each fold's intervals made from the other folds' residuals."""
    scaled = (totals - scores) / widths
    lower, upper = np.empty(len(totals)), np.empty(len(totals))
    for fold in np.unique(folds):
        others = np.sort(scaled[folds != fold])
        for row in np.flatnonzero(folds == fold):
            distribution = PredictiveDistribution(others * widths[row])
            low, high = distribution.interval([scores[row]], to.coverage, to.instrument)
            lower[row], upper[row] = low[0], high[0]
    missed = np.maximum(lower - totals, 0) + np.maximum(totals - upper, 0)
    return float(np.mean(upper - lower + missed * 2 / (1 - to.coverage)))


def _refuse_few(folds: npt.NDArray[np.int64], fewest: int) -> None:
    found = len(np.unique(folds))
    if found < fewest:
        raise DataError(
            f"an ensemble needs {fewest} folds of people or more, the members have {found}",
            fix="train the members with more folds",
        )
