"""Several finders as one, and finding again what was found once.

Owns that a name found in one message is looked for in all of the person's. Does not know what
the finders look for.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

from sottovoce.deidentify.cues import WORDS, inside_sentence, without_possessive
from sottovoce.deidentify.kinds import Kind, Span
from sottovoce.deidentify.lexicon import SURVIVES, is_clear_name

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
        extra = again(texts, found)
        return [[*spans, *more] for spans, more in zip(found, extra, strict=True)]


def again(texts: Iterable[str], found: Iterable[Iterable[Span]]) -> list[list[Span]]:
    """Find what was found once wherever else it stands: names by their parts, the rest whole.

    A part that is also a word counts with its capital inside a sentence only.
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
    return [
        [
            Span(match.start(), match.end(), known[match[0].casefold()])
            for match in pattern.finditer(text)
            if match[0].casefold() in known and _stands_for(text, match)
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


def _stands_for(text: str, match: re.Match[str]) -> bool:
    word = match[0]
    if is_clear_name(word):
        return True
    return word[0].isupper() and (" " in word or inside_sentence(text, match.start()))
