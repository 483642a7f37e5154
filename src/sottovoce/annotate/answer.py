"""What counts as an answer: the form it has, what is taken from it, and what is refused.

Owns the schema, reading an answer, and checking its quotes against what the person said. Does not
know how the answer came.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from sottovoce.annotate.annotator import Kind, Reply
from sottovoce.annotations import TRAPS, Quote, Trap, find_quote
from sottovoce.cohort import Window
from sottovoce.disclosure import Disclosed
from sottovoce.instruments import Instrument

if TYPE_CHECKING:
    from pydantic import BaseModel

STOPPED: dict[str, Kind] = {"refusal": "refusal", "length": "length"}
THOUGHT = "</think>"
"""Ends the reasoning of local models, where the server leaves it in the answer."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One usable answer.

    Parameters
    ----------
    items, total, sd
        Points.
    quotes
        Those that were found, in the words of the message that holds them.
    rejected
        Number of quotes that no message of the person holds.
    bare
        Number of items whose quotes were all rejected; their points are kept.
    """

    items: tuple[float, ...]
    total: float
    sd: float
    quotes: tuple[Quote, ...]
    rejected: int
    bare: int


def schema(instrument: Instrument) -> dict[str, Any]:
    """Give the JSON schema of an answer, without the keywords that strict modes do not take."""
    numbers = [each.number for each in instrument.items]
    points = [each.points for each in instrument.options]
    traps = [{"type": "string", "enum": list(TRAPS)}, {"type": "null"}]
    quote = {
        "item": {"type": "integer", "enum": numbers},
        "level": {"type": "integer", "enum": points},
        "quote": {"type": "string"},
        "trap": {"anyOf": traps},
    }
    item = {"type": "integer", "enum": points}
    return _closed(
        {
            "evidence": {"type": "array", "items": _closed(quote)},
            "items": _closed({str(number): item for number in numbers}),
            "total": {"type": "number"},
            "sd": {"type": "number"},
        }
    )


def _closed(properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


@cache
def _forms() -> "type[BaseModel]":
    """Make the pydantic model once; pydantic is loaded when the first answer is read."""
    from pydantic import BaseModel, ConfigDict

    class Evidence(BaseModel):
        model_config = ConfigDict(extra="forbid")
        item: int
        level: int
        quote: str
        trap: Trap | None = None

    class Answer(BaseModel):
        model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
        evidence: list[Evidence]
        items: dict[str, float]
        total: float
        sd: float

    return Answer


def judge(
    reply: Reply, instrument: Instrument, window: Window, disclosed: Disclosed
) -> Reading | Kind:
    """Read an answer, or say why it is of no use.

    Refused are: a stop before the end (`refusal`, `length`); what is not the JSON object asked
    for (`garbage`); points outside the questionnaire (`out of range`); a total further from the
    sum of its items than one whole item (`inconsistent`; among the 480 recorded readings of the
    bundled people the furthest is half of that); and an answer whose every quote is invented
    (`quotes`). Otherwise the total stands as it was said. A single invented quote is left out and
    counted; its item keeps its points.

    Parameters
    ----------
    reply
        What came back.
    instrument
        The questionnaire.
    window
        The true window, in which quotes are looked for.
    disclosed
        What was sent; knows the way back from made-up names.
    """
    if reply.stop in STOPPED:
        return STOPPED[reply.stop]
    found = _parsed(reply.text)
    numbers = [str(each.number) for each in instrument.items]
    if found is None or set(found.items) != set(numbers):
        return "garbage"
    items = tuple(found.items[number] for number in numbers)
    within = all(0 <= each <= instrument.item_maximum for each in items)
    if not (
        within
        and instrument.minimum <= found.total <= instrument.maximum
        and 0 <= found.sd <= instrument.maximum
        and all(
            str(each.item) in numbers and 0 <= each.level <= instrument.item_maximum
            for each in found.evidence
        )
    ):
        return "out of range"
    if abs(found.total - sum(items)) > instrument.item_maximum:
        return "inconsistent"
    quotes = [_checked(each, window, disclosed) for each in found.evidence]
    kept = tuple(each for each in quotes if each is not None)
    if quotes and not kept:
        return "quotes"
    bare = {each.item for each in found.evidence} - {each.item for each in kept}
    return Reading(items, found.total, found.sd, kept, len(quotes) - len(kept), len(bare))


def _parsed(text: str) -> Any:
    """Read the JSON object of an answer, whatever stands around it, or give None."""
    for said in (text, text.rpartition(THOUGHT)[2]):
        try:
            value = json.loads(said[said.index("{") : said.rindex("}") + 1])
            return _forms().model_validate(value)
        except (ValueError, RecursionError):  # pydantic's own error is a ValueError
            continue
    return None


def _checked(each: Any, window: Window, disclosed: Disclosed) -> Quote | None:
    """Find a quote in the person's true words and give it as they stand there."""
    messages: Sequence[Any] = window.messages
    place = find_quote(disclosed.restore(each.quote), messages)
    if place is None:
        return None
    message, start, end = place
    return Quote(each.item, each.level, messages[message].content[start:end], each.trap)
