import numpy as np
import pytest
from tests import tiny

from sottovoce.cohort import Window, WindowRules
from sottovoce.conformal import PredictiveDistribution
from sottovoce.errors import DataError
from sottovoce.estimates import Dropped
from sottovoce.estimator import Estimator
from sottovoce.instruments import GAD_7
from sottovoce.scorer import Judged, Reading, Scorer
from sottovoce.stream import score_file


class Counter(Scorer):
    """Scores as many points as there are messages of the person."""

    instrument = GAD_7
    rules = WindowRules(min_user_messages=1, min_user_words=0)
    coverage = 0.8
    distribution = PredictiveDistribution.from_residuals(np.arange(-9.0, 10.0))
    model_id = "counter"
    summary = "counts messages"

    def read(self, windows):
        return [
            Reading(each.reason)
            if each.reason
            else Reading(None, float(len(each.user_messages)), Dropped(user_messages=1))
            for each in windows
        ]

    def judge(self, readings, advance=None):
        assert readings  # never asked about nothing
        return [Judged(each.content, self.distribution) for each in readings]

    def save_pretrained(self, folder):
        return folder


def test_a_bare_score_becomes_an_estimate_of_the_scorer_s_own_instrument():
    (estimate,) = Counter().score([tiny.window("ada", tiny.SAYINGS[:5])])
    assert (estimate.score, estimate.lower, estimate.upper) == (5, 0, 13)
    assert (estimate.instrument, estimate.coverage) == ("gad-7", 0.8)
    assert (estimate.band, set(estimate.p_at_least)) == ("mild", set(GAD_7.cut_offs))
    assert (estimate.model_id, estimate.n_messages) == ("counter", 5)


BARRED = Window("zoe", tiny.NOON, tiny.NOON, (), {}, None, "too little")


def test_what_cannot_be_read_is_abstained_with_its_reason_in_its_place():
    first, second = Counter().score([BARRED, tiny.window("ada", tiny.SAYINGS[:3])])
    assert (first.abstained, first.reason, first.score) == (True, "too little", None)
    assert (second.score, second.abstained) == (3, False)
    assert (first.dropped, second.dropped) == (None, Dropped(user_messages=1))


def test_an_estimate_comes_with_the_errors_to_expect_around_it():
    first, second = Counter().explain([BARRED, tiny.window("ada", tiny.SAYINGS[:3])])
    assert first.distribution is None
    bounds = second.distribution.interval([second.estimate.score], 0.8, GAD_7)
    assert [each.tolist() for each in bounds] == [[second.estimate.lower], [second.estimate.upper]]


def test_nothing_is_judged_where_nothing_can_be_read():
    assert [each.abstained for each in Counter().score([BARRED, BARRED])] == [True, True]
    assert Counter().score([]) == []


def test_bare_scores_of_what_cannot_be_read_are_refused():
    windows = [tiny.window("ada", tiny.SAYINGS[:count]) for count in (3, 4)]
    assert Counter().predict(windows).tolist() == [3, 4]
    assert Counter().predict([]).shape == (0,)
    with pytest.raises(DataError, match="too little; leave the window out"):
        Counter().predict([*windows, BARRED])


def test_a_person_without_any_message_is_abstained_without_a_window():
    estimate = Counter().abstain("zoe", "no message", coverage=0.5)
    assert (estimate.abstained, estimate.reason, estimate.n_messages) == (True, "no message", 0)
    assert (estimate.window_start, estimate.window_end, estimate.score) == (None, None, None)
    assert (estimate.instrument, estimate.coverage, estimate.model_id) == ("gad-7", 0.5, "counter")


def test_a_file_is_scored_by_anything_that_scores(tmp_path):
    from tests import recipes

    chats, _ = recipes.write_people(tmp_path, 3)
    assert [each.score for each in score_file(Counter(), chats)] == [6, 6, 6]


def test_what_lacks_a_part_of_the_interface_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        Scorer()
    assert issubclass(Estimator, Scorer)
