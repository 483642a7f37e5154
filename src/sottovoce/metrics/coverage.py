"""Coverage of prediction intervals. Owns the one figure; does not know instruments or files."""

from numpy.typing import ArrayLike

from sottovoce.metrics.bootstrap import Resamples
from sottovoce.metrics.columns import floats, problem
from sottovoce.metrics.figure import Figure
from sottovoce.metrics.proportion import share


def coverage(
    y_true: ArrayLike, lower: ArrayLike, upper: ArrayLike, resamples: Resamples | None = None
) -> Figure:
    """Share of questionnaire totals that lie inside their prediction interval, bounds included.

    Parameters
    ----------
    y_true
        Questionnaire totals in points, shape (n,).
    lower, upper
        Bounds of each person's interval in points, shape (n,).
    resamples
        Draws for the interval of the share itself.

    References
    ----------
    Gneiting, Balabdaoui, Raftery 2007, doi:10.1111/j.1467-9868.2007.00587.x.

    Examples
    --------
    >>> coverage([4, 10, 18, 3], [2, 11, 15, 0], [8, 16, 20, 3]).value
    0.75
    """
    true, low, high = floats(y_true), floats(lower), floats(upper)
    if reason := problem(true, low, high):
        return Figure.missing(reason, n=len(true))
    return share(((low <= true) & (true <= high)).astype(float), resamples)
