import json

import numpy as np
import pytest

from sottovoce.ablation import tabulate
from sottovoce.errors import DataError
from sottovoce.evaluation import Settings, compare
from sottovoce.instruments import PHQ_9

FEW = Settings(resamples=200)


def made_up(n=80):
    generator = np.random.default_rng(0)
    totals = generator.integers(0, 28, n).astype(float)
    scores = {
        name: np.clip(totals + generator.normal(0, noise, n), 0, 27)
        for name, noise in (("ground_truth", 6.0), ("annotator", 4.0), ("ensemble", 3.9))
    }
    return totals, scores, [f"p{number}" for number in range(n)]


def test_each_row_is_paired_with_the_row_before_and_the_first():
    totals, scores, users = made_up()
    table = tabulate(totals, scores, users, PHQ_9, settings=FEW)
    first, second, third = table.rows
    assert (first.to_before, first.to_first) == ({}, {})
    for key, figure in third.figures.items():
        assert third.to_before[key].value == pytest.approx(figure.value - second.figures[key].value)
        assert third.to_first[key].value == pytest.approx(figure.value - first.figures[key].value)
    assert second.to_before["mae"].upper < 0


def test_the_figures_are_those_of_the_comparison_of_predictors():
    totals, scores, users = made_up()
    table = tabulate(totals, scores, users, PHQ_9, settings=FEW)
    other = compare(
        totals, scores, users, reference="ground_truth", instrument="phq-9", settings=FEW
    )
    for row, same in zip(table.rows, other.rows, strict=True):
        for key, figure in same.figures.items():
            assert row.figures[key] == figure
        for key, figure in same.differences.items():
            assert row.to_first[key] == figure


def test_every_cut_off_from_three_to_twenty_four_has_an_auc():
    totals, scores, users = made_up()
    table = tabulate(totals, scores, users, PHQ_9, settings=FEW)
    assert table.cut_off_keys == [f"auc_{cut}" for cut in range(3, 25)]
    assert set(table.cut_off_keys) < set(table.rows[0].figures)


def test_the_table_is_json_with_what_each_stage_was_made_of():
    totals, scores, users = made_up()
    told = {"annotator": ({"n_pseudolabels": 7}, ("a sentence",))}
    table = tabulate(totals, scores, users, PHQ_9, told=told, settings=FEW)
    read = json.loads(json.dumps(table.as_dict(), allow_nan=False))
    assert [row["stage"] for row in read["rows"]] == list(scores)
    assert read["rows"][1]["n_pseudolabels"] == 7
    assert read["rows"][1]["notes"] == ["a sentence"]
    assert (read["n"], read["n_people"]) == (80, 80)


def test_too_few_people_are_told_in_every_cell():
    totals, scores, users = made_up(5)
    table = tabulate(totals, scores, users, PHQ_9, settings=FEW)
    assert not any(each.computed for row in table.rows for each in row.figures.values())
    assert "too few people" in table.rows[1].to_before["mae"].reason


def test_columns_of_different_lengths_are_refused():
    totals, scores, users = made_up()
    for given in ({}, {"a": scores["annotator"][:9]}):
        with pytest.raises(DataError, match="stages and totals differ in length"):
            tabulate(totals, given, users, PHQ_9)
