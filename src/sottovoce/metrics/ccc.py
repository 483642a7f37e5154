"""Concordance correlation. Owns the one figure; does not know instruments or files."""

from numpy.typing import ArrayLike

from sottovoce.metrics.bootstrap import Resamples, measured
from sottovoce.metrics.columns import floats
from sottovoce.metrics.figure import Figure, Floats
from sottovoce.metrics.moments import centred, moments, no_line


def ccc(y_true: ArrayLike, y_pred: ArrayLike, resamples: Resamples | None = None) -> Figure:
    """Lin's concordance: correlation that a wrong level or scale lowers, 1 on the line y = x.

    Parameters
    ----------
    y_true, y_pred
        Questionnaire totals and estimates in points, shape (n,).
    resamples
        Draws for the interval.

    References
    ----------
    Lin 1989, doi:10.2307/2532051, with variances divided by n as there.

    Examples
    --------
    >>> ccc([4, 10, 18], [6, 12, 20]).number(3)
    '0.943'
    """
    true, predicted = floats(y_true), floats(y_pred)
    if reason := no_line(true, predicted):
        return Figure.missing(reason, n=len(true))
    x, y, _ = centred(true, predicted)
    return measured(lambda weights: concordance(x, y, weights), len(true), resamples)


def concordance(x: Floats, y: Floats, weights: Floats) -> Floats:
    """Lin's coefficient on each resample; NaN where a column does not vary."""
    found = moments(x, y, weights)
    apart = (found.mean_x - found.mean_y) ** 2
    return 2 * found.covariance / (found.variance_x + found.variance_y + apart)
