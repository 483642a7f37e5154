from dataclasses import replace

import numpy as np
from tests import tiny
from tests.words import WordScorer

from sottovoce.evaluation import Settings
from sottovoce.instruments import PHQ_9
from sottovoce.progress import silent
from sottovoce.rereading import Subject
from sottovoce.shortcuts.readings import AGAIN, read_changed
from sottovoce.trial import Trial


def replied(window):
    """Let the companion say something of its own to everybody."""
    return replace(
        window,
        messages=tuple(
            replace(each, content=f"Tell me, {window.user_id}.") if each.role != "user" else each
            for each in window.messages
        ),
    )


WINDOWS = tuple(map(replied, tiny.labelled_windows(60)))
TRIAL = Trial(PHQ_9, WINDOWS[:30], WINDOWS[30:])
FEW = Settings(resamples=200)


def read(trial=TRIAL, sample=12, advance=silent):
    scorer = WordScorer(trial.training)
    estimates = tuple(scorer.score(trial.test))
    scorer.calls.clear()
    return read_changed(Subject(trial, scorer, estimates), sample, 0, FEW, advance), scorer


def test_everything_is_read_in_one_call_and_a_few_people_twice():
    told = []
    readings, scorer = read(advance=lambda done, total, figures=None: told.append(total))
    assert len(scorer.calls) == 2
    assert scorer.calls[1] == AGAIN == len(readings.pairs["repeated"].rows)
    assert told == scorer.calls[:1]
    # of a reader of the person alone, nothing that only touches the companion is read
    assert scorer.calls[0] <= 3 * 12
    assert readings.people == 12
    for name in ("swapped", "user_alone", "user_id", "clock"):
        assert readings.still(name)
        assert len(readings.pairs[name].rows) == 12


def test_the_lender_is_far_away_in_severity():
    readings, _ = read(sample=30)
    rows = readings.pairs["swapped"].rows
    scores = dict(zip(readings.subject.points(range(30)), TRIAL.totals, strict=True))
    apart = [
        scores[lent] - TRIAL.totals[row] for row, lent in zip(rows, readings.lender, strict=True)
    ]
    assert np.abs(apart).mean() > 7


def test_everybody_who_mentions_a_score_is_read_whoever_is_drawn():
    def mentioning(window):
        first, *rest = window.messages
        said = replace(first, content="my PHQ-9 score was 14")
        return replace(window, messages=(said, *rest))

    test = (*map(mentioning, TRIAL.test[:20]), *TRIAL.test[20:])
    readings, _ = read(replace(TRIAL, test=test), sample=3)
    assert len(readings.pairs["shuffled"].rows) == 3
    for name in ("mentions", "control"):
        assert readings.pairs[name].rows.tolist() == list(range(20))


def test_an_estimate_that_is_gone_is_not_still_there():
    readings, _ = read()
    assert readings.pairs["silent"].abstained == 12
    assert not readings.still("silent")


def test_who_is_not_changed_is_not_counted():
    alone = TRIAL.changed(lambda window: replace(window, messages=window.user_messages[:1]))
    readings, _ = read(alone)
    for name in ("swapped", "user_alone", "first_message", "shuffled", "mentions"):
        assert readings.nobody(name)
    assert not readings.nobody("user_id")


def test_one_person_alone_lends_to_nobody():
    readings, _ = read(replace(TRIAL, test=TRIAL.test[:1]))
    assert readings.people == 1
    assert readings.nobody("swapped")
