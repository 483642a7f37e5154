import numpy as np
import pytest
from tests import tiny

from sottovoce.cohort import Window, WindowRules
from sottovoce.conformal import PredictiveDistribution
from sottovoce.estimator import Estimator
from sottovoce.instruments import GAD_7
from sottovoce.scorer import Scorer
from sottovoce.stream import score_file


class Counter(Scorer):
    """Scores as many points as there are messages of the person."""

    instrument = GAD_7
    rules = WindowRules(min_user_messages=1, min_user_words=0)
    coverage = 0.8
    distribution = PredictiveDistribution.from_residuals(np.arange(-9.0, 10.0))
    model_id = "counter"
    summary = "counts messages"

    def predict(self, windows, advance=None):
        return np.array([float(len(each.user_messages)) for each in windows])

    def save_pretrained(self, folder):
        return folder


def test_a_bare_score_becomes_an_estimate_of_the_scorer_s_own_instrument():
    (estimate,) = Counter().score([tiny.window("ada", tiny.SAYINGS[:5])])
    assert (estimate.score, estimate.lower, estimate.upper) == (5, 0, 13)
    assert (estimate.instrument, estimate.coverage) == ("gad-7", 0.8)
    assert (estimate.band, set(estimate.p_at_least)) == ("mild", set(GAD_7.cut_offs))
    assert (estimate.model_id, estimate.n_messages) == ("counter", 5)


def test_a_window_with_a_reason_is_not_given_to_predict():
    barred = Window("zoe", tiny.NOON, tiny.NOON, (), {}, None, "too little")
    first, second = Counter().score([barred, tiny.window("ada", tiny.SAYINGS[:3])])
    assert (first.abstained, first.reason, first.score) == (True, "too little", None)
    assert (second.score, second.abstained) == (3, False)


def test_a_file_is_scored_by_anything_that_scores(tmp_path):
    from tests import recipes

    chats, _ = recipes.write_people(tmp_path, 3)
    assert [each.score for each in score_file(Counter(), chats)] == [6, 6, 6]


def test_what_lacks_a_part_of_the_interface_cannot_be_made():
    with pytest.raises(TypeError, match="abstract"):
        Scorer()
    assert issubclass(Estimator, Scorer)
