from dataclasses import replace

import pytest
from tests import corpora

from sottovoce.cohort import WindowRules
from sottovoce.datasets import NAMES, open_dataset
from sottovoce.errors import DataError

RULES = WindowRules()


def refusal(*arguments):
    with pytest.raises(DataError) as caught:
        open_dataset(*arguments)
    return str(caught.value)


def test_an_unknown_name_is_told_the_known_ones():
    assert refusal("dep-war") == (
        f"there is no data set of that name; use one of {', '.join(NAMES)}"
    )


@pytest.mark.parametrize("name", [each for each in NAMES if each != "bundled"])
def test_a_path_that_leads_nowhere_is_one_sentence(tmp_path, name):
    assert "does not come with the package; name the folder" in refusal(name)
    assert "there is no such folder" in refusal(name, tmp_path / "nowhere")
    missing = refusal(name, tmp_path)
    assert "the folder has no" in missing or "labels.jsonl: the file cannot be read" in missing


def test_the_bundled_cohort_takes_no_path(tmp_path):
    assert "lies in the package" in refusal("bundled", tmp_path)


def test_another_questionnaire_than_the_data_hold_is_refused():
    assert "bundled holds PHQ-9" in refusal("bundled", None, "gad-7")


def test_a_trial_of_the_bundled_cohort_keeps_its_split_and_reads_no_hidden_label():
    dataset = open_dataset("bundled")
    trial = dataset.trial(RULES)
    assert [len(part) for part in (trial.test, trial.training, trial.validation)] == [120, 200, 0]
    assert (trial.simulated, trial.left_out) == (True, {})
    hidden = {user for user, part in dataset.parts.items() if part == "unlabelled"}
    assert len(hidden) == 160
    assert not hidden & {each.user_id for each in dataset.labels}
    assert not hidden & set(trial.references["noise ceiling"])
    assert set(trial.users) <= set(trial.references["annotator"])


def test_columns_are_what_the_data_know_and_how_much_was_said():
    dataset = open_dataset("bundled")
    windows = dataset.trial(RULES).test[:3]
    columns = dataset.columns(windows)
    assert {"age", "gender", "style", "disclosure"} < set(columns)
    assert not {"split", "user_id"} & set(columns)
    assert columns["user messages"] == [len(each.user_messages) for each in windows]
    assert columns["user words"] == [
        sum(len(said.content.split()) for said in each.user_messages) for each in windows
    ]


def test_what_is_exported_opens_as_a_folder_with_the_same_trial(tmp_path):
    dataset = open_dataset("bundled")
    written = dataset.export(tmp_path / "out")
    assert sorted(each.name for each in written) == [
        "annotations.jsonl",
        "chats.jsonl",
        "dataset.json",
        "labels.jsonl",
        "people.jsonl",
    ]
    again = open_dataset("folder", tmp_path / "out")
    assert (again.simulated, again.title) == (True, dataset.title)
    assert (again.source, again.remarks) == (dataset.source, dataset.remarks)
    assert dict(again.parts) == dict(dataset.parts)
    trial = again.trial(RULES)
    assert trial == replace(dataset.trial(RULES), references=trial.references)
    assert trial.references["annotator"] == dataset.references["annotator"]


def test_an_export_overwrites_nothing(tmp_path):
    dataset = open_dataset("dep-wor", corpora.dep_wor(tmp_path, ("0.0", "25.0", "3")))
    (tmp_path / "people.jsonl").write_text("mine")
    with pytest.raises(DataError, match=r"people.jsonl: it exists already"):
        dataset.export(tmp_path)
    assert not (tmp_path / "chats.jsonl").exists()


def test_an_export_into_a_file_is_refused(tmp_path):
    dataset = open_dataset("dep-wor", corpora.dep_wor(tmp_path, ("0.0", "25.0", "3")))
    with pytest.raises(DataError, match="the folder cannot be made"):
        dataset.export(tmp_path / "dep_wor_data.csv")
