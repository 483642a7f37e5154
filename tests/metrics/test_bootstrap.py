import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import bootstrap

from sottovoce.errors import DataError
from sottovoce.metrics import (
    LEAST_PEOPLE,
    auc,
    bias,
    difference,
    mae,
    pearson,
    resample_people,
    rmse,
)
from sottovoce.metrics import bootstrap as module
from sottovoce.metrics.bootstrap import average, measured


@pytest.fixture
def rows():
    generator = np.random.default_rng(3)
    true = generator.integers(0, 28, size=80).astype(float)
    return true, true * 0.7 + 3 + generator.normal(0, 3, size=80)


@given(
    st.lists(st.integers(0, 6), min_size=1, max_size=30),
    st.integers(1, 20),
    st.integers(0, 2**32 - 1),
)
def test_every_resample_draws_as_many_people_as_there_are(users, count, seed):
    resamples = resample_people(users, count=count, seed=seed)
    assert resamples.counts.shape == (count, len(set(users)))
    assert (resamples.counts.sum(axis=1) == len(set(users))).all()


def test_rows_of_one_person_are_drawn_together():
    resamples = resample_people(["ada", "ben", "ada"], count=50, seed=1)
    weights = np.concatenate(list(resamples.blocks()))
    assert weights.shape == (50, 3)
    assert (weights[:, 0] == weights[:, 2]).all()
    assert (weights[:, 0] + weights[:, 1] == 2).all()


def test_the_same_seed_gives_the_same_interval_and_another_does_not(rows):
    users = range(80)
    first, again, other = (mae(*rows, resample_people(users, seed=seed)) for seed in (1, 1, 2))
    assert first == again
    assert (first.lower, first.upper) != (other.lower, other.upper)


def test_blocks_change_memory_and_not_the_result(rows, monkeypatch):
    resamples = resample_people(range(80), count=301, seed=4)
    whole = pearson(*rows, resamples)
    monkeypatch.setattr(module, "BLOCK", 80 * 7)
    assert len(list(resamples.blocks())) == 43
    again = pearson(*rows, resamples)
    assert (again.lower, again.upper) == pytest.approx((whole.lower, whole.upper))


def test_the_interval_of_a_mean_agrees_with_theory():
    values = np.random.default_rng(0).normal(5, 2, size=400)
    figure = measured(lambda w: average(values, w), 400, resample_people(range(400), count=4000))
    margin = 1.96 * values.std() / 20
    assert figure.lower == pytest.approx(values.mean() - margin, abs=0.02)
    assert figure.upper == pytest.approx(values.mean() + margin, abs=0.02)


def test_the_interval_agrees_with_scipys_percentile_bootstrap(rows):
    errors = np.abs(rows[0] - rows[1])
    ours = mae(*rows, resample_people(range(80), count=8000, seed=1))
    theirs = bootstrap(
        (errors,), np.mean, n_resamples=8000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert ours.lower == pytest.approx(theirs.low, abs=0.04)
    assert ours.upper == pytest.approx(theirs.high, abs=0.04)


def test_repeating_every_row_of_a_person_leaves_the_interval_as_it_was(rows):
    true, predicted = rows
    once = mae(true, predicted, resample_people(range(80), seed=9))
    twice = mae(
        np.repeat(true, 3),
        np.repeat(predicted, 3),
        resample_people(np.repeat(range(80), 3), seed=9),
    )
    assert (twice.value, twice.lower, twice.upper) == pytest.approx(
        (once.value, once.lower, once.upper)
    )
    assert (once.n, twice.n) == (80, 240)


def test_too_few_people_give_a_value_and_the_reason_for_no_interval():
    users = [number % (LEAST_PEOPLE - 1) for number in range(40)]
    figure = mae([1.0] * 40, [2.0] * 40, resample_people(users))
    assert figure.value == 1.0
    assert figure.lower is None
    assert figure.reason == "no interval: too few people (9, at least 10 are needed)"


def test_a_metric_that_most_resamples_do_not_allow_has_no_interval():
    values = np.arange(20.0)
    figure = measured(
        lambda w: np.where(w[:, 0] == 1, average(values, w), np.nan), 20, resample_people(range(20))
    )
    assert figure.value == 9.5
    assert figure.lower is None
    assert "undefined on" in figure.reason


def test_a_paired_difference_is_narrower_than_two_separate_intervals(rows):
    true, predicted = rows
    resamples = resample_people(range(80), seed=2)
    near = predicted + np.random.default_rng(1).normal(0.5, 0.3, size=80)
    first, second = rmse(true, predicted, resamples), rmse(true, near, resamples)
    gap = difference(second, first)
    assert gap.value == pytest.approx(second.value - first.value)
    assert gap.upper - gap.lower < 0.5 * (first.upper - first.lower)


@pytest.mark.parametrize("metric", [mae, rmse, bias, pearson])
def test_the_difference_of_a_predictor_to_itself_is_exactly_zero(metric, rows):
    figure = metric(*rows, resample_people(range(80)))
    gap = difference(figure, figure)
    assert (gap.value, gap.lower, gap.upper) == (0.0, 0.0, 0.0)


def test_a_difference_to_what_was_not_computed_is_not_computed(rows):
    true, predicted = rows
    resamples = resample_people(range(80))
    flat = pearson(true, np.full(80, 9.0), resamples)
    gap = difference(pearson(true, predicted, resamples), flat)
    assert gap.text() == "not computed: the estimates are all the same"


def test_a_difference_without_draws_has_no_interval_and_says_why():
    users = range(4)
    first = mae([1, 2, 3, 4], [2, 3, 4, 5], resample_people(users))
    second = mae([1, 2, 3, 4], [1, 2, 3, 5], resample_people(users))
    gap = difference(first, second)
    assert gap.value == 0.75
    assert gap.reason.startswith("no interval")


def test_figures_on_different_rows_are_not_paired(rows):
    true, predicted = rows
    resamples = resample_people(range(80))
    some = np.arange(80) < 40
    half = mae(true[some], predicted[some], resamples.take(some))
    with pytest.raises(DataError, match="same resamples"):
        difference(mae(true, predicted, resamples), half)


def test_resamples_of_other_rows_are_refused(rows):
    with pytest.raises(DataError, match="80 rows and resamples of 12"):
        mae(*rows, resample_people(range(12)))


@pytest.mark.parametrize("asked", [{"count": 0}, {"level": 0.0}, {"level": 1.0}])
def test_a_bootstrap_without_resamples_or_level_is_refused(asked):
    with pytest.raises(DataError, match="resample"):
        resample_people(range(20), **asked)


def test_nobody_can_be_resampled_without_harm():
    assert resample_people([], count=5).people == 0
    assert mae([], [], resample_people([])).text() == "not computed: there are no rows"


def test_people_with_nobody_drawn_give_no_value_on_that_resample():
    assert np.isnan(average(np.array([1.0, 2.0]), np.zeros((1, 2)))).all()


def test_taking_rows_keeps_the_draws_of_those_people(rows):
    resamples = resample_people(range(80), count=20)
    some = np.arange(80) % 2 == 0
    kept = np.concatenate(list(resamples.take(some).blocks()))
    assert (kept == np.concatenate(list(resamples.blocks()))[:, some]).all()


def test_auc_of_a_group_survives_resamples_in_which_nobody_of_it_is_drawn():
    positive = np.array([0.0] * 5 + [1.0] * 5 + [0.0] * 70)
    some = np.arange(80) < 10
    scores = np.arange(80.0) % 7
    figure = auc(positive[some], scores[some], resample_people(range(80)).take(some))
    assert figure.computed
