import json

import numpy as np
import pytest

from sottovoce.errors import DataError
from sottovoce.evaluation import Settings, compare
from sottovoce.metrics import mae, resample_people

FEW = Settings(resamples=300, seed=4)


@pytest.fixture(scope="module")
def rows():
    generator = np.random.default_rng(2)
    totals = generator.integers(0, 28, size=90).astype(float)
    return totals, {
        "mean": [10.9] * 90,
        "ours": list(0.7 * totals + 3 + generator.normal(0, 3, size=90)),
        "theirs": list(0.3 * totals + 7 + generator.normal(0, 4, size=90)),
    }


@pytest.fixture(scope="module")
def table(rows):
    totals, predictions = rows
    return compare(
        totals, predictions, range(90), reference="ours", instrument="phq-9", settings=FEW
    )


def test_rows_stand_in_the_given_order_with_the_named_figures(table):
    assert [row.name for row in table.rows] == ["mean", "ours", "theirs"]
    assert all(list(row.figures) == ["mae", "rmse", "r", "auc_10"] for row in table.rows)


def test_figures_equal_the_metrics_on_the_same_resamples(table, rows):
    totals, predictions = rows
    alone = mae(totals, predictions["theirs"], resample_people(range(90), count=300, seed=4))
    assert table.rows[2].figures["mae"] == alone


def test_the_reference_has_no_difference_to_itself(table):
    assert table.rows[1].differences == {}


def test_a_worse_predictor_differs_by_more_than_nothing(table):
    gap = table.rows[2].differences
    assert gap["mae"].lower > 0
    assert gap["r"].upper < 0


def test_the_mean_predictor_has_an_auc_of_one_half_and_no_r(table):
    mean = table.rows[0]
    assert mean.figures["auc_10"].value == 0.5
    assert mean.figures["r"].text() == "not computed: the estimates are all the same"
    assert mean.differences["r"].text() == "not computed: the estimates are all the same"


def test_flat_rows_name_their_figures_as_benchmarks_do(table):
    row = table.flat()[2]
    assert row["name"] == "theirs"
    assert {"mae", "rmse", "r", "auc_10", "n", "mae_ci", "mae_difference_ci"} <= set(row)
    assert row["mae_ci"][0] < row["mae"] < row["mae_ci"][1]
    assert table.flat()[0]["r_reason"] == "the estimates are all the same"
    json.dumps(table.flat(), allow_nan=False)


def test_the_json_form_holds_values_intervals_and_differences(table):
    read = json.loads(json.dumps(table.as_dict(), allow_nan=False))
    assert read["n"] == 90
    assert read["rows"][2]["differences"]["mae"]["lower"] > 0


def test_predictors_are_judged_on_the_rows_that_all_of_them_scored(rows):
    totals, predictions = rows
    holes = [None if number < 20 else score for number, score in enumerate(predictions["ours"])]
    result = compare(
        totals,
        {"ours": holes, "theirs": predictions["theirs"]},
        range(90),
        reference="theirs",
        instrument="phq-9",
        settings=FEW,
    )
    assert (result.n, result.n_left_out) == (70, 20)
    assert [row.abstained for row in result.rows] == [20, 0]
    assert result.rows[1].figures["mae"].value == pytest.approx(
        np.abs(totals[20:] - np.array(predictions["theirs"])[20:]).mean()
    )


def test_another_instrument_names_its_own_cut_off(rows):
    totals, predictions = rows
    result = compare(
        np.minimum(totals, 21), predictions, range(90), reference="ours", instrument="gad-7",
        settings=FEW,
    )  # fmt: skip
    assert "auc_10" in result.rows[0].figures
    assert result.as_dict()["instrument"] == "gad-7"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (
            lambda totals, scores: (totals[:3], scores[:3]),
            "too few people (3, at least 10 are needed)",
        ),
        (lambda totals, scores: (totals, [float("nan"), *scores[1:]]), "not a finite number"),
        (lambda totals, scores: (totals, [None] * len(scores)), "there are no rows"),
    ],
)
def test_what_cannot_be_compared_says_why(rows, change, reason):
    totals, scores = change(rows[0], rows[1]["ours"])
    result = compare(
        totals, {"ours": scores}, range(len(totals)), reference="ours", instrument="phq-9",
        settings=FEW,
    )  # fmt: skip
    for figure in result.rows[0].figures.values():
        assert reason in figure.text()
    json.dumps(result.flat(), allow_nan=False)


def test_an_unknown_reference_is_an_error(rows):
    with pytest.raises(DataError, match="name one of mean, ours, theirs"):
        compare(rows[0], rows[1], range(90), reference="nobody", instrument="phq-9")


@pytest.mark.parametrize(("users", "length"), [(89, 90), (90, 89)])
def test_columns_of_another_length_are_an_error(rows, users, length):
    with pytest.raises(DataError, match="90 totals and 89"):
        compare(
            rows[0], {"ours": [1.0] * length}, range(users), reference="ours", instrument="phq-9"
        )
