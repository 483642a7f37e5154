"""What the model says of changed windows: which changes are made, to whom, and what came of each.

Owns whom to read again in which form, all in one call. Does not know what an outcome means.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from sottovoce.cohort import Window
from sottovoce.evaluation import Settings
from sottovoce.progress import Advance
from sottovoce.rereading import Changed, Floats, Reread, Subject
from sottovoce.shortcuts.excerpts import (
    answered_otherwise,
    beginning,
    companion_alone,
    later,
    mentions,
    nodding,
    person_alone,
    renamed,
    shuffled,
    with_companion_of,
    without_as_much,
    without_mentions,
)

AGAIN = 3
"""People whose unchanged text is read again: enough to tell a model that gives something else each
time, or estimates of another model, and seconds even for a slow one."""

SAME = 0.05
"""Points that are no change. `scores.jsonl` keeps four decimals; the estimator of the package moves
by 4e-15 where a person is read alone and not beside seven others. Room for half precision, which
was not measured."""


@dataclass(frozen=True, slots=True)
class Readings:
    """Everything that was read again, and how figures are computed.

    Parameters
    ----------
    people
        How many were drawn.
    pairs
        Name of a change to the estimates before and after it, of windows that it changes.
    lender
        Estimate of the person whose companion was lent, for each row of the swap.
    """

    subject: Subject
    settings: Settings
    people: int
    pairs: Mapping[str, Reread]
    lender: Floats

    def still(self, name: str) -> bool:
        """Whether after a change every estimate is still there, and where it was."""
        pair = self.pairs[name]
        return bool((np.abs(pair.after - pair.before) <= SAME).all())

    def nobody(self, name: str) -> bool:
        """Whether a change left everybody as they were, so that nothing can be seen of it."""
        return not len(self.pairs[name].rows)


def read_changed(
    subject: Subject, sample: int, seed: int, settings: Settings, advance: Advance
) -> Readings:
    """Read changed windows of the people who are drawn, and of everybody who mentions a score.

    Parameters
    ----------
    subject
        Model, trial and estimates of the unchanged windows.
    sample, seed
        How many people are drawn; seed of the draw and of the changes.
    settings
        Of the figures.
    advance
        Called with windows read and their number.
    """
    test, rows = subject.trial.test, subject.drawn(sample, seed)
    lenders = _lenders(subject, rows)
    swaps = {row: with_companion_of(test[row], test[lender]) for row, lender in lenders.items()}
    held = [row for row in subject.scored if mentions(test[row])]
    asked: dict[str, Changed] = {
        name: {row: change(test[row]) for row in rows} for name, change in _changes(seed).items()
    }
    asked["swapped"] = swaps
    asked["mentions"] = {row: without_mentions(test[row]) for row in held}
    asked["control"] = {row: without_as_much(test[row], seed) for row in held}
    changes = {
        name: {row: each for row, each in windows.items() if each != test[row]}
        for name, windows in asked.items()
        if name != "control"  # who has no other message to lose stays beside the mentions
    }
    pairs = subject.reread({**changes, "control": asked["control"]}, advance)
    pairs["repeated"] = subject.again(rows[:: max(1, len(rows) // AGAIN)][:AGAIN])
    lender = subject.points([lenders[row] for row in changes["swapped"]])
    return Readings(subject, settings, len(rows), pairs, lender)


def _changes(seed: int) -> Mapping[str, Callable[[Window], Window]]:
    return {
        "silent": companion_alone,
        "nodding": nodding,
        "user_alone": person_alone,
        "first_message": beginning,
        "shuffled": partial(shuffled, seed=seed),
        "label": answered_otherwise,
        "user_id": renamed,
        "clock": later,
    }


def _lenders(subject: Subject, rows: Sequence[int]) -> dict[int, int]:
    """Pair everybody with somebody half the ranks of severity away, so that totals lie apart."""
    totals = subject.trial.totals
    order = sorted(rows, key=lambda row: (totals[row], row))
    half = len(order) // 2
    lent = {row: order[(at + half) % len(order)] for at, row in enumerate(order)}
    return dict(sorted(lent.items()))
