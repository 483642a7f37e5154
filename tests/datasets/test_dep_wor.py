import json
from datetime import timedelta

import pytest
from tests import corpora

from sottovoce.cohort import WindowRules
from sottovoce.datasets import open_dataset
from sottovoce.datasets.dep_wor import QUESTIONS, START
from sottovoce.errors import DataError
from sottovoce.evaluation.groups import Column, cut_column

PEOPLE = (("0.0", "25.0", "3"), ("1.0", "2.0", "17"), ("1.0", "", "9"))


@pytest.fixture
def table(tmp_path):
    return corpora.dep_wor(tmp_path, *PEOPLE)


def test_the_six_answers_are_turns_of_a_chat(table):
    first, *_ = open_dataset("dep-wor", table).conversations
    assert [each.content for each in first.messages if each.role == "assistant"] == [
        *QUESTIONS.values()
    ]
    said = [each.content for each in first.messages if each.role == "user"]
    assert said == [
        f"low, {corpora.SAID}",
        corpora.SAID,
        corpora.SAID,
        "uneasy",
        "on edge",
        "fine",
    ]
    assert first.messages[-1].timestamp < START + timedelta(hours=1)


def test_everybody_is_tested_in_folds(table):
    trial = open_dataset("dep-wor", table.parent).trial(WindowRules())
    assert trial.users == ["0", "1", "2"]
    assert trial.totals.tolist() == [3, 17, 9]
    assert (trial.training, trial.validation, trial.left_out) == ((), (), {})


def test_an_age_that_cannot_be_is_not_given(table):
    dataset = open_dataset("dep-wor", table)
    columns = dataset.columns(dataset.trial(WindowRules()).test)
    assert columns["age"] == [25, None, None]
    assert columns["gender"] == ["coded 0", "coded 1", "coded 1"]
    age = cut_column("age", columns["age"])
    assert isinstance(age, Column)
    assert age.cells == ("18 to under 30", "not given", "not given")


def test_recorded_readings_beside_the_table_are_the_annotator(table):
    lines = [
        {"row": row, "annotator": "made", "items": [0] * 9, "total": row + 0.5, "sd": 2}
        for row in range(3)
    ]
    quote = {"item": 2, "level": 1, "quote": "the week was long"}
    corpora.write(table.parent / "annotations.jsonl", "\n".join(map(json.dumps, lines)))
    corpora.write(table.parent / "evidence.jsonl", json.dumps({"row": 1, "evidence": [quote]}))
    dataset = open_dataset("dep-wor", table)
    assert dataset.references == {"annotator": {"0": 0.5, "1": 1.5, "2": 2.5}}
    assert [each.text for each in dataset.annotations["1"].quotes] == ["the week was long"]
    assert dataset.annotations["0"].quotes == ()


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ({"row": "1"}, "annotations.jsonl, line 1, field row: it is text of 1 characters"),
        ({"row": 0, "items": [0] * 8}, "annotations.jsonl, field annotator"),
    ],
)
def test_a_reading_that_is_none_is_refused(table, line, problem):
    corpora.write(table.parent / "annotations.jsonl", json.dumps(line))
    with pytest.raises(DataError, match=problem):
        open_dataset("dep-wor", table)


def test_a_row_that_is_read_twice_is_refused(table):
    corpora.write(table.parent / "evidence.jsonl", '{"row": 1, "evidence": []}\n' * 2)
    with pytest.raises(DataError, match="line 2, field row: the row was named before"):
        open_dataset("dep-wor", table)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("Wortext", "other", "line 2, field Wortext: the file has no such column"),
        ("PHQ9tot", "other", "line 2, field PHQ9tot: the file has no such column"),
        (",3\n", ",secret\n", "line 2, field PHQ9tot: the total is text of 6"),
    ],
)
def test_a_table_of_another_form_is_refused_in_one_sentence(table, old, new, problem):
    corpora.write(table, table.read_text().replace(old, new))
    with pytest.raises(DataError) as caught:
        open_dataset("dep-wor", table)
    assert problem in str(caught.value)
    assert "secret" not in str(caught.value)
