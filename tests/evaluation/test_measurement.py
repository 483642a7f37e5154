import dataclasses
import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import mean_absolute_error, roc_auc_score
from tests.made import cohort, estimate

from sottovoce.errors import DataError
from sottovoce.evaluation import Evaluation, Predictions, Settings, evaluate
from sottovoce.instruments import INSTRUMENTS

FEW = Settings(resamples=200)


def figures(evaluation: Evaluation):
    """Every figure of an evaluation, wherever it stands."""
    yield from evaluation.figures.values()
    for band in evaluation.bands:
        yield from band.figures.values()
    for cut in evaluation.cut_offs:
        yield cut.auc
    for row in evaluation.calibration:
        yield from (row.coverage, row.width)
    for table in evaluation.groups:
        for group in table.rows:
            yield from group.figures.values()
            yield from (gap.difference for gap in group.gaps.values())
    for row in evaluation.thresholds:
        yield from row.figures.values()
    for curve in evaluation.reliability:
        yield from curve.figures.values()
        yield from (each.observed for each in curve.bins)
    if evaluation.risk_coverage is not None:
        yield from (evaluation.risk_coverage.aurc, evaluation.risk_coverage.random)


def judged(totals, estimates, users=None, groups=None, **changes):
    users = list(range(len(totals))) if users is None else users
    return evaluate(
        totals, estimates, users, groups, **({"instrument": "phq-9", "settings": FEW} | changes)
    )


@pytest.fixture(scope="module")
def whole():
    totals, estimates, users = cohort(120)
    groups = {"gender": ["woman" if number % 2 else "man" for number in range(120)]}
    return totals, estimates, judged(totals, estimates, users, groups)


def test_metrics_are_those_of_the_scored_rows(whole):
    totals, estimates, result = whole
    scored = [row for row in zip(totals, estimates, strict=True) if not row[1].abstained]
    true = np.array([total for total, _ in scored])
    score = np.array([each.score for _, each in scored])
    assert (result.n_rows, result.n_scored, result.n_abstained) == (120, 108, 12)
    assert result.figures["mae"].value == pytest.approx(mean_absolute_error(true, score))
    assert result.figures["auc_10"].value == pytest.approx(roc_auc_score(true >= 10, score))
    assert result.figures["mae"].n == 108


def test_abstentions_are_counted_with_their_reason(whole):
    assert whole[2].abstentions == {"too little conversation": 12}


def test_every_cut_off_has_its_auc_and_its_positives(whole):
    totals, estimates, result = whole
    assert [row.cut_off for row in result.cut_offs] == list(range(3, 25))
    used = [t for t, each in zip(totals, estimates, strict=True) if not each.abstained]
    assert [row.positives for row in result.cut_offs] == [
        sum(total >= cut for total in used) for cut in range(3, 25)
    ]


@pytest.mark.parametrize(
    ("key", "first", "last"), [("phq-9", 3, 24), ("phq-8", 3, 21), ("gad-7", 3, 18)]
)
def test_cut_offs_and_bands_come_from_the_instrument(key, first, last):
    used = INSTRUMENTS[key]
    totals = [number % (used.maximum + 1) for number in range(100)]
    result = judged(totals, [float(total) for total in totals], instrument=key)
    assert (result.cut_offs[0].cut_off, result.cut_offs[-1].cut_off) == (first, last)
    assert [row.band for row in result.bands] == [band.name for band in used.bands]
    assert f"auc_{used.screening_cut_off}" in result.figures


def test_bands_split_the_rows_and_show_the_pull_to_the_middle(whole):
    result = whole[2]
    assert sum(row.n for row in result.bands) == 120
    assert sum(row.abstained for row in result.bands) == 12
    assert result.bands[0].figures["bias"].value > 0 > result.bands[-1].figures["bias"].value


def test_the_bands_errors_average_to_the_whole(whole):
    result = whole[2]
    total = sum(row.figures["mae"].value * row.figures["mae"].n for row in result.bands)
    assert total / result.n_scored == pytest.approx(result.figures["mae"].value)


def test_a_fractional_total_falls_into_the_band_it_rounds_to():
    result = judged([9.5] * 12 + [2.0] * 12, [9.0] * 24)
    assert [(row.band, row.n) for row in result.bands] == [("minimal", 12), ("moderate", 12)]


def test_the_json_form_is_json_without_nan(whole):
    text = json.dumps(whole[2].as_dict(), allow_nan=False)
    assert json.loads(text)["metrics"]["mae"]["n"] == 108
    assert "p001" not in text


def test_plain_scores_need_no_interval():
    totals, estimates, users = cohort()
    result = judged(totals, [each.score for each in estimates], users)
    assert "coverage" not in result.figures
    assert result.abstentions == {"no reason given": 6}
    assert result.calibration == ()


def test_plain_arrays_are_taken():
    totals = np.arange(28.0)
    result = judged(totals, totals + 0.5)
    assert result.figures["bias"].value == pytest.approx(0.5)


def test_people_with_several_rows_are_counted_once():
    totals, estimates, users = cohort(60)
    result = judged(totals * 2, estimates * 2, users * 2)
    assert (result.n_rows, result.n_people) == (120, 60)
    once = judged(totals, estimates, users)
    assert result.figures["mae"].lower == pytest.approx(once.figures["mae"].lower)


def test_rows_without_a_total_are_counted_and_not_used():
    totals, estimates, users = cohort(60)
    result = judged([None, None, *totals[2:]], estimates, users)
    assert (result.n_unlabelled, result.n_rows) == (2, 58)


def test_calibration_follows_the_curves_that_are_given():
    generator = np.random.default_rng(1)
    totals = generator.integers(5, 22, size=400).astype(float)
    score = totals + generator.normal(0, 2, size=400)
    curves = {
        0.5: (score - 0.674 * 2, score + 0.674 * 2),
        0.9: (score - 1.645 * 2, score + 1.645 * 2),
    }
    result = judged(totals, Predictions.of(score, curves))
    assert [row.nominal for row in result.calibration] == [0.5, 0.9]
    for row in result.calibration:
        assert row.coverage.lower < row.nominal < row.coverage.upper
    assert result.calibration[0].width.value < result.calibration[1].width.value


def test_an_estimates_own_interval_is_one_point_of_the_calibration(whole):
    assert [row.nominal for row in whole[2].calibration] == [0.9]


def test_intervals_of_different_nominal_coverage_are_not_mixed():
    totals, estimates, users = cohort(60)
    estimates[0] = dataclasses.replace(estimates[0], coverage=0.8)
    result = judged(totals, estimates, users)
    assert result.coverage is None
    assert result.figures["coverage"].text() == (
        "not computed: the intervals have different nominal coverages"
    )
    assert result.figures["width"].computed


def test_small_groups_are_suppressed_and_nothing_of_them_is_told():
    totals, estimates, users = cohort(60)
    groups = {"gender": ["non-binary"] * 6 + ["not said"] * 5 + ["woman"] * 49}
    rows = judged(totals, estimates, users, groups).groups[0].rows
    shown = [("woman", 49), ("non-binary", None), ("not said", None)]
    assert [(row.label, row.people) for row in rows] == shown
    for row in rows[1:]:
        assert (row.abstained, row.gaps) == (None, {})
        assert not any(figure.computed for figure in row.figures.values())


def test_a_group_is_counted_in_people_not_rows():
    totals, estimates, _ = cohort(60)
    users = [f"p{number % 12}" for number in range(60)]
    groups = {"side": ["left" if number % 12 < 5 else "right" for number in range(60)]}
    rows = judged(totals, estimates, users, groups).groups[0].rows
    assert all(row.people is None for row in rows)


def test_columns_that_are_no_groups_are_named_in_the_notes():
    totals, estimates, users = cohort(60)
    result = judged(totals, estimates, users, {"story": [f"word {n}" for n in range(60)]})
    assert result.groups == ()
    assert result.notes == ("No table by story: 60 different values, more than 20.",)


# What must be said rather than computed ---------------------------------------------------------


def adverse():
    totals, estimates, users = cohort(40)
    scores = [each.score or 9.0 for each in estimates]
    return {
        "nan score": (totals, [math.nan, *scores[1:]], users, "not a finite number"),
        "infinite score": (totals, [math.inf, *scores[1:]], users, "not a finite number"),
        "nan total": ([math.nan, *totals[1:]], scores, users, "not a finite number"),
        "all abstained": (totals, [None] * 40, users, "every estimate abstained"),
        "three people": (
            totals[:3],
            scores[:3],
            users[:3],
            "too few people (3, at least 10 are needed)",
        ),
        "one person often": (
            totals,
            scores,
            ["ada"] * 40,
            "too few people (1, at least 10 are needed)",
        ),
    }


@pytest.mark.parametrize("case", adverse())
def test_what_cannot_be_computed_says_why_everywhere(case):
    totals, scores, users, reason = adverse()[case]
    groups = {"side": ["left", "right"] * (len(totals) // 2) + ["left"] * (len(totals) % 2)}
    result = judged(totals, scores, users, groups)
    for figure in figures(result):
        assert not figure.computed
    for figure in result.figures.values():
        assert reason in figure.text()
    assert result.points is None
    json.dumps(result.as_dict(), allow_nan=False)


def test_nobody_at_all_is_said_too():
    result = judged([], [])
    assert (
        result.figures["mae"].text() == "not computed: too few people (0, at least 10 are needed)"
    )
    assert result.bands == ()


def test_one_class_only_stops_the_auc_and_nothing_else():
    result = judged([3] * 20 + [4] * 20, list(range(20)) * 2)
    assert result.figures["auc_10"].text() == (
        "not computed: one class only (0 of 40 rows are positive)"
    )
    assert result.figures["mae"].computed


def test_a_constant_prediction_stops_the_correlation_and_nothing_else():
    result = judged([number % 28 for number in range(60)], [10.9] * 60)
    assert result.figures["r"].text() == "not computed: the estimates are all the same"
    assert result.figures["mae"].computed


def test_broken_intervals_stop_only_what_rests_on_them():
    totals = [float(number % 28) for number in range(60)]
    predictions = Predictions.of([estimate(str(n), total) for n, total in enumerate(totals)])
    lower = predictions.lower.copy()
    lower[4] = math.nan
    result = judged(totals, dataclasses.replace(predictions, lower=lower))
    assert "not a finite number" in result.figures["coverage"].text()
    assert result.figures["mae"].computed
    assert result.points.lower is None


@pytest.mark.parametrize(
    ("totals", "scores", "users", "groups", "found"),
    [
        ([1, 2], [1.0], [1, 2], {}, "2 totals, 1 estimates, 2 users"),
        ([1, 2], [1.0, 2.0], [1], {}, "2 totals, 2 estimates, 1 users"),
        ([1, 2], [1.0, 2.0], [1, 2], {"age": [3]}, "1 age"),
        ([1, 28], [1.0, 2.0], [1, 2], {}, "the total is 28"),
        ([1, 2], [1.0, "x"], [1, 2], {}, "not a number"),
        ([1, 2], [1.0, estimate()], [1, 2], {}, "mixed"),
        ([1], [estimate(instrument="gad-7")], [1], {}, "some estimates are of gad-7"),
    ],
)
def test_rows_that_do_not_fit_are_an_error(totals, scores, users, groups, found):
    with pytest.raises(DataError, match=found):
        judged(totals, scores, users, groups)


def test_a_curve_of_another_length_is_an_error():
    with pytest.raises(DataError, match="another number of rows"):
        Predictions.of([1.0, 2.0], {0.5: ([0.0], [1.0])})


@given(
    st.lists(
        st.tuples(
            st.one_of(st.none(), st.integers(0, 27)),
            st.one_of(st.none(), st.floats(-5, 40), st.just(math.nan), st.just(math.inf)),
            st.integers(0, 15),
            st.one_of(st.none(), st.sampled_from(["a", "b"]), st.booleans(), st.integers()),
        ),
        max_size=40,
    )
)
@settings(deadline=None, max_examples=60)
def test_whatever_comes_in_no_nan_comes_out_and_every_row_is_counted(rows):
    totals, scores, users, column = ([row[place] for row in rows] for place in range(4))
    result = judged(totals, scores, users, {"column": column}, settings=Settings(resamples=20))
    json.dumps(result.as_dict(), allow_nan=False)
    assert result.n_rows + result.n_unlabelled == len(rows)
    assert result.n_scored + result.n_abstained == result.n_rows
    for figure in figures(result):
        assert figure.computed or figure.reason


def test_the_same_seed_gives_the_same_evaluation():
    totals, estimates, users = cohort(40)
    assert judged(totals, estimates, users).as_dict() == judged(totals, estimates, users).as_dict()


def test_the_package_gives_evaluate_at_its_top():
    import sottovoce

    assert sottovoce.evaluate is evaluate
