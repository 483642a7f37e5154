"""Shares of people and their intervals. Owns how sure a share is; knows no metric's meaning."""

import dataclasses
from statistics import NormalDist

import numpy as np

from sottovoce.metrics.bootstrap import Resamples, average, measured
from sottovoce.metrics.figure import Figure, Floats


def share(holds: Floats, resamples: Resamples | None) -> Figure:
    """Give the share of rows on which something holds.

    The interval is Wilson's where each person has one row, and the bootstrap's over people where
    somebody has several. Where it holds on all rows or on none, resamples cannot vary, and the
    bound is the exact one, counting people.

    Parameters
    ----------
    holds
        1 or 0 for each row, shape (n,), at least one row.
    resamples
        Draws for the interval.

    References
    ----------
    Wilson 1927, doi:10.1080/01621459.1927.10502953; Brown, Cai, DasGupta 2001,
    doi:10.1214/ss/1009213286, who recommend it. Clopper, Pearson 1934,
    doi:10.1093/biomet/26.4.404, for all and none.
    """
    figure = measured(lambda weights: average(holds, weights), len(holds), resamples)
    if resamples is None or figure.value is None or figure.lower is None:
        return figure
    people = resamples.people
    if figure.value in (0.0, 1.0):
        bound = ((1 - resamples.level) / 2) ** (1 / people)
        lower, upper = (bound, 1.0) if figure.value == 1.0 else (0.0, 1.0 - bound)
    elif people == len(holds):
        lower, upper = wilson(figure.value, people, resamples.level)
    else:
        return figure
    return dataclasses.replace(figure, lower=lower, upper=upper)


def wilson(value: float, n: int, level: float) -> tuple[float, float]:
    """Give Wilson's interval of a share of n people.

    Examples
    --------
    >>> [round(bound, 3) for bound in wilson(0.9, 50, 0.95)]
    [0.786, 0.957]
    """
    z = NormalDist().inv_cdf((1 + level) / 2)
    middle = (value + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(value * (1 - value) / n + z**2 / (4 * n**2))
    return float(max(0.0, middle - half)), float(min(1.0, middle + half))
