"""Whether a group differs from everybody else: the permutation test and Holm's adjustment.

Owns p values of gaps. Does not know which groups or metrics there are.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sottovoce.metrics.figure import Floats

ROUNDING = 1e-9
"""Share by which a permuted gap may fall short of the observed one and still count as equal."""


@dataclass(frozen=True, slots=True)
class Shuffles:
    """People in random orders, drawn once for all groups.

    Parameters
    ----------
    places
        Shape (orders, people): the place of each person in each order.
    """

    places: NDArray[np.intp]

    @classmethod
    def of(cls, people: int, *, count: int, seed: int) -> "Shuffles":
        """Draw orders of people.

        Parameters
        ----------
        people, count
            How many people, and how many orders.
        seed
            The same seed gives the same orders.
        """
        orders = np.tile(np.arange(people), (count, 1))
        return cls(np.random.default_rng(seed).permuted(orders, axis=1))

    def p_value(self, sums: Floats, rows: Floats, inside: NDArray[np.bool_]) -> float:
        """Give the chance that a random group of as many people is as far from the rest.

        The gap is the mean over rows inside minus that over rows outside, two-sided; people, with
        all their rows, change sides.

        Parameters
        ----------
        sums, rows
            Of each person: the sum of the values of their rows, and the number of these; shape
            (people,).
        inside
            Who belongs to the group, shape (people,); somebody does, and somebody does not.

        References
        ----------
        Phipson, Smyth 2010, doi:10.2202/1544-6115.1585: the observed group is one of the orders,
        so that p is never 0. Good 2005, Permutation, Parametric and Bootstrap Tests of
        Hypotheses, section 3.

        Examples
        --------
        >>> shuffles = Shuffles.of(8, count=1999, seed=1)
        >>> sums, rows = np.array([9.0, 8, 9, 8, 1, 2, 1, 2]), np.ones(8)
        >>> round(shuffles.p_value(sums, rows, np.arange(8) < 4), 2)  # 2 of the 70 groups: .029
        0.03
        """
        observed = abs(_gap(sums, rows, inside[np.newaxis].astype(float))[0])
        chosen = (self.places < inside.sum()).astype(float)
        extreme = np.abs(_gap(sums, rows, chosen)) >= observed * (1 - ROUNDING) - ROUNDING
        return float((extreme.sum() + 1) / (len(extreme) + 1))


def _gap(sums: Floats, rows: Floats, chosen: Floats) -> Floats:
    inside, size = chosen @ sums, chosen @ rows
    gaps: Floats = inside / size - (sums.sum() - inside) / (rows.sum() - size)
    return gaps


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values for how many were looked at, so that even one false alarm is rare.

    Parameters
    ----------
    p_values
        In any order.

    References
    ----------
    Holm 1979, A simple sequentially rejective multiple test procedure, Scand J Stat 6:65.

    Examples
    --------
    >>> [round(p, 3) for p in holm([0.01, 0.04, 0.03])]
    [0.03, 0.06, 0.06]
    """
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda at: p_values[at])):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = largest
    return adjusted
