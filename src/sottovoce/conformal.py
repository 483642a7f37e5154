"""The predictive distribution: what the errors on held-out people say about the next person.

Owns turning out-of-fold residuals into an interval at any coverage and a probability for any
cut-off. Does not know text, models or which body made the scores.

References
----------
Vovk, Nouretdinov, Manokhin, Gammerman 2018, Cross-conformal predictive distributions, PMLR 91.
Barber, Candes, Ramdas, Tibshirani 2021, Predictive inference with the jackknife+,
doi:10.1214/20-AOS1965: intervals from leave-fold-out residuals cover at least 1 - 2a in the
worst case and close to 1 - a in practice.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from sottovoce.errors import ModelError
from sottovoce.instruments import Instrument


@dataclass(frozen=True, slots=True)
class PredictiveDistribution:
    """Residuals of held-out people around the score, as a distribution for a new person.

    Parameters
    ----------
    residuals
        Questionnaire total minus out-of-fold score, in points, ascending, shape (n,). The fold a
        residual comes from had no part in choosing or fitting what predicted it.
    """

    residuals: npt.NDArray[np.float64]

    @classmethod
    def from_residuals(cls, residuals: npt.ArrayLike) -> "PredictiveDistribution":
        """Sort and check residuals.

        Raises
        ------
        ModelError
            If there are none, or one is not finite.
        """
        ordered = np.sort(np.asarray(residuals, dtype=np.float64))
        if ordered.ndim != 1 or not len(ordered) or not np.isfinite(ordered).all():
            raise ModelError("the calibrator has no finite residuals; train the estimator again")
        return cls(ordered)

    def interval(
        self, scores: npt.ArrayLike, coverage: float, instrument: Instrument
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Give equal-tailed prediction intervals.

        Parameters
        ----------
        scores
            Scores in points, shape (m,).
        coverage
            Between 0 and 1.
        instrument
            Bounds the interval to its range, which loses no coverage.

        Returns
        -------
        lower, upper
            Points, shape (m,), with ``lower <= score <= upper``. Where there are too few
            residuals for the coverage asked, the interval is the instrument's whole range.

        Raises
        ------
        ModelError
            If the coverage is not between 0 and 1.
        """
        if not 0 < coverage < 1:
            raise ModelError("the coverage is not between 0 and 1; give 0.9 for 90%")
        centre = np.asarray(scores, dtype=np.float64)
        n = len(self.residuals)
        tail = (1 - coverage) / 2
        below = int(np.floor((n + 1) * tail + 1e-9))
        above = int(np.ceil((n + 1) * (1 - tail) - 1e-9))
        low = self.residuals[below - 1] if below >= 1 else -np.inf
        high = self.residuals[above - 1] if above <= n else np.inf
        lower = np.clip(centre + min(low, 0.0), instrument.minimum, instrument.maximum)
        upper = np.clip(centre + max(high, 0.0), instrument.minimum, instrument.maximum)
        return lower, upper

    def p_at_least(self, scores: npt.ArrayLike, cut_off: int) -> npt.NDArray[np.float64]:
        """Give the probability that the questionnaire total is at or above a cut-off.

        Totals are whole, scores are not: a total of `cut_off` is anything that rounds to it, so
        the mass above ``cut_off - 0.5`` is counted. Never exactly 0 or 1: the new person is
        the (n+1)-th, of whom nothing is known.

        Returns
        -------
        array, shape (m,)
        """
        centre = np.asarray(scores, dtype=np.float64)
        n = len(self.residuals)
        above = n - np.searchsorted(self.residuals, cut_off - 0.5 - centre, side="left")
        return (above + 0.5) / (n + 1)
