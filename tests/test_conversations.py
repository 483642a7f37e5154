import json
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.conversations import (
    MAX_LINE_BYTES,
    Conversation,
    Message,
    QuestionnaireResponse,
    conversation_from,
    conversation_record,
    format_time,
    json_lines,
    parse_time,
    read_chats,
    read_json_lines,
    read_labels,
    read_numbered_chats,
    response_from,
    response_record,
    write_json_lines,
)
from sottovoce.errors import DataError

NOON = datetime(2025, 5, 27, 12, tzinfo=UTC)
NAIVE = datetime(2025, 5, 27, 12)  # noqa: DTZ001 (the case at hand)
AT = "2025-05-27T12:00:00Z"


def said(**change):
    return {"role": "user", "content": "secret words", "timestamp": AT} | change


def chat(*messages, **change):
    return {"user_id": "u", "conversation_id": "c", "messages": list(messages)} | change


def label(**change):
    return {
        "user_id": "secret",
        "instrument": "phq-9",
        "completed_at": AT,
        "total": 9,
        "items": [1] * 9,
    } | change


def test_a_chat_line_becomes_a_conversation_and_back():
    record = chat(said(), said(role="assistant"))
    conversation = conversation_from(record)
    assert conversation == Conversation(
        "u",
        "c",
        (Message("user", "secret words", NOON), Message("assistant", "secret words", NOON)),
    )
    assert conversation_record(conversation) == record


def test_other_fields_are_passed_over():
    assert conversation_from(chat(said(mood="x"), extra=1)) == conversation_from(chat(said()))


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        ("secret", "this is text of 6 characters"),
        (chat(messages=None), "field messages: it is nothing"),
        (chat("secret"), "field messages[1]: this is text of 6"),
        (chat(said(), said(role="secret")), "field messages[2].role: the role is text of 6"),
        (chat(said(role=["user"])), "field messages[1].role: the role is a list of 1"),
        (chat(said(content=None)), "field messages[1].content: it is nothing"),
        (chat(said(content="secret\udfff")), "content: character 7 is a lone surrogate"),
        (chat(said(timestamp="2025-05-27T12:00:00")), "timestamp: the time has no time zone"),
        (chat(said(timestamp=1.5e9)), "timestamp: the time is a number"),
        (chat(said(timestamp="secret")), "timestamp: the time is not ISO 8601 (text of 6"),
        (chat(said(timestamp="0001-01-01T00:00:00+09:00")), "the time is outside the calendar"),
        (chat(said(), user_id=""), "field user_id: it is empty text"),
        (chat(said(), user_id=7), "field user_id: it is a number"),
        (chat(said(), user_id="\ud800"), "field user_id: character 1 is a lone surrogate"),
        (chat(said(), conversation_id=" "), "field conversation_id: it is text of 1"),
        (chat(said(), conversation_id="\ud800"), "field conversation_id: character 1"),
    ],
)
def test_bad_chat_lines_are_refused_without_being_shown(record, problem):
    with pytest.raises(DataError) as caught:
        conversation_from(record)
    assert problem in str(caught.value)
    assert "secret" not in str(caught.value)


def test_a_label_line_becomes_a_response_and_back():
    response = response_from(label())
    assert response == QuestionnaireResponse("secret", "phq-9", NOON, 9, (1,) * 9)
    assert response_record(response) == label()
    assert response_record(response_from(label(items=None))) == label(items=None)


def test_items_without_a_total_are_scored_and_a_blank_is_not_zero():
    assert response_from(label(total=None)).total == 9
    assert response_from(label(total=None, items=[1] * 8 + [None])).total == 9.0
    assert response_from(label(total=None, items=[1] * 6 + [None] * 3)).total is None


def test_the_instrument_may_be_written_by_an_alias():
    assert response_from(label(instrument="PHQ9")).instrument == "phq-9"


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (None, "this is nothing"),
        (label(total=28, items=None), "the total is 28, and PHQ-9 runs from 0 to 27"),
        (label(total=-1, items=None), "the total is -1"),
        (label(total=10**400, items=None), "the total is far outside"),
        (label(total=float("nan"), items=None), "PHQ-9 runs from 0 to 27"),
        (label(total="secret"), "field total: it is text of 6"),
        (label(total=True), "field total: it is true or false"),
        (label(total=10), "the total is 10 and the items add up to 9"),
        (label(total=None, items=None), "there is neither a total nor items"),
        (label(items="secret"), "field items: it is text of 6"),
        (label(items=[1] * 8), "there are 8 items, and PHQ-9 has 9"),
        (label(items=[4] + [0] * 8), "item 1 is 4"),
        (label(items=[1.0] + [0] * 8), "an item is a number"),
        (label(items=[True] + [0] * 8), "an item is true or false"),
        (label(instrument="secret"), "field instrument: the instrument is not one"),
        (label(instrument=None), "field instrument: it is nothing"),
        (label(user_id=None), "field user_id: it is nothing"),
        (label(user_id="\ud800"), "field user_id: character 1 is a lone surrogate"),
        (label(completed_at="2025-05-27"), "field completed_at: the time has no time zone"),
    ],
)
def test_bad_label_lines_are_refused_without_being_shown(record, problem):
    with pytest.raises(DataError) as caught:
        response_from(record)
    assert problem in str(caught.value)
    assert "secret" not in str(caught.value)


def test_records_made_in_code_need_a_time_zone_too():
    with pytest.raises(DataError, match="field timestamp: the timestamp has no time zone"):
        Message("user", "x", NAIVE)
    with pytest.raises(DataError, match="field completed_at"):
        QuestionnaireResponse("u", "phq-9", NAIVE, 3)


@given(
    st.datetimes(
        NAIVE - timedelta(days=9999),
        timezones=st.integers(-14, 14).map(lambda hours: timezone(timedelta(hours=hours))),
    )
)
def test_times_come_back_from_their_text(moment):
    try:
        expected = moment.astimezone(UTC)
    except OverflowError:
        return
    found = parse_time(format_time(moment), field="t")
    assert found == expected
    assert found.tzinfo is UTC


@pytest.fixture
def path(tmp_path):
    return tmp_path / "in.jsonl"


def test_lines_are_numbered_and_blank_ones_passed_over(path):
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\n  \n{"a": 2}')
    assert list(read_json_lines(path)) == [(1, {"a": 1}), (4, {"a": 2})]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "in.jsonl: the file is empty"),
        (b"\n\n", "in.jsonl: the file is empty"),
        (b'{"a": 1}\n{"a": "secr', "line 2: the JSON ends too early"),
        (b'{"a": 1, ', "line 1: the JSON ends too early"),
        (b'{"a": secret}', "line 1: not JSON at character 7"),
        (b"secret", "line 1: not JSON at character 1"),
        (b'{"a": NaN}', "line 1: NaN is not a number"),
        (b'{"a": Infinity}', "line 1: Infinity is not a number"),
        (b'{"a": ' + b"9" * 5000 + b"}", "line 1: a number has too many digits"),
        (b"[" * 100_000, "line 1: the JSON is nested too deeply"),
        (b'{"a": "\x00"}', "line 1: the file is binary"),
        (b"\x89PNG\r\n\x1a\n\x00", "line 1: byte 1 is not UTF-8"),
        (b'{"a": "\xc3("}', "line 1: byte 8 is not UTF-8"),
    ],
)
def test_files_that_are_not_json_lines_are_refused(path, content, problem):
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(read_json_lines(path))
    assert problem in str(caught.value)
    assert "secr" not in str(caught.value).replace(str(path), "")


def test_a_line_too_long_is_refused_before_it_is_held(path):
    path.write_bytes(b"x" * (MAX_LINE_BYTES + 1))
    with pytest.raises(DataError, match="line 1: the line is longer than 32 MiB"):
        list(read_json_lines(path))


def test_missing_files_and_folders_are_refused(tmp_path):
    with pytest.raises(DataError, match=r"cannot be read \(No such file"):
        list(read_chats(tmp_path / "none.jsonl"))
    with pytest.raises(DataError, match="this is a folder"):
        list(read_labels(tmp_path))


def test_errors_name_file_line_and_field(path):
    path.write_text(f"{json.dumps(chat(said()))}\n{json.dumps(chat(said(role='x')))}\n", "utf-8")
    with pytest.raises(DataError, match=r"in.jsonl, line 2, field messages\[1\].role: "):
        list(read_chats(path))
    path.write_text(json.dumps(label(total=30)), "utf-8")
    with pytest.raises(DataError, match=r"in.jsonl, line 1, field total: "):
        list(read_labels(path))


def test_chats_are_read_one_at_a_time(path):
    write_json_lines(path, [chat(said()), chat(said(), conversation_id="d")])
    with path.open("a", encoding="utf-8") as stream:
        stream.write("broken")
    chats = read_numbered_chats(path)
    assert [next(chats)[0], next(chats)[1].conversation_id] == [1, "d"]
    with pytest.raises(DataError, match="line 3"):
        next(chats)


def test_writing_counts_and_keeps_text_readable(path):
    assert write_json_lines(path, [{"a": "é"}, {"a": 1}]) == 2
    assert path.read_text(encoding="utf-8") == '{"a": "é"}\n{"a": 1}\n'


def test_a_failure_while_writing_keeps_the_old_file_and_nothing_else(path):
    path.write_text("old", encoding="utf-8")

    def records():
        yield {"a": 1}
        raise DataError("wrong")

    with pytest.raises(DataError, match="wrong"):
        write_json_lines(path, records())
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json_lines(path, [{"a": float("nan")}])
    assert path.read_text(encoding="utf-8") == "old"
    assert [each.name for each in path.parent.iterdir()] == ["in.jsonl"]


def test_a_place_that_cannot_be_written_is_told_in_one_sentence(tmp_path, path):
    with pytest.raises(DataError, match=r"cannot be written \(No such file"):
        write_json_lines(tmp_path / "none" / "x.jsonl", [])
    path.write_text("x", encoding="utf-8")
    with pytest.raises(DataError, match=r"cannot be written \(Not a directory"):
        write_json_lines(path / "x.jsonl", [])


def test_what_goes_wrong_between_two_lines_is_not_laid_on_the_file(tmp_path):
    path = tmp_path / "lines.jsonl"
    path.write_text("mine")

    def broken_off():
        with json_lines(path) as write:
            write({"a": 1})
            raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        broken_off()
    assert path.read_text() == "mine"
    assert [each.name for each in tmp_path.iterdir()] == ["lines.jsonl"]
    with json_lines(path) as write:
        write({"a": 1})
        assert path.read_text() == "mine"
    assert path.read_text() == '{"a": 1}\n'
