import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import linregress
from tests import taught

from sottovoce.pseudolabels import (
    Judgement,
    calibrate,
    confidence,
    disagreement_limit,
    doubt,
)


def made_up(n=200, bias=0.0, noise=2.0, seed=0):
    generator = np.random.default_rng(seed)
    state = generator.normal(11, 6, n)
    totals = state + generator.normal(0, 2, n)
    readings = state + bias + generator.normal(0, noise, n)
    return readings, totals, np.arange(n) % 5


def judged(readings, totals, folds):
    doubts = np.full((len(totals), 1), 4.0)
    calibration, apart = calibrate(readings[:, None], doubts, totals, folds)
    return calibration, apart, Judgement.of(readings, totals, apart, calibration, 0)


def test_a_bias_of_four_points_is_told_and_calibrated_away():
    readings, totals, folds = made_up(bias=4.0)
    _, _, judgement = judged(readings, totals, folds)
    assert judgement.bias_before.lower < 4 < judgement.bias_before.upper
    assert judgement.bias_after.lower < 0 < judgement.bias_after.upper
    assert judgement.useful
    assert any("is off by +" in each for each in judgement.sentences())


def test_with_many_people_the_calibration_is_the_regression_of_the_questionnaire():
    readings, totals, folds = made_up(20_000, bias=4.0)
    calibration, _, _ = judged(readings, totals, folds)
    line = linregress(readings, totals)
    assert calibration.slopes[0] == pytest.approx(line.slope, abs=2e-3)
    assert calibration.intercept == pytest.approx(line.intercept, abs=2e-2)
    variance = np.var(totals - line.intercept - line.slope * readings)
    assert calibration.variances(np.full((1, 1), 4.0))[0] == pytest.approx(variance, rel=0.02)


@given(st.integers(0, 6))
@settings(max_examples=7, deadline=None)
def test_with_few_people_a_reading_is_taken_nearly_as_it_is(n):
    readings, totals, _ = made_up(max(n, 2), noise=9.0)
    readings, totals, folds = readings[:n], totals[:n], np.arange(n)
    calibration, _ = calibrate(readings[:, None], np.zeros((n, 0)), totals, folds)
    prior = 10 / (10 + n)
    assert abs(calibration.slopes[0] - 1) <= (1 - prior) * (1 + 5)
    if n == 0:
        assert calibration.totals(np.array([[3.0], [20.0]])).tolist() == [3.0, 20.0]


def test_a_person_s_own_questionnaire_does_not_calibrate_its_own_total():
    readings, totals, folds = made_up(60)
    _, before = calibrate(readings[:, None], np.zeros((60, 0)), totals, folds)
    changed = totals.copy()
    changed[folds == 2] = 0
    _, after = calibrate(readings[:, None], np.zeros((60, 0)), changed, folds)
    np.testing.assert_array_equal(before[folds == 2], after[folds == 2])
    assert not np.array_equal(before[folds == 1], after[folds == 1])


def test_regressed_totals_spread_less_than_questionnaires():
    readings, totals, folds = made_up(noise=6.0)
    _, apart, judgement = judged(readings, totals, folds)
    assert apart.std() < totals.std()
    assert judgement.spread == pytest.approx(apart.std() / totals.std())


@pytest.mark.parametrize("kind", ["random", "all the same"])
def test_an_annotator_without_information_is_told_and_not_used(kind):
    readings, totals, folds = made_up()
    generator = np.random.default_rng(1)
    readings = generator.uniform(0, 27, 200) if kind == "random" else np.full(200, 9.0)
    _, _, judgement = judged(readings, totals, folds)
    assert not judgement.useful
    (told,) = judgement.sentences()
    assert "do not follow the questionnaires" in told
    assert "its labels are not used" in told


def test_too_few_people_with_both_labels_are_told():
    readings, totals, _ = made_up(4)
    _, _, judgement = judged(readings, totals, np.arange(4))
    assert judgement.useful
    assert not judgement.known
    assert judgement.sentences() == [
        "4 people have a questionnaire and an annotation, too few to judge the annotator: its "
        "totals are taken nearly as they are"
    ]


def test_more_doubt_never_counts_more():
    generator = np.random.default_rng(3)
    doubts = generator.uniform(0, 16, (300, 1))
    totals = generator.normal(11, 6, 300)
    readings = totals + generator.normal(size=300) * np.sqrt(doubts[:, 0])
    calibration, _ = calibrate(readings[:, None], doubts, totals, np.arange(300) % 5)
    assert calibration.variance[1] > 0.3
    weights = confidence(calibration.variances(np.array([[0.0], [4.0], [16.0]])), 9.0)
    assert (np.diff(weights) < 0).all()
    backwards, _ = calibrate(readings[:, None], 16 - doubts, totals, np.arange(300) % 5)
    assert backwards.variance[1] == 0


def test_a_pseudolabel_counts_at_most_what_a_questionnaire_does():
    assert confidence(np.array([0.0, 25.0, 75.0]), 25.0).tolist() == [1.0, 0.5, 0.25]


def test_doubt_is_the_stated_sd_and_the_spread_of_samples():
    import dataclasses

    said = taught.annotation("a", 9.0, sd=3.0)
    assert doubt([said, dataclasses.replace(said, n_samples=4, spread=4.0)]).tolist() == [[9], [25]]
    assert doubt([]).shape == (0, 1)


def test_the_limit_of_disagreement_holds_the_share_of_people_asked_for():
    generator = np.random.default_rng(5)
    first, second = generator.normal(size=(2, 400))
    limit = disagreement_limit(first, second, 0.9)
    assert (np.abs(first - second) <= limit).mean() == pytest.approx(0.9, abs=0.01)
    assert disagreement_limit(first[:20], second[:20], 0.9) == float("inf")


@pytest.mark.parametrize("own", [2.0, 5.0])
@pytest.mark.parametrize("reads", ["the person", "the text"])
def test_along_a_model_s_score_a_noisy_annotator_s_label_is_right_for_each_text(reads, own):
    """Whether it reads more than the model can, or only what the text holds."""
    generator = np.random.default_rng(8)
    text = generator.normal(11, 5, 20_000)
    totals = text + generator.normal(0, 3, 20_000)
    seen = totals if reads == "the person" else text
    readings = 4 + 0.5 * (seen + generator.normal(0, own, 20_000))
    model = 0.6 * text + generator.normal(0, 2, 20_000)
    folds, nothing = np.arange(20_000) % 5, np.zeros((20_000, 0))
    plain, _ = calibrate(readings[:, None], nothing, totals, folds)
    along, _ = calibrate(readings[:, None], nothing, totals, folds, model)
    assert along.slopes[0] == pytest.approx(2, abs=0.05)
    assert plain.slopes[0] < 1.9
    taught_by = along.totals(readings[:, None])
    assert linregress(text, taught_by).slope == pytest.approx(1, abs=0.03)


def test_along_an_unrelated_score_the_slope_stays_within_its_bounds():
    readings, totals, folds = made_up(noise=4.0)
    along = np.random.default_rng(2).normal(size=200)
    held, _ = calibrate(readings[:, None], np.zeros((200, 0)), totals, folds, along)
    direct, _ = calibrate(readings[:, None], np.zeros((200, 0)), totals, folds)
    reverse = 1 / linregress(totals, readings).slope
    assert direct.slopes[0] <= held.slopes[0] <= reverse + 1e-9
