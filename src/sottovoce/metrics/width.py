"""Width of prediction intervals. Owns the one figure; does not know instruments or files."""

from numpy.typing import ArrayLike

from sottovoce.metrics.bootstrap import Resamples, average, measured
from sottovoce.metrics.columns import floats, problem
from sottovoce.metrics.figure import Figure


def width(lower: ArrayLike, upper: ArrayLike, resamples: Resamples | None = None) -> Figure:
    """Mean width of the prediction intervals, in points: coverage is easy to buy with width.

    Parameters
    ----------
    lower, upper
        Bounds of each person's interval in points, shape (n,).
    resamples
        Draws for the interval of the mean.

    References
    ----------
    Gneiting, Balabdaoui, Raftery 2007, doi:10.1111/j.1467-9868.2007.00587.x (sharpness).

    Examples
    --------
    >>> width([2, 5], [8, 15]).value
    8.0
    """
    low, high = floats(lower), floats(upper)
    if reason := problem(low, high):
        return Figure.missing(reason, n=len(low))
    widths = high - low
    return measured(lambda weights: average(widths, weights), len(low), resamples)
