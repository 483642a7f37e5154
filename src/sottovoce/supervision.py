"""What each training label is worth and where it came from.

Owns weights, which labels no person gave, and whose annotations teach a reader. Does not know how
any body uses them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from sottovoce.annotations import Annotation
from sottovoce.cohort import Window
from sottovoce.errors import DataError


@dataclass(frozen=True, slots=True)
class Supervision:
    """What training is told beside windows and their labels; by default nothing.

    Parameters
    ----------
    weights
        How much each window counts, above 0; None counts all alike.
    pseudo
        For each window, whether its label is a pseudolabel. Such windows are trained on in every
        fold and are never held out: no error, interval, choice or early stopping rests on them.
        None: every label was given by a person.
    annotations
        By person: what an annotator said of them. Fine-tuning takes the items of a pseudolabel
        from here; only an evidence reader learns from the quotes.
    targets
        For each window, the points that training aims at, such as a questionnaire and an
        annotator's reading of it put together; None takes each label's total. Errors, intervals
        and choices are measured against the labels themselves, whatever training aims at.
    """

    weights: Sequence[float] | None = None
    pseudo: Sequence[bool] | None = None
    annotations: Mapping[str, Annotation] = field(default_factory=dict)
    targets: Sequence[float] | None = None

    def check(self, windows: Sequence[Window]) -> None:
        """Raise DataError where it does not fit the windows."""
        weights = self.weights
        if weights is not None and (
            len(weights) != len(windows) or not all(0 < each < np.inf for each in weights)
        ):
            raise DataError(
                "there is not one number above 0 for each window",
                field="weights",
                fix="correct them",
            )
        if self.pseudo is not None and len(self.pseudo) != len(windows):
            raise DataError(
                "there is not one true or false for each window", field="pseudo", fix="correct it"
            )
        targets = self.targets
        if targets is not None and (
            len(targets) != len(windows) or not np.isfinite(np.asarray(targets)).all()
        ):
            raise DataError(
                "there is not one number for each window", field="targets", fix="correct them"
            )
        if windows and self.is_pseudo(len(windows)).all():
            raise DataError(
                "no label was given by a person",
                field="pseudo",
                fix="train on people with a questionnaire, too",
            )
        real = {each.user_id for each, pseudo in self._marked(windows) if not pseudo}
        both = real & {each.user_id for each, pseudo in self._marked(windows) if pseudo}
        if both:
            raise DataError(
                f"{len(both)} people have labels of both kinds",
                field="pseudo",
                fix="leave out the pseudolabels of people who have a questionnaire",
            )

    def _marked(self, windows: Sequence[Window]) -> list[tuple[Window, bool]]:
        return list(zip(windows, self.is_pseudo(len(windows)).tolist(), strict=True))

    def counts(self, n_windows: int) -> npt.NDArray[np.float64]:
        """Give the weights, 1 where none are given, shape (n_windows,)."""
        if self.weights is None:
            return np.ones(n_windows)
        return np.asarray(self.weights, dtype=np.float64)

    def is_pseudo(self, n_windows: int) -> npt.NDArray[np.bool_]:
        """Give which labels are pseudolabels, shape (n_windows,)."""
        if self.pseudo is None:
            return np.zeros(n_windows, np.bool_)
        return np.asarray(self.pseudo, dtype=np.bool_)

    def reported(self, windows: Sequence[Window]) -> npt.NDArray[np.float64]:
        """Give what each person reported, in points, NaN for a pseudolabel, shape (n_windows,)."""
        pseudo = self.is_pseudo(len(windows))
        totals = [
            np.nan if each else window.total for window, each in zip(windows, pseudo, strict=True)
        ]
        return np.array(totals, dtype=np.float64)

    def aims(self, windows: Sequence[Window]) -> npt.NDArray[np.float64]:
        """Give the points that training aims at, shape (n_windows,)."""
        if self.targets is None:
            return np.array([window.total for window in windows], dtype=np.float64)
        return np.asarray(self.targets, dtype=np.float64)


NONE = Supervision()
"""No more than windows and labels."""
