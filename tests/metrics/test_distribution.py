"""CRPS, Brier score, calibration error and reliability curve against their oracles."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from sottovoce.errors import DataError
from sottovoce.metrics import brier, crps, ece, mae, reliability, resample_people
from sottovoce.metrics import crps as module_crps

SAMPLES = st.lists(st.lists(st.integers(0, 27), min_size=4, max_size=4), min_size=1, max_size=12)
CHANCES = st.lists(st.tuples(st.booleans(), st.floats(0, 1, width=32)), min_size=20, max_size=200)


@given(SAMPLES, st.data())
def test_crps_is_its_definition_over_all_pairs(samples, data):
    drawn = np.array(samples, dtype=float)
    count = len(drawn)
    true = np.array(
        data.draw(st.lists(st.integers(0, 27), min_size=count, max_size=count)), dtype=float
    )
    expected = np.mean([
        np.abs(row - total).mean() - np.abs(row[:, None] - row[None, :]).mean() / 2
        for row, total in zip(drawn, true, strict=True)
    ])  # fmt: skip
    assert crps(true, drawn).value == pytest.approx(expected)


def test_crps_of_a_normal_distribution_is_the_closed_form():
    # Gneiting, Raftery 2007, section 4.2: z (2 Phi(z) - 1) + 2 phi(z) - pi^-1/2
    z = 0.8
    quantiles = norm.ppf((np.arange(20_000) + 0.5) / 20_000)
    expected = z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - np.pi**-0.5
    assert crps([z], [quantiles]).value == pytest.approx(expected, abs=1e-3)


def test_crps_of_a_sure_distribution_is_the_absolute_error():
    true, score = [4, 10, 18], [6, 10, 17]
    sure = crps(true, [[each] * 7 for each in score]).value
    assert sure == pytest.approx(mae(true, score).value)


def test_the_right_distribution_has_the_smallest_crps():
    generator = np.random.default_rng(2)
    true = generator.normal(size=3000)
    values = [
        crps(true, np.tile(scale * norm.ppf((np.arange(99) + 0.5) / 99), (3000, 1))).value
        for scale in (0.5, 1.0, 2.0)
    ]
    assert values[1] == min(values)


def test_blocks_change_memory_and_not_the_score(monkeypatch):
    import sys

    generator = np.random.default_rng(5)
    true, drawn = generator.normal(size=50), generator.normal(size=(50, 9))
    whole = module_crps(true, drawn).value
    monkeypatch.setattr(sys.modules["sottovoce.metrics.crps"], "BLOCK", 9 * 7)
    assert module_crps(true, drawn).value == pytest.approx(whole)


def test_a_distribution_with_a_hole_stops_the_score():
    drawn = np.ones((12, 5))
    drawn[3, 2] = np.nan
    assert "1 of 12 rows hold a distribution" in crps(np.ones(12), drawn).text()


@pytest.mark.parametrize("shape", [(12,), (11, 5), (12, 0)])
def test_distributions_of_another_shape_are_refused(shape):
    with pytest.raises(DataError, match="one row of numbers per total"):
        crps(np.ones(12), np.ones(shape))


@given(CHANCES)
def test_the_brier_score_equals_scikit_learns(rows):
    case, chance = (np.array(column) for column in zip(*rows, strict=True))
    expected = brier_score_loss(case, chance, pos_label=True)
    assert brier(case, chance).value == pytest.approx(expected)


def test_the_reliability_curve_equals_scikit_learns():
    generator = np.random.default_rng(0)
    chance = generator.random(200)
    case = generator.random(200) < chance
    observed, predicted = calibration_curve(case, chance, n_bins=10, strategy="quantile")
    found = reliability(case, chance)
    assert [each.n for each in found] == [20] * 10
    assert [each.predicted for each in found] == pytest.approx(predicted, abs=0.01)
    assert [each.observed.value for each in found] == pytest.approx(observed, abs=0.051)


@given(CHANCES)
def test_bins_hold_every_row_once_and_at_least_ten(rows):
    case, chance = (np.array(column) for column in zip(*rows, strict=True))
    found = reliability(case, chance, resample_people(range(len(case)), count=20))
    assert sum(each.n for each in found) == len(case)
    assert min(each.n for each in found) >= 10
    assert [each.predicted for each in found] == sorted(each.predicted for each in found)


@given(CHANCES)
def test_the_calibration_error_is_what_the_curve_shows(rows):
    case, chance = (np.array(column) for column in zip(*rows, strict=True))
    bins = reliability(case, chance)
    apart = sum(each.n * abs(each.predicted - each.observed.value) for each in bins) / len(case)
    assert ece(case, chance).value == pytest.approx(apart, abs=1e-9)


def test_equal_probabilities_stay_in_one_bin():
    assert len(reliability([True, False] * 50, [0.5] * 100)) == 1


def test_a_calibration_error_says_why_it_has_no_interval():
    assert ece([True, False] * 10, [0.5] * 20).reason.startswith("no interval")


@pytest.mark.parametrize("chance", [-0.1, 1.1])
def test_a_probability_outside_its_range_stops_them(chance):
    for metric in (brier, ece):
        found = metric([True] * 12, [chance] * 12)
        assert found.text() == "not computed: 12 of 12 probabilities lie outside 0 to 1"
    assert reliability([True] * 12, [chance] * 12) == ()
