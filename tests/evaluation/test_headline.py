import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score, r2_score
from tests.made import cohort, estimate

from sottovoce.evaluation import Predictions, Settings, evaluate
from sottovoce.evaluation.record import metric_title
from sottovoce.instruments import INSTRUMENTS, PHQ_9
from sottovoce.metrics import crps, delong, spearman

FEW = Settings(resamples=100)


@pytest.fixture(scope="module")
def rows():
    totals, estimates, users = cohort(80)
    kept = [n for n in range(80) if not estimates[n].abstained]
    return [totals[n] for n in kept], [estimates[n] for n in kept], [users[n] for n in kept]


@pytest.fixture(scope="module")
def result(rows):
    totals, estimates, users = rows
    residuals = np.random.default_rng(0).normal(0, 3, size=60)
    made = Predictions.of(estimates, residuals=residuals)
    return evaluate(totals, made, users, instrument="phq-9", settings=FEW), residuals


def test_figures_stand_in_the_order_in_which_they_are_read(result):
    assert list(result[0].figures) == [
        "mae", "rmse", "bias", "r", "spearman", "ccc", "r_corrected", "slope", "error_slope", "r2",
        "auc_10", "qwk", "crps", "aurc", "coverage", "width",
    ]  # fmt: skip


def test_every_figure_has_a_title(result):
    titles = [metric_title(key) for key in (*result[0].figures, "mae_all")]
    assert len(set(titles)) == len(titles)


def test_figures_are_those_of_other_libraries(rows, result):
    totals, estimates, _ = rows
    score = np.array([each.score for each in estimates])
    figures = result[0].figures
    assert figures["r2"].value == pytest.approx(r2_score(totals, score))
    assert figures["spearman"].value == pytest.approx(spearman(totals, score).value)
    names = [[PHQ_9.band(each).name for each in column] for column in (totals, score)]
    labels = [band.name for band in PHQ_9.bands]
    expected = cohen_kappa_score(*names, weights="quadratic", labels=labels)
    assert figures["qwk"].value == pytest.approx(expected)


def test_the_correction_takes_the_instruments_own_reliability(result):
    figures = result[0].figures
    expected = figures["r"].value / PHQ_9.alpha**0.5
    assert figures["r_corrected"].value == pytest.approx(expected)


def test_every_cut_off_has_delongs_interval_and_the_headline_the_same(rows, result):
    totals, estimates, _ = rows
    score = [each.score for each in estimates]
    for row in result[0].cut_offs:
        assert row.auc == delong(np.array(totals) >= row.cut_off, score)
    assert result[0].figures["auc_10"] == result[0].cut_offs[7].auc


def test_crps_is_of_the_score_and_the_residuals_inside_the_range(rows, result):
    totals, estimates, _ = rows
    evaluation, residuals = result
    score = np.array([each.score for each in estimates])
    inside = np.clip(score[:, None] + residuals, 0, 27)
    assert evaluation.figures["crps"].value == pytest.approx(crps(totals, inside).value)


def test_without_a_distribution_or_doubt_their_scores_are_not_computed(rows):
    totals, estimates, users = rows
    figures = evaluate(totals, estimates, users, instrument="phq-9", settings=FEW).figures
    assert figures["crps"].text() == "not computed: the predictive distribution is not given"
    assert figures["aurc"].text() == "not computed: nothing says which estimates are surer"


def test_scores_outside_the_range_have_the_outermost_bands():
    totals = [0.0, 27.0] * 10
    result = evaluate(totals, [-3.0, 40.0] * 10, range(20), instrument="phq-9", settings=FEW)
    assert result.figures["qwk"].value == pytest.approx(1.0)


@pytest.mark.parametrize("key", INSTRUMENTS)
def test_every_instrument_gets_every_figure(key):
    used = INSTRUMENTS[key]
    generator = np.random.default_rng(1)
    totals = generator.integers(0, used.maximum + 1, size=60).astype(float)
    score = np.clip(totals + generator.normal(0, 3, size=60), 0, used.maximum)
    made = [estimate(f"p{n}", float(each), instrument=key) for n, each in enumerate(score)]
    result = evaluate(totals, made, range(60), instrument=key, settings=FEW)
    missing = {name for name, each in result.figures.items() if not each.computed}
    assert missing == {"crps", "aurc"}
