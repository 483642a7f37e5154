"""Do the intervals keep their promise? Simulated predictors whose true figures are known.

A predictor is simulated many times on new people, and it is counted how often the 95% interval of
each metric holds the true value: with 120 and 500 people of one row, and 120 of three rows. Truth
is the same metric on 400,000 simulated rows, or a formula where there is one. Further rows: labels
that were permuted (AUC at 0.5, r at 0), gaps between groups that are none (p at or below 0.05 in 5%
of draws), and DeLong's numbers for pROC's example.

pROC's data are GPL and not part of this project. Write them with R, ``write.csv(pROC::aSAH,
"aSAH.csv")``, or read ``data/aSAH.RData`` of its repository with the Python package rdata, and set
SOTTOVOCE_ASAH to the file; without it the rows say so.
"""

import csv
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.stats import binomtest, norm

from benchmarks.shared import options, show
from sottovoce.instruments import PHQ_9
from sottovoce.metrics import (
    Figure,
    Resamples,
    Shuffles,
    aurc,
    bias,
    brier,
    ccc,
    corrected_pearson,
    coverage,
    crps,
    delong,
    delong_difference,
    error_slope,
    fnr,
    gap,
    mae,
    npv,
    pearson,
    ppv,
    qwk,
    r2,
    resample_people,
    rmse,
    sensitivity,
    slope,
    spearman,
    specificity,
    width,
)
from sottovoce.metrics.columns import floats

Array = npt.NDArray[np.float64]

DRAWS = int(os.environ.get("SOTTOVOCE_DRAWS", "1000"))
RESAMPLES = 1000
POPULATION = 400_000
"""Rows that stand for everybody: their own error is 3% of a standard error at 500 people."""

SETTINGS = ((120, 1), (500, 1), (120, 3))
"""People, and rows a person."""

ALLOWED = (0.93, 0.97)
"""The bounds that the project set itself."""

SHARED = 0.6
"""Share of the variance of totals and of errors that a person's rows have in common."""

R = 0.8
"""Correlation of score and latent severity before totals are rounded and cut at the range."""

NORMAL = norm.ppf((np.arange(60) + 0.5) / 60)
"""A normal predictive distribution as 60 equally likely values."""


@dataclass(frozen=True)
class Sample:
    """Simulated rows."""

    total: Array
    score: Array
    other: Array
    spread: Array
    person: npt.NDArray[np.intp]
    member: npt.NDArray[np.bool_]

    @property
    def case(self) -> Array:
        """Whether the total lies at or above the screening cut-off."""
        return (self.total >= PHQ_9.screening_cut_off).astype(float)

    @property
    def called(self) -> Array:
        """Whether the score does."""
        return (self.score >= PHQ_9.screening_cut_off).astype(float)


def _column(generator: np.random.Generator, person: npt.NDArray[np.intp]) -> Array:
    """Give standard normal numbers of which a person's rows share a part."""
    people, own = int(person.max()) + 1, generator.normal(size=len(person))
    if people == len(person):
        return own
    shared = generator.normal(size=people)[person]
    return floats(np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * own)


def draw(generator: np.random.Generator, people: int, rows: int) -> Sample:
    """Simulate totals with PHQ-9's range and a predictor that knows how unsure it is."""
    person = np.repeat(np.arange(people), rows)

    def column() -> Array:
        return _column(generator, person)

    severity, error, another = column(), column(), column()
    spread = np.exp(0.4 * generator.normal(size=len(person)))
    member = (generator.random(people) < 0.4)[person]
    total = np.clip(np.round(11 + 6.7 * severity), PHQ_9.minimum, PHQ_9.maximum)
    known = 11 + 5.4 * R * severity - member
    noise = 5.4 * np.sqrt(1 - R**2)
    score = np.clip(known + noise * spread * error, PHQ_9.minimum, PHQ_9.maximum)
    return Sample(total, score, known + 1.4 * noise * another, spread, person, member)


Metric = Callable[[Sample, Resamples | None], Figure]


def _points(metric: Callable[..., Figure]) -> Metric:
    return lambda s, resamples: metric(s.total, s.score, resamples)


def _shares(metric: Callable[..., Figure]) -> Metric:
    return lambda s, resamples: metric(s.case, s.called, resamples)


def _banded(s: Sample, resamples: Resamples | None) -> Figure:
    lowest = [band.lower for band in PHQ_9.bands]
    true, said = (
        np.searchsorted(lowest, np.floor(x + 0.5), side="right") for x in (s.total, s.score)
    )
    return qwk(true, said, resamples)


def _crps(s: Sample, resamples: Resamples | None) -> Figure:
    samples = s.score[:, np.newaxis] + 4 * s.spread[:, np.newaxis] * NORMAL
    return crps(s.total, np.clip(samples, PHQ_9.minimum, PHQ_9.maximum), resamples)


def _brier(s: Sample, resamples: Resamples | None) -> Figure:
    chance = norm.sf((PHQ_9.screening_cut_off - 0.5 - s.score) / (4 * s.spread))
    return brier(s.case, chance, resamples)


def _aurc(s: Sample, resamples: Resamples | None) -> Figure:
    return aurc(np.abs(s.score - s.total), s.spread, resamples)


def _coverage(s: Sample, resamples: Resamples | None) -> Figure:
    reach = 6 * s.spread
    return coverage(s.total, s.score - reach, s.score + reach, resamples)


def _width(s: Sample, resamples: Resamples | None) -> Figure:
    lower, upper = (
        np.clip(s.score + side * 6 * s.spread, PHQ_9.minimum, PHQ_9.maximum) for side in (-1, 1)
    )
    return width(lower, upper, resamples)


def _auc(cut_off: int, s: Sample, resamples: Resamples | None) -> Figure:
    person = None if resamples is None else resamples.person
    return delong(s.total >= cut_off, s.score, person)


def _auc_plain(cut_off: int, s: Sample, resamples: Resamples | None) -> Figure:
    person = None if resamples is None else resamples.person
    return delong(s.total >= cut_off, s.score, person, plain=True)


def _auc_difference(s: Sample, resamples: Resamples | None) -> Figure:
    person = None if resamples is None else resamples.person
    return delong_difference(s.case, s.score, s.other, person).figure


def _gap(metric: Callable[..., Figure], s: Sample, resamples: Resamples | None) -> Figure:
    pair = (s.case, s.called) if metric is fnr else (s.total, s.score)
    both = [
        metric(*(each[rows] for each in pair), None if resamples is None else resamples.take(rows))
        for rows in (s.member, ~s.member)
    ]
    return gap(both[0], both[1], apart=True)


METRICS: Mapping[str, Metric] = {
    "MAE": _points(mae),
    "RMSE": _points(rmse),
    "bias": _points(bias),
    "Pearson r": _points(pearson),
    "Spearman r": _points(spearman),
    "CCC": _points(ccc),
    "r corrected for alpha": lambda s, d: corrected_pearson(s.total, s.score, PHQ_9.alpha, d),
    "slope": _points(slope),
    "slope of error": _points(error_slope),
    "R2": _points(r2),
    "QWK": _banded,
    "CRPS": _crps,
    "Brier score at 10": _brier,
    "AURC": _aurc,
    "interval coverage": _coverage,
    "interval width": _width,
    "sensitivity": _shares(sensitivity),
    "specificity": _shares(specificity),
    "PPV": _shares(ppv),
    "NPV": _shares(npv),
    "FNR": _shares(fnr),
    "gap in FNR": partial(_gap, fnr),
    "gap in MAE": partial(_gap, mae),
    "AUC at 10": partial(_auc, 10),
    "AUC at 20": partial(_auc, 20),
    "AUC at 24": partial(_auc, 24),
    "difference of two AUCs": _auc_difference,
    "AUC at 10, DeLong's plain interval": partial(_auc_plain, 10),
    "AUC at 24, DeLong's plain interval": partial(_auc_plain, 24),
}
"""What evaluations show; the plain intervals are beside them for why they are not used."""

BINORMAL = 1.2
"""Distance of cases from others, in standard deviations."""


def _exact(
    generator: np.random.Generator, people: int, rows: int
) -> dict[str, tuple[Figure, float]]:
    """Give figures whose truth is a formula: r of a bivariate normal, AUC of a binormal."""
    person = np.repeat(np.arange(people), rows)
    x, y = _column(generator, person), _column(generator, person)
    case = (generator.random(people) < 0.3)[person]
    resamples = resample_people(person, count=RESAMPLES, seed=int(generator.integers(2**31)))
    return {
        "r of a bivariate normal": (pearson(x, R * x + np.sqrt(1 - R**2) * y, resamples), R),
        "AUC of a binormal": (
            delong(case, x + BINORMAL * case, person),
            float(norm.cdf(BINORMAL / np.sqrt(2))),
        ),
    }


def _chance(s: Sample, generator: np.random.Generator, resamples: Resamples) -> dict[str, float]:
    """Give what must be at chance once people's totals are shuffled among them."""
    people = int(s.person.max()) + 1
    rows = len(s.person) // people
    total = s.total.reshape(people, rows)[generator.permutation(people)].ravel()
    area = delong(total >= PHQ_9.screening_cut_off, s.score, resamples.person)
    along = pearson(total, s.score, resamples)
    again = delong_difference(total >= PHQ_9.screening_cut_off, s.score, s.other, s.person)
    errors, group = np.abs(s.score - s.total), generator.random(people) < 0.4
    shuffles = Shuffles.of(people, count=199, seed=int(generator.integers(2**31)))
    sums = floats(np.bincount(s.person, weights=errors))
    p = shuffles.p_value(sums, np.full(people, float(rows)), group)
    return {
        "labels permuted: AUC's interval holds 0.5": _holds(area, 0.5),
        "labels permuted: r's interval holds 0": _holds(along, 0.0),
        "no difference of two AUCs: p above 0.05": float((again.p or 0.0) > 0.05),
        "no gap between groups: p above 0.05": float(p > 0.05),
    }


def _holds(figure: Figure, truth: float) -> float:
    if figure.lower is None or figure.upper is None:
        return np.nan
    return float(figure.lower <= truth <= figure.upper)


def measure(people: int, rows: int, truth: Mapping[str, float]) -> dict[str, list[float]]:
    """Count for each row of the table how often it held, draw by draw."""
    held: dict[str, list[float]] = {}
    for number in range(DRAWS):
        generator = np.random.default_rng([people, rows, number])
        sample = draw(generator, people, rows)
        resamples = resample_people(sample.person, count=RESAMPLES, seed=number)
        found = {
            key: _holds(metric(sample, resamples), truth[key]) for key, metric in METRICS.items()
        }
        exact = _exact(generator, people, rows)
        found |= {key: _holds(figure, true) for key, (figure, true) in exact.items()}
        for key, value in (found | _chance(sample, generator, resamples)).items():
            held.setdefault(key, []).append(value)
    return held


def table() -> list[dict[str, Any]]:
    """Give a row for each figure, with the share of draws that held at each setting."""
    everybody = draw(np.random.default_rng(1), POPULATION, 1)
    truth = {key: metric(everybody, None).value or 0.0 for key, metric in METRICS.items()}
    rows: dict[str, dict[str, Any]] = {}
    remarks: dict[str, list[str]] = {}
    for people, each in SETTINGS:
        begun = time.monotonic()
        setting = f"{people} people" + (f" x {each}" if each > 1 else "")
        for key, held in measure(people, each, truth).items():
            cells, remark = _share(setting, held)
            rows.setdefault(key, {"name": key, "truth": truth.get(key)}).update(cells)
            remarks.setdefault(key, []).extend(remark)
        print(f"{setting}: {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    return [row | {"remark": "; ".join(remarks[key])} for key, row in rows.items()]


def _share(setting: str, held: list[float]) -> tuple[dict[str, Any], list[str]]:
    """Give coverage with its exact binomial interval, and what a reader must know of it."""
    counted = [value for value in held if not np.isnan(value)]
    if not counted:
        return {setting: None}, [f"{setting}: no draw has an interval"]
    share = float(np.mean(counted))
    sure = binomtest(int(sum(counted)), len(counted)).proportion_ci(0.95)
    remarks = []
    if sure.high < ALLOWED[0] or sure.low > ALLOWED[1]:
        remarks.append(f"{setting}: OUTSIDE")
    elif not ALLOWED[0] <= share <= ALLOWED[1]:
        remarks.append(f"{setting}: outside, which may be chance")
    if len(counted) < 0.99 * len(held):
        remarks.append(f"{setting}: {len(counted) / len(held):.0%} of draws have an interval")
    return {setting: share, f"{setting}_ci": [float(sure.low), float(sure.high)]}, remarks


PUBLISHED = {
    ("s100b", "AUC"): (0.7314, 0.6301, 0.8326),
    ("ndka", "AUC"): (0.611957994579946, 0.501244999271703, 0.722670989888189),
    ("wfns", "AUC"): (0.8237, 0.7485, 0.8988),
    ("wfns", "s100b"): (0.0271757822291882, 0.0104061769564846, 0.174214419249478),
    ("wfns", "ndka"): (0.00514557970691098, 0.0634011709339876, 0.3600405634833566),
    ("ndka", "s100b"): (0.164295175223054, -0.2876917446341914, 0.0488706064228094),
}
"""AUC, or p of the difference of two, and the interval: pROC's documentation (roc, ci.auc), and its
tests test-ci.auc.R and test-roc.test.R at github.com/xrobin/pROC."""


def against_proc() -> list[dict[str, Any]]:
    """Hold DeLong's variance to pROC's example, where its data are given."""
    path = os.environ.get("SOTTOVOCE_ASAH")
    if path is None:
        return [{"name": "pROC's example: not run, SOTTOVOCE_ASAH is not set"}]
    with Path(path).open(encoding="utf-8") as stream:
        patients = list(csv.DictReader(stream))
    poor = [patient["outcome"] == "Poor" for patient in patients]
    marker = {
        name: [float(patient[name]) for patient in patients] for name in ("s100b", "ndka", "wfns")
    }
    rows = []
    for (first, second), published in PUBLISHED.items():
        if second == "AUC":
            figure = delong(poor, marker[first], plain=True)
            value = figure.value
        else:
            found = delong_difference(poor, marker[first], marker[second])
            figure, value = found.figure, found.p
        ours = (value, figure.lower, figure.upper)
        equal = all(round(a or 0.0, 4) == round(b, 4) for a, b in zip(ours, published, strict=True))
        what = f"{first}, AUC" if second == "AUC" else f"{first} and {second}, p"
        rows.append(
            {
                "name": f"pROC's example: {what}",
                "truth": published[0],
                "truth_ci": list(published[1:]),
                "here": value,
                "here_ci": [figure.lower, figure.upper],
                "remark": "equal to 4 digits" if equal else "DIFFERENT",
            }
        )
    return rows


def main() -> None:
    """Print the table; exit 1 if pROC's example is not met."""
    given = options(__doc__ or "")
    rows = table() + against_proc()
    title = (
        f"Share of {DRAWS:,} draws in which a 95% interval held the truth ({RESAMPLES:,} "
        f"resamples); it should lie from {ALLOWED[0]} to {ALLOWED[1]}"
    )
    show("statistics", title, rows, given)
    if any(row.get("remark") == "DIFFERENT" for row in rows):
        sys.exit("Error: DeLong's variance is not pROC's")


if __name__ == "__main__":
    main()
