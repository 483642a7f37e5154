import json

import pytest
from tests import corpora

from sottovoce.cohort import WindowRules
from sottovoce.datasets import open_dataset
from sottovoce.errors import DataError

PEOPLE = (
    "Female,30.0,Yes,7,8,3,4",
    "Male,41,No but I speak it fluently,2,2,9,9",
    "CONSENT REVOKED,CONSENT REVOKED,No,5,5,5,5",
)


@pytest.fixture
def table(tmp_path):
    return corpora.covid_worry(tmp_path, *PEOPLE)


def test_each_wave_is_a_conversation_of_the_long_and_the_short_text(table):
    dataset = open_dataset("covid-worry", table)
    ids = [each.conversation_id for each in dataset.conversations]
    assert ids[:3] == ["covid-0-wave1", "covid-0-wave2", "covid-1-wave1"]
    first = dataset.conversations[0]
    assert {each.role for each in first.messages} == {"user"}
    assert [each.content for each in first.messages][1] == corpora.SAID


def test_it_cannot_be_evaluated_against_a_questionnaire(table):
    with pytest.raises(DataError, match="covid-worry has no PHQ-9 that estimates could be held"):
        open_dataset("covid-worry", table).trial(WindowRules())


def test_the_window_before_a_rating_holds_its_wave_alone(table):
    dataset = open_dataset("covid-worry", table)
    windows = dataset.rated(WindowRules())
    assert [each.user_id for each in windows] == [each.user_id for each in dataset.ratings]
    assert [len(each.messages) for each in windows] == [2] * 6
    assert {each.reason for each in windows} == {None}
    assert [each.timestamp.year for each in windows[1].messages] == [2021, 2021]


def test_rules_are_lowered_to_the_two_texts_and_no_further(table):
    dataset = open_dataset("covid-worry", table)
    assert dataset.adapted(WindowRules(min_user_messages=5)).min_user_messages == 2
    assert dataset.adapted(WindowRules(min_user_messages=1)).min_user_messages == 1
    long = WindowRules(min_user_words=1000)
    assert {each.reason is None for each in dataset.rated(long)} == {False}


def test_ratings_are_of_sadness_and_anxiety(table):
    first, second, *_ = open_dataset("covid-worry", table).ratings
    assert (first.occasion, dict(first.values)) == ("wave 1", {"sadness": 7, "anxiety": 8})
    assert (second.occasion, dict(second.values)) == ("wave 2", {"sadness": 3, "anxiety": 4})


def test_what_was_withdrawn_is_not_given(table):
    people = open_dataset("covid-worry", table).people
    assert people["covid-0"] == {
        "age": 30,
        "gender": "woman",
        "language background": "native English",
    }
    assert people["covid-1"]["language background"] == "not native, fluent"
    assert people["covid-2"] == {
        "age": None,
        "gender": None,
        "language background": "not native",
    }


def test_an_annotation_says_which_wave_it_is_of(table):
    said = {"row": 1, "wave": 2, "annotator": "made", "items": [1] * 9, "total": 9, "sd": 3}
    corpora.write(table.parent / "annotations.jsonl", json.dumps(said))
    dataset = open_dataset("covid-worry", table)
    assert dataset.annotations["covid-1"].total == 9
    assert dataset.people["covid-1"]["annotated_wave"] == 2


def test_an_export_has_no_labels(table, tmp_path):
    names = {each.name for each in open_dataset("covid-worry", table).export(tmp_path / "out")}
    assert names == {"chats.jsonl", "people.jsonl", "dataset.json"}


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("sadness_wave2", "other", "line 2, field sadness_wave2: the file has no such column"),
        ("2020-04-06 12:00:00", "secret", "line 2, field startdate_wave1: the time is text of 6"),
    ],
)
def test_a_table_of_another_form_is_refused_in_one_sentence(table, old, new, problem):
    corpora.write(table, table.read_text().replace(old, new))
    with pytest.raises(DataError) as caught:
        open_dataset("covid-worry", table)
    assert problem in str(caught.value)
    assert "secret" not in str(caught.value)
