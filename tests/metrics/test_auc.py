import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu
from sklearn.metrics import roc_auc_score

from sottovoce.metrics import auc, resample_people

ROWS = st.lists(st.tuples(st.booleans(), st.integers(0, 9)), min_size=2, max_size=60)


BALANCED = st.builds(
    lambda cases, others: [(True, score) for score in cases] + [(False, score) for score in others],
    st.lists(st.integers(0, 9), min_size=5, max_size=30),
    st.lists(st.integers(0, 9), min_size=5, max_size=30),
)


def columns(rows):
    positive = np.array([row[0] for row in rows])
    assume(0 < positive.sum() < len(rows))
    return positive, np.array([float(row[1]) for row in rows])


@given(ROWS)
def test_auc_with_ties_equals_scikit_learns(rows):
    positive, scores = columns(rows)
    assert auc(positive, scores).value == pytest.approx(roc_auc_score(positive, scores))


@given(ROWS)
def test_auc_is_the_mann_whitney_statistic(rows):
    positive, scores = columns(rows)
    statistic = mannwhitneyu(scores[positive], scores[~positive]).statistic
    pairs = positive.sum() * (~positive).sum()
    assert auc(positive, scores).value == pytest.approx(statistic / pairs)


@given(ROWS)
def test_turning_the_scores_round_turns_the_auc_round(rows):
    positive, scores = columns(rows)
    assert auc(positive, -scores).value == pytest.approx(1 - auc(positive, scores).value)


@given(ROWS)
def test_auc_only_looks_at_the_order(rows):
    positive, scores = columns(rows)
    assert auc(positive, np.exp(scores)).value == pytest.approx(auc(positive, scores).value)


@given(BALANCED, st.integers(0, 1000))
@settings(deadline=None)
def test_every_resample_by_weights_equals_scikit_learn_with_sample_weights(rows, seed):
    positive, scores = columns(rows)
    figure = auc(positive, scores, resample_people(range(len(rows)), count=8, seed=seed))
    if figure.draws is None:
        return
    resamples = resample_people(range(len(rows)), count=8, seed=seed)
    for counts, draw in zip(resamples.counts, figure.draws, strict=True):
        if counts[positive].sum() == 0 or counts[~positive].sum() == 0:
            assert np.isnan(draw)
        else:
            expected = roc_auc_score(positive, scores, sample_weight=counts)
            assert draw == pytest.approx(expected)


def test_a_constant_score_is_at_chance():
    figure = auc([True, False] * 10, [4.0] * 20, resample_people(range(20)))
    assert (figure.value, figure.lower, figure.upper) == (0.5, 0.5, 0.5)


@pytest.mark.parametrize("positive", [True, False])
def test_one_class_only_is_not_computed(positive):
    count = 12 if positive else 0
    assert auc([positive] * 12, range(12)).text() == (
        f"not computed: one class only ({count} of 12 rows are positive)"
    )


def test_four_cases_have_a_value_but_no_interval():
    positive = [True] * 4 + [False] * 30
    figure = auc(positive, [3.0] * 10 + [2.0] * 24, resample_people(range(34)))
    assert figure.value == pytest.approx(0.9)
    assert figure.reason == "no interval: fewer than 5 in the smaller class"


def test_classes_wholly_apart_have_no_interval_of_no_width():
    positive = [number >= 20 for number in range(40)]
    figure = auc(positive, range(40), resample_people(range(40)))
    assert (figure.value, figure.lower) == (1.0, None)
    assert figure.reason == "no interval: the classes are wholly apart"
