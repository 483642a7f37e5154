"""The leakage guard: questionnaire wording and scores spoken in the chat.

A model that reads "my PHQ was 14" has not read a person. Owns the finding and the removing of
such messages. Does not know windows, labels or models. Finds English wording only.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from sottovoce.conversations import Message
from sottovoce.instruments import INSTRUMENTS, Instrument

LeakKind = Literal["questionnaire_name", "spoken_score", "item_wording", "item_answer"]

MIN_ITEM_WORDS = 4
"""Items of fewer words ("Trouble relaxing") are ordinary speech and are not searched for."""

ITEM_TRIGRAM_SHARE = 0.5
"""Share of an item's word trigrams that must stand in a message. At 0.5 the bundled cohort
(826 simulated conversations told not to quote a questionnaire) has no finding, and every item
of four words or more read aloud in its own wording is found (tests/test_leakage.py)."""


@dataclass(frozen=True, slots=True)
class Leak:
    """A finding: its kind and the 0-based index of the message it stands in."""

    kind: LeakKind
    message: int


_NUMBER_WORDS = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
    "fifteen sixteen seventeen eighteen nineteen twenty twenty-one twenty-two twenty-three "
    "twenty-four twenty-five twenty-six twenty-seven"
).split()
_NUMBER = (
    r"(?:\b\d{1,2}(?:\.\d)?\b(?!\s*(?:%|am\b|pm\b|:\d))|\b(?:"
    + "|".join(word.replace("-", "[- ]") for word in reversed(_NUMBER_WORDS))
    + r")\b)"
)
_OTHER_SCALES = (
    r"\bBDI(?:-?II)?\b|\bBeck (?:depression|anxiety) inventory\b|\bHADS\b|\bCES-?D\b|\bMADRS\b"
    r"|\bQIDS\b|\bHAM-?D\b|\bHamilton (?:depression|anxiety)\b|\bEPDS\b"
)
_GENERIC_SCALES = (
    r"\b(?:depression|anxiety|mood|mental health) "
    r"(?:questionnaire|screener|screening|inventory|scale|survey|test|quiz)\b"
)
_SCORE_OF_MOOD = rf"\b(?:depression|anxiety|mood) score\b.{{0,30}}?{_NUMBER}"
_SAYS_SCORE = rf"\b(?:scored?|total|result|got|was|is|came (?:out|back)|at)\b.{{0,30}}?{_NUMBER}"
_ANSWERS_SCORE = rf"\b(?:scored?|total|result|got|came (?:out|back))\b.{{0,30}}?{_NUMBER}"
_BARE_NUMBER = rf"^\W*(?:(?:it was|i got|like|about|a|an|maybe|around)\s+)*{_NUMBER}\W*$"


@dataclass(frozen=True, slots=True)
class _Patterns:
    name: re.Pattern[str]
    score_of: re.Pattern[str]
    asks_score: re.Pattern[str]
    items: tuple[frozenset[tuple[str, ...]], ...]


def find_leaks(
    messages: Sequence[Message], instruments: Iterable[Instrument] | None = None
) -> list[Leak]:
    """Find what a questionnaire left in a chat.

    Parameters
    ----------
    messages
        In the order they were said.
    instruments
        Whose names, items and ranges to look for; all known ones by default.

    Returns
    -------
    list of Leak
        In message order; a message may have several kinds. ``questionnaire_name``: a scale is
        named. ``spoken_score``: a number is said to be a score on one ("my PHQ was 14", "14 out
        of 27", or a bare number right after a scale was named or its score asked for).
        ``item_wording``: an item or the opening sentence is read aloud. ``item_answer``: what
        the other side says right after an item was read aloud.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> said = Message("user", "my PHQ was 14 last week", datetime(2025, 1, 1, tzinfo=UTC))
    >>> [leak.kind for leak in find_leaks([said])]
    ['questionnaire_name', 'spoken_score']
    """
    chosen = tuple(INSTRUMENTS) if instruments is None else tuple(each.key for each in instruments)
    patterns = _patterns(chosen)
    leaks: list[Leak] = []
    previous: Message | None = None
    for index, message in enumerate(messages):
        leaks += [Leak(kind, index) for kind in _kinds(message, previous, patterns)]
        previous = message
    return leaks


def without_leaks(messages: Sequence[Message], leaks: Iterable[Leak]) -> tuple[Message, ...]:
    """Give the messages that no finding stands in."""
    leaking = {leak.message for leak in leaks}
    return tuple(each for index, each in enumerate(messages) if index not in leaking)


def _kinds(message: Message, previous: Message | None, patterns: _Patterns) -> list[LeakKind]:
    text = message.content
    kinds: list[LeakKind] = []
    named = bool(patterns.name.search(text))
    if named:
        kinds.append("questionnaire_name")
    answers_scale = previous is not None and bool(
        patterns.name.search(previous.content) or patterns.asks_score.search(previous.content)
    )
    says = named and re.search(_SAYS_SCORE, text, re.I)
    answers = answers_scale and (
        re.search(_BARE_NUMBER, text, re.I) or re.search(_ANSWERS_SCORE, text, re.I)
    )
    if patterns.score_of.search(text) or says or answers:
        kinds.append("spoken_score")
    if _reads_item(text, patterns):
        kinds.append("item_wording")
    elif (
        previous is not None
        and previous.role != message.role
        and _reads_item(previous.content, patterns)
    ):
        kinds.append("item_answer")
    return kinds


def _reads_item(text: str, patterns: _Patterns) -> bool:
    spoken = _trigrams(text)
    return any(len(item & spoken) >= ITEM_TRIGRAM_SHARE * len(item) for item in patterns.items)


def _trigrams(text: str) -> frozenset[tuple[str, ...]]:
    words = re.findall(r"[a-z0-9']+", text.lower())
    return frozenset(zip(words, words[1:], words[2:], strict=False))


@cache
def _patterns(keys: tuple[str, ...]) -> _Patterns:
    chosen = [INSTRUMENTS[key] for key in keys]
    families = "|".join(sorted({each.key.split("-")[0] for each in chosen}))
    maxima = "|".join(sorted({str(each.maximum) for each in chosen}))
    name = (
        rf"\b(?:{families})(?:[- ]?\d{{1,2}})\b|\bPHQ\b|\bpatient health questionnaire\b"
        rf"|{_OTHER_SCALES}|{_GENERIC_SCALES}"
    )
    return _Patterns(
        name=re.compile(name, re.I),
        score_of=re.compile(rf"{_NUMBER}\s*(?:/|out of)\s*(?:{maxima})\b|{_SCORE_OF_MOOD}", re.I),
        asks_score=re.compile(r"\b(?:what|which)\b.{0,40}\b(?:your|the) (?:score|total)\b", re.I),
        items=tuple(
            _trigrams(wording)
            for wording in dict.fromkeys(
                [each.stem for each in chosen]
                + [item.wording for each in chosen for item in each.items]
            )
            if len(wording.split()) >= MIN_ITEM_WORDS
        ),
    )
