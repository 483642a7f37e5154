import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.annotate.agreement import self_agreement

# Table 2 of Shrout & Fleiss 1979: six targets, four judges; they report ICC(1,1) = .17.
SHROUT_FLEISS = [
    (9, 2, 5, 8),
    (6, 1, 3, 2),
    (8, 4, 6, 8),
    (7, 1, 2, 6),
    (10, 5, 6, 9),
    (6, 2, 4, 7),
]


def test_the_published_example_is_met():
    found = self_agreement(SHROUT_FLEISS, samples=4)
    assert found.icc == pytest.approx(0.17, abs=0.005)
    assert (found.people, found.samples, found.reason) == (6, 4, None)


def test_the_difference_is_the_mean_over_pairs_and_people():
    assert self_agreement([(4, 6), (10, 10)], samples=2).difference == pytest.approx(1.0)


def test_whoever_has_not_all_samples_is_left_out():
    assert self_agreement([(4, 4), (10, 10), (20,), ()], samples=2).people == 2


@pytest.mark.parametrize(("totals", "samples"), [([(4,), (5,)], 1), ([(4,)], 2), ([], 2)])
def test_without_a_second_reading_there_is_no_agreement(totals, samples):
    assert self_agreement(totals, samples) is None


@pytest.mark.parametrize(
    ("totals", "reason"),
    [([(4, 5)], "one person alone"), ([(4, 4)] * 3, "all totals are the same")],
)
def test_a_correlation_that_cannot_be_computed_says_why(totals, reason):
    found = self_agreement(totals, samples=2)
    assert (found.icc, found.reason) == (None, reason)


@given(st.lists(st.tuples(*[st.integers(0, 27)] * 3), min_size=2, max_size=8))
def test_it_does_not_depend_on_the_order_of_samples_and_is_at_most_one(totals):
    found = self_agreement(totals, samples=3)
    turned = self_agreement([each[::-1] for each in totals], samples=3)
    assert found.difference == pytest.approx(turned.difference)
    if found.icc is not None:
        assert found.icc == pytest.approx(turned.icc)
        assert -0.5 - 1e-9 <= found.icc <= 1 + 1e-9
        assert np.isfinite(found.icc)
