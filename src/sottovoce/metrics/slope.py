"""Slopes between estimate and questionnaire. Owns two figures; knows no instrument, no file."""

from collections.abc import Callable

from numpy.typing import ArrayLike

from sottovoce.metrics.bootstrap import Resamples, measured
from sottovoce.metrics.columns import floats
from sottovoce.metrics.figure import Figure, Floats
from sottovoce.metrics.moments import Moments, centred, moments, no_line


def slope(y_true: ArrayLike, y_pred: ArrayLike, resamples: Resamples | None = None) -> Figure:
    """Calibration slope: by how many points the questionnaire rises with a point of estimate.

    Least squares of questionnaire on estimate. 1 is calibrated; below 1 the estimates are too far
    apart (overfitted), above 1 too close together.

    Parameters
    ----------
    y_true, y_pred
        Questionnaire totals and estimates in points, shape (n,).
    resamples
        Draws for the interval.

    References
    ----------
    Cox 1958, doi:10.1093/biomet/45.3-4.562; Van Calster et al. 2019, Calibration: the Achilles
    heel of predictive analytics, doi:10.1186/s12916-019-1466-7.

    Examples
    --------
    >>> slope([4, 10, 18], [2, 5, 9]).number()
    '2.00'
    """
    return _slope(
        floats(y_true), floats(y_pred), resamples, lambda found: found.covariance / found.variance_y
    )


def error_slope(y_true: ArrayLike, y_pred: ArrayLike, resamples: Resamples | None = None) -> Figure:
    """Regression to the mean: by how many points the error changes with a point of questionnaire.

    Least squares of the error, estimate minus questionnaire, on the questionnaire. 0 is an error
    that severity does not move; -1 is a constant estimate. Well calibrated estimates lie at r
    squared minus 1, not at 0: whoever knows little is right to stay near the mean, and errs at
    both ends for it.

    Parameters
    ----------
    y_true, y_pred
        Questionnaire totals and estimates in points, shape (n,).
    resamples
        Draws for the interval.

    References
    ----------
    Bland, Altman 1999, Measuring agreement in method comparison studies,
    doi:10.1177/096228029900800204; against the questionnaire, not the mean of both, because the
    questionnaire is the yardstick here.

    Examples
    --------
    >>> error_slope([4, 10, 18], [7, 10, 14]).number()
    '−0.50'
    """
    return _slope(
        floats(y_true),
        floats(y_pred),
        resamples,
        lambda found: found.covariance / found.variance_x - 1,
    )


def _slope(
    true: Floats,
    predicted: Floats,
    resamples: Resamples | None,
    along: Callable[[Moments], Floats],
) -> Figure:
    if reason := no_line(true, predicted):
        return Figure.missing(reason, n=len(true))
    x, y, _ = centred(true, predicted)
    return measured(lambda weights: along(moments(x, y, weights)), len(true), resamples)
