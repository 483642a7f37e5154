"""What an annotator said of a person: items, total, uncertainty, and the words that carry them.

Owns the record, its validity, finding its quotes in messages, and `annotations.jsonl`. Does not
know who annotates, at what price (`annotate`), nor what is learnt from it.
"""

import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, cast

from sottovoce.conversations import (
    Message,
    check_text,
    located,
    read_json_lines,
    record_of,
    text_in,
    write_json_lines,
)
from sottovoce.errors import DataError, describe
from sottovoce.instruments import PHQ_9, Instrument, instrument

Trap = Literal["idiom", "other person", "past", "physical cause"]
TRAPS: tuple[Trap, ...] = ("idiom", "other person", "past", "physical cause")
"""Words that sound like a symptom and are none of the person's now."""


@dataclass(frozen=True, slots=True)
class Quote:
    """The person's own words about one item.

    Parameters
    ----------
    item
        Number of the item, from 1.
    level
        Points that the words speak for; 0 where they say that it is absent.
    text
        Exact words of one message.
    trap
        Why they mean nothing of the sort, where they only sound so.
    """

    item: int
    level: int
    text: str
    trap: Trap | None = None


@dataclass(frozen=True, slots=True)
class Annotation:
    """An annotator's reading of one person's conversation; a pseudolabel, never a questionnaire.

    Parameters
    ----------
    user_id
        Who was read.
    annotator
        Who read.
    items
        Points of each item, 0 to the instrument's highest; fractional where samples were averaged.
    total
        Points; it need not be the sum of the items.
    sd
        The annotator's own uncertainty of the total, in points.
    quotes
        Words that carry items; an item that nothing speaks to has none.
    instrument
        Key of the questionnaire it stands in for.
    n_samples
        Readings that it is the mean of.
    spread
        Standard deviation of the samples' totals, in points; None of one sample.
    """

    user_id: str
    annotator: str
    items: tuple[float, ...]
    total: float
    sd: float
    quotes: tuple[Quote, ...] = ()
    instrument: str = PHQ_9.key
    n_samples: int = 1
    spread: float | None = None

    def __post_init__(self) -> None:
        check_text(self.user_id, field="user_id")
        used = instrument(self.instrument)
        used.check_total(self.total)
        if len(self.items) != len(used.items):
            raise DataError(
                f"there are {len(self.items)} items, {used.title} has {len(used.items)}",
                field="items",
                fix="give one number for each",
            )
        for name, value, highest in (
            *(("items", each, used.item_maximum) for each in self.items),
            ("sd", self.sd, used.maximum),
            ("spread", self.spread or 0, used.maximum),
        ):
            if not 0 <= value <= highest:
                raise DataError(
                    f"a number is not within 0 and {highest}", field=name, fix="correct it"
                )
        for quote in self.quotes:
            _check_quote(quote, used)


def _check_quote(quote: Quote, used: Instrument) -> None:
    check_text(quote.text, field="evidence")
    if not 1 <= quote.item <= len(used.items) or not 0 <= quote.level <= used.item_maximum:
        raise DataError(
            "a quote's item or level is outside the questionnaire",
            field="evidence",
            fix=f"use items 1 to {len(used.items)} and levels 0 to {used.item_maximum}",
        )
    if not quote.text.strip():
        raise DataError("a quote is empty", field="evidence", fix="leave it out")


def find_quote(quote: str, messages: Sequence[Message]) -> tuple[int, int, int] | None:
    """Find a quote in what the person said.

    Case, runs of white space and the shape of quotation marks do not count; every word and its
    order do.

    Parameters
    ----------
    quote
        Some words.
    messages
        Of both roles; only the person's are searched.

    Returns
    -------
    tuple of (message, start, end), or None
        0-based index of the first message that holds the words, and the characters
        ``start <= position < end`` of its text.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> said = Message("user", "I don’t  sleep.", datetime(2025, 1, 1, tzinfo=UTC))
    >>> find_quote("i don't sleep", [said])
    (0, 0, 14)
    """
    words = quote.split()
    if not words:
        return None
    pattern = re.compile(r"\s+".join(_loose(word) for word in words), re.IGNORECASE)
    for index, message in enumerate(messages):
        if message.role == "user" and (found := pattern.search(message.content)):
            return index, found.start(), found.end()
    return None


_ALIKE = ("'‘’ʼ`´", '"“”„«»', "-‐‑–—")
"""Characters that a writer and a reader of the same words set differently."""


def _loose(word: str) -> str:
    """Give a pattern of a word in which alike characters stand for each other."""
    sets = {each: alike for alike in _ALIKE for each in alike}
    return "".join(
        f"[{re.escape(sets[each])}]" if each in sets else re.escape(each) for each in word
    )


def annotation_from(record: object, default: str | None = None) -> Annotation:
    """Build an annotation from one decoded line of `annotations.jsonl`.

    Parameters
    ----------
    record
        One object with `user_id`, `annotator`, `items`, `total` and `sd`, and as far as known
        `instrument`, `evidence`, `n_samples` and `spread`.
    default
        Key of the instrument where the line names none; None asks for it.

    Raises
    ------
    DataError
        If a field is missing, of the wrong kind, or outside the instrument's range.
    """
    fields = record_of(record)
    items = fields.get("items")
    if not isinstance(items, list):
        raise DataError(f"it is {describe(items)}", field="items", fix="give a list of numbers")
    spread = fields.get("spread")
    return Annotation(
        text_in(fields, "user_id"),
        text_in(fields, "annotator"),
        tuple(_number(each, "items") for each in items),
        _number(fields.get("total"), "total"),
        _number(fields.get("sd"), "sd"),
        quotes_from(fields.get("evidence", [])),
        instrument(text_in({"instrument": default, **fields}, "instrument")).key,
        int(_number(fields.get("n_samples", 1), "n_samples")),
        None if spread is None else _number(spread, "spread"),
    )


def quotes_from(raw: object) -> tuple[Quote, ...]:
    """Build quotes from the field `evidence`: objects of item, level, quote and maybe trap."""
    if not isinstance(raw, list):
        raise DataError(f"it is {describe(raw)}", field="evidence", fix="give a list")
    quotes = []
    for each in raw:
        fields = record_of(each)
        trap = fields.get("trap")
        if trap is not None and trap not in TRAPS:
            raise DataError(
                f"a trap is {describe(trap)}", field="evidence", fix=f"use {', '.join(TRAPS)}"
            )
        item, level = (_number(fields.get(name), "evidence") for name in ("item", "level"))
        if item != int(item) or level != int(level):
            raise DataError(
                "a quote's item or level is not whole", field="evidence", fix="correct it"
            )
        quotes.append(
            Quote(int(item), int(level), text_in(fields, "quote"), cast("Trap | None", trap))
        )
    return tuple(quotes)


def annotation_record(annotation: Annotation) -> dict[str, Any]:
    """Give the annotation as one object of `annotations.jsonl`."""
    return {
        "user_id": annotation.user_id,
        "instrument": annotation.instrument,
        "annotator": annotation.annotator,
        "items": list(annotation.items),
        "total": annotation.total,
        "sd": annotation.sd,
        "n_samples": annotation.n_samples,
        "spread": annotation.spread,
        "evidence": [_quote_record(quote) for quote in annotation.quotes],
    }


def _quote_record(quote: Quote) -> dict[str, Any]:
    said = {"item": quote.item, "level": quote.level, "quote": quote.text}
    return said if quote.trap is None else {**said, "trap": quote.trap}


def read_annotations(path: str | Path, default: str | None = None) -> Iterator[Annotation]:
    """Read a canonical `annotations.jsonl` one annotation at a time.

    Parameters
    ----------
    path
        One object a line.
    default
        See `annotation_from`.

    Raises
    ------
    DataError
        With file, line and field, at the first line that is not an annotation.
    """
    for line, record in read_json_lines(path):
        try:
            yield annotation_from(record, default)
        except DataError as error:
            raise located(error, path, line) from None


def annotations_by_person(
    path: str | Path, key: str, people: Container[str] | None = None
) -> dict[str, Annotation]:
    """Read the one annotation of each person.

    Parameters
    ----------
    path
        `annotations.jsonl`.
    key
        Of the instrument that is estimated, and of lines that name none.
    people
        Whose annotations count; those of others are passed over. None takes everybody's.

    Raises
    ------
    DataError
        If a line is not an annotation, is of another instrument, or is somebody's second.
    """
    found: dict[str, Annotation] = {}
    for each in read_annotations(path, key):
        if people is not None and each.user_id not in people:
            continue
        if each.instrument != key:
            raise DataError(
                f"an annotation is of {each.instrument}, {key} is estimated",
                path=path,
                fix="name annotations of the same questionnaire",
            )
        if each.user_id in found:
            raise DataError("a person has two annotations", path=path, fix="keep one of them")
        found[each.user_id] = each
    return found


def write_annotations(path: str | Path, annotations: Iterable[Annotation]) -> int:
    """Write `annotations.jsonl`; give the number of lines."""
    return write_json_lines(path, map(annotation_record, annotations))


def read_quotes(path: str | Path) -> dict[str, tuple[Quote, ...]]:
    """Read a file of `user_id` and `evidence` alone: each person's quotes.

    Raises
    ------
    DataError
        With file, line and field.
    """
    found: dict[str, tuple[Quote, ...]] = {}
    for line, record in read_json_lines(path):
        try:
            fields = record_of(record)
            user = text_in(fields, "user_id")
            found[user] = found.get(user, ()) + quotes_from(fields.get("evidence"))
        except DataError as error:
            raise located(error, path, line) from None
    return found


def with_quotes(
    annotations: Iterable[Annotation], quotes: Mapping[str, tuple[Quote, ...]]
) -> list[Annotation]:
    """Give annotations the quotes that were kept apart from them."""
    return [
        replace(each, quotes=each.quotes + quotes.get(each.user_id, ())) for each in annotations
    ]


def _number(value: object, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise DataError(f"it is {describe(value)}", field=name, fix="give a number")
    return float(value)
