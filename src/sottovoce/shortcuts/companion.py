"""Whether the model listens to the companion instead of the person.

Owns the checks in which the companion's turns are all there is, somebody else's, or gone. Does not
know how a model reads: it is judged by what its estimates do.
"""

import numpy as np

from sottovoce.evaluation import Check, Settings
from sottovoce.metrics import Figure, pearson
from sottovoce.metrics.bootstrap import average, measured
from sottovoce.metrics.columns import constant
from sottovoce.rereading import Floats, Reread
from sottovoce.shortcuts.readings import SAME, Readings
from sottovoce.shortcuts.verdict import (
    MOST,
    NOTABLE_R,
    POINT,
    SOME_SHARE,
    above,
    below,
    graded,
    unclear,
    unseen,
    verdict,
)


def companion_alone(read: Readings) -> Check:
    """Judge estimates of windows in which the person says nothing, or only nods."""
    key, nodding = "companion_alone", read.pairs["nodding"].scored
    if read.nobody("swapped"):
        return _unswapped(key, read)
    if read.still("swapped"):
        return _unheard(read)
    if len(nodding.rows) and constant(nodding.after):
        return verdict(key, "pass", "of a person who only says OK it says the same of everybody")
    r = pearson(nodding.total, nodding.after, nodding.resamples(read.settings))
    figures = {"r": r}
    if reason := unclear(r):
        return unseen(key, reason, figures)
    if above(r, NOTABLE_R):
        why = f"with a person who only says OK, estimates still follow the total: r {r.text()}"
        return verdict(key, "fail", why, figures)
    why = f"with a person who only says OK, estimates do not follow the total: r {r.text()}"
    return verdict(key, "pass", why, figures)


def _unswapped(key: str, read: Readings) -> Check:
    if read.people < 2:
        return unseen(key, "there is nobody else whose companion could be lent")
    return verdict(key, "pass", "the companion says the same to everybody, or nothing")


def _unheard(read: Readings) -> Check:
    key, silent = "companion_alone", read.pairs["silent"]
    if silent.abstained == len(silent.rows):
        why = "without the person's turns the model abstains, and no estimate depends on these"
        return verdict(key, "pass", why)
    why = "no estimate depends on these, and yet the model says something of a silent person"
    return verdict(key, "warn", why)


def companion_swapped(read: Readings) -> Check:
    """Judge whether estimates go with the companion of somebody else."""
    key, pair = "companion_swapped", read.pairs["swapped"]
    if read.nobody("swapped"):
        return _unswapped(key, read)
    moved = pair.scored.moved(read.settings)
    if read.still("swapped"):
        why = f"no estimate of {len(pair.rows)} moves: the model does not read the companion"
        return verdict(key, "pass", why, {"moved": moved})
    share = _share(read.lender, pair, read.settings)
    figures = {"moved": moved, "share": share}
    if reason := unclear(share):
        return unseen(key, f"estimates move by {moved.number()} points, and {reason}", figures)
    why = f"estimates go {share.text()} of the way to that of the companion's other person"
    if below(share, SOME_SHARE):
        return verdict(key, "pass", why, figures)
    return verdict(key, "fail" if above(share, MOST) else "warn", why, figures)


def _share(lender: Floats, pair: Reread, settings: Settings) -> Figure:
    """Regress an estimate's move on the way to the estimate of the person who lent the companion.

    In a model that adds up what both sides say, the slope is the companion's share of the variance
    of its estimates, however far they lie from the mean.
    """
    kept = ~np.isnan(pair.after)
    x, y = (lender - pair.before)[kept], (pair.after - pair.before)[kept]
    if not len(x) or constant(x):
        return Figure.missing("all estimates are the same", n=len(x))

    def slope(weights: Floats) -> Floats:
        mean_x, mean_y = average(x, weights), average(y, weights)
        spread = average(x * x, weights) - mean_x**2
        together = average(x * y, weights) - mean_x * mean_y
        varied = spread > SAME**2
        return np.where(varied, together / np.where(varied, spread, 1.0), np.nan)

    return measured(slope, len(x), pair.scored.resamples(settings))


def user_alone(read: Readings) -> Check:
    """Judge how much worse the model is without the companion's turns."""
    key, pair = "user_alone", read.pairs["user_alone"]
    if read.nobody(key):
        return verdict(key, "pass", "there are no turns of the companion to leave out")
    if read.still(key):
        why = f"no estimate of {len(pair.rows)} moves without the companion's turns"
        return verdict(key, "pass", why, {"moved": pair.moved(read.settings)})
    worse = pair.scored.mae_change(read.settings)
    figures = {"mae_change": worse, "moved": pair.scored.moved(read.settings)}
    if reason := unclear(worse):
        return unseen(key, reason, figures)
    why = f"without the companion's turns the error changes by {worse.text(sign=True)} points"
    return verdict(key, graded(worse, 0, POINT), why, figures)
