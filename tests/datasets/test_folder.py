import json
from dataclasses import replace

import pytest
from tests import corpora

from sottovoce.cohort import WindowRules
from sottovoce.conversations import write_json_lines
from sottovoce.datasets import open_dataset
from sottovoce.errors import DataError

RULES = WindowRules(min_user_messages=1, min_user_words=0)
PEOPLE = ("ana", "ben", "cy", "dee")


def message(hour):
    return {"role": "user", "content": corpora.SAID, "timestamp": f"2025-05-27T{hour:02}:00:00Z"}


def label(user, total, instrument="phq-9"):
    done = "2025-05-28T09:00:00Z"
    return {"user_id": user, "instrument": instrument, "completed_at": done, "total": total}


@pytest.fixture
def folder(tmp_path):
    chats = [
        {"user_id": user, "conversation_id": f"{user}-1", "messages": [message(9), message(10)]}
        for user in PEOPLE
    ]
    write_json_lines(tmp_path / "chats.jsonl", chats)
    write_json_lines(tmp_path / "labels.jsonl", [label(user, 7) for user in PEOPLE])
    return tmp_path


def people(folder, **split):
    rows = [{"user_id": user, "age": 40, "split": part} for user, part in split.items()]
    write_json_lines(folder / "people.jsonl", rows)


def refusal(folder, *arguments):
    with pytest.raises(DataError) as caught:
        open_dataset("folder", folder, *arguments)
    return str(caught.value)


def test_chats_and_labels_alone_are_tested_in_folds(folder):
    dataset = open_dataset("folder", folder)
    trial = dataset.trial(RULES)
    assert (trial.users, trial.training, dataset.title) == ([*PEOPLE], (), folder.name)
    assert (dataset.simulated, dataset.references) == (False, {})


def test_who_wrote_too_little_is_tested_and_abstained_but_never_learnt_from(folder):
    people(folder, ana="train", ben="train", cy="test", dee="test")
    strict = replace(RULES, min_user_messages=3)
    trial = open_dataset("folder", folder).trial(strict)
    assert (trial.users, trial.training) == (["cy", "dee"], ())
    assert [each.reason for each in trial.test] == [
        "2 user messages in the window, 3 are needed"
    ] * 2
    assert trial.left_out == {"train: too little conversation, or excluded for a leak": 2}


def test_the_column_split_decides_the_part_and_is_no_grouping(folder):
    people(folder, ana="train", ben="validation", cy="test", dee="unlabelled")
    dataset = open_dataset("folder", folder)
    trial = dataset.trial(RULES)
    parts = [[each.user_id for each in part] for part in (trial.training, trial.validation)]
    assert (parts, trial.users) == ([["ana"], ["ben"]], ["cy"])
    assert trial.left_out == {"questionnaires of people in no part that has any": 1}
    assert dataset.columns(trial.test) == {
        "age": [40],
        "user words": [2 * len(corpora.SAID.split())],
        "user messages": [2],
    }


def test_people_without_a_part_are_left_out_and_counted(folder):
    people(folder, ana="train", ben=None, cy="test")
    trial = open_dataset("folder", folder).trial(RULES)
    assert (len(trial.training), trial.users) == (1, ["cy"])
    assert trial.left_out == {"questionnaires of people in no part that has any": 2}


def test_what_cannot_be_used_is_told_by_part(folder):
    people(folder, ana="train", ben="train", cy="test", dee="test")
    write_json_lines(
        folder / "labels.jsonl",
        [*(label(each, 7) for each in PEOPLE[:3]), label("dee", 9, "gad-7")],
    )
    trial = open_dataset("folder", folder, "phq-9").trial(RULES)
    assert trial.left_out == {"test: another instrument": 1}


def test_labels_of_two_questionnaires_ask_which_one(folder):
    write_json_lines(folder / "labels.jsonl", [label("ana", 7), label("ben", 9, "gad-7")])
    assert "labels.jsonl: the labels are of phq-9, gad-7" in refusal(folder)
    assert open_dataset("folder", folder, "gad-7").instrument.key == "gad-7"
    assert "no label is of PHQ-8" in refusal(folder, "phq-8")


def test_annotations_are_a_reference(folder):
    said = {"user_id": "ana", "annotator": "made", "items": [1] * 9, "total": 9, "sd": 2}
    write_json_lines(folder / "annotations.jsonl", [said])
    assert open_dataset("folder", folder).trial(RULES).references == {"annotator": {"ana": 9}}


def test_a_folder_says_of_itself_what_files_of_chats_cannot(folder):
    facts = {"title": "Ours", "simulated": True, "licence": "CC0", "remarks": ["Small."]}
    (folder / "dataset.json").write_text(json.dumps(facts))
    dataset = open_dataset("folder", folder)
    assert (dataset.title, dataset.simulated, dataset.remarks) == ("Ours", True, ("Small.",))
    assert (dataset.source.licence, dataset.source.where) == ("CC0", "not said")


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("secret", "dataset.json: it is not JSON"),
        ("[1]", "dataset.json: this is a list of 1"),
        ('{"simulated": "secret"}', "field simulated: it is text of 6 characters; give true"),
        ('{"remarks": "secret"}', "field remarks: it is text of 6 characters; give a list"),
        ('{"title": " "}', "field title: it is text of 1 characters; give a text"),
    ],
)
def test_facts_of_another_form_are_refused(folder, text, problem):
    (folder / "dataset.json").write_text(text)
    assert problem in refusal(folder)
    assert "secret" not in refusal(folder)


def test_an_unknown_part_is_refused(folder):
    people(folder, ana="secret")
    sentence = refusal(folder)
    assert "people.jsonl, field split: a split is text of 6 characters; use train" in sentence
    assert "secret" not in sentence
