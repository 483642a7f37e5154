"""How well several readings of the same people agree.

Owns two figures of it. Does not know where readings come from.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np


@dataclass(frozen=True, slots=True)
class Agreement:
    """Agreement of an annotator with itself, over people who were read equally often.

    Parameters
    ----------
    people
        Their number.
    samples
        Readings of each.
    difference
        Mean absolute difference of two readings' totals of one person, in points.
    icc
        ICC(1), the share of the variance of single readings that is between people; None where it
        cannot be computed.
    reason
        Why not.
    """

    people: int
    samples: int
    difference: float
    icc: float | None
    reason: str | None = None


def self_agreement(totals: Iterable[Sequence[float]], samples: int) -> Agreement | None:
    """Measure how far an annotator gives one person the same total again.

    Parameters
    ----------
    totals
        Each person's totals; whoever has not all of them is left out.
    samples
        Readings a person.

    Returns
    -------
    Agreement or None
        None where nobody was read twice.

    References
    ----------
    Shrout, Fleiss 1979, doi:10.1037/0033-2909.86.2.420: ICC(1,1), the one-way random effects
    model, since the readings of one person have no order.

    Examples
    --------
    >>> self_agreement([(4, 5), (10, 10), (20, 21)], samples=2).icc > 0.99
    True
    """
    complete = [tuple(each) for each in totals if len(each) == samples]
    if samples < 2 or not complete:
        return None
    table = np.array(complete, dtype=np.float64)
    pairs = [abs(a - b) for row in complete for a, b in combinations(row, 2)]
    difference, people = float(np.mean(pairs)), len(table)
    if people < 2:
        return Agreement(people, samples, difference, None, "one person alone")
    between = samples * float(np.var(table.mean(axis=1), ddof=1))
    within = float(np.mean(np.var(table, axis=1, ddof=1)))
    whole = between + (samples - 1) * within
    if whole <= 0:
        return Agreement(people, samples, difference, None, "all totals are the same")
    return Agreement(people, samples, difference, (between - within) / whole)
