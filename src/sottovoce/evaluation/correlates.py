"""Estimates beside self-ratings, where there is no questionnaire: whether they go along.

Owns the table and its JSON form. Does not know a data set, nor judge an estimate: a correlation
with sadness says that something of it was read, and nothing of how far an estimate is off.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from sottovoce.datasets import Rating
from sottovoce.errors import DataError
from sottovoce.evaluation.record import DEFAULT, Settings
from sottovoce.metrics import Figure, pearson, resample_people
from sottovoce.metrics.bootstrap import too_few

NO_SCALE = (
    "Self-ratings are no depression scale: a correlation shows that estimates go along with them, "
    "never that they are right."
)


@dataclass(frozen=True, slots=True)
class CorrelateRow:
    """How estimates go along with one rating at one occasion, or with its change.

    Parameters
    ----------
    occasion
        "wave 1", or "change from wave 1 to wave 2".
    rating
        What was rated.
    r
        Pearson's correlation over the people with both, with its interval.
    abstained
        People who rated and whom the model did not score.
    """

    occasion: str
    rating: str
    r: Figure
    abstained: int

    def as_dict(self) -> dict[str, Any]:
        """Give the row as JSON can hold it."""
        named = {"occasion": self.occasion, "rating": self.rating}
        return {**named, "r": self.r.as_dict(), "abstained": self.abstained}


@dataclass(frozen=True, slots=True)
class Correlates:
    """The rows, and what every reader of them must know."""

    rows: tuple[CorrelateRow, ...]
    note: str = field(default=NO_SCALE)

    def as_dict(self) -> dict[str, Any]:
        """Give the table as JSON can hold it."""
        return {"note": self.note, "rows": [row.as_dict() for row in self.rows]}


def correlate(
    ratings: Sequence[Rating],
    scores: Sequence[float | None],
    settings: Settings = DEFAULT,
) -> Correlates:
    """Hold estimates against self-ratings, at each occasion and in their change.

    Parameters
    ----------
    ratings
        One of each person and occasion, in the order of time.
    scores
        The estimate before each, in points; None where the model abstained.
    settings
        Resamples, seed, level and fewest people.

    Returns
    -------
    Correlates
        For each rating a row an occasion, and one for the change from the first to the last.

    Raises
    ------
    DataError
        If the columns differ in length.
    """
    if len(ratings) != len(scores):
        raise DataError(
            f"there are {len(ratings)} ratings and {len(scores)} scores", fix="give one for each"
        )
    pairs: dict[tuple[str, str], dict[str, tuple[float, float | None]]] = {}
    for each, score in zip(ratings, scores, strict=True):
        for name, value in each.values.items():
            pairs.setdefault((name, each.occasion), {})[each.user_id] = (value, score)
    occasions = list(dict.fromkeys(each.occasion for each in ratings))
    rows = []
    for name in dict.fromkeys(name for name, _ in pairs):
        rated = [occasion for occasion in occasions if (name, occasion) in pairs]
        rows += [_row(one, name, pairs[name, one], settings) for one in rated]
        if len(rated) > 1:
            change = _change(pairs[name, rated[0]], pairs[name, rated[-1]])
            rows.append(_row(f"change from {rated[0]} to {rated[-1]}", name, change, settings))
    return Correlates(tuple(rows))


Pairs = Mapping[str, tuple[float, float | None]]
"""Person to rating and score."""


def _change(first: Pairs, last: Pairs) -> Pairs:
    changes: dict[str, tuple[float, float | None]] = {}
    for user in first.keys() & last.keys():
        (rated, before), (rated_last, after) = first[user], last[user]
        moved = None if before is None or after is None else after - before
        changes[user] = (rated_last - rated, moved)
    return dict(sorted(changes.items()))


def _row(occasion: str, name: str, pairs: Pairs, settings: Settings) -> CorrelateRow:
    scored = {user: (value, score) for user, (value, score) in pairs.items() if score is not None}
    abstained = len(pairs) - len(scored)
    if len(scored) < settings.minimum:
        reason = too_few(len(scored), settings.minimum)
        return CorrelateRow(occasion, name, Figure.missing(reason, n=len(scored)), abstained)
    values, estimates = np.array(list(scored.values()), dtype=np.float64).T
    draws = resample_people(
        scored, count=settings.resamples, seed=settings.seed, level=settings.level
    )
    return CorrelateRow(occasion, name, pearson(values, estimates, draws), abstained)
