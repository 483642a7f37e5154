"""Which estimate is held against which questionnaire, and everything that found no partner.

Owns the pairing rule and its counts. Does not compute any metric.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from sottovoce.conversations import QuestionnaireResponse, format_time
from sottovoce.errors import DataError
from sottovoce.estimates import Estimate

NO_ESTIMATE = "no estimate for this person"
ONLY_LATER = "every estimate ends after the questionnaire"
TOO_OLD = "the latest estimate is older than the look-back"
TIED = "several estimates end at the same time"
OTHER_INSTRUMENT = "another instrument than the estimates'"
NO_TOTAL = "no total: too many items are missing"
NO_LABEL = "no questionnaire for this person"
NOT_LATEST = "not the latest estimate before any questionnaire"
NO_LABEL_IN_TIME = "no questionnaire within the look-back after it"
NO_MESSAGE = "the person's conversations hold no message, so that there is no window"


@dataclass(frozen=True, slots=True)
class Pair:
    """A questionnaire and the estimate that is held against it."""

    response: QuestionnaireResponse
    estimate: Estimate

    def as_dict(self) -> dict[str, Any]:
        """Give the pair as one object of pairs.jsonl: no text, the id as in the scores."""
        gap = _gap(self.estimate, self.response)
        assert self.estimate.window_end is not None and gap is not None
        return {
            "user_id": self.estimate.user_id,
            "instrument": self.response.instrument,
            "completed_at": format_time(self.response.completed_at),
            "total": self.response.total,
            "window_end": format_time(self.estimate.window_end),
            "days_between": round(gap / timedelta(days=1), 3),
            "score": self.estimate.score,
            "lower": self.estimate.lower,
            "upper": self.estimate.upper,
            "abstained": self.estimate.abstained,
            "reason": self.estimate.reason,
            "model_id": self.estimate.model_id,
        }


@dataclass(frozen=True, slots=True)
class Pairing:
    """Pairs, and reason to count for everything without a partner on either side."""

    pairs: tuple[Pair, ...]
    look_back_days: float
    unmatched_labels: Mapping[str, int] = field(hash=False)
    unmatched_scores: Mapping[str, int] = field(hash=False)

    def as_dict(self) -> dict[str, Any]:
        """Give the counts as JSON can hold them."""
        return {
            "pairs": len(self.pairs),
            "look_back_days": self.look_back_days,
            "unmatched_labels": dict(self.unmatched_labels),
            "unmatched_scores": dict(self.unmatched_scores),
        }


def match(
    scores: Iterable[Estimate], labels: Iterable[QuestionnaireResponse], look_back_days: float
) -> Pairing:
    """Pair each questionnaire with that person's latest estimate that ends before it.

    The estimate's window ends at or before the questionnaire and at most `look_back_days` earlier.
    An abstained estimate is an estimate: a later abstention is never passed over for an earlier
    score. Two estimates of the same end are ambiguous, and the questionnaire stays unmatched.

    Parameters
    ----------
    scores, labels
        Estimates and questionnaires, in any order; only the same instrument is paired.
    look_back_days
        Longest time from the end of the window to the questionnaire, in days.

    Raises
    ------
    DataError
        If the look-back is not above 0.
    """
    if not 0 < look_back_days < math.inf:
        raise DataError(
            "the look-back is not above 0 days, or endless", fix="give days, for example 14"
        )
    by_person: dict[tuple[str, str], list[Estimate]] = {}
    for estimate in scores:
        by_person.setdefault((estimate.user_id, estimate.instrument), []).append(estimate)
    instruments = {key[1] for key in by_person}
    used: set[int] = set()
    labelled: set[tuple[str, str]] = set()
    near: set[int] = set()
    pairs: list[Pair] = []
    missed: Counter[str] = Counter()
    for response in labels:
        key = (response.user_id, response.instrument)
        labelled.add(key)
        candidates = by_person.get(key, [])
        near.update(id(each) for each in candidates if _in_time(each, response, look_back_days))
        found = _latest(candidates, response, look_back_days)
        if response.instrument not in instruments:
            found = OTHER_INSTRUMENT
        if isinstance(found, str):
            missed[found] += 1
            continue
        used.add(id(found))
        pairs.append(Pair(response, found))
    idle: Counter[str] = Counter()
    for key, estimates in by_person.items():
        for estimate in estimates:
            if id(estimate) not in used:
                in_time = NOT_LATEST if id(estimate) in near else NO_LABEL_IN_TIME
                if estimate.window_end is None:
                    in_time = NO_MESSAGE
                idle[in_time if key in labelled else NO_LABEL] += 1
    return Pairing(tuple(pairs), look_back_days, dict(missed), dict(idle))


def _gap(estimate: Estimate, response: QuestionnaireResponse) -> timedelta | None:
    """Time from the end of the window to the questionnaire; None where there is no window."""
    return None if estimate.window_end is None else response.completed_at - estimate.window_end


def _in_time(estimate: Estimate, response: QuestionnaireResponse, look_back_days: float) -> bool:
    gap = _gap(estimate, response)
    return gap is not None and 0 <= gap / timedelta(days=1) <= look_back_days


def _latest(
    candidates: list[Estimate], response: QuestionnaireResponse, look_back_days: float
) -> Estimate | str:
    """Give the estimate for a questionnaire, or the reason why there is none."""
    if response.total is None:
        return NO_TOTAL
    if not candidates:
        return NO_ESTIMATE
    gaps = [gap for each in candidates if (gap := _gap(each, response)) is not None]
    if not gaps:
        return NO_MESSAGE
    before = [gap for gap in gaps if gap >= timedelta()]
    if not before:
        return ONLY_LATER
    latest = [each for each in candidates if _gap(each, response) == min(before)]
    if not _in_time(latest[0], response, look_back_days):
        return TOO_OLD
    return latest[0] if len(latest) == 1 else TIED
