"""De-identification: what tells who somebody is becomes something else, the same for a person.

Owns replacing and putting back, and which finder there is by name. Does not know how things are
found (`patterns`, `presidio`) nor what stands instead of them (`surrogates`). Never complete:
`docs/privacy.md` says what was measured and what is out of scope.
"""

import hmac
import re
import secrets
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from sottovoce.conversations import Message, open_data
from sottovoce.deidentify.kinds import KINDS, Finder, Kind, Span, without_overlap
from sottovoce.deidentify.surrogates import Draw, Surrogates
from sottovoce.errors import DataError

__all__ = [
    "ENGINES",
    "KINDS",
    "Deidentified",
    "Deidentifier",
    "Engine",
    "Finder",
    "Kind",
    "Span",
    "open_deidentifier",
    "read_key",
]

Engine = Literal["presidio", "patterns"]
ENGINES: tuple[Engine, ...] = ("presidio", "patterns")
PRESIDIO, PATTERNS_ONLY = "presidio", "patterns only"

KEY_BYTES = 32
"""Least length of a key that is read from a file: the output of SHA-256, which RFC 2104 advises as
the least for HMAC."""

TRIES = 8
"""Ours. Drawings of surrogates for one person before bracketed words stand instead of them, which
read worse and always lead back. No person of the bundled cohort needed a second one."""


@dataclass(frozen=True, slots=True)
class Deidentified:
    """One person's messages with surrogates, and the way back.

    Parameters
    ----------
    messages
        As they were given, in order; times and roles are kept.
    counts
        Kind to number of places that were replaced; kinds that were not found are not in it.
    back
        Surrogate to what it stands for. Names: keep it where the chats are kept.
    """

    messages: tuple[Message, ...]
    counts: Mapping[str, int]
    back: Mapping[str, str] = field(repr=False)

    def restore(self, text: str) -> str:
        """Put back what the surrogates stand for.

        Of the de-identified messages it gives the original ones exactly; of words that quote them
        in another case, the original words.
        """
        return _replaced_back(text, self.back)


class Deidentifier:
    """Replaces what tells who somebody is.

    Parameters
    ----------
    finder
        Finds it.
    key
        Secret. The same key gives a person the same surrogates again; without it nobody can look
        a name up, and the same name becomes another one for another person.

    Examples
    --------
    >>> from datetime import UTC, datetime
    >>> said = Message("user", "write to ana@mail.test", datetime(2025, 1, 1, tzinfo=UTC))
    >>> hidden = open_deidentifier("patterns", key=b"secret").deidentify("p1", [said])
    >>> hidden.counts, hidden.restore(hidden.messages[0].content)
    ({'email': 1}, 'write to ana@mail.test')
    """

    def __init__(self, finder: Finder, key: bytes) -> None:
        self.finder, self._key = finder, key

    @property
    def label(self) -> str:
        """What finds: "presidio" or "patterns only"."""
        return self.finder.label

    def pseudonym(self, user_id: str) -> str:
        """Give what stands for a person's or a conversation's id: the same for the same id."""
        return "x" + self._secret("pseudonym", user_id).hex()[:16]

    def draw(self, purpose: str, user_id: str) -> Draw:
        """Give a row of choices about a person that the key decides: the same for a purpose."""
        return Draw(self._secret("draw", user_id), purpose)

    def deidentify(self, user_id: str, messages: Sequence[Message]) -> Deidentified:
        """Replace what tells who somebody is in one person's messages of both roles.

        Parameters
        ----------
        user_id
            Whose; surrogates are the same in all her messages, and others for other people.
        messages
            All that should read on together.
        """
        texts = [message.content for message in messages]
        found = [without_overlap(spans) for spans in self.finder.find(texts)]
        key = self._secret("person", user_id)
        for attempt in range(TRIES + 1):
            surrogates = Surrogates(key, texts, attempt, plain=attempt == TRIES)
            hidden = [
                _replaced(text, spans, surrogates) for text, spans in zip(texts, found, strict=True)
            ]
            if [_replaced_back(each, surrogates.back) for each in hidden] == texts:
                break
        counts = Counter(str(span.kind) for spans in found for span in spans)
        return Deidentified(
            tuple(
                replace(message, content=text)
                for message, text in zip(messages, hidden, strict=True)
            ),
            {kind: counts[kind] for kind in KINDS if counts[kind]},
            surrogates.back,
        )

    def _secret(self, purpose: str, identifier: str) -> bytes:
        text = f"{purpose}\x00{identifier}".encode()
        return hmac.digest(self._key, text, "sha256")


def open_deidentifier(
    engine: Engine = "patterns", key: bytes | None = None, ner: str | Path | None = None
) -> Deidentifier:
    """Give a de-identifier by the name of its engine.

    Parameters
    ----------
    engine
        ``patterns`` needs nothing more; ``presidio`` also asks a model of the language, and needs
        the extra `deidentify`.
    key
        See `Deidentifier`; a new secret one by default, that is gone with the process.
    ner
        For ``presidio``: an installed spaCy model or the folder of one; the extra's by default.

    Raises
    ------
    MissingExtraError
        If Presidio is asked for and not installed.
    ModelError
        If there is no such spaCy model.
    """
    from sottovoce.deidentify.cues import named_spans
    from sottovoce.deidentify.patterns import formal_spans
    from sottovoce.deidentify.search import Search

    if engine == "patterns":
        finder = Search(PATTERNS_ONLY, (formal_spans, named_spans))
    else:
        from sottovoce.deidentify.presidio import MODEL, presidio_look

        finder = Search(PRESIDIO, (formal_spans, named_spans, presidio_look(ner or MODEL)))
    return Deidentifier(finder, secrets.token_bytes(KEY_BYTES) if key is None else key)


def read_key(path: str | Path) -> bytes:
    """Read a secret key: the bytes of a file, white space at the ends cut off.

    Raises
    ------
    DataError
        If the file cannot be read or is too short to be a secret.
    """
    with open_data(path) as stream:
        key = stream.read().strip()
    if len(key) < KEY_BYTES:
        raise DataError(
            f"the key has {len(key)} bytes",
            path=path,
            fix=f"write {KEY_BYTES} random ones or more: openssl rand -hex {KEY_BYTES}",
        )
    return key


def _replaced(text: str, spans: Sequence[Span], surrogates: Surrogates) -> str:
    parts, done = [], 0
    for span in spans:
        parts += [text[done : span.start], surrogates.of(span.kind, text[span.start : span.end])]
        done = span.end
    return "".join([*parts, text[done:]])


def _replaced_back(text: str, back: Mapping[str, str]) -> str:
    if not back:
        return text
    loose = {surrogate.casefold(): original for surrogate, original in reversed(list(back.items()))}
    longest_first = sorted(back, key=len, reverse=True)
    pattern = "|".join(_alone(surrogate) for surrogate in longest_first)

    def original(match: re.Match[str]) -> str:
        return back.get(match[0]) or loose.get(match[0].casefold(), match[0])

    return re.sub(pattern, original, text, flags=re.IGNORECASE)


def _alone(surrogate: str) -> str:
    """Give a pattern that does not find it inside a longer word."""
    before = r"(?<!\w)" if surrogate[0].isalnum() else ""
    after = r"(?!\w)" if surrogate[-1].isalnum() else ""
    return f"{before}{re.escape(surrogate)}{after}"
