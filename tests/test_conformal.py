import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.conformal import PredictiveDistribution
from sottovoce.errors import ModelError
from sottovoce.instruments import GAD_7, PHQ_9

finite = st.floats(-20, 20)


def test_an_interval_is_the_score_and_the_ranked_residuals():
    distribution = PredictiveDistribution.from_residuals(np.arange(-9.0, 10.0))  # n = 19
    lower, upper = distribution.interval([13.0], 0.8, PHQ_9)
    assert (lower[0], upper[0]) == (13 - 8, 13 + 8)  # ranks 2 and 18 of 19


def test_too_few_residuals_give_the_whole_range():
    distribution = PredictiveDistribution.from_residuals([-1.0, 0.0, 1.0])
    lower, upper = distribution.interval([13.0], 0.95, GAD_7)
    assert (lower[0], upper[0]) == (0, 21)


@given(st.lists(finite, min_size=1, max_size=60), st.floats(0.05, 0.95), st.floats(0, 27))
def test_the_interval_holds_the_score_and_stays_in_range(residuals, coverage, score):
    distribution = PredictiveDistribution.from_residuals(residuals)
    lower, upper = distribution.interval([score], coverage, PHQ_9)
    assert PHQ_9.minimum <= lower[0] <= score <= upper[0] <= PHQ_9.maximum


@given(st.lists(finite, min_size=1, max_size=60), st.floats(0, 27))
def test_wider_coverage_never_narrows_the_interval(residuals, score):
    distribution = PredictiveDistribution.from_residuals(residuals)
    bounds = [distribution.interval([score], c, PHQ_9) for c in (0.5, 0.7, 0.9)]
    lowers, uppers = zip(*bounds, strict=True)
    assert list(lowers) == sorted(lowers, reverse=True)
    assert list(uppers) == sorted(uppers)


@given(st.lists(finite, min_size=1, max_size=60), st.floats(0, 27))
def test_probabilities_fall_with_the_cut_off_and_are_never_certain(residuals, score):
    distribution = PredictiveDistribution.from_residuals(residuals)
    chances = [float(distribution.p_at_least([score], cut)[0]) for cut in range(3, 25)]
    assert chances == sorted(chances, reverse=True)
    assert all(0 < chance < 1 for chance in chances)


def test_a_probability_counts_totals_that_round_to_the_cut_off():
    distribution = PredictiveDistribution.from_residuals([-3.0, -1.0, 0.0, 2.0])
    # 10 + (-3, -1, 0, 2) = 7, 9, 10, 12: two of four reach 9.5
    assert distribution.p_at_least([10.0], 10)[0] == pytest.approx((2 + 0.5) / 5)


def test_intervals_of_out_of_fold_residuals_cover_new_people_as_promised():
    """Theory, not code: 300 draws of a skewed error, 80 residuals, one new person each."""
    generator = np.random.default_rng(7)
    hits = []
    for _ in range(300):
        errors = generator.exponential(3, 81) - 3
        distribution = PredictiveDistribution.from_residuals(errors[:80])
        lower, upper = distribution.interval([13.0], 0.8, PHQ_9)
        hits.append(lower[0] <= 13 + errors[80] <= upper[0])
    assert 0.73 <= np.mean(hits) <= 0.87  # 0.8 and three standard errors of 300 draws


def test_probabilities_are_calibrated_for_new_people():
    generator = np.random.default_rng(8)
    scores = generator.uniform(4, 22, 4000)
    totals = np.round(scores + generator.normal(0, 4, 4000))
    distribution = PredictiveDistribution.from_residuals(generator.normal(0, 4, 300))
    chances = distribution.p_at_least(scores, 10)
    for low in (0.0, 0.25, 0.5, 0.75):
        inside = (chances >= low) & (chances < low + 0.25)
        assert abs(chances[inside].mean() - (totals[inside] >= 10).mean()) < 0.06


@pytest.mark.parametrize("wrong", [[], [np.nan], [np.inf, 1.0]])
def test_residuals_that_say_nothing_are_refused(wrong):
    with pytest.raises(ModelError, match="no finite residuals"):
        PredictiveDistribution.from_residuals(wrong)


@pytest.mark.parametrize("coverage", [0.0, 1.0, -1, 2])
def test_a_coverage_outside_its_range_is_refused(coverage):
    distribution = PredictiveDistribution.from_residuals([0.0])
    with pytest.raises(ModelError, match="coverage"):
        distribution.interval([1.0], coverage, PHQ_9)
