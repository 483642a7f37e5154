"""Quantiles of Student's t. Owns the one number; does not know any metric.

The metrics import numpy only; scipy has the quantile exactly, and a test holds this one to it.
"""

from statistics import NormalDist


def student_quantile(level: float, freedom: float) -> float:
    """Give the quantile of Student's t that leaves ``level`` between itself and its negative.

    An expansion around the normal quantile, within 0.5% of the exact one from 4 degrees of
    freedom up at levels to 0.95 and from 9 up at 0.99.

    Parameters
    ----------
    level
        Probability between the quantile and its negative, 0 to 1.
    freedom
        Degrees of freedom, whole or not.

    References
    ----------
    Abramowitz, Stegun 1972, Handbook of Mathematical Functions, 26.7.5.

    Examples
    --------
    >>> round(student_quantile(0.95, 10), 3)
    2.228
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    return z + sum(term / freedom**power for power, term in enumerate(terms, start=1))
