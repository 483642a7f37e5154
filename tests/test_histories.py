import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.errors import DataError
from sottovoce.histories import Histories


def line(user, number):
    at = f"2025-03-14T12:00:{number:02d}Z"
    message = {"role": "user", "content": f"ünïcode {number}", "timestamp": at}
    return {"user_id": user, "conversation_id": f"{user}-{number}", "messages": [message]}


def label(user, day):
    return {
        "user_id": user,
        "instrument": "phq-9",
        "completed_at": f"2025-03-{day:02d}T12:00:00Z",
        "total": day,
        "items": None,
    }


def write(path, records):
    path.write_text("\n".join(json.dumps(each, ensure_ascii=False) for each in records), "utf-8")
    return path


@given(st.lists(st.sampled_from("abcd"), min_size=1, max_size=20))
@settings(max_examples=40)
def test_people_come_whole_and_in_order_of_first_appearance(tmp_path_factory, users):
    path = write(
        tmp_path_factory.mktemp("chats") / "chats.jsonl",
        [line(user, number) for number, user in enumerate(users)],
    )
    with Histories(path) as people:
        seen = [(each.user_id, [c.conversation_id for c in each.conversations]) for each in people]
        assert len(people) == len(seen)
    expected = {}
    for number, user in enumerate(users):
        expected.setdefault(user, []).append(f"{user}-{number}")
    assert seen == list(expected.items())


def test_questionnaires_come_by_time_and_people_without_chats_are_not_visited(tmp_path):
    chats = write(tmp_path / "chats.jsonl", [line("ada", 1)])
    labels = write(tmp_path / "labels.jsonl", [label("ada", 9), label("ben", 3), label("ada", 4)])
    with Histories(chats, labels) as people:
        (ada,) = people
    assert [response.total for response in ada.responses] == [4, 9]


def test_a_byte_order_mark_and_blank_lines_do_no_harm(tmp_path):
    path = tmp_path / "chats.jsonl"
    text = json.dumps(line("ada", 1)) + "\n\n" + json.dumps(line("ben", 2)) + "\n"
    path.write_bytes(b"\xef\xbb\xbf" + text.encode())
    with Histories(path) as people:
        assert [each.user_id for each in people] == ["ada", "ben"]


def test_a_broken_line_further_down_is_told_before_anybody_is_visited(tmp_path):
    path = write(tmp_path / "chats.jsonl", [line("ada", 1), {"user_id": "ben"}])
    with pytest.raises(DataError, match=r"chats\.jsonl, line 2, field messages"):
        Histories(path)
