"""From a source's answers to a questionnaire response: what counts as missing, who adds up.

Owns reading one answer as points and the rule that a blank is missing and never 0. Does not know
any format; the scoring itself is the instrument's.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sottovoce.conversations import QuestionnaireResponse, format_time, response_from
from sottovoce.errors import DataError, describe
from sottovoce.instruments import Instrument
from sottovoce.readers.options import Tally


@dataclass(frozen=True, slots=True)
class Answers:
    """What a source holds of one questionnaire.

    Parameters
    ----------
    user_id, instrument, completed_at
        Who filled in what, when.
    items
        Points of each item, None where unanswered; None where the source has no items.
    total
        The source's own total in points, or None.
    """

    user_id: str
    instrument: Instrument
    completed_at: datetime
    items: Sequence[int | None] | None
    total: float | None


def is_blank(value: object) -> bool:
    """Say whether a cell or field holds no answer."""
    return value is None or (isinstance(value, str) and not value.strip())


def points(value: object, instrument: Instrument, *, field: str) -> int | None:
    """Read the answer to one item as points; a blank is None.

    Accepts a whole number, also written as text or as "2.0", or the wording of the answer
    ("Several days"). Whether it lies in range is for the instrument to say.

    Raises
    ------
    DataError
        If it is none of these.
    """
    if is_blank(value):
        return None
    if isinstance(value, str):
        spoken = " ".join(value.lower().split())
        for option in instrument.options:
            if option.wording.lower() == spoken:
                return option.points
    number = _number(value)
    if number is None or not number.is_integer():
        raise DataError(
            f"the answer is {describe(value)}",
            field=field,
            fix=f"give 0 to {instrument.item_maximum}, or leave it blank where it was not answered",
        )
    return int(number)


def total_points(value: object, *, field: str) -> float | None:
    """Read a total; a blank is None.

    Raises
    ------
    DataError
        If it is not a number.
    """
    if is_blank(value):
        return None
    number = _number(value)
    if number is None:
        raise DataError(
            f"the total is {describe(value)}", field=field, fix="give points, or leave it blank"
        )
    return int(number) if number.is_integer() else number


def response(answers: Answers, tally: Tally) -> QuestionnaireResponse | None:
    """Score the answers, or leave a questionnaire without any out and count it.

    Where an item is missing, the source's own total is not taken over: many sources add up what
    is there, which counts a missing item as 0. The instrument's rule scores it instead.

    Raises
    ------
    DataError
        If an item or the total is out of range, or the two disagree.
    """
    items, total = answers.items, answers.total
    if items is not None:
        if all(item is None for item in items):
            tally.left_out["questionnaires without any answer"] += 1
            return None
        if None in items and total is not None:
            tally.assumed["totals scored by the rule for missing items, not taken over"] += 1
            total = None
    elif total is None:
        tally.left_out["questionnaires without any answer"] += 1
        return None
    return response_from(
        {
            "user_id": answers.user_id,
            "instrument": answers.instrument.key,
            "completed_at": format_time(answers.completed_at),
            "total": total,
            "items": None if items is None else list(items),
        }
    )


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None
