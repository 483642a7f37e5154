"""Selection: which unlabelled people to label next, so that every severity is well represented.

Owns the choice by the current model's estimates and their uncertainty. Does not know who labels,
nor how an estimate is made.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sottovoce.conversations import QuestionnaireResponse, read_labels
from sottovoce.errors import DataError
from sottovoce.estimates import Estimate, read_scores
from sottovoce.instruments import Instrument, instrument

Array = npt.NDArray[np.float64]


ALIKE = 0.05
"""Share of the way from the most to the least evening person within which people count as alike;
ours: small, since evening out is the purpose, and not 0, or no two people would ever be alike."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Who is to be labelled, and what that makes of the severity distribution.

    Parameters
    ----------
    users
        In the order in which they were chosen: a shorter list is the beginning of a longer one.
    bands
        Names of the severity bands, lowest first.
    before
        Labelled people in each band, shape (b,).
    chosen
        People expected in each band among the chosen, shape (b,); fractions, since a band is
        known by its probability only.
    abstained
        People of the pool of whom there is no estimate; they cannot be chosen.
    """

    users: tuple[str, ...]
    bands: tuple[str, ...]
    before: Array
    chosen: Array
    abstained: int

    def as_dict(self) -> dict[str, Any]:
        """Give the counts as JSON can hold them; no ids."""
        rows = zip(self.bands, self.before.tolist(), self.chosen.tolist(), strict=True)
        return {
            "n": len(self.users),
            "abstained": self.abstained,
            "bands": [
                {
                    "band": band,
                    "labelled": old,
                    "expected": round(new, 2),
                    "after": round(old + new, 2),
                }
                for band, old, new in rows
            ],
        }


def band_chances(estimates: Sequence[Estimate], used: Instrument) -> Array:
    """Give the probability of each severity band, shape (n, bands); each row sums to 1.

    From the estimates' probabilities at the cut-offs where bands begin.
    """
    rows = []
    for each in estimates:
        above = [1.0, *(each.p_at_least[band.lower] for band in used.bands[1:]), 0.0]
        falling = np.minimum.accumulate(above)
        rows.append(falling[:-1] - falling[1:])
    return np.array(rows).reshape(len(rows), len(used.bands))


def select(
    estimates: Sequence[Estimate],
    labelled: Sequence[float],
    n: int,
    used: Instrument,
    *,
    seed: int = 0,
) -> Selection:
    """Choose people whose labels make the severity distribution most even.

    Greedily: each time the person whose expected band counts bring the counts of labelled and
    chosen people nearest to even, in squared distance of the shares. Among people who would do so
    nearly alike (`ALIKE`), the one whose total is least sure is taken first, since its label
    teaches most; then chance by the seed.

    Parameters
    ----------
    estimates
        One of each person of the pool, by the current model; abstentions are passed over.
    labelled
        Totals of the people who have a label, points.
    n
        How many; all of the pool where it has no more.
    used
        Whose severity bands are evened out.
    seed
        Of the last resort.

    Raises
    ------
    DataError
        If `n` is not above 0, or a person has two estimates.
    """
    if n < 1:
        raise DataError("nobody is to be chosen", field="n", fix="ask for one person or more")
    known = [each for each in estimates if not each.abstained]
    if len({each.user_id for each in known}) != len(known):
        raise DataError("a person has two estimates", fix="give the newest of each person")
    known.sort(key=lambda each: each.user_id)  # the order of the file is to make no difference
    chances = band_chances(known, used)
    before = _counts(labelled, used)
    unsure = -(chances * np.log(np.where(chances > 0, chances, 1.0))).sum(axis=1)
    lot = np.random.default_rng(seed).permutation(len(known))
    open_ = np.ones(len(known), np.bool_)
    counts, chosen = before.copy(), []
    for _ in range(min(n, len(known))):
        after = counts + chances
        shares = after / after.sum(axis=1, keepdims=True)
        distance = ((shares - 1 / len(used.bands)) ** 2).sum(axis=1)
        least, most = distance[open_].min(), distance[open_].max()
        alike = np.flatnonzero(open_ & (distance <= least + ALIKE * (most - least)))
        best = int(alike[np.lexsort((lot[alike], -unsure[alike]))[0]])
        open_[best] = False
        counts = after[best]
        chosen.append(known[best].user_id)
    names = tuple(band.name for band in used.bands)
    return Selection(tuple(chosen), names, before, counts - before, len(estimates) - len(known))


def selected(scores: Path, labels: Path | None, n: int, seed: int = 0) -> Selection:
    """Choose from a file of scores, passing over people who have a questionnaire.

    Parameters
    ----------
    scores
        Estimates of one instrument; the newest of each person counts.
    labels
        Questionnaires of people who are labelled already; the newest of each counts.
    n, seed
        As for `select`.

    Raises
    ------
    DataError
        With file, line and field, or if the scores are of no or of several instruments.
    """
    estimates = list(read_scores(scores))
    keys = {each.instrument for each in estimates}
    if len(keys) != 1:
        raise DataError(
            f"there are scores of {len(keys)} instruments", path=scores, fix="give those of one"
        )
    used = instrument(keys.pop())
    reported: dict[str, QuestionnaireResponse] = {}
    for each in read_labels(labels) if labels else ():
        if each.instrument == used.key and each.total is not None:
            old = reported.get(each.user_id)
            if old is None or old.completed_at <= each.completed_at:
                reported[each.user_id] = each
    newest: dict[str, Estimate] = {}
    for score in estimates:
        before = newest.get(score.user_id)
        if before is None or _end(before) <= _end(score):
            newest[score.user_id] = score
    pool = [each for user, each in newest.items() if user not in reported]
    totals = [each.total for each in reported.values() if each.total is not None]
    return select(pool, totals, n, used, seed=seed)


def _end(estimate: Estimate) -> float:
    return estimate.window_end.timestamp() if estimate.window_end else float("-inf")


def _counts(totals: Sequence[float], used: Instrument) -> Array:
    names = [band.name for band in used.bands]
    counts = np.zeros(len(names))
    for total in totals:
        counts[names.index(used.band(total).name)] += 1
    return counts
