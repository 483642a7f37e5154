"""What the model does when what it reads is cut, reordered, renamed, moved, or rid of scores.

Owns the checks of the model that are not about the companion. Does not know how a model reads: it
is judged by what its estimates do, not by what its settings say.
"""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np

from sottovoce.baselines import log_words
from sottovoce.evaluation import Check, Settings
from sottovoce.metrics import Figure, difference, pearson, resample_people
from sottovoce.metrics.columns import constant
from sottovoce.progress import Advance
from sottovoce.rereading import Reread, Subject
from sottovoce.shortcuts.companion import companion_alone, companion_swapped, user_alone
from sottovoce.shortcuts.readings import Readings, read_changed
from sottovoce.shortcuts.verdict import (
    ALIKE_R,
    FAR_LENGTH_GAP,
    LENGTH_GAP,
    POINT,
    above,
    below,
    graded,
    unclear,
    unseen,
    verdict,
)


def look_at_behaviour(
    subject: Subject, sample: int, seed: int, settings: Settings, advance: Advance
) -> list[Check]:
    """Read changed windows, all in one call, and say what the model did (`read_changed`)."""
    if not subject.scored:
        return [unseen(key, "the model abstained on everybody") for key in CHECKS]
    readings = read_changed(subject, sample, seed, settings, advance)
    return [check(readings) for check in CHECKS.values()]


def _repeated(read: Readings) -> Check:
    pair = read.pairs["repeated"]
    moved = pair.scored.moved(read.settings)
    figures = {"moved": moved}
    if read.still("repeated"):
        why = f"{len(pair.rows)} people get the given estimate again"
        return verdict("repeated", "pass", why, figures)
    far = pair.abstained or (moved.value is not None and moved.value > POINT)
    why = f"the estimates are not the given ones, or change by chance: moved {moved.text()} points"
    return verdict("repeated", "fail" if far else "warn", why, figures)


def _first_message(read: Readings) -> Check:
    key, pair = "first_message", read.pairs["first_message"]
    if read.nobody(key):
        return verdict(key, "pass", "nothing follows anybody's first message")
    left = pair.scored
    if not len(left.rows) or constant(left.after):
        why = "of a first message alone the model says nothing, or the same of everybody"
        return verdict(key, "pass", why)
    if constant(left.before):
        return unseen(key, "the estimates are all the same")
    alike = pearson(left.before, left.after, left.resamples(read.settings))
    moved, worse = left.moved(read.settings), left.mae_change(read.settings)
    figures = {"r_whole": alike, "moved": moved, "mae_change": worse}
    if reason := unclear(alike):
        return unseen(key, reason, figures)
    why = f"r with estimates of the whole {alike.text()}, moved {moved.text()} points"
    if above(alike, ALIKE_R):
        return verdict(key, "warn", f"{why}: what follows is hardly read", figures)
    return verdict(key, "pass", why, figures)


def _shuffled(read: Readings) -> Check:
    key, pair = "shuffled", read.pairs["shuffled"]
    if read.nobody(key):
        return verdict(key, "pass", "nobody's messages have another order")
    left = pair.scored
    worse, moved = left.mae_change(read.settings), left.moved(read.settings)
    figures = {"mae_change": worse, "moved": moved}
    if reason := unclear(worse):
        return unseen(key, reason, figures)
    why = f"in another order the error changes by {worse.text(sign=True)} points"
    if above(worse, POINT):
        return verdict(key, "warn", f"{why}: it rests on where something is said", figures)
    return verdict(key, "pass", why, figures)


def _mentions(read: Readings) -> Check:
    """Judge the model on everybody who still mentions a questionnaire, with and without it.

    The loss of any message makes an error grow, so that of as many others is the control.
    """
    key, test = "mentions", read.subject.trial.test
    without, control = read.pairs["mentions"], read.pairs["control"]
    found = sum(bool(window.leaks) for window in test)
    if not len(without.rows):
        removed = f"what {found} of them held was removed before" if found else "none ever did"
        why = f"none of {len(test)} windows mentions a questionnaire or score; {removed}"
        return verdict(key, "pass", why)
    figures = _excess(without, control, read.settings)
    held = f"{len(without.rows)} windows mention one"
    if reason := unclear(*figures.values()):
        return unseen(key, f"{held}, and {reason}", figures)
    named = ("mae_change", "mae_control", "moved_excess")
    worse, elsewhere, moved = (figures[name] for name in named)
    why = (
        f"{held}; the error without it changes by {worse.text(sign=True)} points, without as much "
        f"else by {elsewhere.text(sign=True)}; estimates move by {moved.text(sign=True)} more"
    )
    helped = above(worse, 0)
    if helped and above(elsewhere, 0):  # any loss hurts; this one has to hurt more
        helped = above(figures["mae_excess"], 0)
    if helped or above(moved, POINT):
        return verdict(key, "fail", f"{why}: the model reads the score", figures)
    return verdict(key, "pass" if below(moved, POINT) else "warn", why, figures)


def _excess(without: Reread, control: Reread, settings: Settings) -> dict[str, Figure]:
    """Compare two losses of the same people, paired, on whom both leave an estimate."""
    kept = ~np.isnan(without.after) & ~np.isnan(control.after)
    without, control = without.take(kept), control.take(kept)
    pairs = without.mae_change(settings), control.mae_change(settings)
    moves = without.moved(settings), control.moved(settings)
    return {
        "mae_change": pairs[0],
        "mae_control": pairs[1],
        "moved": moves[0],
        "mae_excess": difference(*pairs, settings.level),
        "moved_excess": difference(*moves, settings.level),
    }


def _length(read: Readings) -> Check:
    key, subject = "length", read.subject
    rows = subject.scored
    windows = [subject.trial.test[row] for row in rows]
    drawn = resample_people(
        [window.user_id for window in windows],
        count=read.settings.resamples,
        seed=read.settings.seed,
        level=read.settings.level,
    )
    length, totals, points = log_words(windows), subject.trial.totals[rows], subject.points(rows)
    if constant(length):
        return verdict(key, "pass", "everybody wrote as many words")
    plain = pearson(length, points, drawn)
    turned = length * (-1 if (plain.value or 0) < 0 else 1)
    own, theirs = pearson(turned, points, drawn), pearson(turned, totals, drawn)
    gap = difference(own, theirs, read.settings.level)
    figures = {"r": plain, "r_total": pearson(length, totals, drawn), "gap": gap}
    if reason := unclear(gap):
        return unseen(key, reason, figures)
    why = (
        f"r of estimates and words {plain.text()}, of totals and words {figures['r_total'].text()}"
    )
    return verdict(key, graded(gap, LENGTH_GAP, FAR_LENGTH_GAP), why, figures)


def _unmoved(key: str, what: str, read: Readings) -> Check:
    pair = read.pairs[key]
    if read.nobody(key):
        return unseen(key, "no window could be changed so")
    if read.still(key):
        why = f"no estimate of {len(pair.rows)} depends on {what}"
        return verdict(key, "pass", why, {"moved": pair.moved(read.settings)})
    moved = pair.scored.moved(read.settings)
    why = f"estimates depend on {what}: moved {moved.text()} points, {pair.abstained} now abstain"
    return verdict(key, "fail", why, {"moved": moved})


CHECKS: Mapping[str, Callable[[Readings], Check]] = {
    "repeated": _repeated,
    "companion_alone": companion_alone,
    "companion_swapped": companion_swapped,
    "user_alone": user_alone,
    "first_message": _first_message,
    "shuffled": _shuffled,
    "mentions": _mentions,
    "length": _length,
    "label": partial(_unmoved, "label", "what was answered"),
    "user_id": partial(_unmoved, "user_id", "who the person is called"),
    "clock": partial(_unmoved, "clock", "when it was said"),
}
"""Key of a check to what makes it, in the order of the table."""
