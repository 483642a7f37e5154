"""Coverage of prediction intervals. Owns the one figure; does not know instruments or files."""

import dataclasses

from numpy.typing import ArrayLike

from sottovoce.metrics.bootstrap import Resamples, average, measured
from sottovoce.metrics.columns import floats, problem
from sottovoce.metrics.figure import Figure


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
    Gneiting, Balabdaoui, Raftery 2007, doi:10.1111/j.1467-9868.2007.00587.x. Where all or no
    totals are inside, resamples cannot vary; the bound is then the exact one of Clopper, Pearson
    1934, doi:10.1093/biomet/26.4.404, counting people.

    Examples
    --------
    >>> coverage([4, 10, 18, 3], [2, 11, 15, 0], [8, 16, 20, 3]).value
    0.75
    """
    true, low, high = floats(y_true), floats(lower), floats(upper)
    if reason := problem(true, low, high):
        return Figure.missing(reason, n=len(true))
    inside = ((low <= true) & (true <= high)).astype(float)
    figure = measured(lambda weights: average(inside, weights), len(true), resamples)
    if resamples is None or figure.lower is None or figure.value not in (0.0, 1.0):
        return figure
    bound = ((1 - resamples.level) / 2) ** (1 / resamples.people)
    if figure.value == 1.0:
        return dataclasses.replace(figure, lower=bound, upper=1.0)
    return dataclasses.replace(figure, lower=0.0, upper=1.0 - bound)
