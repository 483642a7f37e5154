"""Mean absolute error, root mean squared error, bias and correlation against their oracles."""

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr
from sklearn.metrics import mean_absolute_error, root_mean_squared_error

from sottovoce.errors import DataError
from sottovoce.metrics import auc, bias, coverage, mae, pearson, resample_people, rmse, width

POINTS = st.integers(0, 27).map(float)
SCORES = st.floats(-5, 32, allow_nan=False, width=32)
PAIRS = st.lists(st.tuples(POINTS, SCORES), min_size=3, max_size=60)


def columns(pairs):
    return np.array([pair[0] for pair in pairs]), np.array([pair[1] for pair in pairs])


@given(PAIRS)
def test_errors_equal_scikit_learns(pairs):
    true, predicted = columns(pairs)
    assert mae(true, predicted).value == pytest.approx(mean_absolute_error(true, predicted))
    assert rmse(true, predicted).value == pytest.approx(root_mean_squared_error(true, predicted))


@given(PAIRS)
def test_correlation_equals_scipys(pairs):
    true, predicted = columns(pairs)
    assume(np.ptp(true) > 0)
    assume(np.ptp(predicted) > 1e-3)
    assert pearson(true, predicted).value == pytest.approx(
        pearsonr(true, predicted).statistic, abs=1e-9
    )


@given(PAIRS)
def test_bias_and_rmse_and_mae_keep_their_order(pairs):
    true, predicted = columns(pairs)
    size, spread, shift = (m(true, predicted).value for m in (mae, rmse, bias))
    assert abs(shift) <= size + 1e-9
    assert size <= spread + 1e-9


@given(PAIRS, st.floats(-3, 3))
def test_a_shift_moves_the_bias_by_itself_and_leaves_the_correlation(pairs, shift):
    true, predicted = columns(pairs)
    assert bias(true, predicted + shift).value == pytest.approx(
        bias(true, predicted).value + shift, abs=1e-9
    )
    before, after = pearson(true, predicted), pearson(true, predicted + shift)
    if before.computed and np.ptp(predicted) > 1e-3:
        assert after.value == pytest.approx(before.value, abs=1e-6)


@given(PAIRS)
@settings(deadline=None)
def test_the_interval_is_finite_and_ordered_or_gives_its_reason(pairs):
    true, predicted = columns(pairs)
    resamples = resample_people(range(len(true)), count=50)
    for metric in (mae, rmse, bias, pearson):
        figure = metric(true, predicted, resamples)
        if figure.lower is None:
            assert figure.reason
        else:
            assert -math.inf < figure.lower <= figure.upper < math.inf


@given(PAIRS)
@settings(deadline=None)
def test_a_resample_by_weights_equals_the_metric_on_repeated_rows(pairs):
    true, predicted = columns(pairs)
    assume(len(true) >= 10)
    resamples = resample_people(range(len(true)), count=20, seed=8)
    for metric in (mae, rmse, bias):
        draws = metric(true, predicted, resamples).draws
        for counts, draw in zip(resamples.counts, draws, strict=True):
            repeated = metric(np.repeat(true, counts), np.repeat(predicted, counts)).value
            assert draw == pytest.approx(repeated, abs=1e-9)


def test_the_correlation_of_resamples_equals_that_of_repeated_rows():
    generator = np.random.default_rng(1)
    true = generator.normal(size=30)
    predicted = true + generator.normal(size=30)
    resamples = resample_people(range(30), count=40)
    draws = pearson(true, predicted, resamples).draws
    repeated = [
        pearson(np.repeat(true, counts), np.repeat(predicted, counts)).value
        for counts in resamples.counts
    ]
    assert draws == pytest.approx(repeated)


@pytest.mark.parametrize(
    ("true", "predicted", "reason"),
    [
        ([], [], "there are no rows"),
        ([5.0] * 12, range(12), "the questionnaire totals are all the same"),
        (range(12), [0.1 + 0.2] * 12, "the estimates are all the same"),
        ([1, 2], [3, 4], "2 rows, at least 3 are needed"),
    ],
)
def test_a_correlation_that_means_nothing_is_not_computed(true, predicted, reason):
    assert pearson(list(true), list(predicted)).text() == f"not computed: {reason}"


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, None, 1e300])
@pytest.mark.parametrize("metric", [mae, rmse, bias, pearson, auc, width])
def test_a_value_that_is_not_finite_stops_the_metric(metric, bad):
    column = [float(number) for number in range(12)]
    broken = [*column[:-1], bad]
    for arguments in ((column, broken), (broken, column)):
        figure = metric(*arguments, resample_people(range(12)))
        assert figure.text() == (
            "not computed: 1 of 12 rows hold a value that is not a finite number"
        )
        assert figure.n == 12


def test_coverage_also_refuses_bounds_that_are_not_finite():
    column = [1.0] * 12
    assert not coverage(column, column, [*column[:-1], math.nan]).computed


def test_columns_of_different_length_are_an_error_not_a_figure():
    with pytest.raises(DataError, match="2, 3 rows"):
        mae([1, 2], [1, 2, 3])


@pytest.mark.parametrize("bad", [["a", "b"], [[1, 2], [3, 4]], [{}, {}]])
def test_values_that_are_no_numbers_are_an_error(bad):
    with pytest.raises(DataError, match=r"not a number|dimensions"):
        mae(bad, [1, 2])
