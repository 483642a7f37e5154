"""Shortcuts and leaks: ways in which a good result may be a false one, each looked at.

Owns the order of the checks and what a caller must say of the model. Two kinds: of the data, by a
reader that learns in seconds, and of the model, which reads changed windows of some people again.
Does not know how results are shown.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sottovoce.cohort import Window
from sottovoce.estimates import Estimate
from sottovoce.evaluation import Settings, Suite
from sottovoce.evaluation.record import DEFAULT
from sottovoce.progress import Advance, silent
from sottovoce.rereading import Subject
from sottovoce.scorer import Scorer
from sottovoce.shortcuts.behaviour import look_at_behaviour
from sottovoce.shortcuts.people import look_at_people
from sottovoce.shortcuts.words import look_at_words
from sottovoce.trial import Trial

__all__ = ["Background", "examine"]


@dataclass(frozen=True, slots=True)
class Background:
    """What is known of how the model came about, and how many people are read again.

    Parameters
    ----------
    learnt_from
        Windows that the model learnt from, whatever their labels; None where nobody knows.
    annotated
        People whose annotations it learnt from.
    sample
        People who are drawn and read again in each changed form.
    seed
        Of the draw.
    """

    learnt_from: Sequence[Window] | None = None
    annotated: Collection[str] = ()
    sample: int = 20
    seed: int = 0


def examine(
    trial: Trial,
    scorer: Scorer,
    estimates: Sequence[Estimate],
    background: Background | None = None,
    *,
    settings: Settings = DEFAULT,
    advance: Advance = silent,
) -> Suite:
    """Look for leaks and shortcuts in the data, and at whether the model takes them.

    Parameters
    ----------
    trial
        Whose test windows are judged; the readers of words learn as its predictors do.
    scorer
        The model; it reads changed windows of some people again.
    estimates
        Of the unchanged test windows, in their order.
    background
        From whom the model learnt, and how many people to read again.
    settings
        Of the intervals on which every status rests.
    advance
        Called with windows read and their number.

    Returns
    -------
    Suite
        What could not be looked at is a warning that says why.

    Raises
    ------
    DataError
        If the estimates are not those of the test windows.
    """
    known = background or Background()
    subject = Subject(trial, scorer, tuple(estimates))
    checks = look_at_words(trial, settings)
    checks += look_at_people(trial, known.learnt_from, known.annotated)
    checks += look_at_behaviour(subject, known.sample, known.seed, settings, advance)
    people = len(subject.drawn(known.sample, known.seed))
    notes = (
        f"The model read changed windows of {people} people, drawn over all severities; of all "
        "people who mention a questionnaire or score.",
        f"Readers of words learnt from {trial.described}; labels were dealt out anew for them, "
        "not for the model, which would have to be trained again.",
        "Mentions are found by English wording.",
    )
    return Suite(tuple(checks), notes)
