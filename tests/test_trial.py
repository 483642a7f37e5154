from dataclasses import replace

import numpy as np
import pytest
from tests import tiny

from sottovoce.errors import DataError
from sottovoce.instruments import PHQ_9
from sottovoce.trial import N_FOLDS, Trial

WINDOWS = tuple(tiny.labelled_windows(30))


def copycat(training, windows):
    """Give the total of people that were learnt from, and -1 to everybody else."""
    known = {each.user_id: each.total for each in training}
    return np.array([known.get(each.user_id, -1.0) for each in windows])


def test_a_predictor_never_learns_from_those_it_is_tested_on():
    split = Trial(PHQ_9, WINDOWS[:10], WINDOWS[10:])
    assert (split.unseen(copycat) == -1).all()
    assert (Trial(PHQ_9, WINDOWS).unseen(copycat) == -1).all()


def test_with_a_split_it_learns_from_the_training_people_only():
    learnt = []

    def mean(training, windows):
        learnt.append([each.user_id for each in training])
        return np.full(len(windows), 7.0)

    trial = Trial(PHQ_9, WINDOWS[:10], WINDOWS[10:25], WINDOWS[25:])
    assert (trial.unseen(mean) == 7).all()
    assert learnt == [[each.user_id for each in WINDOWS[10:25]]]
    assert trial.described == "15 training people"


def test_without_a_split_every_person_is_in_one_fold_and_scored_in_her_place():
    trial = Trial(PHQ_9, WINDOWS)
    sizes = []

    def own(training, windows):
        sizes.append(len(windows))
        assert {each.user_id for each in training}.isdisjoint(each.user_id for each in windows)
        return np.array([each.total for each in windows])

    assert (trial.unseen(own) == trial.totals).all()
    assert sum(sizes) == len(WINDOWS)
    assert len(sizes) == N_FOLDS == len(np.unique(trial.folds))


def test_nobody_learns_from_a_window_that_may_not_be_read():
    barred = [replace(each, reason="too little") for each in WINDOWS[:6]]
    learnt = set()

    def watch(training, windows):
        learnt.update(each.user_id for each in training)
        return np.zeros(len(windows))

    Trial(PHQ_9, (*barred, *WINDOWS[6:])).unseen(watch)
    assert learnt == {each.user_id for each in WINDOWS[6:]}


def test_a_change_of_the_texts_leaves_people_labels_and_folds():
    trial = Trial(PHQ_9, WINDOWS)
    silent = trial.changed(lambda window: replace(window, messages=()))
    assert all(not each.messages for each in silent.test)
    assert silent.users == trial.users
    assert (silent.totals == trial.totals).all()
    assert (silent.folds == trial.folds).all()


@pytest.mark.parametrize(
    ("parts", "problem"),
    [
        (((),), "nobody is left to test"),
        ((WINDOWS[:5], WINDOWS[4:]), "a person stands in two parts"),
        ((WINDOWS[:5], WINDOWS[5:9], WINDOWS[:1]), "a person stands in two parts"),
    ],
)
def test_a_split_that_is_none_is_refused(parts, problem):
    with pytest.raises(DataError, match=problem):
        Trial(PHQ_9, *parts)
