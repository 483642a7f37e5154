"""How sure each estimate is, and the error of those that would still be scored.

Owns what counts as sureness and the risk-coverage curve. Does not know how an estimate is made.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from sottovoce.evaluation.record import RiskCoverage
from sottovoce.evaluation.table import Table
from sottovoce.metrics import Figure, risk_curve
from sottovoce.metrics.columns import problem
from sottovoce.metrics.figure import Floats

UNSURE = "nothing says which estimates are surer"

SAME_WIDTH = 1e-3
"""Points by which half widths may differ and still be the same: files hold 4 decimals."""

MOST_STEPS = 60
"""Points of the curve: as many as a chart of a column's width can tell apart."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """How unsure each row's estimate is, shape (n,), and what says so."""

    amount: Floats
    order: str


def doubt_of(table: Table) -> Doubt | None:
    """Give what says how sure the estimates are, or None where nothing does.

    That is the uncertainty that came with the predictions. Without one it is the distance from the
    estimate to the farther end of its interval, if that differs among intervals that lie inside
    the questionnaire's range. Intervals of one width that are only cut at the range's end are
    narrower there without anybody being surer.
    """
    predictions, used = table.predictions, table.instrument
    if predictions.uncertainty is not None:
        return Doubt(predictions.uncertainty, "the uncertainty that came with the estimates")
    lower, upper, score = predictions.lower, predictions.upper, predictions.score
    if lower is None or upper is None:
        return None
    rows = table.scored
    if table.broken or not rows.any() or problem(lower[rows], upper[rows]):
        return None
    reach = np.maximum(upper - score, score - lower)
    whole = rows & (lower > used.minimum) & (upper < used.maximum)
    if not whole.any() or np.ptp(reach[whole]) <= SAME_WIDTH:
        return None
    return Doubt(reach, "the distance from the estimate to the farther end of its interval")


def risk_coverage(table: Table, figures: Mapping[str, Figure]) -> RiskCoverage | None:
    """Give the error of the surest estimates against the share of labelled rows that they are.

    The curve begins at the smallest number of people that may be shown and ends at the share that
    the model really scored: an abstention is a row that was left out first.

    Parameters
    ----------
    table
        The labelled rows.
    figures
        The headline's, with ``mae`` and ``aurc``.
    """
    doubt = doubt_of(table)
    if doubt is None or not figures["aurc"].computed:
        return None
    rows = table.scored
    distance = np.abs(table.predictions.score - table.total)[rows]
    risks = risk_curve(distance, doubt.amount[rows])
    least = min(table.settings.minimum, len(risks))
    counts = np.unique(np.linspace(least, len(risks), MOST_STEPS).round().astype(int))
    return RiskCoverage(
        order=doubt.order,
        aurc=figures["aurc"],
        random=figures["mae"],
        shares=tuple(float(count / len(table.total)) for count in counts),
        risks=tuple(float(risks[count - 1]) for count in counts),
    )
