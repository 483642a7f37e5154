import json
from datetime import UTC, datetime

import pytest

START = datetime(2025, 5, 27, 15, tzinfo=UTC)


def record(*turns, **fields):
    return {
        "id": "c1",
        "conversations": [{"from": who, "value": text} for who, text in turns],
        **fields,
    }


def test_an_array_of_conversations_is_read(reading):
    records = [
        record(("system", "s"), ("human", "hi"), ("gpt", "hello")),
        record(("human", "again"), ("function_call", "{}"), id="c2"),
    ]
    found = reading(
        json.dumps(records), "sharegpt", start=START, columns={"user_id": "conversation_id"}
    )
    assert [(each.user_id, len(each.messages)) for each in found] == [("c1", 2), ("c2", 1)]
    assert [each.role for each in found[0].messages] == ["user", "assistant"]
    assert reading.tally.left_out == {"system turns": 1, "tool turns": 1}


def test_a_conversations_own_time_is_used(reading):
    found = reading(
        [record(("human", "hi"), user_id="u", create_time=START.timestamp())], "sharegpt"
    )
    assert found[0].messages[0].timestamp == START


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (record(("human", "hi")), "nothing says whose conversation this is"),
        (record(("human", "hi"), user_id="u"), "nothing says when the conversation was"),
        (record(("secret", "hi"), user_id="u"), "field conversations[1].from: the speaker is"),
        (record(("human", 5), user_id="u"), "field conversations[1].value: it is a number"),
        ({"id": "c", "user_id": "u"}, "field conversations: it is nothing"),
        ({"id": "c", "user_id": "u", "conversations": ["secret"]}, "field conversations[1]: it"),
    ],
)
def test_bad_records_are_refused_in_one_sentence(reading, content, problem):
    sentence = reading.refusal([content], "sharegpt")
    assert problem in sentence
    assert "secret" not in sentence
