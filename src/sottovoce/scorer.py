"""What estimates, whatever it is made of: one estimator, or an ensemble of them.

Owns the interface that scoring, cards and services are written to, that what cannot be read is
abstained, and how a bare score becomes an estimate with its interval. Does not know bodies,
backbones or files.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sottovoce.cohort import Window, WindowRules
from sottovoce.conformal import PredictiveDistribution
from sottovoce.errors import DataError
from sottovoce.estimates import Dropped, Estimate
from sottovoce.evidence import Grounds
from sottovoce.explanation import Explained
from sottovoce.instruments import Instrument
from sottovoce.progress import Advance, silent


@dataclass(frozen=True, slots=True)
class Reading:
    """A window as a scorer reads it, or why it does not.

    Parameters
    ----------
    reason
        Why the window gets no score; None where it gets one.
    content
        What `Scorer.judge` needs of the window; nobody else looks at it.
    dropped
        What the token budget left out; None where nothing was read.
    """

    reason: str | None = None
    content: Any = None
    dropped: Dropped | None = None


@dataclass(frozen=True, slots=True)
class Judged:
    """What a scorer says of a reading.

    Parameters
    ----------
    score
        Points within the instrument's range.
    distribution
        Errors to expect around them.
    grounds
        What they rest on, where an evidence reader gave them.
    """

    score: float
    distribution: PredictiveDistribution
    grounds: Grounds | None = None


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
    def read(self, windows: Sequence[Window]) -> list[Reading]:
        """Give each window as it is read, or the reason why it is not: its own, or another."""

    @abstractmethod
    def judge(self, readings: Sequence[Reading], advance: Advance = silent) -> list[Judged]:
        """Score readings without a reason, one or more."""

    @property
    def explains(self) -> bool:
        """Whether its scores come with what they rest on."""
        return False

    def warm_up(self) -> None:  # noqa: B027 - some have nothing to load
        """Load now what the first window would load: weights that cannot be had are told early."""

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
        explained = self.explain(windows, coverage=coverage, advance=advance)
        return [each.estimate for each in explained]

    def explain(
        self,
        windows: Sequence[Window],
        *,
        coverage: float | None = None,
        advance: Advance = silent,
    ) -> list[Explained]:
        """Estimate each window as `score` does, in one reading with what the estimate rests on.

        Parameters
        ----------
        windows, coverage, advance
            As for `score`.

        Returns
        -------
        list of Explained
            Without grounds for an abstention, and from a scorer that does not explain.
        """
        readings = self.read(windows)
        readable = [each for each in readings if each.reason is None]
        judged = iter(self.judge(readable, advance) if readable else ())
        found = []
        for window, reading in zip(windows, readings, strict=True):
            if reading.reason is None:
                said = next(judged)
                given = (said.score, coverage, said.distribution, reading.dropped)
                estimate = self.estimate(window, *given)
                found.append(Explained(estimate, window, said.grounds, said.distribution))
            else:
                barred = replace(window, reason=reading.reason)
                estimate = self.estimate(barred, None, coverage, dropped=reading.dropped)
                found.append(Explained(estimate, window))
        return found

    def predict(
        self, windows: Sequence[Window], advance: Advance = silent
    ) -> npt.NDArray[np.float64]:
        """Give bare scores in points, within the instrument's range, shape (n,).

        Raises
        ------
        DataError
            If a window cannot be read.
        """
        readings = self.read(windows)
        for reading in readings:
            if reading.reason is not None:
                raise DataError(reading.reason, fix="leave the window out")
        return np.array([each.score for each in self.judge(readings, advance)] if readings else [])

    def estimate(
        self,
        window: Window,
        score: float | None,
        coverage: float | None = None,
        distribution: PredictiveDistribution | None = None,
        dropped: Dropped | None = None,
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
        dropped
            What the token budget left out of the window.
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
            dropped=dropped,
        )

    def abstain(self, user_id: str, reason: str, coverage: float | None = None) -> Estimate:
        """Give the estimate about a person of whom there is no window at all."""
        return Estimate(
            user_id=user_id,
            instrument=self.instrument.key,
            window_start=None,
            window_end=None,
            score=None,
            lower=None,
            upper=None,
            coverage=self.coverage if coverage is None else coverage,
            p_at_least={},
            band=None,
            n_messages=0,
            abstained=True,
            reason=reason,
            model_id=self.model_id,
        )
