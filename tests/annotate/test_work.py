import pytest
from tests import annotating

from sottovoce import bundled
from sottovoce.annotate.work import NOT_THERE, TOO_LITTLE, cut_windows, read_people, requests_of
from sottovoce.cohort import WindowRules
from sottovoce.conversations import Conversation, conversation_record, write_json_lines
from sottovoce.errors import DataError
from sottovoce.histories import Histories
from sottovoce.stream import newest_window, timeline


def test_windows_are_those_that_score_reads():
    users = sorted(bundled.users("test"))[:5]
    windows, left_out = cut_windows(bundled.CHATS, WindowRules(), users)
    with Histories(bundled.CHATS) as people:
        expected = [
            newest_window(each.user_id, timeline(each.conversations), WindowRules())
            for each in people
            if each.user_id in users
        ]
    assert windows == expected
    assert left_out == {}


def test_whoever_is_left_out_is_counted_with_the_reason(tmp_path):
    path = tmp_path / "chats.jsonl"
    full = annotating.conversation("ana")
    rows = [full, Conversation("ben", "b", full.messages[:2]), Conversation("cleo", "c", ())]
    write_json_lines(path, map(conversation_record, rows))
    windows, left_out = cut_windows(path, WindowRules())
    assert [each.user_id for each in windows] == ["ana"]
    assert left_out == {TOO_LITTLE: 1, "no message": 1}
    windows, left_out = cut_windows(path, WindowRules(), {"ana", "dora"})
    assert [each.user_id for each in windows] == ["ana"]
    assert left_out == {NOT_THERE: 1}


def test_the_same_words_of_two_people_are_asked_about_once():
    twins = annotating.tasks("ana")[0], annotating.tasks("ana")[0]
    assert len(requests_of(twins)) == 1
    keys = [each.key for each in requests_of(annotating.tasks("ana", "ben", samples=2))]
    assert len(set(keys)) == 4


def test_a_list_of_people_is_read_whatever_else_its_lines_hold(tmp_path):
    path = tmp_path / "chosen.jsonl"
    path.write_text('{"user_id": "ana"}\n{"user_id": "ben", "band": "mild"}\n')
    assert read_people(path) == {"ana", "ben"}


@pytest.mark.parametrize("line", ['"ana"', "{}", '{"user_id": 3}', '{"user_id": ""}'])
def test_a_line_without_a_person_is_refused(tmp_path, line):
    path = tmp_path / "chosen.jsonl"
    path.write_text(line)
    with pytest.raises(DataError, match=r"line 1, field user_id"):
        read_people(path)
