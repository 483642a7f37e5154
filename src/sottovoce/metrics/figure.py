"""The figure: a metric's value with its interval and n, or the reason why there is none.

Owns the form in which every number of an evaluation travels. Does not know any metric.
"""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Figure:
    """One number of an evaluation, never bare and never NaN.

    Parameters
    ----------
    value
        The number, finite; None when it could not be computed.
    lower, upper
        Interval; both None when none was asked for or none could be computed.
    n
        Rows that it rests on.
    reason
        Why the value, or only its interval, is missing; None when nothing is missing.
    draws
        The metric on each resample, shape (resamples,), NaN where a resample did not allow it.
        Kept so that `difference` can pair two figures; never written anywhere.
    people
        Different people behind the draws, as that decides how wide their interval is.

    Raises
    ------
    ValueError
        If a number is not finite, or a missing value has no reason: a fault of the caller.

    Examples
    --------
    >>> Figure(0.8, 0.7, 0.9, n=120).text()
    '0.80 [0.70, 0.90] (n = 120)'
    >>> Figure.missing("one class only", n=40).text()
    'not computed: one class only'
    """

    value: float | None
    lower: float | None = None
    upper: float | None = None
    n: int = 0
    reason: str | None = None
    draws: Floats | None = field(default=None, repr=False, compare=False)
    people: int = field(default=0, repr=False, compare=False)

    def __post_init__(self) -> None:
        for number in (self.value, self.lower, self.upper):
            if number is not None and not math.isfinite(number):
                raise ValueError("a figure holds finite numbers only")
        if self.value is None and not self.reason:
            raise ValueError("a figure without a value says why")
        if (self.lower is None) != (self.upper is None) or (
            self.value is None and self.lower is not None
        ):
            raise ValueError("a figure has both bounds and a value, or neither bound")

    @classmethod
    def missing(cls, reason: str, *, n: int = 0) -> "Figure":
        """Give the figure that could not be computed, and why."""
        return cls(None, n=n, reason=reason)

    @property
    def computed(self) -> bool:
        """Whether there is a value."""
        return self.value is not None

    def number(self, digits: int = 2, *, sign: bool = False) -> str:
        """Write the value alone, "4.02"; a dash where there is none."""
        return "–" if self.value is None else _written(self.value, digits, sign=sign)

    def interval(self, digits: int = 2, *, sign: bool = False) -> str:
        """Write the interval alone, "[3.55, 4.51]"; nothing where there is none."""
        if self.lower is None or self.upper is None:
            return ""
        bounds = (_written(bound, digits, sign=sign) for bound in (self.lower, self.upper))
        return f"[{', '.join(bounds)}]"

    def text(self, digits: int = 2, *, sign: bool = False) -> str:
        """Write value, interval and n in one line, or "not computed: reason"."""
        if self.value is None:
            return f"not computed: {self.reason}"
        parts = (self.number(digits, sign=sign), self.interval(digits, sign=sign))
        return " ".join(part for part in (*parts, f"(n = {self.n})") if part)

    def as_dict(self) -> dict[str, Any]:
        """Give the figure as JSON can hold it: no draws, no NaN."""
        return {
            "value": self.value,
            "lower": self.lower,
            "upper": self.upper,
            "n": self.n,
            "reason": self.reason,
        }


def _written(number: float, digits: int, *, sign: bool) -> str:
    text = f"{number:+.{digits}f}" if sign else f"{number:.{digits}f}"
    return text.replace("-", "−") if float(text) != 0 else f"{0:.{digits}f}"
