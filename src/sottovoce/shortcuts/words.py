"""What the data themselves give away, by readers that learn in seconds.

Owns the checks of the data: words of one side, length, the first message, permuted labels. All
learn from other people than they are tested on. Does not know the model.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

import numpy as np

from sottovoce.baselines import ALPHAS, Scores, length_scores, mean_scores, tfidf_scores
from sottovoce.cohort import Window
from sottovoce.errors import DataError
from sottovoce.evaluation import Check, Settings
from sottovoce.metrics import Figure, Resamples, difference, mae, pearson, resample_people
from sottovoce.metrics.columns import constant
from sottovoce.shortcuts.excerpts import companion_as_person, first_message, person_alone
from sottovoce.shortcuts.verdict import NOTABLE_R, above, attempt, below, unclear, unseen, verdict
from sottovoce.trial import Predictor, Trial

PERMUTATIONS = 10
"""Times that labels are dealt out anew. By chance all go the right way once in 1,024."""

DEALT_PENALTY = 1.0
"""Penalty of the reader of dealt-out labels, the middle of the baseline's grid: where there is
nothing to learn none is better than another, and choosing takes ten times as long."""


@dataclass(frozen=True, slots=True)
class _Told:
    """How well something tells totals, on the trial's rows: correlation, error, or nothing."""

    r: Figure
    mae: Figure
    flat: bool
    """Whether everybody gets the same score."""

    @property
    def figures(self) -> dict[str, Figure]:
        return {"r": self.r, "mae": self.mae}


@dataclass(frozen=True)
class Data:
    """A trial, how its figures are computed, and what the person's words tell, read once."""

    trial: Trial
    settings: Settings

    @cached_property
    def own_words(self) -> _Told:
        """What the person's words tell a reader of words."""
        return self.judge(self.by_words(person_alone))

    def by_words(self, change: Callable[[Window], Window]) -> Scores:
        """Score changed windows by a reader of words that learnt from changed windows."""
        changed = self.trial.changed(change)
        return changed.unseen(lambda training, windows: _read(training, windows, self.trial))

    def judge(self, scores: Scores) -> _Told:
        """Hold scores of the trial's rows against the totals."""
        drawn, totals = self.resamples(self.trial.users), self.trial.totals
        return _Told(pearson(totals, scores, drawn), mae(totals, scores, drawn), constant(scores))

    def resamples(self, users: Sequence[str]) -> Resamples:
        """Draw the people of some rows."""
        used = self.settings
        return resample_people(users, count=used.resamples, seed=used.seed, level=used.level)


def look_at_words(trial: Trial, settings: Settings) -> list[Check]:
    """Check what words, length and dealt-out labels tell of the trial's totals."""
    data = Data(trial, settings)
    return [attempt(key, partial(check, data)) for key, check in CHECKS.items()]


def _user(data: Data) -> Check:
    told = data.own_words
    if reason := unclear(told.r):
        return unseen("data_user", reason, told.figures)
    if above(told.r, 0):
        return verdict("data_user", "pass", f"they tell totals: r {told.r.text()}", told.figures)
    why = f"they do not tell totals beyond chance: r {told.r.text()}"
    return verdict("data_user", "warn", why, told.figures)


def _companion(data: Data) -> Check:
    if not any(e.role == "assistant" for window in data.trial.test for e in window.messages):
        return verdict("data_companion", "pass", "the windows hold no turns of the companion")
    told = data.judge(data.by_words(companion_as_person))
    return _shortcut("data_companion", told, "a model that reads them can leave the person out")


def _length(data: Data) -> Check:
    used = data.trial.instrument
    scores = data.trial.unseen(lambda training, windows: length_scores(training, windows, used))
    return _shortcut(
        "data_length", data.judge(scores), "how much is written gives a part of the total away"
    )


def _shortcut(key: str, told: _Told, consequence: str) -> Check:
    if told.flat:
        return verdict(key, "pass", "it is the same for everybody", {"mae": told.mae})
    if reason := unclear(told.r):
        return unseen(key, reason, told.figures)
    if above(told.r, NOTABLE_R):
        why = f"a shortcut is there: r {told.r.text()}; {consequence}"
        return verdict(key, "warn", why, told.figures)
    why = f"nothing notable: r {told.r.text()}, not shown to be above {NOTABLE_R:g}"
    return verdict(key, "pass", why, told.figures)


def _first_message(data: Data) -> Check:
    key = "data_first_message"
    if all(len(window.user_messages) < 2 for window in data.trial.test):
        return verdict(key, "pass", "nothing follows anybody's first message")
    first = data.judge(data.by_words(first_message))
    gain = difference(data.own_words.r, first.r, data.settings.level)
    figures = first.figures | {"r_gain": gain}
    if reason := unclear(first.r, gain):
        return unseen(key, reason, figures)
    if above(first.r, NOTABLE_R) and not above(gain, 0):
        why = f"it tells as much as everything that follows: r {first.r.text()}"
        return verdict(key, "warn", why, figures)
    why = f"it does not stand for the whole: r {first.r.text()}"
    return verdict(key, "pass", why, figures)


def _permuted(data: Data) -> Check:
    """Learn from people whose labels were dealt out among them; nothing may be left to learn.

    The interval of r is from the lowest to the highest permutation. One over people would be too
    narrow: where one thing rules the texts, a permutation goes with it or against it by chance.
    """
    trial = data.trial
    dealt = [trial.unseen(_dealing(trial, seed)) for seed in range(PERMUTATIONS)]
    means = np.tile(trial.unseen(mean_scores), PERMUTATIONS)
    totals, drawn = np.tile(trial.totals, PERMUTATIONS), data.resamples(trial.users * PERMUTATIONS)
    found = [pearson(trial.totals, scores).value or 0.0 for scores in dealt]
    r = Figure(float(np.mean(found)), min(found), max(found), n=len(trial.test))
    errors = mae(totals, np.concatenate(dealt), drawn), mae(totals, means, drawn)
    gain = difference(*errors, data.settings.level)
    figures = {"r": r, "mae_change": gain}
    if reason := unclear(gain):
        return unseen("data_permuted", reason, figures)
    told = f"r {r.number()} on average, {r.interval()} over {PERMUTATIONS} permutations"
    if above(r, 0) and below(gain, 0):
        why = f"labels of nobody still tell totals: {told}; the split or the labels leak"
        return verdict("data_permuted", "fail", why, figures)
    return verdict("data_permuted", "pass", f"at chance: {told}", figures)


def _dealing(trial: Trial, seed: int) -> Predictor:
    def predict(training: Sequence[Window], windows: Sequence[Window]) -> Scores:
        order = np.random.default_rng(seed).permutation(len(training))
        dealt = [
            replace(window, label=training[int(row)].label)
            for window, row in zip(training, order, strict=True)
        ]
        return _read(dealt, windows, trial, (DEALT_PENALTY,))

    return predict


def _read(
    training: Sequence[Window],
    windows: Sequence[Window],
    trial: Trial,
    penalties: Sequence[float] = ALPHAS,
) -> Scores:
    try:
        return tfidf_scores(training, windows, trial.instrument, trial.seed, penalties)
    except ValueError:  # scikit-learn's way to say that no word is used twice
        raise DataError("there are too few words to learn from") from None


CHECKS: Mapping[str, Callable[[Data], Check]] = {
    "data_user": _user,
    "data_companion": _companion,
    "data_length": _length,
    "data_first_message": _first_message,
    "data_permuted": _permuted,
}
"""Key of a check to what makes it, in the order of the table."""
