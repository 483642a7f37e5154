import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from sottovoce.cohort import assign_folds
from sottovoce.combination import (
    SHARES,
    Question,
    combine,
    disagreement,
    out_of_fold,
    simplex_weights,
)
from sottovoce.conformal import PredictiveDistribution
from sottovoce.errors import DataError
from sottovoce.instruments import PHQ_9

PHQ = Question(PHQ_9)
points_of = arrays.arrays(
    np.float64,
    st.tuples(st.integers(3, 30), st.integers(1, 5)),
    elements=st.floats(0, 27, allow_subnormal=False),
)


def made(n=120, noise=(2.0, 3.0, 6.0), seed=1):
    """Give totals, what members say about them, and folds of people."""
    generator = np.random.default_rng(seed)
    totals = generator.integers(0, 28, n).astype(float)
    points = np.stack([totals + generator.normal(0, each, n) for each in noise], axis=1)
    folds = assign_folds([f"p{row}" for row in range(n)], 5, 0, totals)
    return np.clip(points, 0, 27), totals, folds


def squared(points, totals, weights):
    return float(np.sum((points @ weights - totals) ** 2))


@given(points_of, st.integers(0, 999))
@settings(deadline=None)
def test_learnt_weights_are_on_the_simplex_and_never_lose_to_the_best_member(points, seed):
    totals = np.random.default_rng(seed).uniform(0, 27, len(points))
    weights = simplex_weights(points, totals)
    assert (weights >= 0).all()
    assert weights.sum() == pytest.approx(1)
    alone = [squared(points, totals, member) for member in np.eye(points.shape[1])]
    assert squared(points, totals, weights) <= min(alone) * (1 + 1e-9) + 1e-9


@given(points_of.filter(lambda points: points.shape[1] <= 3), st.integers(0, 999))
@settings(max_examples=40, deadline=None)
def test_no_point_of_a_grid_over_the_simplex_is_better(points, seed):
    totals = np.random.default_rng(seed).uniform(0, 27, len(points))
    best = squared(points, totals, simplex_weights(points, totals))
    steps, width = np.linspace(0, 1, 26), points.shape[1]
    for rest in itertools.product(steps, repeat=width - 1):
        if sum(rest) <= 1:
            grid = np.array([*rest, 1 - sum(rest)])
            assert best <= squared(points, totals, grid) * (1 + 1e-9) + 1e-9


def test_weights_are_those_of_a_general_solver():
    from scipy.optimize import minimize

    points, totals, _ = made()
    found = minimize(
        lambda weights: squared(points, totals, weights) / len(totals),
        np.full(3, 1 / 3),
        bounds=[(0, 1)] * 3,
        constraints={"type": "eq", "fun": lambda weights: weights.sum() - 1},
        options={"ftol": 1e-12},
    )
    np.testing.assert_allclose(simplex_weights(points, totals), found.x, atol=1e-4)


def test_a_member_that_is_always_right_gets_all_the_weight():
    points, totals, _ = made(noise=(3.0, 0.0))
    np.testing.assert_allclose(simplex_weights(points, totals), [0, 1], atol=1e-9)
    exact = np.stack([totals, totals], axis=1)
    assert simplex_weights(exact, totals).sum() == pytest.approx(1)


def test_the_same_scores_give_the_same_weights():
    points, totals, _ = made()
    np.testing.assert_array_equal(simplex_weights(points, totals), simplex_weights(points, totals))


def test_equal_weights_are_equal():
    combination = combine(*made(), Question(PHQ_9, weighting="equal"))
    np.testing.assert_allclose(combination.weights, 1 / 3)


@given(points_of)
def test_members_that_say_the_same_do_not_disagree(points):
    same = np.repeat(points[:, :1], 3, axis=1)
    weights = np.array([0.2, 0.3, 0.5])
    np.testing.assert_allclose(disagreement(same, weights), 0, atol=1e-9)
    assert (disagreement(points, np.full(points.shape[1], 1 / points.shape[1])) >= 0).all()


def test_a_fold_has_no_part_in_what_scores_it():
    points, totals, folds = made()
    before = out_of_fold(points, totals, folds, PHQ)[2]
    changed = np.where(folds == 2, 27 - totals, totals)
    after = out_of_fold(points, changed, folds, PHQ)[2]
    np.testing.assert_array_equal(before.weights, after.weights)
    np.testing.assert_array_equal(before.residuals, after.residuals)
    assert before.share == after.share


def test_residuals_are_those_of_weights_learnt_without_the_fold():
    points, totals, folds = made()
    combination = combine(points, totals, folds, PHQ)
    expected = np.empty(len(totals))
    spread = np.empty(len(totals))
    for fold in range(5):
        inside = folds == fold
        weights = simplex_weights(points[~inside], totals[~inside])
        expected[inside] = totals[inside] - points[inside] @ weights
        spread[inside] = disagreement(points[inside], weights)
    share = combination.share
    widths = (1 - share) + share * spread / spread.mean()
    np.testing.assert_allclose(combination.residuals, np.sort(expected / widths))


def telling(n=400, seed=5):
    """Give members whose disagreement says how wrong they are."""
    generator = np.random.default_rng(seed)
    totals = generator.uniform(8, 19, n)
    sizes = generator.choice([0.2, 4.0], n)
    points = totals[:, None] + generator.normal(0, 1, (n, 4)) * sizes[:, None]
    folds = assign_folds([f"p{row}" for row in range(n)], 5, 0, totals)
    return np.clip(points, 0, 27), totals, folds


def test_widths_follow_disagreement_where_it_tells_the_error():
    points, totals, folds = telling()
    combination = combine(points, totals, folds, PHQ)
    assert combination.share > 0
    assert combination.interval_scores[combination.share] < 0.9 * combination.interval_scores[0.0]
    apart = np.array([4.0, 9.0, 14.0, 19.0])
    together = np.array([11.4, 11.5, 11.6, 11.5])
    widths = []
    for said in (apart, together):
        distribution = combination.distribution(said)
        lower, upper = distribution.interval(combination.score(said[None]), 0.9, PHQ_9)
        widths.append(upper[0] - lower[0])
    assert widths[0] > 2 * widths[1] > 0


def test_there_is_one_width_where_disagreement_tells_nothing():
    generator = np.random.default_rng(0)
    points, totals, folds = made(300)
    shift = generator.choice([0.0, 9.0], 300)  # the members part without their mean moving
    points = totals[:, None] + generator.normal(0, 3, 300)[:, None] + np.outer(shift, [-1, 1])
    combination = combine(points, totals, folds, Question(PHQ_9, weighting="equal"))
    assert combination.share == 0
    distribution = combination.distribution(np.array([3.0, 20.0]))
    np.testing.assert_array_equal(distribution.residuals, combination.residuals)


def test_members_without_any_disagreement_have_one_width():
    points, totals, folds = made(noise=(2.0,))
    combination = combine(np.repeat(points, 2, axis=1), totals, folds, PHQ)
    assert (combination.share, set(combination.interval_scores)) == (0, {0.0})


@pytest.mark.parametrize("make", [made, telling])
def test_the_recorded_interval_scores_are_winkler_s(make):
    points, totals, folds = make()
    combination = combine(points, totals, folds, PHQ)
    assert set(combination.interval_scores) == set(SHARES)
    expected = []
    for fold in range(5):
        inside = folds == fold
        learnt = {}
        for other in range(5):
            rows = folds == other
            weights = simplex_weights(points[~rows], totals[~rows])
            learnt[other] = np.clip(points[rows] @ weights, 0, 27)
        others = np.concatenate([totals[folds == o] - learnt[o] for o in range(5) if o != fold])
        distribution = PredictiveDistribution.from_residuals(others)
        lower, upper = distribution.interval(learnt[fold], 0.9, PHQ_9)
        for low, high, total in zip(lower, upper, totals[inside], strict=True):
            missed = max(low - total, 0, total - high)
            expected.append(high - low + 20 * missed)
    assert combination.interval_scores[0.0] == pytest.approx(np.mean(expected))


@pytest.mark.parametrize("make", [made, telling])
def test_intervals_cover_people_who_were_not_there(make):
    points, totals, folds = make(n=400)
    combination = combine(points, totals, folds, PHQ)
    points, totals, _ = make(n=600, seed=77)
    inside = []
    for said, total in zip(points, totals, strict=True):
        score = combination.score(said[None])
        lower, upper = combination.distribution(said).interval(score, 0.9, PHQ_9)
        inside.append(lower[0] <= total <= upper[0])
    assert 0.86 <= np.mean(inside) <= 0.94


def test_too_few_folds_are_refused():
    points, totals, _ = made(20)
    with pytest.raises(DataError, match="needs 2 folds of people or more, the members have 1"):
        combine(points, totals, np.zeros(20, int), PHQ)
    with pytest.raises(DataError, match="needs 3 folds of people or more, the members have 2"):
        out_of_fold(points, totals, np.arange(20) % 2, PHQ)
