"""Predictions as columns: what `evaluate` reads, whoever made them.

Owns turning estimates or plain scores into arrays in which an abstention stays visible. Does not
know questionnaire totals.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from sottovoce.errors import DataError
from sottovoce.estimates import Estimate
from sottovoce.metrics.columns import floats
from sottovoce.metrics.figure import Floats

Curves = Mapping[float, tuple[ArrayLike, ArrayLike]]
"""Nominal coverage to lower and upper bounds, each of shape (n,)."""

Scores = Sequence[Estimate] | Sequence[float | None] | NDArray[Any]
"""Estimates, or plain scores in points in which None is an abstention."""

UNSAID = "no reason given"


@dataclass(frozen=True, slots=True)
class Predictions:
    """One prediction per row; a row is a person's window.

    Parameters
    ----------
    score
        Estimated totals in points, shape (n,); NaN on abstained rows.
    abstained
        Whether the model gave no score, shape (n,).
    reasons
        Why it abstained, length n; None where it did not.
    lower, upper
        Prediction interval in points, shape (n,) each; None when the model gives none.
    nominal
        Nominal coverage of each row's interval, shape (n,).
    curves
        More intervals at other nominal coverages, for the calibration of the interval.
    chances
        Cut-off to predicted probability of a total at or above it, shape (n,) each.
    samples
        Predictive distributions as m equally likely totals a row, shape (n, m); NaN on abstained
        rows; None when the model gives none.
    uncertainty
        How unsure each estimate is, shape (n,), in any unit, for instance how far the members of
        an ensemble lie apart; None when nothing says it.
    model_ids
        Who made them.
    instruments
        Keys of the questionnaires that estimates name; empty for plain scores.

    Examples
    --------
    >>> Predictions.of([4.0, None, 12.5]).abstained.tolist()
    [False, True, False]
    """

    score: Floats
    abstained: NDArray[np.bool_]
    reasons: tuple[str | None, ...]
    lower: Floats | None = None
    upper: Floats | None = None
    nominal: Floats | None = None
    curves: Mapping[float, tuple[Floats, Floats]] = field(default_factory=dict, hash=False)
    chances: Mapping[int, Floats] = field(default_factory=dict, hash=False)
    samples: Floats | None = None
    uncertainty: Floats | None = None
    model_ids: tuple[str, ...] = ()
    instruments: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        estimates: "Scores | Predictions",
        curves: Curves | None = None,
        *,
        residuals: ArrayLike | None = None,
        uncertainty: ArrayLike | None = None,
    ) -> "Predictions":
        """Read estimates, or plain scores in which None is an abstention.

        NaN is not an abstention: it is a fault, and the metrics will say so.

        Parameters
        ----------
        estimates
            One per row; `Predictions` are given back as they are.
        curves
            Intervals at more nominal coverages.
        residuals
            Errors of held-out people, total minus score in points, shape (m,): each row's
            predictive distribution is its score plus these. A model with a distribution of its
            own for each row sets `samples` instead.
        uncertainty
            How unsure each estimate is, shape (n,).

        Raises
        ------
        DataError
            If estimates and plain numbers are mixed, or a column has another length.
        """
        if isinstance(estimates, Predictions):
            return estimates
        each: list[object] = list(estimates)
        full = [one for one in each if isinstance(one, Estimate)]
        if full and len(full) < len(each):
            raise DataError(
                "estimates and plain numbers are mixed", fix="give either estimates or scores"
            )
        read = _read_curves(curves or {}, len(each))
        made = _from_estimates(full, read) if full else _from_scores(each, read)
        if residuals is not None:
            made = replace(made, samples=made.score[:, np.newaxis] + floats(residuals))
        if uncertainty is not None:
            made = replace(made, uncertainty=floats(uncertainty))
            if len(floats(uncertainty)) != len(each):
                raise DataError(
                    f"there are {len(each)} estimates and {len(floats(uncertainty))} uncertainties",
                    fix="give one per estimate",
                )
        return made

    def __len__(self) -> int:
        return len(self.score)

    def take(self, rows: NDArray[np.bool_]) -> "Predictions":
        """Keep some rows."""

        def kept(column: Floats | None) -> Floats | None:
            return None if column is None else column[rows]

        return Predictions(
            score=self.score[rows],
            abstained=self.abstained[rows],
            reasons=tuple(reason for reason, keep in zip(self.reasons, rows, strict=True) if keep),
            lower=kept(self.lower),
            upper=kept(self.upper),
            nominal=kept(self.nominal),
            curves={
                nominal: (lower[rows], upper[rows])
                for nominal, (lower, upper) in self.curves.items()
            },
            chances={cut_off: chance[rows] for cut_off, chance in self.chances.items()},
            samples=kept(self.samples),
            uncertainty=kept(self.uncertainty),
            model_ids=self.model_ids,
            instruments=self.instruments,
        )


def _read_curves(curves: Curves, n: int) -> dict[float, tuple[Floats, Floats]]:
    read = {nominal: (floats(lower), floats(upper)) for nominal, (lower, upper) in curves.items()}
    for nominal, bounds in read.items():
        if any(len(bound) != n for bound in bounds) or not 0 < nominal < 1:
            raise DataError(
                "a calibration curve has another number of rows than the estimates, or its "
                "nominal coverage is outside 0 to 1",
                fix="give one lower and one upper bound per estimate",
            )
    return read


def _read_chances(estimates: Sequence[Estimate]) -> dict[int, Floats]:
    """Give the probabilities at each cut-off that every scored estimate has one for."""
    scored = [set(each.p_at_least) for each in estimates if not each.abstained]
    shared = set.intersection(*scored) if scored else set()
    return {
        cut_off: floats(
            [None if each.abstained else each.p_at_least[cut_off] for each in estimates]
        )
        for cut_off in sorted(shared)
    }


def _from_scores(
    scores: Sequence[object], curves: Mapping[float, tuple[Floats, Floats]]
) -> Predictions:
    abstained = np.array([score is None for score in scores], dtype=bool)
    return Predictions(
        score=floats(scores),
        abstained=abstained,
        reasons=tuple(UNSAID if score is None else None for score in scores),
        curves=curves,
    )


def _from_estimates(
    estimates: Sequence[Estimate], curves: Mapping[float, tuple[Floats, Floats]]
) -> Predictions:
    return Predictions(
        score=floats([each.score for each in estimates]),
        abstained=np.array([each.abstained for each in estimates], dtype=bool),
        reasons=tuple((each.reason or UNSAID) if each.abstained else None for each in estimates),
        lower=floats([each.lower for each in estimates]),
        upper=floats([each.upper for each in estimates]),
        nominal=floats([each.coverage for each in estimates]),
        curves=curves,
        chances=_read_chances(estimates),
        model_ids=tuple(dict.fromkeys(each.model_id for each in estimates)),
        instruments=tuple(dict.fromkeys(each.instrument for each in estimates)),
    )
