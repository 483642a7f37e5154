import gc
import itertools
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import made, recipes, tiny

from sottovoce.cohort import Window, WindowRules, newest_window, timeline
from sottovoce.conversations import (
    Conversation,
    QuestionnaireResponse,
    conversation_record,
    read_chats,
    response_record,
    write_json_lines,
)
from sottovoce.errors import DataError
from sottovoce.estimator import Estimator
from sottovoce.explanation import Explained
from sottovoce.instruments import PHQ_9
from sottovoce.stream import PEOPLE_AT_ONCE, score_file


class Reader:
    """Stands for an estimator: gives everybody 11 points and remembers what it was given."""

    def __init__(self, rules: WindowRules | None = None) -> None:
        self.rules = rules or WindowRules(min_user_messages=1, min_user_words=0)
        self.instrument = PHQ_9
        self.calls: list[int] = []
        self.alive: list[int] = []
        self.windows: list[Window] = []
        self.keep = True

    def explain(self, windows, *, coverage=None):
        self.calls.append(len(windows))
        if self.keep:
            self.windows += windows
        else:
            self.alive.append(sum(type(each) is Window for each in gc.get_objects()))
        chosen = 0.9 if coverage is None else coverage
        return [
            Explained(made.estimate(each.user_id, window_end=each.end, coverage=chosen))
            for each in windows
        ]

    def abstain(self, user_id, reason, coverage):
        return made.estimate(user_id, None, reason=reason, coverage=coverage or 0.9)


def chat(user, number, minutes):
    first = tiny.NOON + timedelta(minutes=minutes)
    said = tiny.window(user, tiny.SAYINGS[:2]).messages
    messages = tuple(
        type(each)(each.role, each.content, first + timedelta(seconds=place))
        for place, each in enumerate(said)
    )
    return Conversation(user, f"{user}-{number}", messages)


def write(folder, conversations):
    path = folder / "chats.jsonl"
    write_json_lines(path, map(conversation_record, conversations))
    return path


def write_labels(folder, moments):
    path = folder / "labels.jsonl"
    responses = [
        QuestionnaireResponse(user, key, tiny.NOON + timedelta(minutes=minutes), 7)
        for user, minutes, key in moments
    ]
    write_json_lines(path, map(response_record, responses))
    return path


@given(st.lists(st.tuples(st.sampled_from("abcde"), st.integers(0, 9999)), min_size=1, max_size=15))
@settings(max_examples=30, deadline=None)
def test_conversations_may_lie_in_any_order(tmp_path_factory, places):
    folder = tmp_path_factory.mktemp("chats")
    conversations = [chat(user, n, minutes) for n, (user, minutes) in enumerate(places)]
    reader = Reader()
    estimates = list(score_file(reader, write(folder, conversations)))
    by_user: dict[str, list[Conversation]] = {}
    for each in conversations:
        by_user.setdefault(each.user_id, []).append(each)
    assert [each.user_id for each in estimates] == list(by_user)
    assert reader.windows == [
        newest_window(user, timeline(theirs), reader.rules) for user, theirs in by_user.items()
    ]


def test_each_person_s_newest_window_is_read(tmp_path):
    long_ago = chat("ada", 1, -60 * 24 * 30)
    path = write(tmp_path, [chat("ada", 2, 0), long_ago])
    reader = Reader()
    (estimate,) = score_file(reader, path)
    (window,) = reader.windows
    assert window.messages == chat("ada", 2, 0).messages
    assert estimate.window_end == tiny.NOON + timedelta(seconds=4)


def test_at_reads_the_window_strictly_before_each_questionnaire(tmp_path):
    path = write(tmp_path, [chat("ada", 1, 0), chat("ada", 2, 60), chat("ben", 1, 0)])
    moments = [("ada", 60, "phq-9"), ("ben", 30, "phq-9"), ("ada", 30, "phq-9")]
    reader = Reader()
    labels = write_labels(tmp_path, moments)
    estimates = list(score_file(reader, path, at=labels))
    assert [each.user_id for each in estimates] == ["ada", "ada", "ben"]
    ends = [each.window_end - tiny.NOON for each in estimates]
    assert ends == [timedelta(minutes=30), timedelta(minutes=60), timedelta(minutes=30)]
    for window in reader.windows:
        assert window.messages == chat(window.user_id, 1, 0).messages
        assert window.label is None


def test_questionnaires_of_another_instrument_and_people_without_any_are_not_asked(tmp_path):
    path = write(tmp_path, [chat("ada", 1, 0), chat("ben", 1, 0)])
    labels = write_labels(tmp_path, [("ada", 30, "gad-7"), ("cy", 30, "phq-9")])
    assert list(score_file(Reader(), path, at=labels)) == []


def test_a_person_without_any_message_is_abstained_in_their_place(tmp_path):
    silent = [
        Conversation("ada", "1", ()),
        Conversation("cy", "1", ()),
        Conversation("ada", "2", ()),
    ]
    path = write(tmp_path, [silent[0], chat("ben", 1, 0), *silent[1:], chat("dee", 1, 0)])
    reader = Reader()
    found = list(score_file(reader, path, coverage=0.5))
    assert [(each.user_id, each.abstained) for each in found] == [
        ("ada", True),
        ("ben", False),
        ("cy", True),
        ("dee", False),
    ]
    assert {each.reason for each in found if each.abstained} == {
        "the person's conversations hold no message"
    }
    assert {each.coverage for each in found} == {0.5}
    assert [each.user_id for each in reader.windows] == ["ben", "dee"]


def test_before_a_questionnaire_a_person_without_any_message_has_an_empty_window(tmp_path):
    path = write(tmp_path, [Conversation("ada", "1", ()), Conversation("ben", "1", ())])
    reader = Reader()
    labels = write_labels(tmp_path, [("ada", 30, "phq-9"), ("ada", 60, "phq-9")])
    assert len(list(score_file(reader, path, at=labels))) == 2
    assert [each.reason for each in reader.windows] == [
        "0 user messages in the window, 1 are needed"
    ] * 2


def test_memory_does_not_grow_with_the_number_of_people(tmp_path):
    people = 5 * PEOPLE_AT_ONCE + 3
    path = write(tmp_path, (chat(f"p{n}", 1, 0) for n in range(people)))
    reader = Reader()
    reader.keep = False
    gc.collect()
    before = sum(type(each) is Window for each in gc.get_objects())
    assert sum(1 for _ in score_file(reader, path)) == people
    assert reader.calls == [PEOPLE_AT_ONCE] * 5 + [3]
    assert max(reader.alive) - before <= 2 * PEOPLE_AT_ONCE  # those before go as these come


def test_people_are_read_only_when_they_are_asked_for(tmp_path):
    path = write(tmp_path, (chat(f"p{n}", 1, 0) for n in range(3 * PEOPLE_AT_ONCE)))
    reader = Reader()
    visited = score_file(reader, path)
    assert reader.calls == []
    list(itertools.islice(visited, PEOPLE_AT_ONCE))
    assert reader.calls == [PEOPLE_AT_ONCE]
    visited.close()
    assert reader.calls == [PEOPLE_AT_ONCE]


def test_how_far_it_is_is_told_in_people(tmp_path):
    path = write(tmp_path, (chat(f"p{n}", 1, 0) for n in range(PEOPLE_AT_ONCE + 1)))
    steps: list[tuple[int, int | None]] = []
    list(score_file(Reader(), path, advance=lambda done, total: steps.append((done, total))))
    everybody = PEOPLE_AT_ONCE + 1
    assert steps == [(0, everybody), (PEOPLE_AT_ONCE, everybody), (everybody, everybody)]


def test_a_broken_line_further_down_stops_before_the_first_estimate(tmp_path):
    path = write(tmp_path, (chat(f"p{n}", 1, 0) for n in range(PEOPLE_AT_ONCE + 1)))
    with path.open("a") as stream:
        stream.write('{"user_id": "p0"}\n')
    reader = Reader()
    with pytest.raises(DataError, match=r"chats\.jsonl, line 34, field messages"):
        next(score_file(reader, path))
    labels = tmp_path / "labels.jsonl"
    labels.write_text("{}\n")
    good = write(tmp_path, [chat("ada", 1, 0)])
    with pytest.raises(DataError, match=r"labels\.jsonl, line 1"):
        next(score_file(reader, good, at=labels))
    assert reader.calls == []


def test_the_coverage_asked_for_reaches_the_estimator(tmp_path):
    path = write(tmp_path, [chat("ada", 1, 0)])
    assert [each.coverage for each in score_file(Reader(), path, coverage=0.5)] == [0.5]


def test_a_file_is_scored_as_its_windows_are(tiny_run):
    estimator = Estimator.from_pretrained(tiny_run)
    chats = tiny_run.parent / "chats.jsonl"
    windows = [
        newest_window(each.user_id, timeline([each]), estimator.rules) for each in read_chats(chats)
    ]
    assert len(windows) == recipes.PEOPLE
    assert list(score_file(estimator, chats)) == estimator.score(windows)
