"""The estimate: a score that is never a bare number, and its canonical file `scores.jsonl`.

Owns the record, its validity and its file. Does not know how an estimate is made (`estimator`)
nor how good it is (`evaluation`).
"""

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, astuple, dataclass, field, fields
from datetime import datetime
from pathlib import Path
from typing import Any

from sottovoce.conversations import check_text, format_time, located, parse_time, read_json_lines
from sottovoce.errors import DataError, describe
from sottovoce.instruments import instrument

_CUT_OFF = re.compile(r"0|[1-9][0-9]{0,2}")
"""A cut-off as a key: a whole number in one spelling; no questionnaire's total has four digits."""


@dataclass(frozen=True, slots=True)
class Dropped:
    """What a token budget left out of a window, the person's and the companion's apart.

    Parameters
    ----------
    user_messages, assistant_messages
        Whole messages that were not read; a role that is never read has none.
    user_tokens, assistant_tokens
        Their tokens, turn markers included. Where the person's newest message alone is longer
        than the budget, also those after its beginning, which is read.
    """

    user_messages: int = 0
    assistant_messages: int = 0
    user_tokens: int = 0
    assistant_tokens: int = 0

    @classmethod
    def most(cls, several: Iterable["Dropped"]) -> "Dropped":
        """Give the most of several, field by field.

        Examples
        --------
        >>> Dropped.most([Dropped(1, 0, 9, 0), Dropped(2, 1, 7, 3)])
        Dropped(user_messages=2, assistant_messages=1, user_tokens=9, assistant_tokens=3)
        """
        return cls(*map(max, zip(*map(astuple, several), strict=True)))


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the text of one window says about one person's questionnaire total.

    Parameters
    ----------
    user_id, instrument
        Whom and which questionnaire ("phq-9") it is about.
    window_start, window_end
        The window that was read: messages at ``start <= time < end``, timezone-aware UTC; None
        when abstained about a person without any message, whose window has no time.
    score
        Estimated total in points, within the instrument's range; None when abstained.
    lower, upper
        Prediction interval for the questionnaire total, in points; None when abstained.
    coverage
        Nominal coverage of the interval, 0 to 1.
    p_at_least
        Cut-off to probability that the total is at or above it.
    band
        Name of the severity band of `score`; None when abstained.
    n_messages
        User messages in the window.
    abstained, reason
        Whether no score is given, and why.
    model_id
        The estimator that made it.
    dropped
        What the token budget left out of the window; None where nothing was read or nobody
        counted. Of an ensemble, field by field, the most that one of its members left out.
    """

    user_id: str
    instrument: str
    window_start: datetime | None
    window_end: datetime | None
    score: float | None
    lower: float | None
    upper: float | None
    coverage: float
    p_at_least: Mapping[int, float] = field(hash=False)
    band: str | None
    n_messages: int
    abstained: bool
    reason: str | None
    model_id: str
    dropped: Dropped | None = None

    def __post_init__(self) -> None:
        numbers = (self.score, self.lower, self.upper)
        if self.abstained:
            if any(number is not None for number in numbers) or not self.reason:
                raise DataError(
                    "an abstained estimate has a score or no reason",
                    field="abstained",
                    fix="leave score, lower and upper empty and give the reason",
                )
            return
        if self.window_start is None or self.window_end is None:
            raise DataError(
                "a score has no window", field="window_end", fix="give its start and end"
            )
        if any(number is None or not math.isfinite(number) for number in numbers):
            raise DataError(
                "score, lower or upper is missing", field="score", fix="give all three in points"
            )
        assert self.score is not None and self.lower is not None and self.upper is not None
        instrument(self.instrument).check_total(self.score)
        if not self.lower <= self.score <= self.upper:
            raise DataError(
                "the score lies outside its own interval",
                field="lower",
                fix="give lower <= score <= upper",
            )


def total_dropped(several: Iterable[Dropped | None]) -> dict[str, int]:
    """Count the windows that lost something to the token budget, and all that they lost.

    Examples
    --------
    >>> total_dropped([Dropped(1, 0, 9, 0), None, Dropped(), Dropped(2, 1, 7, 3)])["windows"]
    2
    """
    counts = Counter({"windows": 0, **asdict(Dropped())})
    for each in several:
        if each is not None and any(astuple(each)):
            counts.update({"windows": 1, **asdict(each)})
    return dict(counts)


def estimate_record(estimate: Estimate) -> dict[str, Any]:
    """Give the estimate as one object of `scores.jsonl`; numbers to 4 decimals."""

    def short(number: float | None) -> float | None:
        return None if number is None else round(number, 4)

    def moment(time: datetime | None) -> str | None:
        return None if time is None else format_time(time)

    return {
        "user_id": estimate.user_id,
        "instrument": estimate.instrument,
        "window_start": moment(estimate.window_start),
        "window_end": moment(estimate.window_end),
        "score": short(estimate.score),
        "lower": short(estimate.lower),
        "upper": short(estimate.upper),
        "coverage": estimate.coverage,
        "p_at_least": {str(k): short(p) for k, p in estimate.p_at_least.items()},
        "band": estimate.band,
        "n_messages": estimate.n_messages,
        "abstained": estimate.abstained,
        "reason": estimate.reason,
        "model_id": estimate.model_id,
        "dropped": None if estimate.dropped is None else asdict(estimate.dropped),
    }


def estimate_from(record: object) -> Estimate:
    """Build an estimate from one decoded line of `scores.jsonl`.

    Raises
    ------
    DataError
        If a field is missing, of the wrong kind, or out of range.
    """
    if not isinstance(record, dict):
        raise DataError(f"this is {describe(record)}", fix="write a JSON object")
    numbers = {name: _number(record, name) for name in ("score", "lower", "upper", "coverage")}
    coverage = numbers["coverage"]
    if coverage is None or not 0 < coverage < 1:
        raise DataError("it is not between 0 and 1", field="coverage", fix="give 0.9 for 90%")
    abstained = record.get("abstained")
    if not isinstance(abstained, bool):
        raise DataError(
            f"it is {describe(abstained)}", field="abstained", fix="write true or false"
        )
    return Estimate(
        user_id=_text(record, "user_id"),
        instrument=instrument(_text(record, "instrument")).key,
        window_start=_time_or_null(record, "window_start"),
        window_end=_time_or_null(record, "window_end"),
        score=numbers["score"],
        lower=numbers["lower"],
        upper=numbers["upper"],
        coverage=coverage,
        p_at_least=_probabilities(record.get("p_at_least")),
        band=_text_or_null(record, "band"),
        n_messages=_count(record, "n_messages"),
        abstained=abstained,
        reason=_text_or_null(record, "reason"),
        model_id=_text(record, "model_id"),
        dropped=_dropped(record.get("dropped")),
    )


def read_scores(path: str | Path) -> Iterator[Estimate]:
    """Read a `scores.jsonl` one estimate at a time.

    Raises
    ------
    DataError
        With file, line and field, at the first line that is not an estimate.
    """
    for line, record in read_json_lines(path):
        try:
            yield estimate_from(record)
        except DataError as error:
            raise located(error, path, line) from None


def _number(record: dict[str, Any], name: str) -> float | None:
    value = record.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"it is {describe(value)}", field=name, fix="give a number or null")
    try:
        return float(value)
    except OverflowError:  # JSON's whole numbers have no bound
        raise DataError("the number is too large", field=name, fix="correct it") from None


def _count(record: dict[str, Any], name: str) -> int:
    number = _number(record, name)
    if number is None or number < 0 or not number.is_integer():
        found = "nothing" if number is None else "not a whole number from 0 up"
        raise DataError(f"it is {found}", field=name, fix="give a whole number from 0 up")
    return int(number)


def _dropped(raw: object) -> Dropped | None:
    """Read what the budget dropped; scores that others made need not say it."""
    if raw is None:
        return None
    if not isinstance(raw, dict):
        raise DataError(
            f"it is {describe(raw)}", field="dropped", fix="give an object of counts, or leave it"
        )
    try:
        return Dropped(*(_count(raw, each.name) for each in fields(Dropped)))
    except DataError as error:
        raise DataError(error.problem, field=f"dropped.{error.field}", fix=error.fix) from None


def _time_or_null(record: dict[str, Any], name: str) -> datetime | None:
    value = record.get(name)
    return None if value is None else parse_time(value, field=name)


def _text(record: dict[str, Any], name: str) -> str:
    value = record.get(name)
    if not isinstance(value, str) or not value:
        raise DataError(f"it is {describe(value)}", field=name, fix="give a text")
    check_text(value, field=name)
    return value


def _text_or_null(record: dict[str, Any], name: str) -> str | None:
    value = record.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise DataError(f"it is {describe(value)}", field=name, fix="give a text or null")
    check_text(value, field=name)
    return value


def _probabilities(raw: object) -> dict[int, float]:
    if not isinstance(raw, dict):
        raise DataError(
            f"it is {describe(raw)}", field="p_at_least", fix="give an object of cut-offs"
        )
    probabilities = {}
    for key, value in raw.items():
        known = isinstance(key, str) and _CUT_OFF.fullmatch(key)
        if not known or isinstance(value, bool) or not isinstance(value, int | float):
            raise DataError(
                "a cut-off or its probability is not a number",
                field="p_at_least",
                fix='write {"10": 0.62}',
            )
        if not 0 <= value <= 1:
            raise DataError("a probability is outside 0 to 1", field="p_at_least", fix="correct it")
        probabilities[int(key)] = float(value)
    return probabilities
