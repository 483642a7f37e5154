"""Pseudolabels: what a reading says about a questionnaire, and how surely.

Owns the calibration of readings on people who have a questionnaire, too, what each pseudolabel
counts, and the plain sentences about an annotator. Does not know who reads, text, or stages.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sottovoce.annotations import Annotation
from sottovoce.metrics import LEAST_PEOPLE, Figure, bias, pearson, resample_people

Array = npt.NDArray[np.float64]

PRIOR_PEOPLE = 10.0
"""People that the prior slopes count for; ours. With two hundred people of both labels a slope
keeps a twentieth of the way to the prior, with ten it is half of it."""

PRIOR_LEVEL = 1.0
"""People that the absence of a bias counts for; ours. A level is learnt from few people, and a
bias is what annotators are known for, so that it is hardly shrunk."""

ENOUGH_FOR_DOUBT = 30
"""People from whom it is learnt whether an annotator's doubt tells its error; ours. Below it every
pseudolabel is taken to be equally wrong."""

LEAST_INTERVAL = 30
"""People of both labels for an interval of disagreement; ours: with fewer, its ends are set by
one of them."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What to expect of a questionnaire, given readings of the same conversation.

    Parameters
    ----------
    centre
        Mean of each reading, points, shape (k,).
    level
        Questionnaire total to expect there, points.
    slopes
        Points of the questionnaire for a point of each reading, shape (k,).
    variance
        Squared error to expect, in points squared: at no doubt, and for a unit of each doubt,
        none of them negative, shape (1 + d,).
    """

    centre: Array
    level: float
    slopes: Array
    variance: Array

    def totals(self, readings: Array) -> Array:
        """Give calibrated totals, points, not bounded, shape (n,), of readings, shape (n, k)."""
        return np.asarray(self.level + (readings - self.centre) @ self.slopes)

    def variances(self, doubts: Array) -> Array:
        """Give the squared error to expect, shape (n,), at doubts of shape (n, d)."""
        return np.asarray(self.variance[0] + doubts @ self.variance[1:])

    @property
    def intercept(self) -> float:
        """Total to expect where every reading says 0, points."""
        return float(self.level - self.centre @ self.slopes)


def calibrate(
    readings: Array,
    doubts: Array,
    totals: Array,
    folds: npt.NDArray[np.int64],
    along: Array | None = None,
) -> tuple[Calibration, Array]:
    """Learn what readings say about the questionnaire, from people who have both.

    Parameters
    ----------
    readings
        Points, shape (n, k): each column one reader, such as an annotator and a model that did
        not hold the person.
    doubts
        Squared points, shape (n, d), not negative, such as the annotator's own variance.
    totals
        What the people reported, points, shape (n,).
    folds
        Fold of each, shape (n,).
    along
        Of a single reader: scores by a model that did not hold the person, points, shape (n,). The
        slope is then the one at which reading and questionnaire agree for people of the same
        score.

    Returns
    -------
    Calibration
        From everybody.
    array, shape (n,)
        Each person's calibrated total by the people of the other folds: a person's own
        questionnaire has no part in it.

    Notes
    -----
    The questionnaire is regressed on the readings: the result is the mean of people who were read
    so. It spreads less than questionnaires do, since part of a reading is chance, and a model
    that is taught it learns to say too little of the ends of the scale. A label to learn from has
    to be right for people of the same text, not for people of the same reading; so with `along`
    the slope is ``cov(total, along) / cov(reading, along)``, the model's score being an
    instrument that shares no error with either. It is held between the regression of the
    questionnaire on the reading and the inverse of the other one. Where the model's score is among
    the readings, the regression is right along it by itself. Slopes are drawn towards a
    plain mean of the readings by `PRIOR_PEOPLE`, the level towards it by `PRIOR_LEVEL`: with few
    people a reading is taken nearly as it is, and with nobody wholly. The squared errors of the
    folds are regressed on the doubts with coefficients that are not negative, so that more doubt
    never counts more.
    """
    apart = np.empty(len(totals))
    for fold in np.unique(folds):
        inside = folds == fold
        others = None if along is None else along[~inside]
        line = _line(readings[~inside], totals[~inside], others)
        apart[inside] = line.totals(readings[inside])
    line = _line(readings, totals, along)
    variance = _variance(doubts, (totals - apart) ** 2)
    return Calibration(line.centre, line.level, line.slopes, variance), apart


def _line(readings: Array, totals: Array, along: Array | None = None) -> Calibration:
    n, k = readings.shape
    prior = np.full(k, 1 / k)
    centre = readings.mean(axis=0) if n else np.zeros(k)
    expected = float(centre @ prior)
    level = (totals.sum() + PRIOR_LEVEL * expected) / (n + PRIOR_LEVEL)
    apart = readings - centre
    weight = PRIOR_PEOPLE * np.diag(apart.var(axis=0) if n else np.ones(k))
    weight += 1e-9 * np.eye(k)  # a reader who tells all people alike leaves nothing to divide by
    target = apart.T @ totals + weight @ prior
    slopes = np.linalg.solve(apart.T @ apart + weight, target)
    if along is not None and n:
        slopes = np.array([_slope_along(apart[:, 0], totals, along, float(slopes[0]))])
    return Calibration(centre, float(level), slopes, np.zeros(1))


def _slope_along(reading: Array, totals: Array, along: Array, direct: float) -> float:
    """Slope at which reading and questionnaire agree along a score, within its bounds."""
    score, total = along - along.mean(), totals - totals.mean()
    shared, prior = float(reading @ total), PRIOR_PEOPLE * float(along.var())
    below = float(reading @ score) + prior
    if shared <= 0 or below <= 0:
        return direct
    found = (float(total @ score) + prior) / below
    return float(np.clip(found, direct, max(direct, float(total @ total) / shared)))


def _variance(doubts: Array, squared: Array) -> Array:
    width = doubts.shape[1]
    if len(squared) < ENOUGH_FOR_DOUBT:
        return np.array([squared.mean() if len(squared) else 0.0, *[0.0] * width])
    from scipy.optimize import nnls

    found, _ = nnls(np.column_stack([np.ones(len(squared)), doubts]), squared)
    return np.asarray(found, dtype=np.float64)


def confidence(variances: Array, error: float) -> Array:
    """Say what each pseudolabel counts beside a questionnaire, above 0 and at most 1.

    Parameters
    ----------
    variances
        Squared error to expect of each, points squared, shape (n,).
    error
        Mean squared error of a model on people that it did not hold: the variance around the
        model at which a questionnaire counts 1.

    Notes
    -----
    A row of a regression counts the inverse of its variance around what is learnt: `error` for a
    questionnaire. A pseudolabel is a questionnaire with an error of its own on top, taken to be
    independent, so it counts ``error / (error + variance)``. Where its error is partly the
    model's own, that is less than it is worth, never more.
    """
    error = max(error, 1e-9)  # a model without error would give every pseudolabel no weight
    return np.asarray(error / (error + np.maximum(variances, 0.0)))


def doubt(annotations: Sequence[Annotation]) -> Array:
    """Give an annotator's own variance of each total, points squared, shape (n, 1).

    Its stated sd and the spread of its samples: what it knows to be unsure, and what it does not.
    """
    return np.array([[each.sd**2 + (each.spread or 0.0) ** 2] for each in annotations]).reshape(
        len(annotations), 1
    )


def disagreement_limit(first: Array, second: Array, coverage: float) -> float:
    """Give how far two readers of one person lie apart at most in a share of the people.

    Parameters
    ----------
    first, second
        Points, shape (n,), of people with a questionnaire; no reader held the person.
    coverage
        Share of the people, 0 to 1.

    Returns
    -------
    float
        Points; infinite where there are too few people to say.
    """
    apart = np.sort(np.abs(first - second))
    place = int(np.ceil((len(apart) + 1) * coverage))
    if len(apart) < LEAST_INTERVAL or place > len(apart):
        return float("inf")
    return float(apart[place - 1])


@dataclass(frozen=True, slots=True)
class Judgement:
    """How an annotator does on people who have a questionnaire, too.

    Parameters
    ----------
    n
        People of both labels.
    r
        Correlation of its totals with the questionnaires.
    bias_before, bias_after
        Its totals minus the questionnaires, points: as they are, and calibrated by other folds.
    slope, intercept
        Of the calibration.
    residual_sd
        Of the questionnaire around the calibrated total, points; None of nobody.
    spread
        Standard deviation of the calibrated totals over that of the questionnaires.
    """

    n: int
    r: Figure
    bias_before: Figure
    bias_after: Figure
    slope: float
    intercept: float
    residual_sd: float | None
    spread: float | None

    @classmethod
    def of(
        cls, readings: Array, totals: Array, apart: Array, calibration: Calibration, seed: int
    ) -> "Judgement":
        """Judge one annotator's totals, shape (n,), beside calibrated ones by other folds."""
        draws, n = resample_people(range(len(totals)), seed=seed), len(totals)
        few = f"{n} people have both labels"
        missing = Figure.missing(few, n=n)
        spread = float(apart.std() / totals.std()) if n > 1 and totals.std() > 0 else None
        return cls(
            n,
            pearson(totals, readings, draws) if n > 1 else missing,
            bias(totals, readings, draws) if n else missing,
            bias(totals, apart, draws) if n else missing,
            float(calibration.slopes[0]),
            calibration.intercept,
            float(np.sqrt(((totals - apart) ** 2).mean())) if n else None,
            spread,
        )

    @property
    def known(self) -> bool:
        """Whether enough people have both labels to judge it."""
        return self.n >= LEAST_PEOPLE

    @property
    def useful(self) -> bool:
        """Whether its totals follow the questionnaires, or nobody can say that they do not."""
        return not self.known or (self.r.lower is not None and self.r.lower > 0)

    def as_dict(self) -> dict[str, Any]:
        """Give it as JSON can hold it."""
        return {
            "n": self.n,
            "r": self.r.as_dict(),
            "bias_before": self.bias_before.as_dict(),
            "bias_after": self.bias_after.as_dict(),
            "slope": self.slope,
            "intercept": self.intercept,
            "residual_sd": self.residual_sd,
            "spread": self.spread,
            "used": self.useful,
        }

    def sentences(self) -> list[str]:
        """Say what a person has to know of it."""
        if not self.known:
            return [
                f"{self.n} people have a questionnaire and an annotation, too few to judge the "
                "annotator: its totals are taken nearly as they are"
            ]
        if not self.useful:
            return [
                "the annotator's totals do not follow the questionnaires (r "
                f"{self.r.text()}): its labels are not used"
            ]
        told = [
            f"the annotator's totals follow the questionnaires with r {self.r.text()}; slope "
            f"{self.slope:.2f}"
        ]
        before = self.bias_before
        if (
            before.lower is not None
            and before.upper is not None
            and before.lower * before.upper > 0
        ):
            told.append(
                f"the annotator is off by {before.number(sign=True)} points "
                f"{before.interval(sign=True)}; calibrated, by "
                f"{self.bias_after.number(sign=True)} {self.bias_after.interval(sign=True)}"
            )
        return told
