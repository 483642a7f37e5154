"""Share of variance explained. Owns the one figure; does not know instruments or files."""

from numpy.typing import ArrayLike

from sottovoce.metrics.bootstrap import Resamples, average, measured
from sottovoce.metrics.columns import floats
from sottovoce.metrics.figure import Figure
from sottovoce.metrics.moments import centred, moments, no_line


def r2(y_true: ArrayLike, y_pred: ArrayLike, resamples: Resamples | None = None) -> Figure:
    """R squared: 1 minus the squared error over that of the mean of these questionnaires.

    0 is as good as knowing the mean, below 0 is worse; it is not the square of r, which forgives
    a wrong level and scale.

    Parameters
    ----------
    y_true, y_pred
        Questionnaire totals and estimates in points, shape (n,).
    resamples
        Draws for the interval.

    References
    ----------
    Kvalseth 1985, Cautionary note about R squared, doi:10.1080/00031305.1985.10479448, form 1.

    Examples
    --------
    >>> r2([4, 10, 18, 0], [6, 10, 17, 1]).number(3), r2([4, 10, 18], [18, 10, 4]).number()
    ('0.967', '−2.97')
    """
    true, predicted = floats(y_true), floats(y_pred)
    if reason := no_line(true, predicted):
        return Figure.missing(reason, n=len(true))
    x, y, _ = centred(true, predicted)
    squares = (x - y) ** 2
    return measured(
        lambda weights: 1 - average(squares, weights) / moments(x, y, weights).variance_x,
        len(true),
        resamples,
    )
