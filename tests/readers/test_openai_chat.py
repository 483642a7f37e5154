from datetime import UTC, datetime, timedelta

import pytest

START = datetime(2025, 5, 27, 15, tzinfo=UTC)


def chat(*messages, **fields):
    return {
        "id": "c1",
        "user": "u1",
        "created": 1_748_358_000,
        "messages": list(messages),
        **fields,
    }


def said(content="hello", role="user", **fields):
    return {"role": role, "content": content, **fields}


def test_untimed_messages_follow_the_conversations_time_one_second_apart(reading):
    (found,) = reading([chat(said("a"), said("b", "assistant"))], "openai-chat")
    assert (found.user_id, found.conversation_id) == ("u1", "c1")
    assert [each.timestamp for each in found.messages] == [START, START + timedelta(seconds=1)]
    assert sum(reading.tally.assumed.values()) == 2


def test_what_is_neither_person_nor_companion_is_left_out_and_counted(reading):
    parts = [
        {"type": "text", "text": "look"},
        {"type": "image_url", "image_url": {"url": "x"}},
        {"type": "input_text", "text": "here"},
    ]
    record = chat(
        said("be kind", "system"),
        said("be short", "developer"),
        said(parts),
        said(None, "assistant", tool_calls=[{}]),
        {"role": "assistant", "tool_calls": [{}]},
        said("42", "tool"),
        said("  \n"),
    )
    (found,) = reading([record], "openai-chat")
    assert [each.content for each in found.messages] == ["look\nhere"]
    assert reading.tally.left_out == {
        "system turns": 2,
        "content parts that are not text": 1,
        "empty turns": 3,
        "tool turns": 1,
    }


def test_a_conversation_without_a_turn_left_is_left_out(reading):
    found = reading([chat(said("x", "system")), chat(said(), id="c2")], "openai-chat")
    assert [each.conversation_id for each in found] == ["c2"]
    assert reading.tally.left_out["conversations without a turn left"] == 1


def test_conversations_without_ids_need_the_word_that_each_is_another_persons(reading):
    records = [{"messages": [said()]}, {"messages": [said()]}]
    assert "--column user_id=conversation_id" in reading.refusal(
        records, "openai-chat", start=START
    )
    found = reading(records, "openai-chat", start=START, columns={"user_id": "conversation_id"})
    assert [(each.user_id, each.conversation_id) for each in found] == [
        ("conversation-1", "conversation-1"),
        ("conversation-2", "conversation-2"),
    ]


def test_mapped_fields_are_looked_for_under_that_name_only(reading):
    record = chat(said(sent=1_748_358_000), who=17, thread="t", began="2025-05-27T15:00:00Z")
    columns = {"user_id": "who", "conversation_id": "thread", "timestamp": "sent"}
    (found,) = reading([record], "openai-chat", columns=columns)
    assert (found.user_id, found.conversation_id) == ("17", "t")
    assert found.messages[0].timestamp == START
    assert "field thread: it is missing" in reading.refusal(
        [chat(said())], "openai-chat", columns=columns
    )
    (found,) = reading([chat(said())], "openai-chat", columns={"started_at": "created"})
    assert found.messages[0].timestamp == START


def test_speakers_can_be_named_or_skipped(reading):
    record = chat(said("a", "Narrator"), said("b", "Coach"), said("c", "Chorus"))
    assert "--role SPEAKER=user" in reading.refusal([record], "openai-chat")
    (found,) = reading(
        [record], "openai-chat", roles={"narrator": "user", "coach": "assistant", "*": "skip"}
    )
    assert [each.role for each in found.messages] == ["user", "assistant"]
    assert reading.tally.left_out == {"turns of speakers to skip": 1}


@pytest.mark.parametrize(
    ("record", "problem"),
    [
        (["secret"], "line 1: this is a list of 1"),
        (chat(said(), messages="secret"), "field messages: it is text of 6 characters"),
        (chat("secret"), "field messages[1]: it is text of 6 characters"),
        (chat(said(), said(role="secret")), "field messages[2].role: the speaker is text of 6"),
        (chat(said(role=None)), "field messages[1].role: the speaker is nothing"),
        (chat({"role": "user"}), "field messages[1].content: it is missing"),
        (chat(said(12)), "field messages[1].content: it is a number"),
        (chat(said(["secret"])), "field messages[1].content: a part is text of 6"),
        (chat(said([{"type": "text", "text": 1}])), "the text of a part is a number"),
        (chat(said("\ud800secret")), "content: character 1 is a lone surrogate"),
        (chat(said(), user="\ud800"), "field user: character 1 is a lone surrogate"),
        (chat(said(), user={"name": "secret"}), "field user: it is an object"),
        (chat(said(), user=" "), "field user: it is text of 1 characters"),
        (chat(said(), created="2025-05-27T15:00:00"), "created: the time has no time zone"),
        (chat(said(), created=None), "nothing says when the conversation was; add --start"),
        (chat(said(timestamp=1_748_358_000), said()), "1 of 2 turns have no time"),
        (chat(said("x", "system")), "nothing is left to write (1 system turns"),
    ],
)
def test_bad_records_are_refused_in_one_sentence(reading, record, problem):
    sentence = reading.refusal([record], "openai-chat")
    assert problem in sentence
    assert sentence.startswith("in.txt")
    assert "secret" not in sentence


def test_two_conversations_with_the_same_ids_are_refused(reading):
    sentence = reading.refusal([chat(said()), chat(said("b"))], "openai-chat")
    assert "record 2 has the same user_id and conversation_id as record 1" in sentence
