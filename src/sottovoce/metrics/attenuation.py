"""Correlation as it would be with a questionnaire without error. Owns the one figure.

Does not know instruments: the reliability is given.
"""

import dataclasses

from numpy.typing import ArrayLike

from sottovoce.errors import DataError
from sottovoce.metrics.bootstrap import Resamples
from sottovoce.metrics.figure import Figure
from sottovoce.metrics.pearson import pearson


def corrected_pearson(
    y_true: ArrayLike, y_pred: ArrayLike, reliability: float, resamples: Resamples | None = None
) -> Figure:
    """Pearson's r divided by the square root of the questionnaire's reliability.

    It assumes classical test theory: a total is a true value plus an error that has nothing to do
    with the true value nor with the estimate. Where a person's mood colours both what they write
    and how they answer, the error is shared and the correction is too large. With Cronbach's
    alpha as the reliability only disagreement among the items counts as error, not a change from
    one day to the next; a lower test-retest reliability would give a larger figure. The
    reliability counts as known, so the interval is that of r, stretched. A result above 1 says
    that an assumption does not hold; it is not cut.

    Parameters
    ----------
    y_true, y_pred
        Questionnaire totals and estimates in points, shape (n,).
    reliability
        Share of the variance of totals that is no error, above 0 and at most 1.
    resamples
        Draws for the interval.

    Raises
    ------
    DataError
        If the reliability is not above 0 and at most 1.

    References
    ----------
    Spearman 1904, The proof and measurement of association between two things,
    doi:10.2307/1412159.

    Examples
    --------
    >>> corrected_pearson([4, 10, 18, 3], [9, 8, 15, 5], 0.81).number(3)
    '0.989'
    """
    if not 0 < reliability <= 1:
        raise DataError("the reliability is not above 0 and at most 1", fix="give a share")
    plain = pearson(y_true, y_pred, resamples)
    if plain.value is None:
        return plain
    factor = reliability**-0.5
    lower = None if plain.lower is None else factor * plain.lower
    upper = None if plain.upper is None else factor * plain.upper
    draws = None if plain.draws is None else factor * plain.draws
    return dataclasses.replace(
        plain, value=factor * plain.value, lower=lower, upper=upper, draws=draws
    )
