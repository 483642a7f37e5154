from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from sottovoce.cohort import Window
from sottovoce.conversations import QuestionnaireResponse
from sottovoce.errors import DataError
from sottovoce.supervision import NONE, Supervision

NOON = datetime(2025, 5, 1, 12, tzinfo=UTC)
WINDOWS = [Window(user, NOON, NOON, ()) for user in ("a", "b", "c")]


def test_nothing_said_counts_everybody_alike_and_takes_every_label_as_a_person_s():
    NONE.check(WINDOWS)
    assert np.array_equal(NONE.counts(3), [1, 1, 1])
    assert not NONE.is_pseudo(3).any()


@pytest.mark.parametrize(
    ("supervision", "problem"),
    [
        (Supervision(weights=[1.0, 1.0]), "not one number above 0"),
        (Supervision(weights=[1.0, 0.0, 1.0]), "not one number above 0"),
        (Supervision(weights=[1.0, float("nan"), 1.0]), "not one number above 0"),
        (Supervision(weights=[1.0, float("inf"), 1.0]), "not one number above 0"),
        (Supervision(pseudo=[True]), "not one true or false"),
    ],
)
def test_what_does_not_fit_the_windows_is_refused(supervision, problem):
    with pytest.raises(DataError, match=problem):
        supervision.check(WINDOWS)


def test_nobody_has_labels_of_both_kinds():
    twice = [*WINDOWS, Window("a", NOON, NOON, ())]
    with pytest.raises(DataError, match="1 people have labels of both kinds"):
        Supervision(pseudo=[False, False, False, True]).check(twice)
    Supervision(pseudo=[True, False, False, True]).check(twice)


def test_targets_are_one_a_window_and_numbers():
    for targets in ([1.0], [1.0, 2.0, float("nan")]):
        with pytest.raises(DataError, match="not one number for each window"):
            Supervision(targets=targets).check(WINDOWS)


def test_a_pseudolabel_is_aimed_at_and_is_nothing_that_was_reported():
    told = Supervision(pseudo=[False, True, False], targets=[4.5, 6.0, 2.0])
    said = QuestionnaireResponse("a", "phq-9", NOON, 5.0)
    windows = [replace(each, label=said) for each in WINDOWS[:1]] * 3
    assert np.array_equal(told.aims(windows), [4.5, 6.0, 2.0])
    assert np.array_equal(told.reported(windows), [5.0, np.nan, 5.0], equal_nan=True)
    assert np.array_equal(NONE.aims(windows), [5.0, 5.0, 5.0])
