"""Shares of called cases, their intervals and the choice of a threshold against their oracles."""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn.metrics import confusion_matrix, roc_curve

from sottovoce.metrics import (
    fnr,
    npv,
    ppv,
    resample_people,
    sensitivity,
    specificity,
    youden,
)
from sottovoce.metrics.proportion import wilson

ROWS = st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60)


@given(ROWS)
def test_shares_are_those_of_scikit_learns_confusion_matrix(rows):
    case, called = np.array(rows).T
    tn, fp, fn, tp = confusion_matrix(case, called, labels=[False, True]).ravel()
    for metric, holds, among in (
        (sensitivity, tp, tp + fn),
        (fnr, fn, tp + fn),
        (specificity, tn, tn + fp),
        (ppv, tp, tp + fp),
        (npv, tn, tn + fn),
    ):
        found = metric(case, called)
        assert found.n == among
        if among:
            assert found.value == pytest.approx(holds / among)
        else:
            assert found.text().startswith(("not computed: no row", "not computed: every row"))


@given(st.integers(1, 400), st.data(), st.sampled_from([0.8, 0.9, 0.95, 0.99]))
def test_the_interval_of_a_share_is_scipys_wilson_interval(n, data, level):
    holds = data.draw(st.integers(0, n))
    exact = binomtest(holds, n).proportion_ci(level, method="wilson")
    assert wilson(holds / n, n, level) == pytest.approx((exact.low, exact.high), abs=1e-9)


def test_one_row_a_person_has_wilsons_interval():
    case, called = [True] * 40, [True] * 30 + [False] * 10
    found = sensitivity(case, called, resample_people(range(40)))
    exact = binomtest(30, 40).proportion_ci(0.95, method="wilson")
    assert (found.lower, found.upper) == pytest.approx((exact.low, exact.high))


def test_several_rows_a_person_widen_the_interval():
    people = np.repeat(range(20), 5)
    called = np.repeat([True] * 15 + [False] * 5, 5)
    apart = sensitivity([True] * 100, called, resample_people(range(100)))
    together = sensitivity([True] * 100, called, resample_people(people))
    assert together.upper - together.lower > 1.8 * (apart.upper - apart.lower)


@pytest.mark.parametrize(("metric", "value"), [(sensitivity, 1.0), (fnr, 0.0)])
@pytest.mark.parametrize("rows", [1, 3])
def test_all_or_none_has_the_exact_bound_counting_people(metric, value, rows):
    people = np.repeat(range(24), rows)
    found = metric([True] * len(people), [True] * len(people), resample_people(people))
    exact = binomtest(round(24 * value), 24).proportion_ci(0.95, method="exact")
    assert found.value == value
    assert (found.lower, found.upper) == pytest.approx((exact.low, exact.high))


def test_too_few_cases_have_a_value_and_no_interval():
    found = sensitivity([True] * 9 + [False] * 30, [True] * 39, resample_people(range(39)))
    assert found.value == 1.0
    assert found.reason == "no interval: too few people (9, at least 10 are needed)"


SCORES = st.lists(st.tuples(st.booleans(), st.integers(0, 12)), min_size=2, max_size=50)


@given(SCORES)
def test_the_chosen_threshold_has_the_largest_index_of_all(rows):
    case, score = (np.array(column) for column in zip(*rows, strict=True))
    assume(0 < case.sum() < len(case))
    called = score >= youden(case, score)
    index = called[case].mean() - called[~case].mean()
    wrong, right, _ = roc_curve(case, score, drop_intermediate=False)
    assert index == pytest.approx((right - wrong).max())


@given(SCORES)
def test_no_lower_threshold_is_as_good(rows):
    case, score = (np.array(column) for column in zip(*rows, strict=True))
    assume(0 < case.sum() < len(case))
    threshold = youden(case, score)

    def index(at):
        return (score[case] >= at).mean() - (score[~case] >= at).mean()

    lower = [each for each in np.unique(score) if each < threshold]
    assert all(index(each) < index(threshold) - 1e-12 for each in lower)
