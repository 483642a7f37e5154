from datetime import UTC, datetime

import pytest

ITEMS = ",".join(f"phq9_{number}" for number in range(1, 10))
HEADER = f"record_id,redcap_event_name,when,{ITEMS},phq9_sum\n"
MAPPED = {"completed_at": "when", "items": "phq9_{n}"}
OPTIONS = {"instrument": "phq-9", "zone": UTC, "columns": MAPPED}


def test_rows_of_other_forms_are_left_out_and_a_blank_is_missing(reading):
    text = (
        HEADER
        + "7,base,2025-05-27 15:00,1,1,1,1,1,1,1,,,7\n"
        + "7,repeat,,,,,,,,,,,0\n"
        + "8,base,2025-05-28,Nearly every day,0,0,0,0,0,0,0,several  days,\n"
    )
    seven, eight = reading(
        text, "redcap", **{**OPTIONS, "columns": {**MAPPED, "total": "phq9_sum"}}
    )
    assert (seven.user_id, seven.total) == ("7", 9.0)
    assert seven.completed_at == datetime(2025, 5, 27, 15, tzinfo=UTC)
    assert seven.items == (1, 1, 1, 1, 1, 1, 1, None, None)
    assert (eight.total, eight.completed_at) == (4, datetime(2025, 5, 28, tzinfo=UTC))
    assert reading.tally.left_out == {"rows without an answer to the questionnaire": 1}
    assert reading.tally.assumed == {
        "totals scored by the rule for missing items, not taken over": 1,
        "dates without an hour, read as the first moment of the day": 1,
    }


def test_too_many_missing_items_leave_no_total(reading):
    (found,) = reading(HEADER + "7,b,2025-05-27 15:00,3,,,,0,0,0,0,0,3\n", "redcap", **OPTIONS)
    assert found.total is None


def test_items_can_be_mapped_one_by_one(reading):
    columns = {"completed_at": "d", "user_id": "who"} | {
        f"item{number}": f"q{number}" for number in range(1, 8)
    }
    text = "who,d,q1,q2,q3,q4,q5,q6,q7\nx,2025-05-27T15:00Z,0,1,2,3,0,1,2.0\n"
    (found,) = reading(text, "redcap", instrument="gad-7", columns=columns)
    assert (found.user_id, found.items) == ("x", (0, 1, 2, 3, 0, 1, 2))


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("7,b,2025-05-27 15:00,4,0,0,0,0,0,0,0,0,", "item 1 is 4, and an item runs from 0 to 3"),
        ("7,b,2025-05-27 15:00,-99,0,0,0,0,0,0,0,0,", "item 1 is -99"),
        ("7,b,2025-05-27 15:00,1.5,0,0,0,0,0,0,0,0,", "field phq9_1: the answer is text of 3"),
        ("7,b,2025-05-27 15:00,secret,0,0,0,0,0,0,0,0,", "the answer is text of 6 characters"),
        ("7,b,,1,0,0,0,0,0,0,0,0,", "field when: the time is not ISO 8601 (empty text)"),
        (",b,2025-05-27 15:00,1,0,0,0,0,0,0,0,0,", "field record_id: it is empty text"),
        ("7,b,27/05/2025,1,0,0,0,0,0,0,0,0,", "field when: the time is not ISO 8601"),
    ],
)
def test_bad_rows_are_refused_in_one_sentence(reading, row, problem):
    sentence = reading.refusal(HEADER + row + "\n", "redcap", **OPTIONS)
    assert problem in sentence
    assert sentence.startswith("in.txt, line 2")
    assert "secret" not in sentence


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"instrument": None}, "add --instrument"),
        ({"columns": {}}, "nothing says which fields hold the answers"),
        ({"columns": {"total": "phq9_sum"}}, "nothing says which field holds the date"),
        ({"columns": {**MAPPED, "items": "phq9"}}, "has no {n}"),
        ({"columns": {"completed_at": "when", "item1": "phq9_1"}}, "does not name the 9 items"),
        ({"columns": {**MAPPED, "item10": "x"}}, "does not name the 9 items of PHQ-9"),
        ({"columns": {**MAPPED, "items": "q{n}"}}, "field q1: the file has no such column"),
        ({"zone": None}, "add --timezone"),
    ],
)
def test_a_mapping_that_does_not_fit_is_refused(reading, change, problem):
    text = HEADER + "7,b,2025-05-27 15:00,1,0,0,0,0,0,0,0,0,1\n"
    assert problem in reading.refusal(text, "redcap", **{**OPTIONS, **change})


def test_the_same_questionnaire_twice_is_refused(reading):
    text = HEADER + "7,b,2025-05-27 15:00,1,0,0,0,0,0,0,0,0,1\n" * 2
    sentence = reading.refusal(text, "redcap", **OPTIONS)
    assert "record 2 has the same user_id, instrument and completed_at as record 1" in sentence
