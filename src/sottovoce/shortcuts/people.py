"""Who is tested, who was learnt from, and when what was said.

Owns the checks that need no reading: time order, overlap of people, near-duplicates, annotations
of test people. Does not know models.
"""

from collections.abc import Collection, Sequence

from sottovoce.cohort import Window
from sottovoce.duplicates import ALIKE, highest_likeness
from sottovoce.evaluation import Check
from sottovoce.leakage import find_leaks
from sottovoce.metrics import Figure
from sottovoce.shortcuts.verdict import FEW_SPOKEN, unseen, verdict
from sottovoce.trial import Trial

Windows = Sequence[Window]


def look_at_people(
    trial: Trial, learnt_from: Windows | None, annotated: Collection[str]
) -> list[Check]:
    """Check that what is tested lies apart, in time and in people, from what was learnt from."""
    return [
        _time_order(trial),
        _mentions(trial),
        _overlap(trial, learnt_from),
        _near_duplicates(trial, learnt_from),
        _exposure(trial, annotated),
    ]


def _time_order(trial: Trial) -> Check:
    windows = (*trial.test, *trial.training, *trial.validation)
    wrong = sum(map(_out_of_order, windows))
    earlier = _with_an_earlier_total(trial.test, windows)
    figures = {
        "out_of_order": Figure(float(wrong), n=len(windows)),
        "earlier_totals": Figure(float(earlier), n=len(trial.test)),
    }
    if wrong:
        why = f"{wrong} of {len(windows)} windows hold messages from after their questionnaire"
        return verdict("time_order", "fail", f"{why}, or out of order", figures)
    if earlier:
        why = f"{earlier} of {len(trial.test)} test windows hold an earlier questionnaire"
        why += " of the same person: its total can be talked about"
        return verdict("time_order", "warn", why, figures)
    why = f"all {len(windows)} windows end before their questionnaire, messages in order"
    return verdict("time_order", "pass", why, figures)


def _out_of_order(window: Window) -> bool:
    times = [message.timestamp for message in window.messages]
    inside = all(window.start <= time < window.end for time in times)
    answered = window.label is None or window.end <= window.label.completed_at
    return not (inside and answered and times == sorted(times))


def _with_an_earlier_total(test: Windows, windows: Windows) -> int:
    answered: dict[str, list[Window]] = {}
    for window in windows:
        answered.setdefault(window.user_id, []).append(window)
    return sum(
        any(
            each.label is not None and window.start <= each.label.completed_at < window.end
            for each in answered[window.user_id]
        )
        for window in test
    )


def _mentions(trial: Trial) -> Check:
    key, n = "data_mentions", len(trial.test)
    kinds = [{leak.kind for leak in find_leaks(window.messages)} for window in trial.test]
    spoken, held = sum("spoken_score" in each for each in kinds), sum(map(bool, kinds))
    figures = {"windows": Figure(float(held), n=n), "spoken_scores": Figure(float(spoken), n=n)}
    if not held:
        return verdict(key, "pass", f"none of {n} test windows mentions one", figures)
    why = f"{held} of {n} test windows still mention one, {spoken} with a score"
    if spoken > FEW_SPOKEN * n:
        return verdict(key, "fail", f"{why}: what is to be estimated is told", figures)
    return verdict(key, "warn", why, figures)


def _overlap(trial: Trial, learnt_from: Windows | None) -> Check:
    if learnt_from is None:
        return unseen("people_overlap", "nobody said whom the model learnt from")
    tested, learnt = set(trial.users), {each.user_id for each in learnt_from}
    both = len(tested & learnt)
    figures = {"people": Figure(float(both), n=len(tested))}
    if both:
        why = f"{both} of {len(tested)} tested people were learnt from: the errors mean nothing"
        return verdict("people_overlap", "fail", why, figures)
    why = f"none of {len(tested)} tested people is among the {len(learnt)} that were learnt from"
    return verdict("people_overlap", "pass", why, figures)


def _near_duplicates(trial: Trial, learnt_from: Windows | None) -> Check:
    key = "near_duplicates"
    others = [*trial.training, *trial.validation, *(learnt_from or ())]
    beside = "who were learnt from"
    if not others:  # in folds, the test people learn from each other
        others, beside = list(trial.test), "in other folds"
    likeness = highest_likeness(trial.test, others)
    alike = sum(each >= ALIKE for each in likeness)
    n = len(trial.test)
    figures = {"windows": Figure(float(alike), n=n), "highest": Figure(max(likeness), n=n)}
    if alike:
        why = (
            f"{alike} of {n} test windows say what others say {beside}: likeness {ALIKE:g} or more"
        )
        return verdict(key, "fail", f"{why}, at most {max(likeness):.2f}", figures)
    why = f"the likeness to people {beside} is at most {max(likeness):.3f}, below {ALIKE:g}"
    if learnt_from is None:
        reason = f"nobody said whom the model learnt from; {why} within the trial"
        return unseen(key, reason, figures)
    return verdict(key, "pass", why, figures)


def _exposure(trial: Trial, annotated: Collection[str]) -> Check:
    tested = set(trial.users)
    both = len(tested & set(annotated))
    figures = {"people": Figure(float(both), n=len(tested))}
    if both:
        why = f"annotations of {both} of {len(tested)} tested people were learnt from"
        return verdict("annotator_exposure", "fail", why, figures)
    what = f"{len(set(annotated))} people's annotations" if annotated else "no annotations"
    why = f"{what} were learnt from, none of a tested person"
    return verdict("annotator_exposure", "pass", why, figures)
