"""Rank correlation, agreement, slopes, explained variance and correction against their oracles."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import linregress, spearmanr
from sklearn.metrics import cohen_kappa_score, r2_score

from sottovoce.errors import DataError
from sottovoce.metrics import (
    ccc,
    corrected_pearson,
    error_slope,
    mae,
    pearson,
    qwk,
    r2,
    resample_people,
    slope,
    spearman,
)

PAIRS = st.lists(st.tuples(st.integers(0, 27), st.integers(-3, 30)), min_size=3, max_size=60)
BANDS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=2, max_size=60)


def columns(pairs):
    true, predicted = np.array(pairs, dtype=float).T
    assume(np.ptp(true) > 0)
    assume(np.ptp(predicted) > 0)
    return true, predicted


@given(PAIRS)
def test_spearmans_r_equals_scipys(pairs):
    true, predicted = columns(pairs)
    expected = spearmanr(true, predicted).statistic
    assert spearman(true, predicted).value == pytest.approx(expected, abs=1e-9)


@given(PAIRS)
def test_slopes_equal_scipys_regressions(pairs):
    true, predicted = columns(pairs)
    assert slope(true, predicted).value == pytest.approx(
        linregress(predicted, true).slope, abs=1e-9
    )
    assert error_slope(true, predicted).value == pytest.approx(
        linregress(true, predicted - true).slope, abs=1e-9
    )


@given(PAIRS)
def test_explained_variance_equals_scikit_learns(pairs):
    true, predicted = columns(pairs)
    assert r2(true, predicted).value == pytest.approx(r2_score(true, predicted), abs=1e-9)


@given(PAIRS)
def test_concordance_is_lins_formula(pairs):
    true, predicted = columns(pairs)
    together = ((true - true.mean()) * (predicted - predicted.mean())).mean()
    apart = true.var() + predicted.var() + (true.mean() - predicted.mean()) ** 2
    assert ccc(true, predicted).value == pytest.approx(2 * together / apart, abs=1e-9)


@given(PAIRS)
def test_concordance_is_never_farther_from_zero_than_correlation(pairs):
    true, predicted = columns(pairs)
    agreed, along = ccc(true, predicted).value, pearson(true, predicted).value
    assert abs(agreed) <= abs(along) + 1e-9
    assert agreed * along >= -1e-9


@given(BANDS)
def test_kappa_equals_scikit_learns(pairs):
    true, predicted = columns(pairs)
    expected = cohen_kappa_score(true, predicted, weights="quadratic", labels=range(5))
    assert qwk(true, predicted).value == pytest.approx(expected, abs=1e-9)


@given(st.integers(0, 10_000))
@settings(deadline=None, max_examples=20)
def test_every_resample_by_weights_equals_the_metric_on_repeated_rows(seed):
    generator = np.random.default_rng(seed)
    true = generator.integers(0, 28, size=25).astype(float)
    predicted = np.round(0.6 * true + generator.normal(4, 4, size=25))
    resamples = resample_people(range(25), count=12, seed=seed)
    for metric in (spearman, ccc, slope, error_slope, r2, qwk):
        draws = metric(true, predicted, resamples).draws
        for counts, draw in zip(resamples.counts, draws, strict=True):
            repeated = metric(np.repeat(true, counts), np.repeat(predicted, counts))
            assert draw == pytest.approx(repeated.value, abs=1e-9)


def test_the_slope_of_a_perfectly_calibrated_estimate_is_one_and_its_error_still_leans():
    generator = np.random.default_rng(1)
    estimate = generator.normal(size=20_000)
    truth = estimate + generator.normal(size=20_000)
    resamples = resample_people(range(20_000), count=200)
    assert slope(truth, estimate).value == pytest.approx(1, abs=0.03)
    leaning = error_slope(truth, estimate, resamples)
    assert leaning.lower < pearson(truth, estimate).value ** 2 - 1 < leaning.upper


def test_an_estimate_worse_than_the_mean_explains_less_than_nothing():
    assert r2([4, 10, 18], [18, 10, 4]).value < 0


def test_correction_divides_value_interval_and_draws_alike():
    generator = np.random.default_rng(0)
    true = generator.normal(size=80)
    predicted = true + generator.normal(size=80)
    resamples = resample_people(range(80))
    plain = pearson(true, predicted, resamples)
    corrected = corrected_pearson(true, predicted, 0.81, resamples)
    for side in ("value", "lower", "upper"):
        assert getattr(corrected, side) == pytest.approx(getattr(plain, side) / 0.9)
    assert corrected.draws == pytest.approx(plain.draws / 0.9)


def test_correction_recovers_the_correlation_with_the_true_score():
    generator = np.random.default_rng(3)
    state = generator.normal(size=100_000)
    answers = state + generator.normal(scale=0.5, size=100_000)
    estimate = 0.7 * state + generator.normal(scale=0.6, size=100_000)
    corrected = corrected_pearson(answers, estimate, 1 / 1.25)
    assert corrected.value == pytest.approx(pearson(state, estimate).value, abs=0.005)


def test_a_corrected_correlation_above_one_is_said_and_not_cut():
    assert corrected_pearson([1, 2, 3, 5], [1, 2, 3, 4], 0.5).value > 1


@pytest.mark.parametrize("reliability", [0, -0.1, 1.1, float("nan")])
def test_a_reliability_that_is_no_share_is_refused(reliability):
    with pytest.raises(DataError, match="reliability"):
        corrected_pearson([1, 2, 3], [1, 2, 4], reliability)


@pytest.mark.parametrize("metric", [spearman, ccc, slope, error_slope, r2])
@pytest.mark.parametrize(
    ("true", "predicted", "reason"),
    [
        ([5.0] * 12, range(12), "the questionnaire totals are all the same"),
        (range(12), [9.0] * 12, "the estimates are all the same"),
        ([1, 2], [3, 4], "2 rows, at least 3 are needed"),
    ],
)
def test_what_means_nothing_is_not_computed(metric, true, predicted, reason):
    assert metric(list(true), list(predicted)).text() == f"not computed: {reason}"


@pytest.mark.parametrize(
    ("true", "predicted", "who"),
    [([1, 1], [0, 2], "questionnaires"), ([0, 2], [1, 1], "estimates")],
)
def test_one_band_only_has_no_kappa(true, predicted, who):
    assert qwk(true, predicted).text() == f"not computed: all {who} lie in one band"


def test_a_shift_of_a_million_points_does_not_cost_digits():
    generator = np.random.default_rng(0)
    true = generator.normal(size=200)
    predicted = true + generator.normal(size=200)
    for metric in (ccc, slope, error_slope, r2, mae):
        near, far = metric(true, predicted), metric(true + 1e6, predicted + 1e6)
        assert far.value == pytest.approx(near.value, rel=1e-6)
