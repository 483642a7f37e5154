from datetime import UTC, datetime, timedelta

import pytest

from sottovoce.errors import DataError
from sottovoce.readers import ReadOptions, Tally, read
from sottovoce.readers.daic_woz import ITEM_COLUMNS

START = datetime(2025, 5, 27, 15, tzinfo=UTC)
HEADER = "start_time\tstop_time\tspeaker\tvalue\n"
LABELS = "Participant_ID,PHQ8_Binary,PHQ8_Score,Gender," + ",".join(ITEM_COLUMNS) + "\n"


def interview(tmp_path, text, name="300_TRANSCRIPT.csv", start=START):
    path = tmp_path / name
    path.write_text(text, encoding="utf-8")
    tally = Tally()
    return list(read(path, "daic-woz", ReadOptions(start=start), tally)), tally


def refusal(*arguments, **options):
    with pytest.raises(DataError) as caught:
        interview(*arguments, **options)
    return str(caught.value)


def test_an_interview_is_a_conversation_of_its_participant(tmp_path):
    text = (
        HEADER
        + "0.0\t1.0\tParticipant\t<synch>\n"
        + "1.5\t2.0\tEllie\thello_prompt (what brings you here)\n"
        + '2.25\t3.0\tParticipant\tI said "no <laughter>\n'
        + "3.0\t3.5\tParticipant\t\n"
    )
    (found,), tally = interview(tmp_path, text)
    assert (found.user_id, found.conversation_id) == ("300", "300")
    assert [(each.role, each.content) for each in found.messages] == [
        ("assistant", "what brings you here"),
        ("user", 'I said "no <laughter>'),
    ]
    assert [each.timestamp - START for each in found.messages] == [
        timedelta(seconds=1.5),
        timedelta(seconds=2.25),
    ]
    assert tally.left_out == {"markers of the recording": 1, "empty turns": 1}
    assert sum(tally.assumed.values()) == 1


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "the file is empty"),
        (HEADER, "nothing is left to write"),
        ("secret\n1\n", "field start_time: the file has no such column"),
        (HEADER + "secret\t2\tEllie\tx\n", "line 2, field start_time: it is text of 6"),
        (HEADER + "-1\t2\tEllie\tx\n", "line 2, field start_time"),
        (HEADER + "nan\t2\tEllie\tx\n", "line 2, field start_time"),
        (HEADER + "1e9\t2\tEllie\tx\n", "line 2, field start_time"),
        (HEADER + "1\t2\tsecret\tx\n", "line 2, field speaker: the speaker is"),
        (HEADER + "1\t2\tEllie\n", "line 2: the row has 3 cells and the header 4"),
    ],
)
def test_bad_transcripts_are_refused_in_one_sentence(tmp_path, text, problem):
    sentence = refusal(tmp_path, text)
    assert problem in sentence
    assert "secret" not in sentence


def test_the_session_must_be_dated_and_the_file_named(tmp_path):
    text = HEADER + "1\t2\tEllie\tx\n"
    assert "the corpus has no dates; add --start" in refusal(tmp_path, text, start=None)
    assert "whose interview" in refusal(tmp_path, text, name="talk.csv")
    (tmp_path / "300_TRANSCRIPT.csv").unlink()
    with pytest.raises(DataError, match="the folder has no transcript"):
        list(read(tmp_path, "daic-woz", ReadOptions(start=START)))


def test_missing_items_are_scored_by_the_rule_and_never_as_zero(reading):
    text = LABELS + "300,1,16,1,2,2,2,2,2,2,2,2\n301,1,14,1,2,2,,2,2,2,2,2\n302,0,3,1,,,,,,,,\n"
    whole, missing = reading(text, "daic-woz-labels", start=START)
    assert (whole.total, whole.instrument, whole.completed_at) == (16, "phq-8", START)
    assert missing.total == 16.0
    assert missing.items == (2, 2, None, 2, 2, 2, 2, 2)
    assert sum(reading.tally.assumed.values()) == 1
    assert reading.tally.left_out == {"questionnaires without any answer": 1}


def test_the_full_test_split_has_totals_only(reading):
    (found,) = reading(
        "Participant_ID,PHQ_Binary,PHQ_Score,Gender\n300,0,2,1\n", "daic-woz-labels", start=START
    )
    assert (found.total, found.items) == (2, None)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("participant_ID,Gender\n300,1\n", "field PHQ8_Score: the file has no such column"),
        ("PHQ8_Score\n3\n", "field Participant_ID: the file has no such column"),
        ("Participant_ID,PHQ8_Score\n300,25\n", "the total is 25, and PHQ-8 runs from 0 to 24"),
        ("Participant_ID,PHQ8_Score\n300,secret\n", "field PHQ8_Score: the total is text of 6"),
        ("Participant_ID,PHQ8_Score\n300,nan\n", "field PHQ8_Score: the total is text of 3"),
        (LABELS + "300,1,16,1,2,2,9,2,2,2,2,2\n", "item 3 is 9, and an item runs from 0 to 3"),
        (LABELS + "300,1,16,1,2,2,1,2,2,2,2,2\n", "the total is 16 and the items add up to 15"),
        (LABELS + "300,1,16,1,2,2,x,2,2,2,2,2\n", "field PHQ8_Sleep: the answer is text of 1"),
    ],
)
def test_bad_labels_are_refused_in_one_sentence(reading, text, problem):
    sentence = reading.refusal(text, "daic-woz-labels", start=START)
    assert problem in sentence
    assert "secret" not in sentence
    assert "add --start" in reading.refusal(text, "daic-woz-labels")
