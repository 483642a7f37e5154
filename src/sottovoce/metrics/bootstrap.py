"""The bootstrap over people: who is drawn how often, and the interval that follows.

Owns resampling, percentile intervals and paired differences. Does not know any metric: it is
handed a statistic of weights. People are drawn, not rows, so that somebody with several rows does
not count as several people.

Plain percentile intervals are too narrow for few people: they lack both the factor n / (n - 1) of
a variance and the quantiles of Student's t. The percentiles are therefore taken further out, as
far as makes the interval of a mean that of a t test. `benchmarks/statistics.py` measures how often
the intervals of all metrics then hold the truth.

References
----------
Efron, Tibshirani 1993, An Introduction to the Bootstrap, chapter 13 (percentile intervals).
Hesterberg 2015, What teachers should know about the bootstrap, doi:10.1080/00031305.2015.1089789
(expanded percentile intervals).
Field, Welsh 2007, Bootstrapping clustered data, doi:10.1111/j.1467-9868.2007.00593.x.
"""

import dataclasses
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from sottovoce.errors import DataError
from sottovoce.metrics.figure import Figure, Floats
from sottovoce.metrics.student import student_quantile

LEAST_PEOPLE = 10
"""Fewest people for an interval: bootstrap intervals from fewer are far too narrow, and the same
number is the smallest cell that a table shows (OHDSI and most statistics offices use 5 to 11)."""

LEAST_DEFINED = 0.9
"""Share of resamples on which a metric must exist for its interval to be given."""

BLOCK = 2**21
"""Weights held at once (16 MB of float64), so that memory does not grow with the resamples."""

Statistic = Callable[[Floats], Floats]
"""Weights, shape (resamples, n), to the metric on each, shape (resamples,); NaN if undefined."""


@dataclass(frozen=True, slots=True)
class Resamples:
    """How often each person is drawn in each resample, and whose row is whose.

    Parameters
    ----------
    counts
        Shape (resamples, people); each row sums to the number of people.
    person
        Shape (n,): for each row of data, the column of `counts` of its person.
    level
        Coverage of the intervals, 0 to 1.
    """

    counts: NDArray[np.uint16]
    person: NDArray[np.intp]
    level: float

    @property
    def n(self) -> int:
        """Rows of data."""
        return len(self.person)

    @property
    def people(self) -> int:
        """Different people among the rows."""
        return len(np.unique(self.person))

    def take(self, rows: NDArray[np.bool_]) -> "Resamples":
        """Keep some rows; the draws stay the same, so figures on subsets stay paired."""
        return Resamples(self.counts, self.person[rows], self.level)

    def blocks(self) -> Iterator[Floats]:
        """Give the weights of the rows, some resamples at a time, each of shape (some, n)."""
        step = max(1, BLOCK // max(1, self.n))
        for start in range(0, len(self.counts), step):
            yield self.counts[start : start + step, self.person].astype(np.float64)


def resample_people(
    users: Iterable[Hashable], *, count: int = 2000, seed: int = 0, level: float = 0.95
) -> Resamples:
    """Draw people with replacement.

    Parameters
    ----------
    users
        Whose each row is, length n.
    count
        Number of resamples.
    seed
        Seed of the draws; the same seed and users give the same resamples.
    level
        Coverage of the intervals, 0 to 1.

    Raises
    ------
    DataError
        If there is no resample to draw or the level is outside 0 to 1.
    """
    if count < 1 or not 0 < level < 1:
        raise DataError(
            "the bootstrap has no resamples or a level outside 0 to 1",
            fix="ask for at least 1 resample and a level such as 0.95",
        )
    columns: dict[Hashable, int] = {}
    person = np.array([columns.setdefault(user, len(columns)) for user in users], dtype=np.intp)
    people = len(columns)
    generator = np.random.default_rng(seed)
    counts = np.zeros((count, people), dtype=np.uint16)
    for resample in range(count if people else 0):
        drawn = generator.integers(0, people, size=people)
        counts[resample] = np.bincount(drawn, minlength=people)
    return Resamples(counts, person, level)


def average(values: Floats, weights: Floats) -> Floats:
    """Weighted mean of the values for each resample; NaN where nobody was drawn."""
    totals = weights.sum(axis=1)
    means: Floats = np.full(len(totals), np.nan)
    np.divide(weights @ values, totals, out=means, where=totals > 0)
    return means


def measured(statistic: Statistic, n: int, resamples: Resamples | None) -> Figure:
    """Compute a metric on the rows as they are and, if asked, on each resample.

    Parameters
    ----------
    statistic
        The metric as a function of weights.
    n
        Rows.
    resamples
        The draws of the same rows; None for a figure without an interval.

    Returns
    -------
    Figure
        With the reason in place of an interval when there are fewer than `LEAST_PEOPLE` people
        or the metric is undefined on too many resamples.
    """
    value = float(statistic(np.ones((1, n)))[0])
    if resamples is None:
        return Figure(value, n=n)
    if resamples.n != n:
        raise DataError(
            f"there are {n} rows and resamples of {resamples.n}", fix="draw them from the same rows"
        )
    if resamples.people < LEAST_PEOPLE:
        reason = too_few(resamples.people, LEAST_PEOPLE)
        return Figure(value, n=n, reason=f"no interval: {reason}")
    draws = np.concatenate([statistic(weights) for weights in resamples.blocks()])
    return with_interval(Figure(value, n=n, draws=draws, people=resamples.people), resamples.level)


def too_few(people: int, least: int) -> str:
    """Say that there are fewer people than a figure needs."""
    return f"too few people ({people}, at least {least} are needed)"


def difference(first: Figure, second: Figure, level: float = 0.95) -> Figure:
    """Subtract `second` from `first`, paired: both are read off the same resamples.

    Parameters
    ----------
    first, second
        Figures of the same metric on the same rows and `Resamples`.
    level
        Coverage of the interval, 0 to 1.

    References
    ----------
    Efron, Tibshirani 1993, chapter 13: the interval of the difference, not the overlap of two
    intervals.
    """
    for figure in (first, second):
        if figure.value is None:
            return Figure.missing(figure.reason or "", n=figure.n)
    assert first.value is not None
    assert second.value is not None
    value = first.value - second.value
    if first.draws is None or second.draws is None:
        return Figure(value, n=first.n, reason=first.reason or second.reason)
    if first.n != second.n or len(first.draws) != len(second.draws):
        raise DataError(
            "two figures do not rest on the same resamples", fix="compute both on the same draws"
        )
    draws = first.draws - second.draws
    people = min(first.people, second.people)
    return with_interval(Figure(value, n=first.n, draws=draws, people=people), level)


def with_interval(figure: Figure, level: float) -> Figure:
    """Read the interval off the draws, or say why there is none."""
    assert figure.draws is not None
    defined = figure.draws[np.isfinite(figure.draws)]
    if len(defined) < LEAST_DEFINED * len(figure.draws):
        undefined = len(figure.draws) - len(defined)
        reason = f"no interval: undefined on {undefined} of {len(figure.draws)} resamples"
        return Figure(figure.value, n=figure.n, reason=reason)
    lower, upper = np.quantile(defined, _tails(figure.people, level))
    return dataclasses.replace(figure, lower=float(lower), upper=float(upper))


def _tails(people: int, level: float) -> tuple[float, float]:
    """Give the two percentiles of an interval, expanded for the number of people."""
    factor = (people / (people - 1)) ** 0.5
    tail = NormalDist().cdf(-factor * student_quantile(level, people - 1))
    return tail, 1 - tail
