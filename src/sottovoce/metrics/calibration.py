"""Whether predicted probabilities come true. Owns Brier score, calibration error and its bins.

Does not know instruments or files.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sottovoce.metrics.bootstrap import LEAST_PEOPLE, Resamples, average, measured
from sottovoce.metrics.columns import floats, problem
from sottovoce.metrics.figure import Figure, Floats
from sottovoce.metrics.proportion import share

MOST_BINS = 10
"""As in Guo et al. 2017 and most reliability curves."""


@dataclass(frozen=True, slots=True)
class Bin:
    """Rows of like predicted probability: how many, their mean prediction, the share of cases."""

    n: int
    predicted: float
    observed: Figure


def brier(positive: ArrayLike, chances: ArrayLike, resamples: Resamples | None = None) -> Figure:
    """Mean squared distance from the probability of being a case to 1 for cases, 0 for others.

    Parameters
    ----------
    positive
        Whether each row is a case, shape (n,), true or false.
    chances
        Predicted probability of that, shape (n,), 0 to 1.
    resamples
        Draws for the interval.

    References
    ----------
    Brier 1950, doi:10.1175/1520-0493(1950)078<0001:VOFEIT>2.0.CO;2.

    Examples
    --------
    >>> brier([True, False], [0.8, 0.4]).number()
    '0.10'
    """
    case, chance = floats(positive), floats(chances)
    if reason := problem(case, chance) or _outside(chance):
        return Figure.missing(reason, n=len(case))
    squares = (chance - case) ** 2
    return measured(lambda weights: average(squares, weights), len(case), resamples)


def ece(positive: ArrayLike, chances: ArrayLike) -> Figure:
    """Give the expected calibration error: mean distance of predicted and observed share by bin.

    It has no interval: it is never below 0, chance alone raises it, and a resample, which has
    more chance in it than the data, lies above the value that it should stand around. Ten bins
    of 12 rows, half of them cases, show about 0.11 when every probability is right.

    Parameters
    ----------
    positive, chances
        As of `brier`.

    References
    ----------
    Naeini, Cooper, Hauskrecht 2015, doi:10.1609/aaai.v29i1.9602; bins of equal size as Nguyen,
    O'Connor 2015, doi:10.18653/v1/D15-1182. Bias: Kumar, Liang, Ma 2019, arXiv:1909.10155.

    Examples
    --------
    >>> ece([True] * 6 + [False] * 14, [0.4] * 20).number()
    '0.10'
    """
    case, chance = floats(positive), floats(chances)
    if reason := problem(case, chance) or _outside(chance):
        return Figure.missing(reason, n=len(case))
    value = 0.0
    for rows in _bins(chance):
        value += abs(float(case[rows].sum() - chance[rows].sum())) / len(case)
    return Figure(value, n=len(case), reason="no interval: resampling only adds to this error")


def reliability(
    positive: ArrayLike, chances: ArrayLike, resamples: Resamples | None = None
) -> tuple[Bin, ...]:
    """Give the reliability curve: predicted against observed share of cases, bin by bin.

    Up to `MOST_BINS` bins of equal size; rows of one probability stay together, and no bin holds
    fewer than `LEAST_PEOPLE` rows, so that nobody is recognised. Empty where there is no figure.

    Parameters
    ----------
    positive, chances, resamples
        As of `brier`.

    References
    ----------
    Murphy, Winkler 1977, doi:10.2307/2346866.

    Examples
    --------
    >>> bins = reliability([True] * 6 + [False] * 14, [0.5] * 10 + [0.1] * 10)
    >>> [(each.n, round(each.predicted, 2), each.observed.value) for each in bins]
    [(10, 0.1, 0.0), (10, 0.5, 0.6)]
    """
    case, chance = floats(positive), floats(chances)
    if problem(case, chance) or _outside(chance):
        return ()
    return tuple(
        Bin(
            int(rows.sum()),
            float(chance[rows].mean()),
            share((case[rows] != 0).astype(float), resamples and resamples.take(rows)),
        )
        for rows in _bins(chance)
    )


def _outside(chance: Floats) -> str | None:
    outside = int(((chance < 0) | (chance > 1)).sum())
    return f"{outside} of {len(chance)} probabilities lie outside 0 to 1" if outside else None


def _bins(chance: Floats) -> list[NDArray[np.bool_]]:
    """Cut rows into bins of like probability, ascending."""
    count = max(1, min(MOST_BINS, len(chance) // LEAST_PEOPLE))
    edges = np.unique(np.quantile(chance, np.arange(1, count) / count, method="lower"))
    place = np.searchsorted(edges, chance, side="left")
    bins: list[NDArray[np.bool_]] = []
    for number in range(len(edges) + 1):
        rows = place == number
        small = bins and bins[-1].sum() < LEAST_PEOPLE
        if small or (bins and 0 < rows.sum() < LEAST_PEOPLE):
            bins[-1] = bins[-1] | rows
        elif rows.any():
            bins.append(rows)
    return bins
