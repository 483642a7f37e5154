"""Near-duplicates: keeping test people, and texts like theirs, out of everything that is learnt.

Owns how alike two people's texts are, leaving out who is too like a test person, and the last
check that nobody is left. Does not know labels, annotators or models.

References
----------
Broder 1997, On the resemblance and containment of documents, doi:10.1109/SEQUEN.1997.666900.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sottovoce.cohort import Window
from sottovoce.errors import DataError

SHINGLE = 5
"""Words of a shingle; ours. Five words in a row are seldom said twice by chance, and a text that
was copied and edited keeps most of them."""

ALIKE = 0.2
"""Jaccard similarity from which two people's texts count as one. Between different people of the
bundled cohort it is at most 0.011 (480 people, all pairs). Of copies of 100 of them it is at least
0.31 with every tenth word changed, and at least 0.29 where half of the messages are left out.
Ours: between the two."""


def shingles(window: Window) -> frozenset[tuple[str, ...]]:
    """Give every run of `SHINGLE` words of what the person said, without case."""
    words = " ".join(each.content for each in window.user_messages).lower().split()
    count = max(len(words) - SHINGLE + 1, 1 if words else 0)
    return frozenset(tuple(words[place : place + SHINGLE]) for place in range(count))


def highest_likeness(windows: Sequence[Window], others: Sequence[Window]) -> list[float]:
    """Give each window's highest Jaccard similarity to one of the others, 0 to 1, length n.

    Exact, by an index of the others' shingles: only who shares one is compared. A window is not
    compared with those of the same person.
    """
    sets = [shingles(each) for each in others]
    index: dict[tuple[str, ...], list[int]] = {}
    for number, each in enumerate(sets):
        for shingle in each:
            index.setdefault(shingle, []).append(number)
    found = []
    for window in windows:
        own = shingles(window)
        shared = Counter(number for shingle in own for number in index.get(shingle, ()))
        found.append(
            max(
                (
                    count / (len(own) + len(sets[number]) - count)
                    for number, count in shared.items()
                    if others[number].user_id != window.user_id
                ),
                default=0.0,
            )
        )
    return found


@dataclass(frozen=True, slots=True)
class Kept:
    """Windows that may be learnt from, and how many were left out and why."""

    windows: tuple[Window, ...]
    same_person: int
    near_duplicates: int


def apart_from(windows: Sequence[Window], test: Sequence[Window], threshold: float = ALIKE) -> Kept:
    """Leave out test people, and whoever has a text like theirs.

    Parameters
    ----------
    windows
        That something is to be learnt from.
    test
        Of people who are tested only.
    threshold
        Jaccard similarity of `SHINGLE` words from which two texts count as one.
    """
    tested = {each.user_id for each in test}
    others = [each for each in windows if each.user_id not in tested]
    likeness = highest_likeness(others, test)
    copies = {
        window.user_id for window, like in zip(others, likeness, strict=True) if like >= threshold
    }
    kept = tuple(each for each in others if each.user_id not in copies)
    same = len({each.user_id for each in windows}) - len({each.user_id for each in others})
    return Kept(kept, same, len(copies))


def assert_apart(windows: Iterable[Window], users: Iterable[str], test: Sequence[Window]) -> None:
    """Check at the last moment that nothing of a test person is learnt from or was annotated.

    Parameters
    ----------
    windows
        What is learnt from.
    users
        Whose annotations are used.
    test
        Of people who are tested only.

    Raises
    ------
    DataError
        If a test person, or the same words by another name, is among them.
    """
    tested, words = {each.user_id for each in test}, {_fingerprint(each) for each in test}
    learnt = list(windows)
    found = {
        each.user_id for each in learnt if each.user_id in tested or _fingerprint(each) in words
    }
    found |= tested & set(users)
    if found:
        raise DataError(
            f"{len(found)} test people, or their words, are among those that are learnt from",
            fix="leave them out: a test on them would say nothing",
        )


def _fingerprint(window: Window) -> str:
    """Hash of the person's words, whatever the case and the spaces between them."""
    words = " ".join(each.content for each in window.user_messages).lower().split()
    return hashlib.sha256(" ".join(words).encode()).hexdigest()
