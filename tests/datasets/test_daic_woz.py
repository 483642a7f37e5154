import pytest
from tests import corpora

from sottovoce.cohort import WindowRules
from sottovoce.datasets import open_dataset
from sottovoce.datasets.daic_woz import NO_TEST
from sottovoce.errors import DataError
from sottovoce.instruments import PHQ_8

RULES = WindowRules()


@pytest.fixture
def folder(tmp_path):
    return corpora.daic_woz(tmp_path)


def users(windows):
    return sorted(each.user_id for each in windows)


def test_the_official_parts_are_kept(folder):
    dataset = open_dataset("daic-woz", folder)
    trial = dataset.trial(RULES)
    assert dataset.instrument is PHQ_8
    assert users(trial.training) == ["303", "304", "318", "373"]
    assert users(trial.validation) == ["302", "458"]
    assert users(trial.test) == ["300", "409"]
    assert {each.user_id: each.total for each in trial.test} == {"300": 2, "409": 10}


def test_what_is_left_out_is_counted_with_its_reason(folder):
    dataset = open_dataset("daic-woz", folder)
    assert dataset.trial(RULES).left_out == {
        "sessions that the corpus excludes": 1,
        "turns while a session was interrupted": 2,
        "test: no conversations of this person": 1,
    }


def test_an_interrupted_session_loses_the_turns_of_that_time(folder):
    chats = {each.user_id: each for each in open_dataset("daic-woz", folder).conversations}
    assert "342" not in chats
    assert len(chats["303"].messages) == 12
    said = [each.content[-1] for each in chats["373"].messages if each.role == "user"]
    assert said == ["2", "3", "4", "5", "7"]


def test_the_interviewer_stands_apart(folder):
    chats = {each.user_id: each for each in open_dataset("daic-woz", folder).conversations}
    assert {each.content for each in chats["303"].messages if each.role == "assistant"} == {
        "and how was it then"
    }
    assert {each.role for each in chats["458"].messages} == {"user"}


def test_remarks_say_which_kinds_of_broken_sessions_are_here_and_name_none(folder):
    remarks = open_dataset("daic-woz", folder).remarks
    said = " ".join(remarks)
    assert "Sessions that lack the interviewer's turns" in said
    assert "Sessions that have times out of step" in said
    assert "Sessions that have a wrong binary label" in said
    assert "Sessions that were interrupted" in said
    assert not {"303", "373", "409", "458"} & set(said.split())


def test_without_labels_of_the_test_part_the_development_people_are_tested(tmp_path):
    dataset = open_dataset("daic-woz", corpora.daic_woz(tmp_path, test=False))
    trial = dataset.trial(RULES)
    assert (users(trial.test), trial.validation) == (["302", "458"], ())
    assert NO_TEST in dataset.remarks


def test_gender_stays_as_it_is_coded(folder):
    people = open_dataset("daic-woz", folder).people
    assert (people["303"]["gender"], people["304"]["gender"]) == ("coded 1", "coded 0")


def test_a_folder_without_a_split_file_is_refused(folder):
    (folder / "dev_split_Depression_AVEC2017.csv").unlink()
    with pytest.raises(DataError, match=r"the folder has no dev_split_Depression_AVEC2017\.csv"):
        open_dataset("daic-woz", folder)


def test_a_split_file_that_stands_twice_is_refused(folder):
    file = folder / "full_test_split.csv"
    for place in ("one", "other"):
        corpora.write(folder / place / file.name.upper(), file.read_text())
    file.unlink()
    with pytest.raises(DataError, match=r"the folder has 2 files called full_test_split\.csv"):
        open_dataset("daic-woz", folder)


def test_a_split_file_without_labels_is_refused(folder):
    corpora.write(folder / "full_test_split.csv", "participant_ID,Gender\n300,1\n")
    with pytest.raises(DataError, match="the file has no such column; give a split file with lab"):
        open_dataset("daic-woz", folder)
