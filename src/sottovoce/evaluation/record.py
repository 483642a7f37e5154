"""What an evaluation says: its settings, its tables and their JSON form.

Owns the records and what each metric is called. Does not compute anything.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sottovoce.instruments import Instrument
from sottovoce.metrics import LEAST_PEOPLE, Figure
from sottovoce.metrics.figure import Floats

METRIC_TITLES = {
    "mae": "Mean absolute error (points)",
    "rmse": "Root mean squared error (points)",
    "bias": "Bias, estimate minus questionnaire (points)",
    "r": "Pearson r",
    "coverage": "Interval coverage",
    "width": "Mean interval width (points)",
}
"""Key of a metric to what a table calls it; the key of an AUC ends in its cut-off."""


def auc_key(cut_off: int) -> str:
    """Name the AUC at a cut-off as files do, "auc_10"."""
    return f"auc_{cut_off}"


def metric_title(key: str) -> str:
    """Give what a table calls the metric of a key."""
    if key.startswith("auc_"):
        return f"AUC at ≥ {key.removeprefix('auc_')}"
    return METRIC_TITLES[key]


@dataclass(frozen=True, slots=True)
class Settings:
    """How an evaluation is computed.

    Parameters
    ----------
    resamples
        Bootstrap resamples of people.
    seed
        Seed of the bootstrap.
    level
        Coverage of the intervals of the metrics, 0 to 1.
    minimum
        Fewest people for a metric and for a cell of a table; smaller ones are suppressed.
    """

    resamples: int = 2000
    seed: int = 0
    level: float = 0.95
    minimum: int = LEAST_PEOPLE


DEFAULT = Settings()


@dataclass(frozen=True, slots=True)
class CutOffRow:
    """Telling totals at and above `cut_off` from lower ones, and how many are."""

    cut_off: int
    positives: int
    n: int
    auc: Figure

    def as_dict(self) -> dict[str, Any]:
        """Give the row as JSON can hold it."""
        counts = {"cut_off": self.cut_off, "positives": self.positives, "n": self.n}
        return {**counts, "auc": self.auc.as_dict()}


@dataclass(frozen=True, slots=True)
class BandRow:
    """The error among people whose questionnaire total lies in one severity band."""

    band: str
    lower: int
    upper: int
    n: int
    abstained: int
    figures: Mapping[str, Figure] = field(hash=False)

    def as_dict(self) -> dict[str, Any]:
        """Give the row as JSON can hold it."""
        name = {"band": self.band, "lower": self.lower, "upper": self.upper}
        return {**name, "n": self.n, "abstained": self.abstained, **figures_dict(self.figures)}


@dataclass(frozen=True, slots=True)
class CalibrationRow:
    """A nominal coverage, the coverage observed at it, and the width it takes."""

    nominal: float
    coverage: Figure
    width: Figure

    def as_dict(self) -> dict[str, Any]:
        """Give the row as JSON can hold it."""
        figures = {"coverage": self.coverage, "width": self.width}
        return {"nominal": self.nominal, **figures_dict(figures)}


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group of people; `people` is None when the cell is suppressed as too small."""

    label: str
    people: int | None
    abstained: int | None
    figures: Mapping[str, Figure] = field(hash=False)

    def as_dict(self) -> dict[str, Any]:
        """Give the row as JSON can hold it."""
        return {
            "label": self.label,
            "people": self.people,
            "suppressed": self.people is None,
            "abstained": self.abstained,
            **figures_dict(self.figures),
        }


@dataclass(frozen=True, slots=True)
class GroupTable:
    """The groups of one column of people, and how the column was cut."""

    column: str
    note: str | None
    rows: tuple[GroupRow, ...]

    def as_dict(self) -> dict[str, Any]:
        """Give the table as JSON can hold it."""
        rows = [row.as_dict() for row in self.rows]
        return {"column": self.column, "note": self.note, "rows": rows}


@dataclass(frozen=True, slots=True)
class Points:
    """Scored rows for drawing, shape (n,) each; never written to JSON."""

    total: Floats
    score: Floats
    lower: Floats | None
    upper: Floats | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """How good one set of estimates is.

    Parameters
    ----------
    instrument
        The questionnaire that it was held against.
    model_ids
        Who made the estimates; empty when unknown.
    settings
        How it was computed.
    n_rows, n_people
        Labelled rows, and the different people among them.
    n_unlabelled
        Rows without a questionnaire total, which no metric uses.
    abstentions
        Reason to number of labelled rows on which the model abstained.
    coverage
        Nominal coverage of the intervals; None when there are none or several.
    figures
        Metric key to figure over all scored rows.
    bands, cut_offs, calibration, groups
        Tables; empty where they do not apply.
    notes
        What was left out and why.
    points
        The scored rows for drawing; not part of the JSON form.
    """

    instrument: Instrument
    model_ids: tuple[str, ...]
    settings: Settings
    n_rows: int
    n_people: int
    n_unlabelled: int
    abstentions: Mapping[str, int] = field(hash=False)
    coverage: float | None
    figures: Mapping[str, Figure] = field(hash=False)
    bands: tuple[BandRow, ...]
    cut_offs: tuple[CutOffRow, ...]
    calibration: tuple[CalibrationRow, ...]
    groups: tuple[GroupTable, ...]
    notes: tuple[str, ...]
    points: Points | None = field(default=None, repr=False, compare=False)

    @property
    def n_abstained(self) -> int:
        """Labelled rows without a score."""
        return sum(self.abstentions.values())

    @property
    def n_scored(self) -> int:
        """Labelled rows with a score, on which the metrics rest."""
        return self.n_rows - self.n_abstained

    def as_dict(self) -> dict[str, Any]:
        """Give everything but the points as JSON can hold it; a missing number is null."""
        return {
            "instrument": self.instrument.key,
            "model_ids": list(self.model_ids),
            "n_rows": self.n_rows,
            "n_people": self.n_people,
            "n_scored": self.n_scored,
            "n_abstained": self.n_abstained,
            "n_unlabelled": self.n_unlabelled,
            "abstentions": dict(self.abstentions),
            "nominal_coverage": self.coverage,
            "metrics": figures_dict(self.figures),
            "bands": [row.as_dict() for row in self.bands],
            "cut_offs": [row.as_dict() for row in self.cut_offs],
            "calibration": [row.as_dict() for row in self.calibration],
            "groups": [table.as_dict() for table in self.groups],
            "notes": list(self.notes),
            "bootstrap": {
                "resamples": self.settings.resamples,
                "seed": self.settings.seed,
                "level": self.settings.level,
                "unit": "person",
            },
            "minimum_people": self.settings.minimum,
        }


def figures_dict(figures: Mapping[str, Figure]) -> dict[str, Any]:
    """Give named figures as JSON can hold them."""
    return {key: figure.as_dict() for key, figure in figures.items()}
