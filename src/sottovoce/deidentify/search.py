"""Several finders as one, and finding again what was found once.

Owns that a name found in one message is looked for in all of the person's. Does not know what
the finders look for.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from sottovoce.deidentify.cues import WORDS, inside_sentence, without_possessive
from sottovoce.deidentify.kinds import Kind, Span
from sottovoce.deidentify.lexicon import IDIOMS, SURVIVES, is_clear_name, is_name

Look = Callable[[str], Iterable[Span]]
"""What finds spans in one text."""


@dataclass(frozen=True)
class Search:
    """A finder made of several.

    Parameters
    ----------
    label
        What it is, for every output.
    looks
        Each looks at every text; of spans of one place the earlier one's kind counts.
    """

    label: str
    looks: Sequence[Look]

    def find(self, texts: list[str]) -> list[list[Span]]:
        """Give the spans of each text of one person; a name found in one is found in all."""
        found = [[span for look in self.looks for span in look(text)] for text in texts]
        found = [_without_idioms(text, spans) for text, spans in zip(texts, found, strict=True)]
        extra = again(texts, found)
        return [
            _without_idioms(text, [*spans, *more])
            for text, spans, more in zip(texts, found, extra, strict=True)
        ]


def _without_idioms(text: str, spans: Iterable[Span]) -> list[Span]:
    """Leave out people that a phrase names and nobody means."""
    idioms = [match.span() for match in IDIOMS.finditer(text)]
    return [
        span
        for span in spans
        if span.kind != "person" or not any(a < span.end and span.start < b for a, b in idioms)
    ]


def again(texts: Iterable[str], found: Iterable[Iterable[Span]]) -> list[list[Span]]:
    """Find what was found once wherever else it stands: names by their parts, the rest whole.

    A part that is also a word, in the language or in the person's own writing, counts with its
    capital inside a sentence only.
    """
    texts = list(texts)
    known: dict[str, Kind] = {}
    for text, spans in zip(texts, found, strict=True):
        for span in spans:
            value = text[span.start : span.end]
            if span.kind == "person":
                known.update({part.casefold(): "person" for part in _parts(value)})
            elif span.kind in ("organisation", "place"):
                known.setdefault(value.casefold(), span.kind)
    if not known:
        return [[] for _ in texts]
    longest = sorted(known, key=len, reverse=True)
    pattern = re.compile(rf"(?<!\w)(?:{'|'.join(map(re.escape, longest))})(?!\w)", re.IGNORECASE)
    small = {word for text in texts for word in WORDS.findall(text) if word.islower()}
    return [
        [
            Span(match.start(), match.end(), known[match[0].casefold()])
            for match in pattern.finditer(text)
            if match[0].casefold() in known and _stands_for(text, match, small)
        ]
        for text in texts
    ]


def _parts(name: str) -> Iterator[str]:
    for match in WORDS.finditer(name):
        part = without_possessive(match[0])
        if (
            len(part) > 1
            and part.casefold() not in SURVIVES
            and part[0].isupper() | is_clear_name(part)
        ):
            yield part


def _stands_for(text: str, match: re.Match[str], small: set[str]) -> bool:
    """Whether words that were a name elsewhere are one here."""
    word = match[0]
    if is_clear_name(word):
        return True
    if not word[0].isupper():
        return False
    is_word = word.casefold() in small or is_name(word)
    return " " in word or not is_word or inside_sentence(text, match.start())
