"""Disturbances: a person's messages as they might also have been typed, or as less of them.

Owns pure, seeded functions from a window to a window that leave who it is about, its time and its
label alone. Only the person's messages are disturbed. Does not know models, nor what becomes of an
estimate.
"""

import random
import re
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import replace

from sottovoce.cohort import Window
from sottovoce.conversations import Message
from sottovoce.errors import require

Change = Callable[[Window], Window]

TYPO_RATE = 0.1
"""Share of words with a wrong letter. Ours: plainly mistyped, and a person still reads it."""

PASSAGE_EVERY = 5
"""A passage is put after every fifth of the person's messages. Ours."""

PASSAGES = (
    "El autobús de la mañana llega a las ocho y cuarto y para delante de la biblioteca.",
    # Spanish: The morning bus comes at a quarter past eight and stops in front of the library.
    "Im Keller stehen zwei Fahrräder, und der Schlüssel hängt neben der Tür.",
    # German: There are two bicycles in the cellar, and the key hangs beside the door.
    "Le marché ouvre le mardi, et les pommes viennent d'un village voisin.",
    # French: The market opens on Tuesdays, and the apples come from a village nearby.
    "A farmácia fica entre o correio e a padaria, na rua de cima.",
    # Portuguese: The pharmacy is between the post office and the bakery, on the upper street.
    "La finestra della cucina dà sul cortile, dove c'è un albero di fichi.",
    # Italian: The kitchen window looks onto the courtyard, where there is a fig tree.
    "De trein naar het noorden vertrekt elk half uur van het tweede spoor.",
    # Dutch: The train to the north leaves every half hour from the second platform.
)
"""Sentences about nothing in particular, written for this project; of nobody's mood."""

_NEIGHBOURS = {
    "q": "wa", "w": "qes", "e": "wrd", "r": "etf", "t": "ryg", "y": "tuh", "u": "yij", "i": "uok",
    "o": "ipl", "p": "ol", "a": "qsz", "s": "awdx", "d": "sefc", "f": "drgv", "g": "fthb",
    "h": "gyjn", "j": "hukm", "k": "jil", "l": "kop", "z": "asx", "x": "zsdc", "c": "xdfv",
    "v": "cfgb", "b": "vghn", "n": "bhjm", "m": "njk",
}  # fmt: skip
"""Keys beside each other on a QWERTY keyboard."""

_APOSTROPHES = "'’ʼ"
_PICTURES = (
    r"[\p{Extended_Pictographic}\p{Regional_Indicator}\p{Emoji_Modifier}--[©®™]][\uFE0F\u200D]*"
)
"""Unicode's own property of pictures (UTS #51), flags and skin tones with what joins them; not
the three signs of trade that have the property too."""


def typos(window: Window, seed: int, rate: float = TYPO_RATE) -> Window:
    """Put a letter's neighbour on the keyboard in its place, in so many of the words."""
    drawn = _random(seed, "typos", window)

    def mistyped(match: re.Match[str]) -> str:
        word = match[0]
        if drawn.random() >= rate:
            return word
        at = drawn.randrange(len(word))
        key = drawn.choice(_NEIGHBOURS[word[at].lower()])
        return word[:at] + (key.upper() if word[at].isupper() else key) + word[at + 1 :]

    return rewritten(window, lambda text: re.sub(r"[A-Za-z]{2,}", mistyped, text))


def lower_case(window: Window) -> Window:
    """Write everything small."""
    return rewritten(window, str.lower)


def upper_case(window: Window) -> Window:
    """Write everything in capitals."""
    return rewritten(window, str.upper)


def without_punctuation(window: Window) -> Window:
    """Take out what Unicode calls punctuation; words that it kept apart stay apart."""

    def kept(character: str) -> str:
        if character in _APOSTROPHES:
            return ""
        return " " if unicodedata.category(character).startswith("P") else character

    def bare(text: str) -> str:
        return re.sub(" +", " ", "".join(map(kept, text))).strip()

    return rewritten(window, bare)


def without_emoji(window: Window) -> Window:
    """Take out emoji; faces made of punctuation stay."""
    regex = require("regex", what="Finding emoji", extra="models")
    pictures = regex.compile(_PICTURES, regex.VERSION1)
    return rewritten(window, lambda text: str(pictures.sub("", text)))


def with_passages(
    window: Window, seed: int, passages: Sequence[str] = PASSAGES, every: int = PASSAGE_EVERY
) -> Window:
    """Let the person also say one of the passages after every so many of their messages."""
    drawn, messages, said = _random(seed, "passages", window), list[Message](), 0
    for message in window.messages:
        messages.append(message)
        if message.role == "user":
            said += 1
            if said % every == 0:
                passage = drawn.choice(passages)
                messages.append(Message("user", passage, message.timestamp))
    return replace(window, messages=tuple(messages))


def older_half(window: Window) -> Window:
    """Keep the older half of the person's messages, the middle one too, and what was answered."""
    return replace(window, messages=window.messages[: _middle(window)])


def newer_half(window: Window) -> Window:
    """Keep what `older_half` leaves out."""
    return replace(window, messages=window.messages[_middle(window) :])


def rewritten(window: Window, rewrite: Callable[[str], str]) -> Window:
    """Rewrite the text of the person's messages; one of which nothing is left stays as it was.

    A person who sends a single emoji has sent something; leaving the message out would test a
    shorter history instead.
    """

    def changed(message: Message) -> Message:
        text = rewrite(message.content) if message.role == "user" else ""
        return replace(message, content=text) if text.strip() else message

    return replace(window, messages=tuple(map(changed, window.messages)))


def _middle(window: Window) -> int:
    """Give the index of the first of the person's messages that is of the newer half."""
    own = [at for at, message in enumerate(window.messages) if message.role == "user"]
    older = (len(own) + 1) // 2
    return own[older] if older < len(own) else len(window.messages)


def _random(seed: int, what: str, window: Window) -> random.Random:
    """Give the random numbers of one person's window, whoever else is disturbed."""
    named = f"{seed} {what} {window.user_id} {window.end.isoformat()}"
    return random.Random(named)  # noqa: S311 - a typing error is no secret
