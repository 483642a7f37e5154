"""How much of what tells who somebody is each engine finds, and what it takes that it should not.

Three measurements on the bundled, simulated test people: recall of values planted in their chats
(`planting`) in phrasings that nobody wrote patterns by; of the names that the chats hold by
themselves, in words that nobody templated; and how much of what must survive does. Patterns were
written on the training people and the other bank of phrasings.
"""

import json
import math
import re
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.planting import SURVIVORS, Bank, Plant, planted
from benchmarks.shared import options, show
from sottovoce import bundled
from sottovoce.conversations import Conversation
from sottovoce.deidentify import ENGINES, Deidentifier, open_deidentifier
from sottovoce.deidentify.kinds import Span, without_overlap

SEED = 20261127
READ = json.loads((Path(__file__).parent / "deidentify_read.json").read_text("utf-8"))
IDENTIFYING = {kind: frozenset(READ[kind].split()) for kind in ("person", "place")}
KNOWN = frozenset(each.casefold() for words in IDENTIFYING.values() for each in words)
UNCLEAR = frozenset(READ["unclear"].casefold().split())

_MONTH = (
    r"(?:january|february|march|april|may|june|july|august|september|october|november|december)"
)
NATURAL: dict[str, str] = {
    "clock time": r"\b\d{1,2}(?::\d\d)?\s?[ap]m\b|\b\d{1,2}:\d\d\b"
    r"|\b(?:half|quarter) (?:past|to) \w+|\b\w+ o'clock\b",
    "weekday": r"\b(?:mon|tues|wednes|thurs|fri|satur|sun)days?\b",
    "relative date": r"\b(?:yesterday|today|tonight|last (?:week|night|month|year)"
    rf"|(?:\w+ )?weeks? ago|(?:in|since|until) {_MONTH})\b",
    "symptom word": r"\b(?:sleep\w*|slept|tired|exhausted|hopeless\w*|worthless\w*|guilt\w*|sad"
    r"|appetite|depress\w*|anxi\w*|cry\w*|cried|concentrat\w*|restless|slow\w*|numb|alone|lonely"
    r"|panic\w*|suicid\w*|ashamed|empty|energy|pointless|irritable|awake|nightmares?)\b",
    "relative": r"\b(?:mum|mom|dad|sister|brother|son|daughter|wife|husband|nan|gran|friend)\b",
    "pronoun": r"\b(?:she|he|they|her|him|them|his|their|i|me|my|you)\b",
}
"""What must survive, as it stands in the chats."""


@dataclass
class Found:
    """What one engine did, by kind."""

    hits: Counter[str] = field(default_factory=Counter)
    planted: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    flagged: Counter[str] = field(default_factory=Counter)
    wrong: dict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))


def spans_of(deidentifier: Deidentifier, conversation: Conversation) -> list[list[Span]]:
    """Give what is replaced in each message."""
    texts = [message.content for message in conversation.messages]
    return [without_overlap(spans) for spans in deidentifier.finder.find(texts)]


def recall_of_plants(
    deidentifier: Deidentifier, conversations: list[Conversation], bank: Bank
) -> tuple[Found, Found]:
    """Count planted values that are covered whole, and planted survivors that nothing touches."""
    lost, kept = Found(), Found()
    for each in conversations:
        changed, plants = planted(each, bank, SEED)
        found = spans_of(deidentifier, changed)
        for plant in plants:
            into = kept if plant.kind in SURVIVORS else lost
            names = [plant.kind, *([f"{plant.kind}, {plant.note}"] if plant.note else [])]
            hit = _touched(plant, found) if into is kept else _covered(plant, found)
            into.planted.update(names)
            into.hits.update(names if hit != (into is kept) else [])
    return lost, kept


def _covered(plant: Plant, found: list[list[Span]]) -> bool:
    spans = found[plant.message]
    inside = {at for span in spans for at in range(span.start, span.end)}
    return inside.issuperset(range(plant.start, plant.end)) or _but_marks(plant, inside)


def _but_marks(plant: Plant, inside: set[int]) -> bool:
    """Whether all but a space or two inside it is covered: parts found one by one."""
    missing = set(range(plant.start, plant.end)) - inside
    return bool(inside) and len(missing) <= 2 and plant.start not in missing


def _touched(plant: Plant, found: list[list[Span]]) -> bool:
    return any(span.start < plant.end and plant.start < span.end for span in found[plant.message])


def natural(deidentifier: Deidentifier, conversations: list[Conversation]) -> tuple[Found, Found]:
    """Count names that the chats hold by themselves, and what survives; note what is wrong."""
    names, kept = Found(), Found()
    for each in conversations:
        for message, spans in zip(each.messages, spans_of(deidentifier, each), strict=True):
            text = message.content
            for kind, start, end in _words(text):
                names.planted[kind] += 1
                names.hits[kind] += any(span.start < end and start < span.end for span in spans)
            for kind, pattern in NATURAL.items():
                for match in re.finditer(pattern, text, re.IGNORECASE):
                    kept.planted[kind] += 1
                    kept.hits[kind] += not any(
                        span.start < match.end() and match.start() < span.end for span in spans
                    )
            for span in spans:
                _judge(names, span.kind, text[span.start : span.end])
    return names, kept


def _words(text: str) -> Iterator[tuple[str, int, int]]:
    for match in re.finditer(r"[^\W\d_][\w-]*", text):
        for kind, known in IDENTIFYING.items():
            if match[0] in known:
                yield kind, match.start(), match.end()


def _judge(found: Found, kind: str, value: str) -> None:
    """Count a replaced place as right or wrong by the words that were read; unclear ones not."""
    words = set(re.findall(r"[^\W\d_][\w-]*", value.casefold()))
    if words & KNOWN or value in READ["values"]:
        found.right[kind] += 1
    elif words & UNCLEAR:
        return
    else:
        found.wrong[kind][value] += 1
    found.flagged[kind] += 1


def wilson(hits: int, of: int) -> list[float]:
    """Give the 95% interval of a share (Wilson 1927, J Am Stat Assoc 22:209)."""
    z, share = 1.959964, hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    half = z / (1 + z * z / of) * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    return [max(0.0, middle - half), min(1.0, middle + half)]


def rows_of(engine: str, what: str, hits: Counter[str], of: Counter[str]) -> list[dict[str, Any]]:
    """Give a row a kind."""
    return [
        {
            "name": f"{engine}: {what}, {kind}",
            "share": hits[kind] / of[kind],
            "share_ci": wilson(hits[kind], of[kind]),
            "n": of[kind],
        }
        for kind in sorted(of)
    ]


def measure(engine: str, people: list[Conversation], bank: Bank) -> list[dict[str, Any]]:
    """Give the rows of one engine."""
    used = open_deidentifier("presidio" if engine == "presidio" else "patterns", b"benchmark" * 4)
    begun = time.perf_counter()
    names, kept_natural = natural(used, people)
    took = time.perf_counter() - begun
    found, kept = recall_of_plants(used, people, bank)
    label = used.label
    wrong = {kind: dict(each.most_common(40)) for kind, each in names.wrong.items()}
    print(f"{label}: wrongly replaced", json.dumps(wrong, ensure_ascii=False), file=sys.stderr)
    return [
        *rows_of(label, f"planted ({bank} phrasings), found", found.hits, found.planted),
        *rows_of(label, "names of the chats themselves, found", names.hits, names.planted),
        *rows_of(label, "replaced, rightly", names.right, names.flagged),
        *rows_of(label, "planted, survives", kept.hits, kept.planted),
        *rows_of(
            label, "of the chats themselves, survives", kept_natural.hits, kept_natural.planted
        ),
        {"name": f"{label}: seconds for {len(people)} chats", "share": took, "n": len(people)},
    ]


def main() -> None:
    """Measure both engines on the test people with the phrasings that were held out."""
    given = options(__doc__ or "")
    people = bundled.conversations("test")
    rows = [row for engine in ENGINES for row in measure(engine, people, "held out")]
    show("deidentify", "De-identification of the bundled, simulated test people", rows, given)


if __name__ == "__main__":
    main()
