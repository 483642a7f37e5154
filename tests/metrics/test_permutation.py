"""Permutation test, Holm's adjustment and the interval of a gap against their oracles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import fisher_exact, permutation_test

from sottovoce.metrics import Figure, Shuffles, gap, holm, mae, resample_people


def test_the_p_value_equals_scipys_permutation_test():
    generator = np.random.default_rng(1)
    values, inside = generator.exponential(size=60), np.arange(60) < 20
    values[inside] += 0.5

    def apart(first, second, axis):
        return first.mean(axis=axis) - second.mean(axis=axis)

    expected = permutation_test(
        (values[inside], values[~inside]), apart, vectorized=True, n_resamples=20_000,
        rng=np.random.default_rng(0),
    ).pvalue  # fmt: skip
    found = Shuffles.of(60, count=20_000, seed=3).p_value(values, np.ones(60), inside)
    assert found == pytest.approx(expected, abs=0.01)


def test_a_gap_between_shares_is_fishers_exact_test():
    holds = np.array([1.0] * 8 + [0.0] * 4 + [1.0] * 9 + [0.0] * 39)
    inside = np.arange(60) < 12
    expected = fisher_exact([[8, 4], [9, 39]]).pvalue
    found = Shuffles.of(60, count=40_000, seed=1).p_value(holds, np.ones(60), inside)
    assert found == pytest.approx(expected, abs=0.003)


def test_no_gap_at_all_has_a_p_value_of_one():
    found = Shuffles.of(20, count=99, seed=0).p_value(np.ones(20), np.ones(20), np.arange(20) < 5)
    assert found == 1.0


def test_people_and_not_rows_change_sides():
    # Two people with many equal rows are two observations, not a hundred.
    sums, rows = np.array([100.0, 100.0, 0.0, 0.0]), np.full(4, 50.0)
    found = Shuffles.of(4, count=6000, seed=2).p_value(sums, rows, np.array([1, 1, 0, 0]) > 0)
    assert found == pytest.approx(2 / 6, abs=0.02)


def test_the_same_seed_gives_the_same_p_value():
    values, inside = np.arange(30.0), np.arange(30) % 3 == 0
    first, again = (
        Shuffles.of(30, count=200, seed=5).p_value(values, np.ones(30), inside) for _ in range(2)
    )
    assert first == again


def test_holms_adjustment_multiplies_by_how_many_are_left_and_never_falls():
    # From small to large .005 x 4, .01 x 3, .03 x 2, .04 x 1, which must not fall below .06.
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([]) == []


@given(st.lists(st.floats(0.0001, 1), min_size=1, max_size=12))
def test_adjusted_p_values_keep_their_order_and_lie_between_plain_and_bonferroni(values):
    adjusted = holm(values)
    assert all(
        p <= a + 1e-12 and a <= min(1, len(values) * p) + 1e-12
        for p, a in zip(values, adjusted, strict=True)
    )
    order = sorted(range(len(values)), key=lambda at: values[at])
    assert [adjusted[at] for at in order] == sorted(adjusted)


def test_the_interval_of_two_shares_is_newcombes_published_example():
    # Newcombe 1998, table II, method 10, examples a and b.
    from sottovoce.metrics.proportion import wilson

    def share(holds, n):
        return Figure(holds / n, *wilson(holds / n, n, 0.95), n=n)

    found = gap(share(56, 70), share(48, 80), apart=True)
    assert (round(found.lower, 4), round(found.upper, 4)) == (0.0524, 0.3339)
    found = gap(share(9, 10), share(3, 10), apart=True)
    assert (round(found.lower, 4), round(found.upper, 4)) == (0.1705, 0.8090)


def test_groups_apart_and_groups_from_the_same_draws_agree():
    generator = np.random.default_rng(0)
    true, score = np.zeros(400), generator.normal(size=400)
    inside = np.arange(400) < 150
    resamples = resample_people(range(400))
    figures = [mae(true[r], score[r], resamples.take(r)) for r in (inside, ~inside)]
    apart, drawn = (gap(*figures, apart=side) for side in (True, False))
    assert apart.value == drawn.value
    assert (apart.lower, apart.upper) == pytest.approx((drawn.lower, drawn.upper), abs=0.01)


def test_a_gap_to_what_was_not_computed_or_has_no_interval_says_why():
    whole = Figure(0.4, 0.2, 0.6, n=20)
    assert gap(whole, Figure.missing("no cases"), apart=True).text() == "not computed: no cases"
    bare = Figure(0.1, n=9, reason="no interval: too few")
    found = gap(whole, bare, apart=True)
    assert (found.value, found.reason) == (pytest.approx(0.3), "no interval: too few")
