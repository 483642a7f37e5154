"""The risk-coverage curve against its definition."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.metrics import aurc, mae, resample_people, risk_curve

ROWS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 3)), min_size=1, max_size=6)


@given(ROWS)
def test_ties_count_as_the_mean_over_every_order(rows):
    errors, doubt = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    areas = []
    for order in itertools.permutations(range(len(rows))):
        if (np.diff(doubt[list(order)]) >= 0).all():
            ordered = errors[list(order)]
            areas.append((np.cumsum(ordered) / np.arange(1, len(rows) + 1)).mean())
    assert aurc(errors, doubt).value == pytest.approx(np.mean(areas))


@given(ROWS)
def test_the_curve_ends_at_the_error_of_all(rows):
    errors, doubt = (np.array(column, dtype=float) for column in zip(*rows, strict=True))
    assert risk_curve(errors, doubt)[-1] == pytest.approx(errors.mean())


@given(st.integers(0, 1000))
@settings(deadline=None, max_examples=20)
def test_every_resample_by_weights_equals_the_area_of_repeated_rows(seed):
    generator = np.random.default_rng(seed)
    errors, doubt = generator.random(20), generator.integers(0, 8, size=20).astype(float)
    resamples = resample_people(range(20), count=10, seed=seed)
    draws = aurc(errors, doubt, resamples).draws
    for counts, draw in zip(resamples.counts, draws, strict=True):
        repeated = aurc(np.repeat(errors, counts), np.repeat(doubt, counts))
        assert draw == pytest.approx(repeated.value)


def test_doubt_that_knows_the_error_is_better_than_none_and_the_reverse_is_worse():
    errors = np.random.default_rng(0).exponential(3, size=200)
    knowing, useless, wrong = (
        aurc(errors, doubt).value for doubt in (errors, np.ones(200), -errors)
    )
    assert knowing < useless < wrong
    assert useless == pytest.approx(mae(np.zeros(200), errors).value)


def test_a_group_survives_resamples_in_which_nobody_of_it_is_drawn():
    some = np.arange(80) < 10
    resamples = resample_people(range(80), count=50).take(some)
    assert aurc(np.arange(10.0), np.arange(10.0), resamples).computed
