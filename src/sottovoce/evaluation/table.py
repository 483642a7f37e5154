"""Labelled rows, and the one way in which a metric is computed on some of them.

Owns the gate: abstained rows are left out and counted, broken numbers and too few people stop a
metric with a reason. Does not know which tables there are (`measurement`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sottovoce.evaluation.predictions import Predictions
from sottovoce.evaluation.record import Points, Settings, auc_key
from sottovoce.instruments import Instrument
from sottovoce.metrics import Figure, Resamples, auc, bias, coverage, mae, pearson, rmse, width
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

    def unscored(self, rows: Rows) -> list[str | None]:
        """Why the model abstained on each of these rows that it abstained on."""
        chosen = rows & self.predictions.abstained
        pairs = zip(self.predictions.reasons, chosen, strict=True)
        return [reason for reason, keep in pairs if keep]

    def people(self, rows: Rows) -> int:
        """Count the different people among these rows."""
        return self.resamples.take(rows).people

    def measure(self, metric: Callable[..., Figure], rows: Rows, *columns: Floats) -> Figure:
        """Compute one metric on the scored ones of these rows."""
        used = rows & self.scored
        n, people = int(used.sum()), self.people(used)
        if rows.any() and n == 0:
            return Figure.missing("every estimate abstained")
        if self.broken:
            return Figure.missing(self.broken, n=n)
        if people < self.settings.minimum:
            return Figure.missing(too_few(people, self.settings.minimum), n=n)
        return metric(*(column[used] for column in columns), self.resamples.take(used))

    def errors(self, rows: Rows) -> dict[str, Figure]:
        """Error and interval on some rows: what also makes sense within a band."""
        score = self.predictions.score
        figures = {
            "mae": self.measure(mae, rows, self.total, score),
            "rmse": self.measure(rmse, rows, self.total, score),
            "bias": self.measure(bias, rows, self.total, score),
        }
        lower, upper = self.predictions.lower, self.predictions.upper
        if lower is None or upper is None:
            return figures
        return figures | {
            "coverage": self._covered(rows, lower, upper),
            "width": self.measure(width, rows, lower, upper),
        }

    def _covered(self, rows: Rows, lower: Floats, upper: Floats) -> Figure:
        if self.nominal is None and (rows & self.scored).any():
            return Figure.missing("the intervals have different nominal coverages")
        return self.measure(coverage, rows, self.total, lower, upper)

    def headline(self, rows: Rows) -> dict[str, Figure]:
        """Every metric on some rows, in the order in which tables show them."""
        screening = self.instrument.screening_cut_off
        errors = self.errors(rows)
        ranking = {
            "r": self.measure(pearson, rows, self.total, self.predictions.score),
            auc_key(screening): self.cut(screening, rows),
        }
        first = {key: errors.pop(key) for key in ("mae", "rmse", "bias")}
        return first | ranking | errors

    def cut(self, cut_off: int, rows: Rows) -> Figure:
        """Tell totals at and above a cut-off from lower ones, on some rows."""
        positive = (self.total >= cut_off).astype(float)
        return self.measure(auc, rows, positive, self.predictions.score)

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
