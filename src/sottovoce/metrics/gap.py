"""One group's figure against everybody else's. Owns the one difference; knows no metric.

Does not know which groups there are.
"""

import dataclasses

import numpy as np

from sottovoce.metrics.bootstrap import with_interval
from sottovoce.metrics.figure import Figure


def gap(group: Figure, rest: Figure, *, apart: bool, level: float = 0.95) -> Figure:
    """Subtract the figure of the rest from that of a group.

    Where nobody stands on both sides the two figures are independent, and the interval follows
    from their own two, which holds where a share is 0 or 1, too. Otherwise both are read off the
    same resamples of people.

    Parameters
    ----------
    group, rest
        Figures of the same metric, on the same `Resamples`.
    apart
        Whether no person stands on both sides.
    level
        Coverage of the interval, 0 to 1.

    References
    ----------
    Newcombe 1998, doi:10.1002/(SICI)1097-0258(19980430)17:8<873::AID-SIM779>3.0.CO;2-I, method
    10, for shares; Zou, Donner 2008, doi:10.1002/sim.3095, for figures of any kind.

    Examples
    --------
    >>> gap(Figure(0.4, 0.2, 0.6, n=20), Figure(0.1, 0.05, 0.2, n=90), apart=True).text()
    '0.30 [0.08, 0.51] (n = 20)'
    """
    for figure in (group, rest):
        if figure.value is None:
            return Figure.missing(figure.reason or "", n=group.n)
    assert group.value is not None
    assert rest.value is not None
    found = Figure(group.value - rest.value, n=group.n)
    bounds = (group.lower, group.upper, rest.lower, rest.upper)
    if any(bound is None for bound in bounds):
        return dataclasses.replace(found, reason=group.reason or rest.reason)
    if apart:
        low, high, rest_low, rest_high = (float(bound) for bound in bounds if bound is not None)
        assert found.value is not None
        lower = found.value - np.hypot(group.value - low, rest_high - rest.value)
        upper = found.value + np.hypot(high - group.value, rest.value - rest_low)
        return dataclasses.replace(found, lower=float(lower), upper=float(upper))
    assert group.draws is not None
    assert rest.draws is not None
    draws, people = group.draws - rest.draws, min(group.people, rest.people)
    return with_interval(dataclasses.replace(found, draws=draws, people=people), level)
