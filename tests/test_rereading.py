from dataclasses import replace

import numpy as np
import pytest
from tests import made, tiny
from tests.words import WordScorer

from sottovoce.errors import DataError
from sottovoce.estimator import Estimator
from sottovoce.evaluation import Settings
from sottovoce.instruments import PHQ_9
from sottovoce.model_input import Rendering
from sottovoce.rereading import Subject
from sottovoce.trial import Trial

WINDOWS = tiny.labelled_windows(60)
TRIAL = Trial(PHQ_9, tuple(WINDOWS[:30]), tuple(WINDOWS[30:]))
FEW = Settings(resamples=200)


def subject(trial: Trial = TRIAL, **options) -> Subject:
    scorer = WordScorer(trial.training, **options)
    estimates = tuple(scorer.score(trial.test))
    scorer.calls.clear()
    return Subject(trial, scorer, estimates)


def silenced(window):
    return replace(window, messages=(), reason="nothing was said")


def test_estimates_of_other_windows_are_refused():
    told = subject()
    for wrong in (told.estimates[1:], told.estimates[::-1]):
        with pytest.raises(DataError, match="not those of the test windows"):
            Subject(TRIAL, told.scorer, wrong)


def test_the_drawn_people_stand_for_all_severities():
    rows = subject().drawn(6, seed=1)
    assert len(set(rows)) == 6
    totals = np.sort(TRIAL.totals[rows])
    blocks = np.array_split(np.sort(TRIAL.totals), 6)
    assert all(block[0] <= total <= block[-1] for block, total in zip(blocks, totals, strict=True))
    assert subject().drawn(6, seed=1) == rows != subject().drawn(6, seed=2)
    assert subject().drawn(500, seed=1) == list(range(30))


def test_a_person_is_drawn_once_and_by_the_newest_window_that_has_an_estimate():
    older = [replace(each, end=each.end.replace(hour=6)) for each in TRIAL.test]
    trial = Trial(PHQ_9, (*TRIAL.test, *older), TRIAL.training)
    told = subject(trial)
    assert told.drawn(500, 0) == list(range(30))
    gone = (made.estimate(TRIAL.test[0].user_id, None), *told.estimates[1:])
    assert Subject(trial, told.scorer, gone).drawn(500, 0) == [*range(1, 31)]


def test_everything_is_read_in_one_call_and_what_stays_the_same_is_not_read():
    told = subject()
    shout = {row: tiny.window(TRIAL.users[row], ["other words"], 5) for row in (2, 7)}
    same = {row: replace(TRIAL.test[row], user_id="zoe") for row in range(30)}
    found = told.reread({"shout": shout, "same": same})
    assert told.scorer.calls == [2]
    assert found["shout"].rows.tolist() == [2, 7]
    assert found["same"].after.tolist() == found["same"].before.tolist()
    assert found["same"].before.tolist() == [each.score for each in told.estimates]
    assert found["same"].moved(FEW).value == 0


def test_pairs_hold_the_same_persons_total_and_both_estimates():
    told = subject()
    changed = tiny.window(TRIAL.users[4], ["other words"], 5)
    pair = told.reread({"x": {4: changed}})["x"]
    (again,) = told.scorer.score([changed])
    assert (pair.users, pair.total[0]) == ((TRIAL.users[4],), TRIAL.totals[4])
    assert (pair.before[0], pair.after[0]) == (told.estimates[4].score, again.score)


def test_abstentions_are_counted_and_left_out_of_the_figures():
    told = subject()
    changes = {row: TRIAL.test[(row + 1) % 30] for row in range(20)}
    changes |= {row: silenced(TRIAL.test[row]) for row in range(20, 24)}
    pair = told.reread({"x": changes})["x"]
    assert (len(pair.rows), pair.abstained, len(pair.scored.rows)) == (24, 4, 20)
    assert pair.scored.moved(FEW).n == 20
    assert pair.scored.change(FEW).lower is not None


def test_figures_are_those_of_the_pairs():
    told = subject()
    changes = {row: TRIAL.test[29 - row] for row in range(30)}
    pair = told.reread({"x": changes})["x"]
    moves, errors = pair.after - pair.before, np.abs(pair.after - pair.total)
    assert pair.moved(FEW).value == pytest.approx(np.abs(moves).mean())
    assert pair.change(FEW).value == pytest.approx(moves.mean())
    sides = (pair.after >= 10) != (pair.before >= 10)
    assert pair.crossed(10, FEW).value == pytest.approx(sides.mean())
    change = pair.mae_change(FEW)
    assert change.value == pytest.approx((errors - np.abs(pair.before - pair.total)).mean())
    assert change.lower < change.value < change.upper


def test_nobody_left_is_told_and_not_computed():
    told = subject()
    pair = told.reread({"x": {row: silenced(TRIAL.test[row]) for row in range(12)}})["x"].scored
    figures = (pair.moved(FEW), pair.change(FEW), pair.crossed(10, FEW), pair.mae_change(FEW))
    assert {each.reason for each in figures} == {"there are no rows"}


def test_who_had_no_estimate_is_not_read_again():
    told = subject()
    gone = (made.estimate(TRIAL.users[0], None), *told.estimates[1:])
    pair = Subject(TRIAL, told.scorer, gone).reread({"x": {0: TRIAL.test[1], 1: TRIAL.test[2]}})
    assert pair["x"].rows.tolist() == [1]


@pytest.mark.parametrize("roles", [("user",), ("user", "assistant")])
def test_an_estimator_that_reads_the_person_alone_is_given_the_same_without_the_companion(
    tiny_run, roles
):
    artefact = Estimator.from_pretrained(tiny_run / "model").artefact
    settings = replace(artefact.settings, rendering=Rendering(roles, "turns"))
    scorer = Estimator(replace(artefact, settings=settings))
    test = tiny.labelled_windows(8)
    without = [replace(each, messages=each.user_messages) for each in test]
    kept, changed = (scorer.read(each) for each in (test, without))
    same = [a.content == b.content for a, b in zip(kept, changed, strict=True)]
    assert same == [roles == ("user",)] * 8
