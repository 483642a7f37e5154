"""The people of a self-training, and how far its pseudolabels may go.

Owns who may be learnt from: test people, texts like theirs, and people of two kinds are left out
and counted. Does not know models or what a label is worth.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from sottovoce.annotations import Annotation
from sottovoce.cohort import Window, assign_folds
from sottovoce.combination import Weighting
from sottovoce.duplicates import ALIKE, apart_from, assert_apart
from sottovoce.instruments import Instrument

Array = npt.NDArray[np.float64]

Kind = Literal["ground_truth", "annotator", "evidence", "relabel", "ensemble"]

STUDY: tuple[Kind, ...] = ("ground_truth", "annotator", "relabel", "ensemble")
"""The stages that the study names (arXiv 2606.17973); `evidence` is ours, and needs a reader among
the members."""

FOLDS = 5
"""Folds of people around a calibration; as many as a probe has."""


@dataclass(frozen=True, slots=True)
class SelfTraining:
    """What decides the stages beside the people and the members.

    The study (arXiv 2606.17973) says that a reasoning model's labels come first, then those of
    intermediate models, and that the final model is an ensemble of models with and without them.
    None of the numbers is published; they are ours.

    Parameters
    ----------
    stages
        In order; `relabel` may stand several times, once a round. `evidence` adds the members
        that learn from quotes.
    parts
        Into how many parts the pool is cut, each labelled by models that were not trained on it.
    trust
        What pseudolabels may count, beside the confidence in each; 0 is always tried, too.
    blend
        Shares of an annotator's calibrated total that may go into a training person's target, the
        rest being the questionnaire; 0 is always tried, too.
    agreement
        Share of people with a questionnaire on whom annotator and model lie as near to each other
        as a pseudolabel must; those further apart are left out.
    duplicates
        Jaccard similarity from which two texts count as one (`duplicates`).
    seed
        Of the parts.
    weights
        Of members that make one estimator, as in an ensemble's recipe. Learnt ones may give a
        member nothing; ``equal`` keeps the members of questionnaires alone in the last stage.
    """

    stages: tuple[Kind, ...] = STUDY
    parts: int = 2
    trust: tuple[float, ...] = (0.25, 0.5, 1.0)
    blend: tuple[float, ...] = ()
    agreement: float = 0.98
    duplicates: float = ALIKE
    seed: int = 0
    weights: Weighting = "learnt"


@dataclass(frozen=True, slots=True)
class Material:
    """The people of a self-training.

    Parameters
    ----------
    training
        Windows with a questionnaire.
    pool
        One window of each person without one; a label that stands there is not looked at.
    annotations
        By person, of the pool and of training people. Whoever else is among them is ignored.
    test
        Windows that are scored after every stage; their labels are not looked at.
    """

    training: Sequence[Window]
    pool: Sequence[Window]
    annotations: Mapping[str, Annotation]
    test: Sequence[Window]


@dataclass(frozen=True, slots=True)
class Both:
    """Training people who have an annotation, too: their newest windows."""

    rows: npt.NDArray[np.int64]
    annotations: tuple[Annotation, ...]

    @property
    def readings(self) -> Array:
        """The annotator's totals, shape (n,)."""
        return np.array([each.total for each in self.annotations], dtype=np.float64)


@dataclass(frozen=True, slots=True)
class People:
    """Who is learnt from, with test people left out.

    Parameters
    ----------
    training, pool, annotations, test
        As in `Material`.
    instrument
        What the training people filled in.
    seed
        Of the folds.
    counts
        How many were left out, by reason.
    """

    training: tuple[Window, ...]
    pool: tuple[Window, ...]
    annotations: Mapping[str, Annotation]
    test: tuple[Window, ...]
    instrument: Instrument
    seed: int
    counts: Mapping[str, int]

    @classmethod
    def of(cls, material: Material, used: Instrument, plan: SelfTraining, seed: int) -> "People":
        """Leave out whoever must not be learnt from, and check that it was done.

        Parameters
        ----------
        material, plan
            Of the run.
        used
            What the training people filled in.
        seed
            Of the folds; that of the members.
        """
        test = tuple(material.test)
        training = apart_from(material.training, test, plan.duplicates)
        newest = {each.user_id: each for each in sorted(material.pool, key=lambda each: each.end)}
        enough = [each for each in newest.values() if each.reason is None]
        pool = apart_from(enough, test, plan.duplicates)
        others = apart_from(pool.windows, training.windows, plan.duplicates)
        learnt = (*training.windows, *others.windows)
        users = {each.user_id for each in learnt}
        annotations = {user: said for user, said in material.annotations.items() if user in users}
        assert_apart(learnt, annotations, test)
        tested = {each.user_id for each in test}
        counts = {
            "training_tested": training.same_person,
            "training_like_a_test_person": training.near_duplicates,
            "pool_tested": pool.same_person,
            "pool_like_a_test_person": pool.near_duplicates,
            "pool_in_training": others.same_person,
            "pool_like_a_training_person": others.near_duplicates,
            "pool_too_little": len(newest) - len(enough),
            "annotated_and_tested": len(tested & set(material.annotations)),
        }
        return cls(training.windows, others.windows, annotations, test, used, seed, counts)

    @property
    def totals(self) -> Array:
        """What the training people reported."""
        return np.array([each.total for each in self.training], dtype=np.float64)

    @property
    def both(self) -> Both:
        """Training people who have an annotation, too."""
        newest: dict[str, int] = {}
        for row, window in enumerate(self.training):
            old = newest.get(window.user_id)
            if old is None or self.training[old].end <= window.end:
                newest[window.user_id] = row
        rows = [row for user, row in newest.items() if user in self.annotations]
        said = tuple(self.annotations[self.training[row].user_id] for row in rows)
        return Both(np.array(rows, dtype=np.int64), said)

    @property
    def folds(self) -> npt.NDArray[np.int64]:
        """Folds of the training people around a calibration, shape (n,)."""
        users = [each.user_id for each in self.training]
        return assign_folds(users, min(FOLDS, len(set(users))), self.seed, self.totals)

    def bounded(self, totals: Array) -> Array:
        """Hold points within the instrument's range."""
        return np.clip(totals, self.instrument.minimum, self.instrument.maximum)

    def left_out(self) -> tuple[str, ...]:
        """Say who was left out, in sentences."""
        told = {
            "training_tested": "{} training people are tested, too: left out",
            "training_like_a_test_person": "{} training people have a test person's text: left out",
            "pool_tested": "{} people of the pool are tested, too: never labelled",
            "pool_like_a_test_person": "{} people of the pool have a test person's text: left out",
            "pool_in_training": "{} people of the pool have a questionnaire: not labelled",
            "pool_like_a_training_person": "{} people of the pool have a training person's text: "
            "left out",
            "pool_too_little": "{} people of the pool said too little: not labelled",
            "annotated_and_tested": "annotations of {} test people are ignored",
        }
        return tuple(
            text.format(self.counts[key]) for key, text in told.items() if self.counts[key]
        )
