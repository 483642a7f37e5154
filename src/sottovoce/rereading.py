"""Reading people once more in a changed form, and what their estimates become.

Owns whom to re-read, that nothing is read twice where the model is given the same, and the pairs
of an estimate before and after with their figures. Does not know why a window was changed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sottovoce.cohort import Window
from sottovoce.errors import DataError
from sottovoce.estimates import Estimate
from sottovoce.evaluation import Settings
from sottovoce.metrics import Figure, Resamples, bias, difference, mae, resample_people
from sottovoce.metrics.bootstrap import average, measured
from sottovoce.progress import Advance, silent
from sottovoce.scorer import Reading, Scorer
from sottovoce.trial import Trial

Floats = npt.NDArray[np.float64]
Changed = Mapping[int, Window]
"""Row of the trial's test windows to its window in a changed form."""


@dataclass(frozen=True, slots=True)
class Reread:
    """Estimates of the same windows before and after one change.

    Parameters
    ----------
    users
        Person of each window, length n.
    total
        Questionnaire total, shape (n,).
    before, after
        Estimate in points, shape (n,) each; NaN in `after` where the model then abstains.
    rows
        Rows of the trial's test windows, shape (n,).
    """

    users: tuple[str, ...]
    total: Floats
    before: Floats
    after: Floats
    rows: npt.NDArray[np.int64]

    @property
    def abstained(self) -> int:
        """On how many windows the model abstains after the change."""
        return int(np.isnan(self.after).sum())

    @property
    def scored(self) -> "Reread":
        """Only the windows that still have an estimate."""
        kept = ~np.isnan(self.after)
        users = tuple(user for user, keep in zip(self.users, kept, strict=True) if keep)
        total, before, after = (each[kept] for each in (self.total, self.before, self.after))
        return Reread(users, total, before, after, self.rows[kept])

    def resamples(self, settings: Settings) -> Resamples:
        """Draw the people of these windows."""
        return resample_people(
            self.users, count=settings.resamples, seed=settings.seed, level=settings.level
        )

    def moved(self, settings: Settings) -> Figure:
        """Mean absolute change, in points."""
        return mae(self.before, self.after, self.resamples(settings))

    def change(self, settings: Settings) -> Figure:
        """Mean change, in points; above 0: the estimate rises."""
        return bias(self.before, self.after, self.resamples(settings))

    def crossed(self, cut_off: float, settings: Settings) -> Figure:
        """Share of windows whose estimate changes sides of a cut-off."""
        if not len(self.rows):
            return Figure.missing("there are no rows")
        sides = np.array((self.before >= cut_off) != (self.after >= cut_off), dtype=np.float64)
        drawn = self.resamples(settings)
        return measured(lambda weights: average(sides, weights), len(sides), drawn)

    def mae_change(self, settings: Settings) -> Figure:
        """Mean absolute error after minus before, paired, in points."""
        drawn = self.resamples(settings)
        after, before = (mae(self.total, points, drawn) for points in (self.after, self.before))
        return difference(after, before, settings.level)


@dataclass(frozen=True, slots=True)
class Subject:
    """A model, the trial that it is tested on, and what it said of the windows as they are.

    Parameters
    ----------
    trial
        Whose test windows are re-read.
    scorer
        Reads them.
    estimates
        Of the unchanged test windows, in their order; they are not read again.

    Raises
    ------
    DataError
        If the estimates are not those of the test windows.
    """

    trial: Trial
    scorer: Scorer
    estimates: tuple[Estimate, ...]

    def __post_init__(self) -> None:
        if [each.user_id for each in self.estimates] != self.trial.users:
            raise DataError(
                "the estimates are not those of the test windows, in their order",
                field="estimates",
                fix="score the trial's test windows and give what comes out",
            )

    @property
    def scored(self) -> list[int]:
        """Rows of the test windows that have an estimate."""
        return [row for row, each in enumerate(self.estimates) if not each.abstained]

    def points(self, rows: Sequence[int]) -> Floats:
        """Give the estimates of rows that have one, shape (n,)."""
        return np.array([self.estimates[row].score for row in rows], dtype=np.float64)

    def drawn(self, sample: int, seed: int) -> list[int]:
        """Draw people, and give the row of the newest scored window of each, in order.

        People are put in order of their totals and one is drawn from each of `sample` blocks of
        like size, so that a few of them stand for all severities.
        """
        windows = self.trial.test
        newest: dict[str, int] = {}
        for row in sorted(self.scored, key=lambda each: windows[each].end):
            newest[windows[row].user_id] = row
        order = sorted(newest.values(), key=lambda row: (windows[row].total, windows[row].user_id))
        generator = np.random.default_rng(seed)
        blocks = np.array_split(np.array(order, dtype=np.int64), max(1, min(sample, len(order))))
        return sorted(int(generator.choice(block)) for block in blocks if len(block))

    def reread(
        self, changes: Mapping[str, Changed], advance: Advance = silent
    ) -> dict[str, Reread]:
        """Read changed windows, all in one call, and pair them with the given estimates.

        A window of which the model is given exactly what it was given before keeps its estimate
        and is not read: the model cannot say anything else.

        Parameters
        ----------
        changes
            Name of a change to the rows that it changes; rows without an estimate do not count.
        advance
            Called with windows read and their number.
        """
        scored = set(self.scored)
        asked = [
            (name, row, window)
            for name, rows in changes.items()
            for row, window in rows.items()
            if row in scored
        ]
        before = self._readings({row for _, row, _ in asked})
        readings = self.scorer.read([window for _, _, window in asked])
        to_read = [
            number
            for number, ((_, row, _), reading) in enumerate(zip(asked, readings, strict=True))
            if not _same(before[row], reading)
        ]
        estimates = [self.estimates[row] for _, row, _ in asked]
        new = self.scorer.score([asked[number][2] for number in to_read], advance=advance)
        for number, estimate in zip(to_read, new, strict=True):
            estimates[number] = estimate
        found: dict[str, dict[int, Estimate]] = {name: {} for name in changes}
        for (name, row, _), estimate in zip(asked, estimates, strict=True):
            found[name][row] = estimate
        return {name: self._paired(rows) for name, rows in found.items()}

    def _readings(self, rows: set[int]) -> dict[int, Reading]:
        order = sorted(rows)
        readings = self.scorer.read([self.trial.test[row] for row in order])
        return dict(zip(order, readings, strict=True))

    def _paired(self, found: Mapping[int, Estimate]) -> Reread:
        rows = sorted(found)
        windows = [self.trial.test[row] for row in rows]
        after = [found[row].score for row in rows]
        return Reread(
            tuple(each.user_id for each in windows),
            np.array([each.total for each in windows], dtype=np.float64),
            self.points(rows),
            np.array([np.nan if score is None else score for score in after], dtype=np.float64),
            np.array(rows, dtype=np.int64),
        )


def _same(before: Reading, after: Reading) -> bool:
    """Whether a model is given the same twice; False where its content cannot be compared."""
    if before.reason is not None or after.reason is not None or before.content is None:
        return False
    try:
        return bool(before.content == after.content)
    except ValueError:  # arrays do not say whether they are equal as a whole
        return False
