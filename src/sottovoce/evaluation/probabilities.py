"""Probabilities of a total at or above a cut-off, held against what happened.

Owns which probabilities there are. Does not know the metrics' arithmetic.
"""

import numpy as np

from sottovoce.evaluation.record import Reliability, ReliabilityBin
from sottovoce.evaluation.table import Table
from sottovoce.metrics import brier, ece, reliability
from sottovoce.metrics.figure import Floats


def calibrated(table: Table) -> tuple[Reliability, ...]:
    """Give the reliability of P(total >= k) at each cut-off that has probabilities."""
    return tuple(_at(table, cut_off, chance) for cut_off, chance in _chances(table).items())


def _chances(table: Table) -> dict[int, Floats]:
    """Give the estimates' own probabilities, and those of their distributions where missing."""
    found = dict(table.predictions.chances)
    if table.predictions.samples is not None:
        for cut_off in table.instrument.cut_offs:
            found.setdefault(cut_off, _above(table.predictions.samples, cut_off))
    return dict(sorted(found.items()))


def _above(samples: Floats, cut_off: int) -> Floats:
    """Give the share of each distribution that rounds to a cut-off or more, never 0 or 1.

    The same rule as the estimator's own (`conformal.PredictiveDistribution.p_at_least`).
    """
    count = samples.shape[1]
    shares = ((samples >= cut_off - 0.5).sum(axis=1) + 0.5) / (count + 1)
    return np.where(np.isnan(samples).any(axis=1), np.nan, shares)


def _at(table: Table, cut_off: int, chance: Floats) -> Reliability:
    rows, positive = table.everybody, table.positive(cut_off)
    figures = {
        "ece": table.measure(lambda case, p, _: ece(case, p), rows, positive, chance),
        "brier": table.measure(brier, rows, positive, chance),
    }
    bins: tuple[ReliabilityBin, ...] = ()
    if figures["ece"].computed:
        used = table.scored
        found = reliability(positive[used], chance[used], table.resamples.take(used))
        bins = tuple(ReliabilityBin(each.n, each.predicted, each.observed) for each in found)
    return Reliability(cut_off, figures, bins)
