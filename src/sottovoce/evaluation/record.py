"""What an evaluation says: its settings, its tables and their JSON form.

Owns the records and what each metric is called. Does not compute anything.
"""

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sottovoce.instruments import Instrument
from sottovoce.metrics import LEAST_PEOPLE, Figure
from sottovoce.metrics.figure import Floats

METRIC_TITLES = {
    "mae": "Mean absolute error (points)",
    "mae_all": "MAE, abstained ones given the mean estimate (points)",
    "rmse": "Root mean squared error (points)",
    "bias": "Bias, estimate minus questionnaire (points)",
    "r": "Pearson r",
    "spearman": "Spearman r",
    "ccc": "Concordance correlation (CCC)",
    "slope": "Slope of questionnaire on estimate (1: calibrated)",
    "error_slope": "Slope of error on questionnaire (0: none; −1: constant)",
    "r2": "R², share of variance explained",
    "r_corrected": "Pearson r if only the items' error hid it (r / √alpha)",
    "qwk": "Quadratic weighted kappa over bands",
    "crps": "CRPS (points)",
    "fnr": "False-negative rate",
    "sensitivity": "Sensitivity",
    "specificity": "Specificity",
    "ppv": "Positive predictive value",
    "npv": "Negative predictive value",
    "ece": "Expected calibration error of P(total ≥ k)",
    "brier": "Brier score",
    "aurc": "Area under the risk-coverage curve (points)",
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
class Validation:
    """People on whom a threshold is chosen; nobody of them is among those that are judged.

    Parameters
    ----------
    totals
        Questionnaire totals in points, length n; rows without one are left out.
    scores
        Estimates or plain scores, length n, as `evaluate` takes them; abstained rows are left out.
    users
        Whose each row is, length n; where given, `evaluate` refuses people that it judges.
    """

    totals: Sequence[float | None]
    scores: Sequence[Any]
    users: Sequence[Hashable] = ()


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
    validation
        People of the same model's on whom a threshold is chosen.
    """

    resamples: int = 2000
    seed: int = 0
    level: float = 0.95
    minimum: int = LEAST_PEOPLE
    validation: Validation | None = field(default=None, repr=False, hash=False)


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
class ThresholdRow:
    """Calling everybody at or above a threshold a case: how often that is right.

    Parameters
    ----------
    chosen
        How the threshold came about, in words a table can show.
    cut_off
        Questionnaire total from which somebody is a case, in points.
    threshold
        Estimate from which somebody is called one, in points; None when none could be chosen, and
        every figure then says why.
    counts
        True and false positives and negatives (``tp``, ``fp``, ``fn``, ``tn``), in rows; empty
        when it could not be counted.
    figures
        ``sensitivity``, ``specificity``, ``ppv``, ``npv``.
    """

    chosen: str
    cut_off: int
    threshold: float | None
    counts: Mapping[str, int] = field(hash=False)
    figures: Mapping[str, Figure] = field(hash=False)

    def as_dict(self) -> dict[str, Any]:
        """Give the row as JSON can hold it."""
        name = {"chosen": self.chosen, "cut_off": self.cut_off, "threshold": self.threshold}
        return {**name, **self.counts, **figures_dict(self.figures)}


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Rows of like predicted probability: their mean prediction, and how many were cases."""

    n: int
    predicted: float
    observed: Figure

    def as_dict(self) -> dict[str, Any]:
        """Give the bin as JSON can hold it."""
        return {"n": self.n, "predicted": self.predicted, "observed": self.observed.as_dict()}


@dataclass(frozen=True, slots=True)
class Reliability:
    """Whether P(total >= cut-off) is as often right as it says; ``ece`` and ``brier``."""

    cut_off: int
    figures: Mapping[str, Figure] = field(hash=False)
    bins: tuple[ReliabilityBin, ...]

    def as_dict(self) -> dict[str, Any]:
        """Give the curve as JSON can hold it."""
        bins = [each.as_dict() for each in self.bins]
        return {"cut_off": self.cut_off, **figures_dict(self.figures), "bins": bins}


@dataclass(frozen=True, slots=True)
class RiskCoverage:
    """Error of those that would still be scored, were the least sure left out first.

    Parameters
    ----------
    order
        What says how sure an estimate is, in words a table can show.
    aurc
        Area under the curve, in points: the mean of the errors over all shares.
    random
        The same when rows are left out at random: what `aurc` must fall below.
    shares, risks
        The curve: share of all labelled rows that is scored, ascending, and the mean absolute
        error on it, in points. It ends at the share that the model really scored.
    """

    order: str
    aurc: Figure
    random: Figure
    shares: tuple[float, ...] = ()
    risks: tuple[float, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Give the curve as JSON can hold it."""
        figures = figures_dict({"aurc": self.aurc, "random": self.random})
        return {"order": self.order, **figures, "shares": self.shares, "risks": self.risks}


@dataclass(frozen=True, slots=True)
class Gap:
    """How far a group is from everybody else, on one metric.

    Parameters
    ----------
    difference
        The group's figure minus that of the rest, with its interval.
    p
        Chance of a gap as large if the group did not matter; None where it was not computed.
    adjusted
        The same over all gaps that were looked at (Holm); None where `p` is.
    """

    difference: Figure
    p: float | None = None
    adjusted: float | None = None

    def as_dict(self) -> dict[str, Any]:
        """Give the gap as JSON can hold it."""
        return {**self.difference.as_dict(), "p": self.p, "p_adjusted": self.adjusted}


@dataclass(frozen=True, slots=True)
class GroupRow:
    """One group of people; `people` is None when the cell is suppressed as too small.

    `gaps` holds, by metric, how far the group is from everybody else.
    """

    label: str
    people: int | None
    abstained: int | None
    figures: Mapping[str, Figure] = field(hash=False)
    gaps: Mapping[str, Gap] = field(default_factory=dict, hash=False)

    def as_dict(self) -> dict[str, Any]:
        """Give the row as JSON can hold it."""
        return {
            "label": self.label,
            "people": self.people,
            "suppressed": self.people is None,
            "abstained": self.abstained,
            **figures_dict(self.figures),
            "gaps": {key: gap.as_dict() for key, gap in self.gaps.items()},
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
    thresholds, reliability
        Cases called at a threshold, and probabilities held against cases; empty where they do not
        apply.
    risk_coverage
        Error against the share that is scored; None where nothing says how sure an estimate is.
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
    thresholds: tuple[ThresholdRow, ...] = ()
    reliability: tuple[Reliability, ...] = ()
    risk_coverage: RiskCoverage | None = None
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
            "thresholds": [row.as_dict() for row in self.thresholds],
            "reliability": [curve.as_dict() for curve in self.reliability],
            "risk_coverage": None if self.risk_coverage is None else self.risk_coverage.as_dict(),
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
