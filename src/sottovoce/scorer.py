"""What estimates, whatever it is made of: one estimator, or an ensemble of them.

Owns the interface that scoring, cards and services are written to, and how a bare score becomes
an estimate with its interval. Does not know bodies, backbones or files.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sottovoce.cohort import Window, WindowRules
from sottovoce.conformal import PredictiveDistribution
from sottovoce.estimates import Estimate
from sottovoce.instruments import Instrument
from sottovoce.progress import Advance, silent


class Scorer(ABC):
    """Estimates a questionnaire total from conversation, or abstains with a reason."""

    @property
    @abstractmethod
    def instrument(self) -> Instrument:
        """The questionnaire whose total is estimated."""

    @property
    @abstractmethod
    def rules(self) -> WindowRules:
        """The window rules of training; windows to score are cut by them."""

    @property
    @abstractmethod
    def coverage(self) -> float:
        """Coverage of the interval unless another is asked for, 0 to 1."""

    @property
    @abstractmethod
    def distribution(self) -> PredictiveDistribution:
        """Its errors on people it had not seen."""

    @property
    @abstractmethod
    def model_id(self) -> str:
        """Name and hash: two that differ never share it."""

    @property
    @abstractmethod
    def summary(self) -> str:
        """What it is, in a few words."""

    @abstractmethod
    def predict(
        self, windows: Sequence[Window], advance: Advance = silent
    ) -> npt.NDArray[np.float64]:
        """Give bare scores in points, within the instrument's range, shape (n,)."""

    @abstractmethod
    def save_pretrained(self, folder: str | Path) -> Path:
        """Write everything that scoring needs, but backbones, into a folder."""

    def score(
        self,
        windows: Sequence[Window],
        *,
        coverage: float | None = None,
        advance: Advance = silent,
    ) -> list[Estimate]:
        """Estimate each window, or abstain with a reason.

        Parameters
        ----------
        windows
            Cut by this estimator's `rules`.
        coverage
            Of the interval, 0 to 1; its own by default.
        advance
            Called with windows read and their number.

        Returns
        -------
        list of Estimate
            In the order of the windows.
        """
        readable = [window for window in windows if window.reason is None]
        points = iter(self.predict(readable, advance)) if readable else iter(())
        return [
            self.estimate(window, None if window.reason else float(next(points)), coverage)
            for window in windows
        ]

    def estimate(
        self,
        window: Window,
        score: float | None,
        coverage: float | None = None,
        distribution: PredictiveDistribution | None = None,
    ) -> Estimate:
        """Turn a bare score into an estimate; no score becomes an abstention.

        Parameters
        ----------
        window
            What was read.
        score
            Points within the instrument's range, from `predict`; None to abstain.
        coverage
            Of the interval; its own by default.
        distribution
            Predictive distribution to use instead of the estimator's own.
        """
        coverage = self.coverage if coverage is None else coverage
        distribution = distribution or self.distribution
        used = self.instrument
        lower = upper = band = None
        probabilities: dict[int, float] = {}
        if score is not None:
            lows, highs = distribution.interval([score], coverage, used)
            lower, upper = float(lows[0]), float(highs[0])
            band = used.band(score).name
            probabilities = {
                cut: float(distribution.p_at_least([score], cut)[0]) for cut in used.cut_offs
            }
        return Estimate(
            user_id=window.user_id,
            instrument=used.key,
            window_start=window.start,
            window_end=window.end,
            score=score,
            lower=lower,
            upper=upper,
            coverage=coverage,
            p_at_least=probabilities,
            band=band,
            n_messages=len(window.user_messages),
            abstained=score is None,
            reason=window.reason,
            model_id=self.model_id,
        )
