"""Labelling a pool: an annotator's totals, calibrated, and models' scores of people not held.

Owns who labels whom: a model never labels a person whom it was trained on, and a training
person's own questionnaire never calibrates its own blended target. Does not know how members are
taught (`teaching`) nor the arithmetic of a calibration (`pseudolabels`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from sottovoce.cohort import Window, assign_folds
from sottovoce.material import Both, SelfTraining
from sottovoce.pseudolabels import (
    Calibration,
    Judgement,
    calibrate,
    confidence,
    disagreement_limit,
    doubt,
)
from sottovoce.teaching import Fits, Labels, Taught, Teacher, held_out

Array = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Labelled:
    """Pseudolabels of a pool, what a record says of them, and plain sentences."""

    labels: Labels
    record: Mapping[str, Any]
    notes: tuple[str, ...] = field(default=())


class Labeller:
    """Labels the pool of a run.

    Parameters
    ----------
    teacher
        Fits members on the run's people.
    ground
        Members that learnt from questionnaires alone.
    plan
        Parts, agreement and blend.
    """

    def __init__(self, teacher: Teacher, ground: Fits, plan: SelfTraining) -> None:
        self.teacher, self.ground, self.plan = teacher, ground, plan
        self.people = teacher.people
        self.model = held_out(ground)

    @cached_property
    def error(self) -> float:
        """Mean squared error of members of questionnaires alone on people not held."""
        return float(((self.model - self.people.totals) ** 2).mean())

    @cached_property
    def both(self) -> Both:
        """Training people who have an annotation, too."""
        return self.people.both

    @cached_property
    def calibrated(self) -> tuple[Calibration, Array]:
        """The annotator's calibration, and each training person's total by the other folds."""
        readings, along = self.both.readings[:, None], self.model[self.both.rows]
        return self._calibrate(readings, doubt(self.both.annotations), along)

    @cached_property
    def judgement(self) -> Judgement:
        """How the annotator does on people who have a questionnaire."""
        calibration, apart = self.calibrated
        totals = self.people.totals[self.both.rows]
        return Judgement.of(self.both.readings, totals, apart, calibration, self.plan.seed)

    def _calibrate(
        self, readings: Array, doubts: Array, along: Array | None = None
    ) -> tuple[Calibration, Array]:
        rows = self.both.rows
        totals, folds = self.people.totals[rows], self.people.folds[rows]
        return calibrate(readings, doubts, totals, folds, along)

    def by_annotator(self) -> Labelled:
        """Take the annotator's totals of the pool, as far as the questionnaires bear them out.

        Nothing is taken of an annotator whose totals do not follow the questionnaires. A label
        that lies further from the model's than annotator and model lie apart on people with a
        questionnaire is left out: one of the two has misread.
        """
        judged, pool = self.judgement, self.people.pool
        annotated = [each for each in pool if each.user_id in self.people.annotations]
        missing, notes = len(pool) - len(annotated), judged.sentences()
        if missing:
            notes.append(f"{missing} of {len(pool)} people of the pool have no annotation")
        record = {"annotator": judged.as_dict(), "pool": len(pool), "unannotated": missing}
        if not judged.useful or not annotated:
            return Labelled(Labels(), {**record, "disagreed": 0}, tuple(notes))
        said = [self.people.annotations[each.user_id] for each in annotated]
        calibration, apart = self.calibrated
        totals = calibration.totals(np.array([[each.total] for each in said]))
        variances = calibration.variances(doubt(said))
        if not judged.known:  # nobody can say how wrong it is: no better than the model is
            variances = self.error + doubt(said)[:, 0]
        users = tuple(each.user_id for each in annotated)
        labels = Labels(users, self.people.bounded(totals), confidence(variances, self.error))
        keep, limit = self._agreed(labels.totals, apart, annotated)
        dropped = int((~keep).sum())
        if dropped:
            notes.append(f"{dropped} labels lie over {limit:.1f} points from the model's: left out")
        record |= {"disagreed": dropped, "limit": limit if np.isfinite(limit) else None}
        return Labelled(labels.take(keep), record, tuple(notes))

    def _agreed(
        self, totals: Array, apart: Array, windows: Sequence[Window]
    ) -> tuple[npt.NDArray[np.bool_], float]:
        """Say which labels lie near a model's, and how near is near."""
        limit = disagreement_limit(apart, self.model[self.both.rows], self.plan.agreement)
        points = self.teacher.points(self.ground, windows)
        return np.abs(totals - points) <= limit, limit

    def by_models(self, last: Taught, labels: Labels, number: int) -> Labelled:
        """Let models label people of the pool whom they were not trained on.

        Their scores are calibrated on held-out people; where there is an annotation of use, both
        readings make one label, and it counts the less the further they lie apart.

        Parameters
        ----------
        last, labels
            Members of the stage before, and what they were taught.
        number
            Of the round; each cuts the pool anew.
        """
        points, judged = self._points_apart(last, labels, number), self.judgement
        own = held_out(last.fits)
        nothing = np.zeros((len(own), 0))
        alone, _ = calibrate(own[:, None], nothing, self.people.totals, self.people.folds)
        totals = alone.totals(points[:, None])
        variances = alone.variances(np.zeros((len(points), 0)))
        pool, annotations = self.people.pool, self.people.annotations
        trusted = judged.useful and judged.known
        rows = [row for row, each in enumerate(pool) if trusted and each.user_id in annotations]
        if rows:
            said = [annotations[pool[row].user_id] for row in rows]
            mixed, _ = self._calibrate(
                *_beside(self.both.readings, own[self.both.rows], doubt(self.both.annotations))
            )
            readings = np.array([each.total for each in said])
            together, doubts = _beside(readings, points[rows], doubt(said))
            totals[rows], variances[rows] = mixed.totals(together), mixed.variances(doubts)
        users = tuple(each.user_id for each in pool)
        made = Labels(users, self.people.bounded(totals), confidence(variances, self.error))
        record = {
            "annotator": judged.as_dict(),
            "pool": len(pool),
            "by_annotator_and_model": len(rows),
            "by_model": len(pool) - len(rows),
        }
        return Labelled(made, record)

    def _points_apart(self, last: Taught, labels: Labels, number: int) -> Array:
        """Score each person of the pool by members that were not trained on the person."""
        pool = self.people.pool
        if not last.trust or len(pool) < 2:
            fits = last.fits if not last.trust else self.ground
            return self.teacher.points(fits, pool)
        users = [each.user_id for each in pool]
        parts = assign_folds(users, min(self.plan.parts, len(users)), self.plan.seed + number)
        part_of = dict(zip(users, parts.tolist(), strict=True))
        targets = self.blends().get(last.blend, self.people.totals)
        points = np.empty(len(users))
        for part in np.unique(parts):
            others = np.array([part_of[user] != part for user in labels.users], np.bool_)
            fits = self.teacher.fit(labels.take(others), last.trust, targets)
            inside = np.flatnonzero(parts == part)
            points[inside] = self.teacher.points(fits, [pool[int(row)] for row in inside])
        return points

    def blends(self) -> dict[float, Array]:
        """Give the training people's targets, by the annotator's share in them.

        A person's calibrated total comes from the other folds' people.
        """
        if not self.plan.blend or not len(self.both.rows) or not self.judgement.useful:
            return {}
        rows, totals = self.both.rows, self.people.totals
        _, apart = self.calibrated
        found = {}
        for blend in self.plan.blend:
            targets = totals.copy()
            targets[rows] += blend * (self.people.bounded(apart) - totals[rows])
            found[blend] = targets
        return found


def _beside(readings: Array, points: Array, doubts: Array) -> tuple[Array, Array]:
    """Put an annotator's and a model's reading side by side; their distance is one more doubt."""
    return (
        np.column_stack([readings, points]),
        np.column_stack([doubts, (readings - points) ** 2]),
    )
