"""A trial: whose totals are predicted, and from whom a predictor may learn.

Owns that a predictor never learns from the people it is tested on, and that all predictors of a
trial share the same split or the same folds. Does not know any predictor, nor how it is judged.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from sottovoce.cohort import Window, assign_folds
from sottovoce.errors import DataError
from sottovoce.instruments import Instrument

Scores = npt.NDArray[np.float64]

Predictor = Callable[[Sequence[Window], Sequence[Window]], Scores]
"""Fits on the first windows, which are labelled, and scores the second: points, shape (n,)."""

N_FOLDS = 5
"""Folds where there is no split: as many as the reference scores of dep-wor were measured with."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Labelled windows with their split, and totals that others gave the same people.

    Parameters
    ----------
    instrument
        Whose totals are predicted.
    test
        Labelled windows that are judged. One that has a reason against it is not read by models,
        which abstain; it counts all the same.
    training
        Labelled windows of other people, to learn from; empty where the data have no split, and
        `unseen` then learns from folds of the test people.
    validation
        Labelled windows of other people again, on which thresholds are chosen; may be empty.
    references
        Name to user to points: totals that come with the data, such as a recorded annotator's.
    simulated
        Whether the people are invented.
    seed
        Of the folds.
    left_out
        Reason to number of questionnaires or people that are in none of the parts.

    Raises
    ------
    DataError
        If a person stands in two parts, or there is nobody to test.
    """

    instrument: Instrument
    test: tuple[Window, ...]
    training: tuple[Window, ...] = ()
    validation: tuple[Window, ...] = ()
    references: Mapping[str, Mapping[str, float]] = field(default_factory=dict, hash=False)
    simulated: bool = False
    seed: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict, hash=False)

    def __post_init__(self) -> None:
        if not self.test:
            raise DataError("nobody is left to test", fix="give labelled conversations to test on")
        parts = [{each.user_id for each in part} for part in self._parts]
        if len(set().union(*parts)) < sum(map(len, parts)):
            raise DataError(
                "a person stands in two parts of the split", fix="give each person one part"
            )

    @property
    def _parts(self) -> tuple[tuple[Window, ...], ...]:
        return self.test, self.training, self.validation

    @property
    def users(self) -> list[str]:
        """The person of each test window."""
        return [window.user_id for window in self.test]

    @property
    def totals(self) -> Scores:
        """The questionnaire total of each test window, in points; shape (n,)."""
        return np.array([window.total for window in self.test], dtype=np.float64)

    @property
    def folds(self) -> npt.NDArray[np.int64]:
        """The fold of each test window; people in one fold only, shape (n,)."""
        n_folds = min(N_FOLDS, len(set(self.users)))
        return assign_folds(self.users, n_folds, self.seed, self.totals)

    @property
    def described(self) -> str:
        """Say in a few words from whom predictors learn."""
        if self.training:
            people = len({each.user_id for each in self.training})
            return f"{people} training people"
        return f"{N_FOLDS} folds of the test people"

    def unseen(self, predict: Predictor) -> Scores:
        """Score the test windows by a predictor that learnt from other people only.

        Returns
        -------
        array, shape (n,)
            Points, in the order of `test`.
        """
        if self.training:
            return np.asarray(predict(self.training, self.test), dtype=np.float64)
        folds, scores = self.folds, np.empty(len(self.test))
        for fold in np.unique(folds):
            inside = np.flatnonzero(folds == fold)
            others = (self.test[row] for row in np.flatnonzero(folds != fold))
            learnt = [window for window in others if window.reason is None]
            scores[inside] = predict(learnt, [self.test[row] for row in inside])
        return scores

    def changed(self, change: Callable[[Window], Window]) -> "Trial":
        """Give the trial with every window changed: the same people, labels and folds."""
        test, training, validation = (tuple(map(change, part)) for part in self._parts)
        return replace(self, test=test, training=training, validation=validation)
