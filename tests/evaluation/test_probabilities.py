import dataclasses

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss
from tests.made import cohort, estimate

from sottovoce.conformal import PredictiveDistribution
from sottovoce.evaluation import Predictions, Settings, evaluate
from sottovoce.metrics import ece

FEW = Settings(resamples=100)


def judged(totals, estimates):
    return evaluate(totals, estimates, range(len(totals)), instrument="phq-9", settings=FEW)


@pytest.fixture(scope="module")
def rows():
    generator = np.random.default_rng(2)
    totals = generator.integers(0, 28, size=150).astype(float)
    score = np.clip(totals + generator.normal(0, 3, size=150), 0, 27)
    return totals, score, np.sort(generator.normal(0, 3, size=80))


def test_the_estimates_own_probabilities_are_judged_at_their_cut_offs(rows):
    totals, score, residuals = rows
    own = PredictiveDistribution.from_residuals(residuals).p_at_least(score, 10)
    made = [
        estimate(f"p{n}", float(each), p_at_least={10: float(chance)})
        for n, (each, chance) in enumerate(zip(score, own, strict=True))
    ]
    (curve,) = judged(totals, made).reliability
    assert curve.cut_off == 10
    assert curve.figures["brier"].value == pytest.approx(brier_score_loss(totals >= 10, own))
    assert curve.figures["ece"].value == pytest.approx(ece(totals >= 10, own).value)
    assert sum(each.n for each in curve.bins) == 150


def test_a_distribution_gives_the_estimators_own_probability_at_every_cut_off(rows):
    totals, score, residuals = rows
    result = judged(totals, Predictions.of(score, residuals=residuals))
    assert [curve.cut_off for curve in result.reliability] == [5, 10, 15, 20]
    for curve in result.reliability:
        own = PredictiveDistribution.from_residuals(residuals).p_at_least(score, curve.cut_off)
        expected = brier_score_loss(totals >= curve.cut_off, own)
        assert curve.figures["brier"].value == pytest.approx(expected)


def test_a_cut_off_that_one_estimate_lacks_is_not_judged():
    totals, estimates, _ = cohort(40)
    estimates[0] = dataclasses.replace(estimates[0], p_at_least={10: 0.5})
    assert [curve.cut_off for curve in judged(totals, estimates).reliability] == [10]


def test_plain_scores_have_no_probabilities(rows):
    totals, score, _ = rows
    assert judged(totals, score).reliability == ()


def test_abstained_rows_have_no_part_in_the_curve():
    totals, estimates, _ = cohort(60)
    for curve in judged(totals, estimates).reliability:
        assert sum(each.n for each in curve.bins) == 54
