"""Mean error. Owns the one figure; does not know instruments or files."""

from numpy.typing import ArrayLike

from sottovoce.metrics.bootstrap import Resamples, average, measured
from sottovoce.metrics.columns import floats, problem
from sottovoce.metrics.figure import Figure


def bias(y_true: ArrayLike, y_pred: ArrayLike, resamples: Resamples | None = None) -> Figure:
    """Mean of estimate minus questionnaire: above 0 overestimates, below 0 underestimates.

    Parameters
    ----------
    y_true, y_pred
        Questionnaire totals and estimates in points, shape (n,).
    resamples
        Draws for the interval.

    References
    ----------
    Bland, Altman 1986, doi:10.1016/S0140-6736(86)90837-8.

    Examples
    --------
    >>> bias([4, 10, 18], [6, 10, 13]).value
    -1.0
    """
    true, predicted = floats(y_true), floats(y_pred)
    if reason := problem(true, predicted):
        return Figure.missing(reason, n=len(true))
    errors = predicted - true
    return measured(lambda weights: average(errors, weights), len(true), resamples)
