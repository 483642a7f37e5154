import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.check import check
from sottovoce.cohort import WindowRules, build_cohort
from sottovoce.conversations import (
    MAX_LINE_BYTES,
    Conversation,
    Message,
    QuestionnaireResponse,
    conversation_record,
    read_chats,
    read_labels,
    response_record,
    write_json_lines,
)
from sottovoce.errors import DataError
from sottovoce.findings import CATALOGUE, MAX_GROUPS, MAX_LINES
from sottovoce.instruments import PHQ_9
from sottovoce.leakage import LeakKind

NOON = datetime(2025, 5, 27, 12, tzinfo=UTC)
NOW = datetime(2025, 7, 1, tzinfo=UTC)
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
WORDS = "the baker came late and we waited by the door"


def talk(user="u", thread="c", start=NOON, *, count=6, role="user", said=WORDS, step=MINUTE):
    messages = (Message(role, said, start + index * step) for index in range(count))
    return Conversation(user, thread, tuple(messages))


def label(user="u", at=NOON + DAY, total=7.0, items=None):
    return QuestionnaireResponse(user, "phq-9", at, total, items)


@pytest.fixture
def look(tmp_path):
    """Give ``look(chats, labels)``: records are written to files; text and bytes as they are."""

    def write(name, content):
        path = tmp_path / name
        if isinstance(content, bytes | str):
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        else:
            as_record = conversation_record if name == "chats.jsonl" else response_record
            write_json_lines(path, map(as_record, content))
        return path

    def invoke(chats, labels=None, **options):
        chats = write("chats.jsonl", chats)
        labels = None if labels is None else write("labels.jsonl", labels)
        return check(chats, labels, **{"now": NOW, **options})

    return invoke


def codes(found):
    return {each.code: each.count for each in found.findings}


def test_good_files_are_counted_and_have_no_findings(look):
    reply = talk(thread="d", start=NOON + 30 * MINUTE, role="assistant", count=2)
    mixed = Conversation("u", "c", talk().messages + reply.messages)
    found = look([mixed], [label()])
    assert found.findings == ()
    assert found.chats == {
        "people": 1,
        "conversations": 1,
        "user_messages": 6,
        "assistant_messages": 2,
        "user_words": 60,
        "assistant_words": 20,
        "first": "2025-05-27T12:00:00Z",
        "last": "2025-05-27T12:31:00Z",
        "longest_silence_days": 0.0,
        "unreadable_lines": 0,
    }
    assert found.labels == {
        "people": 1,
        "labels": 1,
        "by_instrument": {"phq-9": 1},
        "usable_windows": 1,
        "first": "2025-05-28T12:00:00Z",
        "last": "2025-05-28T12:00:00Z",
        "unreadable_lines": 0,
    }


SECOND = talk(thread="d", start=NOON + DAY, said="another day and another queue at the post office")

CASES = {
    "duplicate-conversation-id": [talk(), talk(start=NOON + DAY)],
    "same-chat-two-people": [talk(), talk("v", "d")],
    "out-of-order": [talk(step=-MINUTE)],
    "future-message": [talk(start=NOW - MINUTE / 2, count=2)],
    "repeated-chat": [talk(), talk(thread="d")],
    "shared-conversation-id": [talk(), talk("v", start=NOON + DAY)],
    "no-messages": [talk(), Conversation("u", "d", ())],
    "no-user-messages": [talk(role="assistant")],
    "empty-content": [talk(said=" \n")],
    "tied-times": [talk(step=timedelta(0))],
    "overlap": [talk(), talk(thread="d", start=NOON + 2 * MINUTE, said="yes")],
    "gap-in-chat": [talk(step=2 * DAY)],
    "gap-between-chats": [talk(), talk(thread="d", start=NOON + 20 * DAY)],
    "leak-questionnaire_name": [talk(said="they gave me the PHQ-9 there")],
    "leak-spoken_score": [talk(said="my PHQ was 14")],
    "leak-item_wording": [talk(said="Little interest or pleasure in doing things?")],
    "leak-item_answer": [
        Conversation(
            "u",
            "c",
            (
                Message("assistant", "Little interest or pleasure in doing things?", NOON),
                Message("user", "nearly every day", NOON + MINUTE),
            ),
        )
    ],
}


@pytest.mark.parametrize("code", CASES)
def test_what_is_wrong_with_chats_is_found(look, code):
    found = look(CASES[code])
    (finding,) = (each for each in found.findings if each.code == code)
    assert finding.severity == CATALOGUE[code][0]
    assert finding.path.endswith("chats.jsonl")
    assert finding.lines[0] == len(CASES[code])
    assert found.total("error") == sum(CATALOGUE[each][0] == "error" for each in codes(found))


LABEL_CASES = {
    "duplicate-label": ([talk()], [label(), label()]),
    "future-label": ([talk()], [label(at=NOW + DAY)]),
    "label-without-total": ([talk()], [label(total=None, items=(1,) * 6 + (None,) * 3)]),
    "label-without-chats": ([talk()], [label(), label("v")]),
    "chats-without-label": ([talk(), talk("v", "d", NOON + DAY)], [label()]),
    "label-before-chats": ([talk()], [label(at=NOON)]),
    "too-little-chat": ([talk(count=4)], [label()]),
}


@pytest.mark.parametrize("code", LABEL_CASES)
def test_what_is_wrong_with_labels_is_found(look, code):
    chats, labels = LABEL_CASES[code]
    found = look(chats, labels)
    assert codes(found)[code] == 1
    assert found.total("error") == (CATALOGUE[code][0] == "error")


def test_every_finding_of_the_catalogue_has_a_case():
    assert {*CASES, *LABEL_CASES} == set(CATALOGUE)


def test_every_kind_of_leak_is_in_the_catalogue():
    assert {f"leak-{kind}" for kind in LeakKind.__args__} <= set(CATALOGUE)


def test_a_window_is_open_at_its_end_and_closed_at_its_start(look):
    rules = WindowRules()
    start = NOON - timedelta(days=rules.look_back_days)
    whole = talk(start=start, count=rules.min_user_messages, step=DAY)
    assert look([whole], [label(at=NOON)]).labels["usable_windows"] == 1
    late = talk(start=start - MINUTE, count=rules.min_user_messages, step=DAY)
    assert "too-little-chat" in codes(look([late], [label(at=NOON)]))


def test_messages_that_the_guard_removes_do_not_fill_a_window(look):
    leaky = talk(said="they gave me the PHQ-9 there and it took me quite a while to finish")
    assert "too-little-chat" in codes(look([leaky], [label()]))
    kept = look([leaky], [label()], rules=WindowRules(leaks="flag"))
    assert "too-little-chat" not in codes(kept)


def test_lines_that_cannot_be_read_are_grouped_by_reason(look):
    good = json.dumps(conversation_record(talk()))
    bad = [
        good.replace("Z", ""),
        good.replace("Z", "", 3),
        good.replace('"u"', "7"),
        good[:-9],
        '{"a": NaN}',
        "[1]",
        good.replace("baker", "\\ud800"),
    ]
    found = look("\n".join([good, "", *bad]))
    assert found.chats["unreadable_lines"] == len(bad)
    assert [(each.code, each.count) for each in found.findings] == [
        ("bad-timestamp", 2),
        ("bad-user-id", 1),
        ("bad-line", 1),
        ("bad-line", 1),
        ("bad-line", 1),
        ("bad-content", 1),
    ]
    by_code = {each.code: each for each in found.findings}
    assert by_code["bad-timestamp"].lines == (3, 4)
    assert by_code["bad-timestamp"].sentence.startswith("messages[].timestamp: the time has no")
    assert found.chats["conversations"] == 1


def test_examples_are_capped_and_counts_are_not(look):
    found = look("x\n" * 50)
    (finding,) = found.findings
    assert (finding.count, len(finding.lines)) == (50, MAX_LINES)


def test_reasons_are_capped_and_counts_are_not(look):
    good = conversation_record(talk(count=1))
    lines = [
        json.dumps(record)
        for wrong in (None, True, 1, [], {})
        for record in (
            {**good, "user_id": wrong},
            {**good, "conversation_id": wrong},
            *(
                {**good, "messages": [{**good["messages"][0], name: wrong}]}
                for name in ("role", "content", "timestamp")
            ),
        )
    ]
    found = look("\n".join(lines))
    assert len(found.findings) == MAX_GROUPS + 1
    assert sum(each.count for each in found.findings) == len(lines)


def test_a_line_too_long_is_one_finding_and_reading_goes_on(look):
    good = json.dumps(conversation_record(talk()))
    found = look(b"x" * (2 * MAX_LINE_BYTES + 10) + b"\n" + good.encode())
    (finding,) = found.findings
    assert (finding.code, finding.lines) == ("bad-line", (1,))
    assert found.chats["conversations"] == 1


@pytest.mark.parametrize("content", [b"", b"\n\n", b"ab\x00"])
def test_files_with_nothing_to_look_at_are_refused(look, content):
    with pytest.raises(DataError, match=r"chats.jsonl.*(empty|binary)"):
        look(content)
    with pytest.raises(DataError, match=r"labels.jsonl.*(empty|binary)"):
        look([talk()], content)


def test_progress_is_told(look):
    told = []
    look([talk(), SECOND], advance=lambda done, total: told.append((done, total)))
    assert told == [(1, None), (2, None)]


TIMES = st.integers(0, 40 * 24 * 60).map(lambda minutes: NOON + minutes * MINUTE)
SAYINGS = st.sampled_from([WORDS, "yes", "my PHQ was 14", "I slept badly again"])


@settings(max_examples=40, deadline=None)
@given(
    chats=st.lists(
        st.builds(
            Conversation,
            st.sampled_from("abc"),
            st.uuids().map(str),
            st.lists(
                st.builds(Message, st.sampled_from(["user", "assistant"]), SAYINGS, TIMES),
                max_size=12,
            ).map(tuple),
        ),
        min_size=1,
        max_size=6,
    ),
    labels=st.lists(st.builds(label, st.sampled_from("abcd"), TIMES), min_size=1, max_size=4),
    policy=st.sampled_from(["flag", "remove"]),
)
def test_usable_windows_are_those_of_the_cohort(tmp_path_factory, chats, labels, policy):
    """No saying here is a leak only because of the message before it: the guard reads windows,
    the check conversations."""
    folder = tmp_path_factory.mktemp("check")
    write_json_lines(folder / "chats.jsonl", map(conversation_record, chats))
    write_json_lines(folder / "labels.jsonl", map(response_record, labels))
    rules = WindowRules(leaks=policy)
    found = check(folder / "chats.jsonl", folder / "labels.jsonl", rules=rules, now=NOW)
    cohort = build_cohort(
        read_chats(folder / "chats.jsonl"), read_labels(folder / "labels.jsonl"), rules, PHQ_9
    )
    assert found.labels["usable_windows"] == len(cohort.windows)
