from dataclasses import replace
from datetime import timedelta

import pytest
from tests import tiny

from sottovoce.cohort import Window
from sottovoce.shortcuts.excerpts import (
    LATER,
    NOD,
    answered_otherwise,
    beginning,
    companion_alone,
    companion_as_person,
    first_message,
    later,
    mentions,
    nodding,
    person_alone,
    renamed,
    shuffled,
    with_companion_of,
    without_as_much,
    without_mentions,
)

WINDOW = tiny.window("ada", ["one", "two", "three", "four", "five", "six", "seven"], 12)


def said(window: Window, role: str = "user") -> list[str]:
    return [each.content for each in window.messages if each.role == role]


def chat(*turns: str) -> Window:
    """Give a window in which the companion begins and both speak in turn."""
    window = tiny.window("ada", turns, 12)
    messages = [each for each in window.messages if each.role == "user"]
    roles = ("assistant", "user") * len(turns)
    return replace(
        window,
        messages=tuple(
            replace(each, role=role) for each, role in zip(messages, roles, strict=False)
        ),
    )


def test_each_side_can_be_had_alone():
    assert said(person_alone(WINDOW)) == said(WINDOW)
    assert said(person_alone(WINDOW), "assistant") == []
    assert (said(companion_alone(WINDOW)), len(companion_alone(WINDOW).messages)) == ([], 7)
    assert said(companion_as_person(WINDOW)) == ["Tell me more."] * 7


def test_a_nodding_person_keeps_their_turns():
    nods = nodding(WINDOW)
    assert said(nods) == [NOD] * 7
    assert [each.timestamp for each in nods.messages] == [e.timestamp for e in WINDOW.messages]


def test_the_first_message_and_all_before_it():
    assert said(first_message(WINDOW)) == ["one"]
    talk = chat("hello", "one", "and?", "two")
    assert [each.content for each in beginning(talk).messages] == ["hello", "one"]
    assert beginning(companion_alone(WINDOW)).messages == ()


def test_an_order_keeps_what_is_said_by_whom_and_when():
    mixed = shuffled(WINDOW, 1)
    assert said(mixed) != said(WINDOW)
    assert sorted(said(mixed)) == sorted(said(WINDOW))
    assert [(e.role, e.timestamp) for e in mixed.messages] == [
        (e.role, e.timestamp) for e in WINDOW.messages
    ]
    assert shuffled(WINDOW, 1) == mixed != shuffled(WINDOW, 2)


def test_a_lent_companion_says_what_it_said_over_again():
    lender = chat("first", "x", "second", "y")
    assert said(with_companion_of(WINDOW, lender), "assistant") == [
        *("first", "second", "first", "second", "first", "second", "first")
    ]
    assert said(with_companion_of(WINDOW, lender)) == said(WINDOW)
    assert with_companion_of(WINDOW, person_alone(lender)) == person_alone(WINDOW)


@pytest.mark.parametrize(
    ("turns", "left"),
    [
        (("hi", "my PHQ-9 score was 14", "oh", "yes"), ["hi", "oh", "yes"]),
        (("What was your PHQ-9 score?", "higher than I hoped", "oh", "yes"), ["oh", "yes"]),
        (("What was your total?", "14", "oh", "yes"), ["What was your total?", "oh", "yes"]),
        (("hi", "nothing", "oh", "yes"), ["hi", "nothing", "oh", "yes"]),
    ],
)
def test_mentions_go_with_the_replies_to_them(turns, left):
    window = chat(*turns)
    cleaned = without_mentions(window)
    assert [each.content for each in cleaned.messages] == left
    assert not mentions(cleaned)
    assert mentions(window) == (len(left) < len(turns))


def test_the_control_loses_as_many_others():
    texts = [*said(WINDOW), "my PHQ-9 score was 14", "the GAD-7 said 9"]
    window = tiny.window("ada", texts, 12)
    control = without_as_much(window, 0)
    assert len(said(control)) == 7
    assert said(control)[-2:] == texts[-2:]
    assert without_as_much(WINDOW, 0) == WINDOW


def test_another_name_and_another_time_leave_the_words():
    other = renamed(WINDOW)
    assert other.user_id == other.label.user_id != WINDOW.user_id
    assert other.messages == WINDOW.messages
    moved = later(WINDOW)
    assert said(moved) == said(WINDOW)
    gaps = {a.timestamp - b.timestamp for a, b in zip(moved.messages, WINDOW.messages, strict=True)}
    assert gaps == {LATER}
    assert (moved.end - WINDOW.end, moved.label.completed_at - WINDOW.end) == (LATER, LATER)


def test_another_answer_leaves_the_words():
    other = answered_otherwise(WINDOW)
    assert (other.total, other.label.items) == (15, None)
    assert replace(other, label=None) == replace(WINDOW, label=None)
    bare = replace(WINDOW, label=None)
    assert answered_otherwise(bare) == bare


def test_what_ends_with_the_calendar_is_not_moved():
    last = replace(WINDOW, end=WINDOW.end.replace(year=9999, month=12) + timedelta(days=10))
    assert later(last) == last
