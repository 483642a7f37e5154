"""Labelled rows, and the one way in which a metric is computed on some of them.

Owns the gate: abstained rows are left out and counted, broken numbers and too few people stop a
metric with a reason. Does not know which metrics a table shows (`headline`) nor which tables there
are (`measurement`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sottovoce.evaluation.predictions import Predictions
from sottovoce.evaluation.record import Points, Settings
from sottovoce.instruments import Instrument
from sottovoce.metrics import Figure, Resamples
from sottovoce.metrics.bootstrap import too_few
from sottovoce.metrics.columns import problem
from sottovoce.metrics.figure import Floats

Rows = NDArray[np.bool_]


def every_cut_off(instrument: Instrument) -> range:
    """Give the cut-offs that lie at least one item's range away from either end."""
    margin = instrument.item_maximum
    return range(instrument.minimum + margin, instrument.maximum - margin + 1)


@dataclass(frozen=True, slots=True)
class Table:
    """Labelled rows, and the one way in which a metric is computed on some of them."""

    instrument: Instrument
    total: Floats
    predictions: Predictions
    resamples: Resamples
    settings: Settings

    @property
    def everybody(self) -> Rows:
        """All rows."""
        return np.ones(len(self.total), dtype=bool)

    @property
    def scored(self) -> Rows:
        """Which rows carry a score."""
        return ~self.predictions.abstained

    @property
    def nominal(self) -> float | None:
        """The one nominal coverage of the scored rows' intervals."""
        if self.predictions.nominal is None or not self.scored.any():
            return None
        different = np.unique(self.predictions.nominal[self.scored])
        return float(different[0]) if len(different) == 1 else None

    @property
    def broken(self) -> str | None:
        """Why no metric may be computed on any of these rows."""
        if not self.scored.any():
            return None
        score = self.predictions.score
        return problem(self.total[self.scored], score[self.scored])

    def positive(self, cut_off: int) -> Floats:
        """Whether each row's total lies at or above a cut-off, 1 or 0."""
        return (self.total >= cut_off).astype(float)

    def called(self, threshold: float) -> Floats:
        """Whether each row's estimate lies at or above a threshold, 1 or 0."""
        return (self.predictions.score >= threshold).astype(float)

    def unscored(self, rows: Rows) -> list[str | None]:
        """Why the model abstained on each of these rows that it abstained on."""
        chosen = rows & self.predictions.abstained
        pairs = zip(self.predictions.reasons, chosen, strict=True)
        return [reason for reason, keep in pairs if keep]

    def people(self, rows: Rows) -> int:
        """Count the different people among these rows."""
        return self.resamples.take(rows).people

    def stopped(self, rows: Rows) -> str | None:
        """Say why no metric is computed on the scored ones of these rows, or None."""
        used = rows & self.scored
        if rows.any() and not used.any():
            return "every estimate abstained"
        people = self.people(used)
        if self.broken or people >= self.settings.minimum:
            return self.broken
        return too_few(people, self.settings.minimum)

    def measure(self, metric: Callable[..., Figure], rows: Rows, *columns: Floats) -> Figure:
        """Compute one metric on the scored ones of these rows."""
        used = rows & self.scored
        if reason := self.stopped(rows):
            return Figure.missing(reason, n=int(used.sum()))
        return metric(*(column[used] for column in columns), self.resamples.take(used))

    def points(self) -> Points | None:
        """Give the rows to draw, unless they are broken or so few that each is recognisable."""
        if self.broken or self.people(self.scored) < self.settings.minimum:
            return None
        lower, upper = self.predictions.lower, self.predictions.upper
        if lower is not None and upper is not None:
            lower, upper = lower[self.scored], upper[self.scored]
            if problem(lower, upper):
                lower = upper = None
        return Points(self.total[self.scored], self.predictions.score[self.scored], lower, upper)
