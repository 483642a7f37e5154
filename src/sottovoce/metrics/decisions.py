"""How often calling somebody a case is right. Owns five shares; knows no instrument, no file."""

from numpy.typing import ArrayLike

from sottovoce.metrics.bootstrap import Resamples
from sottovoce.metrics.columns import floats, problem
from sottovoce.metrics.figure import Figure, Floats
from sottovoce.metrics.proportion import share


def sensitivity(
    positive: ArrayLike, called: ArrayLike, resamples: Resamples | None = None
) -> Figure:
    """Share of the cases that are called cases.

    Parameters
    ----------
    positive, called
        Whether each row is a case, and whether it is called one; shape (n,), true or false.
    resamples
        Draws for the interval.

    References
    ----------
    Altman, Bland 1994, doi:10.1136/bmj.308.6943.1552.

    Examples
    --------
    >>> sensitivity([1, 1, 1, 1, 0], [1, 1, 1, 0, 1]).text()
    '0.75 (n = 4)'
    >>> sensitivity([0, 0], [0, 1]).text()
    'not computed: no row is positive'
    """
    case, called_one = floats(positive), floats(called)
    return _among(case, called_one, case, "no row is positive", resamples)


def fnr(positive: ArrayLike, called: ArrayLike, resamples: Resamples | None = None) -> Figure:
    """False-negative rate: share of the cases that are missed; 1 minus the sensitivity.

    Parameters
    ----------
    positive, called
        Whether each row is a case, and whether it is called one; shape (n,), true or false.
    resamples
        Draws for the interval.

    References
    ----------
    Hardt, Price, Srebro 2016, Equality of opportunity in supervised learning, arXiv:1610.02413:
    the rate that people who need help are missed at is what groups are compared on.

    Examples
    --------
    >>> fnr([1, 1, 1, 1, 0], [1, 1, 1, 0, 1]).value
    0.25
    """
    case, called_one = floats(positive), floats(called)
    return _among(case, 1 - called_one, case, "no row is positive", resamples)


def specificity(
    positive: ArrayLike, called: ArrayLike, resamples: Resamples | None = None
) -> Figure:
    """Share of the non-cases that are not called cases; arguments as `sensitivity`.

    References
    ----------
    Altman, Bland 1994, doi:10.1136/bmj.308.6943.1552.

    Examples
    --------
    >>> specificity([1, 0, 0], [1, 0, 1]).value
    0.5
    """
    case, called_one = floats(positive), floats(called)
    return _among(case, 1 - called_one, 1 - case, "every row is positive", resamples)


def ppv(positive: ArrayLike, called: ArrayLike, resamples: Resamples | None = None) -> Figure:
    """Positive predictive value: share of those called cases that are; as `sensitivity`.

    It holds for the share of cases in these rows and for no other.

    References
    ----------
    Altman, Bland 1994, doi:10.1136/bmj.309.6947.102.

    Examples
    --------
    >>> ppv([1, 0, 0], [1, 0, 1]).value
    0.5
    """
    case, called_one = floats(positive), floats(called)
    return _among(case, case, called_one, "no row is called positive", resamples)


def npv(positive: ArrayLike, called: ArrayLike, resamples: Resamples | None = None) -> Figure:
    """Negative predictive value: share of those not called cases that are none; as `ppv`.

    References
    ----------
    Altman, Bland 1994, doi:10.1136/bmj.309.6947.102.

    Examples
    --------
    >>> npv([1, 0, 0], [1, 0, 1]).value
    1.0
    """
    case, called_one = floats(positive), floats(called)
    return _among(case, 1 - case, 1 - called_one, "every row is called positive", resamples)


def _among(
    case: Floats, holds: Floats, chosen: Floats, nobody: str, resamples: Resamples | None
) -> Figure:
    """Give the share of the chosen rows on which something holds."""
    if reason := problem(case, holds, chosen):
        return Figure.missing(reason, n=len(case))
    rows = chosen != 0
    if not rows.any():
        return Figure.missing(nobody)
    return share(holds[rows], None if resamples is None else resamples.take(rows))
