"""Scoring a file of any length: people come in one after the other and leave as estimates.

Owns the order of work: person by person, a few at a time, so that memory does not grow with the
number of people, and that nobody is passed over in silence. Does not know where the estimates go.
"""

from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from sottovoce.cohort import Window, newest_window, timeline, window_before
from sottovoce.estimates import Estimate
from sottovoce.explanation import Explained
from sottovoce.histories import Histories, History
from sottovoce.progress import Advance, silent
from sottovoce.scorer import Scorer

NO_MESSAGE = "the person's conversations hold no message"

PEOPLE_AT_ONCE = 32
"""People whose windows are read together: enough to group texts of like length into batches."""


def score_file(
    estimator: Scorer,
    chats: str | Path,
    *,
    at: str | Path | None = None,
    coverage: float | None = None,
    advance: Advance = silent,
) -> Iterator[Estimate]:
    """Estimate every person of a chat file.

    Parameters
    ----------
    estimator
        One estimator or an ensemble; its window rules decide what is read.
    chats
        Canonical `chats.jsonl`, in any order.
    at
        Canonical `labels.jsonl`: give one estimate for the window strictly before each
        questionnaire of the estimator's instrument, instead of one for each person's newest
        window. The answers themselves are not looked at.
    coverage
        Of the intervals; the estimator's by default.
    advance
        Called with people done and their number.

    Yields
    ------
    Estimate
        People in the order of the file, questionnaires in the order of time. A person without any
        message is abstained; their newest window has no time.

    Raises
    ------
    DataError
        Before the first estimate, if either file cannot be used.
    """
    explained = explain_file(estimator, chats, at=at, coverage=coverage, advance=advance)
    return (each.estimate for each in explained)


def explain_file(
    estimator: Scorer,
    chats: str | Path,
    *,
    at: str | Path | None = None,
    coverage: float | None = None,
    advance: Advance = silent,
) -> Iterator[Explained]:
    """Estimate every person as `score_file` does, in one reading with what each estimate rests on.

    Without grounds for an abstention, and from a scorer that does not explain.
    """
    with Histories(chats, at) as people, closing(iter(people)) as visitor:
        total, done = len(people), 0
        advance(0, total)
        while some := tuple(islice(visitor, PEOPLE_AT_ONCE)):
            asked = [(each, _windows(each, estimator, at)) for each in some]
            windows = [window for _, theirs in asked for window in theirs]
            said = iter(estimator.explain(windows, coverage=coverage))
            for history, theirs in asked:
                if at is None and not theirs:
                    yield Explained(estimator.abstain(history.user_id, NO_MESSAGE, coverage))
                yield from islice(said, len(theirs))
            done += len(some)
            advance(done, total)


def _windows(history: History, estimator: Scorer, at: str | Path | None) -> list[Window]:
    """Cut a person's windows; there is no newest one where there is no message."""
    messages = timeline(history.conversations)
    if at is None:
        return [newest_window(history.user_id, messages, estimator.rules)] if messages else []
    return [
        window_before(history.user_id, messages, response.completed_at, estimator.rules)
        for response in history.responses
        if response.instrument == estimator.instrument.key
    ]
