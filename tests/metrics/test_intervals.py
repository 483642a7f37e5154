"""Coverage and width of prediction intervals against MAPIE and theory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapie.metrics.regression import regression_coverage_score, regression_mean_width_score
from scipy.stats import binomtest

from sottovoce.metrics import coverage, resample_people, width

ROWS = st.lists(
    st.tuples(st.integers(0, 27), st.integers(0, 27), st.integers(0, 12)), min_size=1, max_size=50
)


@given(ROWS)
def test_coverage_and_width_equal_mapies(rows):
    true, lower, extent = np.array(rows, dtype=float).T
    upper = lower + extent
    intervals = np.stack([lower, upper], axis=1)[:, :, np.newaxis]
    assert coverage(true, lower, upper).value == pytest.approx(
        regression_coverage_score(true, intervals)[0]
    )
    assert width(lower, upper).value == pytest.approx(regression_mean_width_score(intervals)[0])


@given(ROWS, st.integers(1, 5))
def test_wider_intervals_never_cover_less(rows, more):
    true, lower, extent = np.array(rows, dtype=float).T
    narrow = coverage(true, lower, lower + extent).value
    assert coverage(true, lower - more, lower + extent + more).value >= narrow


def test_gaussian_intervals_cover_what_they_promise():
    generator = np.random.default_rng(6)
    true = generator.normal(size=4000)
    figure = coverage(
        true, np.full(4000, -1.6449), np.full(4000, 1.6449), resample_people(range(4000), count=500)
    )
    assert figure.lower < 0.90 < figure.upper


def test_bounds_belong_to_the_interval():
    assert coverage([2, 8], [2, 2], [8, 8]).value == 1.0


def test_full_coverage_has_the_exact_bound_not_an_interval_of_no_width():
    figure = coverage([5.0] * 17, [0.0] * 17, [9.0] * 17, resample_people(range(17)))
    exact = binomtest(17, 17).proportion_ci(0.95, method="exact")
    assert (figure.lower, figure.upper) == pytest.approx((exact.low, exact.high))


def test_no_coverage_has_the_exact_bound_too():
    figure = coverage([5.0] * 17, [6.0] * 17, [9.0] * 17, resample_people(range(17)))
    exact = binomtest(0, 17).proportion_ci(0.95, method="exact")
    assert (figure.lower, figure.upper) == pytest.approx((exact.low, exact.high))


def test_the_exact_bound_counts_people_not_rows():
    people = [number % 12 for number in range(120)]
    figure = coverage([5.0] * 120, [0.0] * 120, [9.0] * 120, resample_people(people))
    assert figure.lower == pytest.approx(0.025 ** (1 / 12))


def test_full_coverage_without_resamples_has_no_interval():
    assert coverage([5.0], [0.0], [9.0]).lower is None
