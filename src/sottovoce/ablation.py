"""The ablation: each stage on the same people, against the stage before and the first.

Owns the table, its JSON form and which metrics are in it. Does not know how a stage was made.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sottovoce.errors import DataError
from sottovoce.evaluation.record import DEFAULT, Settings, auc_key, figures_dict
from sottovoce.evaluation.table import every_cut_off
from sottovoce.instruments import Instrument
from sottovoce.metrics import (
    Figure,
    Resamples,
    auc,
    bias,
    difference,
    mae,
    pearson,
    resample_people,
    rmse,
)
from sottovoce.metrics.bootstrap import too_few
from sottovoce.metrics.figure import Floats

ERRORS = ("mae", "rmse", "bias", "r")
"""Metrics of a row besides the AUC at every cut-off."""


@dataclass(frozen=True, slots=True)
class AblationRow:
    """One stage: what it was made of, its figures, and figure minus that of another stage.

    Parameters
    ----------
    name
        Of the stage.
    made_of
        Counts and choices, as JSON values.
    figures
        Metric key to figure.
    to_before, to_first
        Metric key to the paired difference; empty in the first row.
    notes
        Plain sentences.
    """

    name: str
    made_of: Mapping[str, Any] = field(hash=False)
    figures: Mapping[str, Figure] = field(hash=False)
    to_before: Mapping[str, Figure] = field(hash=False)
    to_first: Mapping[str, Figure] = field(hash=False)
    notes: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Give the row as JSON can hold it."""
        return {
            "stage": self.name,
            **self.made_of,
            "metrics": figures_dict(self.figures),
            "difference_to_before": figures_dict(self.to_before),
            "difference_to_first": figures_dict(self.to_first),
            "notes": list(self.notes),
        }


@dataclass(frozen=True, slots=True)
class Ablation:
    """The rows, in the order of the stages, all on the same people and resamples."""

    rows: tuple[AblationRow, ...]
    instrument: Instrument
    settings: Settings
    n: int
    n_people: int

    @property
    def cut_off_keys(self) -> list[str]:
        """Keys of the AUC at every cut-off."""
        return [auc_key(cut) for cut in every_cut_off(self.instrument)]

    def as_dict(self) -> dict[str, Any]:
        """Give the table as JSON can hold it."""
        return {
            "instrument": self.instrument.key,
            "n": self.n,
            "n_people": self.n_people,
            "bootstrap": {
                "resamples": self.settings.resamples,
                "seed": self.settings.seed,
                "level": self.settings.level,
                "unit": "person",
            },
            "rows": [row.as_dict() for row in self.rows],
        }


def tabulate(
    totals: ArrayLike,
    scores: Mapping[str, ArrayLike],
    users: Sequence[Hashable],
    instrument: Instrument,
    *,
    told: Mapping[str, tuple[Mapping[str, Any], Sequence[str]]] | None = None,
    settings: Settings = DEFAULT,
) -> Ablation:
    """Set stages side by side.

    Parameters
    ----------
    totals
        Questionnaire totals, points, shape (n,).
    scores
        By stage, in order: points, shape (n,).
    users
        Whose each row is, length n: the bootstrap draws people.
    instrument
        The questionnaire.
    told
        By stage: what it was made of, and plain sentences.
    settings
        Resamples, seed and level.

    Raises
    ------
    DataError
        If there is no stage or a column has another length.
    """
    reported = np.asarray(totals, dtype=np.float64)
    columns = {name: np.asarray(each, dtype=np.float64) for name, each in scores.items()}
    lengths = {len(each) for each in columns.values()} | {len(users)}
    if not columns or lengths != {len(reported)}:
        raise DataError("stages and totals differ in length", fix="give one score a questionnaire")
    draws = resample_people(
        users, count=settings.resamples, seed=settings.seed, level=settings.level
    )
    rows: list[AblationRow] = []
    for name, column in columns.items():
        figures = _figures(reported, column, draws, instrument, settings)
        made_of, notes = (told or {}).get(name, ({}, ()))
        before = _gaps(figures, rows[-1].figures, settings) if rows else {}
        first = _gaps(figures, rows[0].figures, settings) if rows else {}
        rows.append(AblationRow(name, made_of, figures, before, first, tuple(notes)))
    return Ablation(tuple(rows), instrument, settings, len(reported), draws.people)


def _figures(
    totals: Floats, scores: Floats, draws: Resamples, used: Instrument, settings: Settings
) -> dict[str, Figure]:
    keys = [*ERRORS, *map(auc_key, every_cut_off(used))]
    if draws.people < settings.minimum:
        reason = too_few(draws.people, settings.minimum)
        return dict.fromkeys(keys, Figure.missing(reason, n=len(totals)))
    figures = [metric(totals, scores, draws) for metric in (mae, rmse, bias, pearson)]
    figures += [auc(totals >= cut, scores, draws) for cut in every_cut_off(used)]
    return dict(zip(keys, figures, strict=True))


def _gaps(
    figures: Mapping[str, Figure], others: Mapping[str, Figure], settings: Settings
) -> dict[str, Figure]:
    return {key: difference(each, others[key], settings.level) for key, each in figures.items()}
