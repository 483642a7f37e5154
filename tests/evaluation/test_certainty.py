import dataclasses

import numpy as np
import pytest
from tests.made import cohort

from sottovoce.errors import DataError
from sottovoce.evaluation import Predictions, Settings, evaluate

FEW = Settings(resamples=100)


def judged(totals, estimates, users=None):
    users = range(len(totals)) if users is None else users
    return evaluate(totals, estimates, users, instrument="phq-9", settings=FEW)


@pytest.fixture(scope="module")
def rows():
    generator = np.random.default_rng(7)
    totals = generator.integers(0, 28, size=200).astype(float)
    spread = generator.uniform(0.5, 6, size=200)
    score = np.clip(totals + spread * generator.normal(size=200), 0, 27)
    return totals, score, spread


def test_an_uncertainty_that_knows_lowers_the_area_below_that_of_chance(rows):
    totals, score, spread = rows
    found = judged(totals, Predictions.of(score, uncertainty=spread)).risk_coverage
    assert found.aurc.upper < found.random.value
    assert found.risks[0] < found.risks[-1]
    assert found.order == "the uncertainty that came with the estimates"


def test_the_curve_starts_at_ten_people_and_ends_at_all_that_was_scored(rows):
    totals, score, spread = rows
    holes = [None if n % 4 == 0 else each for n, each in enumerate(score)]
    result = judged(totals, Predictions.of(holes, uncertainty=spread))
    curve = result.risk_coverage
    assert curve.shares[0] == pytest.approx(10 / 200)
    assert curve.shares[-1] == pytest.approx(150 / 200)
    assert curve.risks[-1] == pytest.approx(result.figures["mae"].value)


def test_intervals_of_different_width_say_how_sure_an_estimate_is(rows):
    totals, score, spread = rows
    made = dataclasses.replace(
        Predictions.of(score),
        lower=np.clip(score - 1.6 * spread, 0, 27),
        upper=np.clip(score + 1.6 * spread, 0, 27),
        nominal=np.full(200, 0.9),
    )
    found = judged(totals, made).risk_coverage
    assert found.order.startswith("the distance from the estimate to the farther end")
    assert found.aurc.value < found.random.value


def test_intervals_of_one_width_cut_at_the_range_are_no_sureness():
    totals, estimates, users = cohort(60)
    assert len({each.upper - each.lower for each in estimates if not each.abstained}) > 1
    result = judged(totals, estimates, users)
    assert result.risk_coverage is None
    assert result.figures["aurc"].reason == "nothing says which estimates are surer"


def test_an_uncertainty_of_another_length_is_an_error():
    with pytest.raises(DataError, match="2 estimates and 3 uncertainties"):
        Predictions.of([1.0, 2.0], uncertainty=[1, 2, 3])


def test_a_broken_uncertainty_stops_only_what_rests_on_it(rows):
    totals, score, spread = rows
    broken = spread.copy()
    broken[3] = np.nan
    result = judged(totals, Predictions.of(score, uncertainty=broken))
    assert "not a finite number" in result.figures["aurc"].text()
    assert result.risk_coverage is None
    assert result.figures["mae"].computed
