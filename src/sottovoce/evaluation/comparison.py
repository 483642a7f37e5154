"""Several predictors on the same rows: each with intervals, and paired against a reference.

Owns the comparison table. Does not know which predictors there are.
"""

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sottovoce.errors import DataError
from sottovoce.evaluation.predictions import Predictions, Scores
from sottovoce.evaluation.record import DEFAULT, Settings, auc_key, figures_dict
from sottovoce.instruments import Instrument
from sottovoce.instruments import instrument as find_instrument
from sottovoce.metrics import (
    Figure,
    Resamples,
    auc,
    difference,
    mae,
    pearson,
    resample_people,
    rmse,
)
from sottovoce.metrics.bootstrap import too_few
from sottovoce.metrics.columns import floats, problem
from sottovoce.metrics.figure import Floats

PAIRED = ("mae", "r")
"""Metrics whose difference to the reference is given."""


@dataclass(frozen=True, slots=True)
class ComparisonRow:
    """One predictor: its figures, and figure minus the reference's; empty for the reference."""

    name: str
    figures: Mapping[str, Figure] = field(hash=False)
    differences: Mapping[str, Figure] = field(hash=False)
    abstained: int

    def flat(self) -> dict[str, Any]:
        """Give the row as benchmarks print it: ``mae``, ``mae_ci``, ``mae_difference``..."""
        row: dict[str, Any] = {"name": self.name}
        named = dict(self.figures)
        named |= {f"{key}_difference": figure for key, figure in self.differences.items()}
        for key, figure in named.items():
            row[key] = figure.value
            row[f"{key}_ci"] = None if figure.lower is None else [figure.lower, figure.upper]
            if figure.reason:
                row[f"{key}_reason"] = figure.reason
        return row | {"n": next(iter(self.figures.values())).n, "abstained": self.abstained}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Predictors side by side on the rows that all of them scored.

    Parameters
    ----------
    rows
        In the order in which they were given.
    reference
        Name of the one that differences are taken to.
    n, n_people
        Rows that every predictor scored, and the people among them.
    n_left_out
        Labelled rows on which some predictor abstained.
    """

    rows: tuple[ComparisonRow, ...]
    reference: str
    instrument: Instrument
    settings: Settings
    n: int
    n_people: int
    n_left_out: int

    def flat(self) -> list[dict[str, Any]]:
        """Give every row as benchmarks print it."""
        return [row.flat() for row in self.rows]

    def as_dict(self) -> dict[str, Any]:
        """Give the table as JSON can hold it."""
        return {
            "reference": self.reference,
            "instrument": self.instrument.key,
            "n": self.n,
            "n_people": self.n_people,
            "n_left_out": self.n_left_out,
            "rows": [
                {
                    "name": row.name,
                    "abstained": row.abstained,
                    **figures_dict(row.figures),
                    "differences": figures_dict(row.differences),
                }
                for row in self.rows
            ],
        }


def compare(
    y_true: Sequence[float] | NDArray[Any],
    predictions: Mapping[str, Scores | Predictions],
    users: Sequence[Hashable],
    *,
    reference: str,
    instrument: str | Instrument,
    settings: Settings = DEFAULT,
) -> Comparison:
    """Set predictors side by side, with the paired difference of each to a reference.

    All are judged on the rows that every one of them scored, with the same resamples of people,
    so a difference's interval is paired.

    Parameters
    ----------
    y_true
        Questionnaire totals in points, length n.
    predictions
        Name of a predictor to its scores in points, length n each; None is an abstention.
    users
        Whose each row is, length n.
    reference
        Name of the predictor that the others are compared with.
    instrument
        The questionnaire, by key or as data; its screening cut-off gives the AUC's name.
    settings
        Resamples, seed and level.

    Raises
    ------
    DataError
        If the reference is not among the predictors or columns differ in length.

    Examples
    --------
    >>> totals = list(range(20))
    >>> table = compare(
    ...     totals,
    ...     {"good": [total + 1 for total in totals], "mean": [9.5] * 20},
    ...     totals,
    ...     reference="good",
    ...     instrument="phq-9",
    ... )
    >>> table.rows[1].figures["mae"].number(), table.rows[1].differences["mae"].number(sign=True)
    ('5.00', '+4.00')
    >>> table.rows[1].figures["r"].text()
    'not computed: the estimates are all the same'
    """
    if reference not in predictions:
        raise DataError(
            "the reference is not one of the predictors",
            fix=f"name one of {', '.join(predictions)}",
        )
    used = instrument if isinstance(instrument, Instrument) else find_instrument(instrument)
    total = floats(y_true)
    read = {name: Predictions.of(each) for name, each in predictions.items()}
    _check_lengths(len(total), (len(users), *(len(each) for each in read.values())))
    scored = ~np.logical_or.reduce([each.abstained for each in read.values()])
    resamples = resample_people(
        users, count=settings.resamples, seed=settings.seed, level=settings.level
    ).take(scored)
    judge = _Judge(used, total[scored], resamples, settings)
    figures = {name: judge.figures(each.score[scored]) for name, each in read.items()}
    rows = [
        ComparisonRow(
            name,
            figures[name],
            {} if name == reference else judge.gaps(figures[name], figures[reference]),
            int(each.abstained.sum()),
        )
        for name, each in read.items()
    ]
    counts = int(scored.sum()), resamples.people, int((~scored).sum())
    return Comparison(tuple(rows), reference, used, settings, *counts)


def _check_lengths(totals: int, others: Iterable[int]) -> None:
    for length in others:
        if length != totals:
            raise DataError(
                f"there are {totals} totals and {length} users or scores", fix="give one per row"
            )


@dataclass(frozen=True, slots=True)
class _Judge:
    """The rows that all predictors share."""

    instrument: Instrument
    total: Floats
    resamples: Resamples
    settings: Settings

    def figures(self, score: Floats) -> dict[str, Figure]:
        cut_off = self.instrument.screening_cut_off
        keys = ("mae", "rmse", "r", auc_key(cut_off))
        n, people = len(self.total), self.resamples.people
        reason = problem(self.total, score)
        if reason is None and people < self.settings.minimum:
            reason = too_few(people, self.settings.minimum)
        if reason is not None:
            return dict.fromkeys(keys, Figure.missing(reason, n=n))
        computed = (
            mae(self.total, score, self.resamples),
            rmse(self.total, score, self.resamples),
            pearson(self.total, score, self.resamples),
            auc(self.total >= cut_off, score, self.resamples),
        )
        return dict(zip(keys, computed, strict=True))

    def gaps(
        self, figures: Mapping[str, Figure], reference: Mapping[str, Figure]
    ) -> dict[str, Figure]:
        level = self.settings.level
        return {key: difference(figures[key], reference[key], level) for key in PAIRED}
