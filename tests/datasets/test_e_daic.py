import pytest
from tests import corpora

from sottovoce.cohort import WindowRules
from sottovoce.datasets import open_dataset
from sottovoce.datasets.daic_woz import START
from sottovoce.errors import DataError


@pytest.fixture
def folder(tmp_path):
    return corpora.e_daic(tmp_path)


def test_the_official_parts_are_kept(folder):
    trial = open_dataset("e-daic", folder).trial(WindowRules())
    parts = [[each.user_id for each in part] for part in (trial.training, trial.validation)]
    assert parts == [["302", "303"], ["601"]]
    assert (trial.users, trial.totals.tolist(), trial.left_out) == (["602"], [3], {})


def test_every_line_is_the_persons_and_empty_ones_are_left_out(folder):
    first, *_ = open_dataset("e-daic", folder).conversations
    assert {each.role for each in first.messages} == {"user"}
    assert [(each.timestamp - START).total_seconds() for each in first.messages] == [
        0.5,
        60.5,
        120.5,
        180.5,
        240.5,
        300.5,
    ]
    assert first.messages[0].content == f"{corpora.SAID}, yes"


def test_columns_tell_gender_and_who_led_the_interview(folder):
    dataset = open_dataset("e-daic", folder)
    assert dataset.people["302"] == {"gender": "male", "interviewer": "hidden human"}
    assert dataset.people["601"] == {"gender": "female", "interviewer": "program"}


def test_it_says_that_there_are_no_turns_of_the_interviewer(folder):
    assert any(
        "no turns of the interviewer" in each for each in open_dataset("e-daic", folder).remarks
    )


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        ("302_Transcript.csv", "Text", "Other", "line 2, field Text: the file has no such column"),
        ("302_Transcript.csv", "\n0.5,", "\nsecret,", "line 2, field Start_Time: it is text of 6"),
        ("302_Transcript.csv", "\n0.5,", "\n-1,", "line 2, field Start_Time"),
    ],
)
def test_a_transcript_of_another_form_is_refused(folder, name, old, new, problem):
    file = next(folder.rglob(name))
    corpora.write(file, file.read_text().replace(old, new))
    with pytest.raises(DataError) as caught:
        open_dataset("e-daic", folder)
    assert problem in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_folder_with_labels_alone_is_refused(folder):
    for file in list(folder.rglob("*_Transcript.csv")):
        file.unlink()
    with pytest.raises(DataError, match="the folder has no transcript"):
        open_dataset("e-daic", folder)
