from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce import bundled
from sottovoce.conversations import Message
from sottovoce.instruments import GAD_7, INSTRUMENTS, PHQ_9
from sottovoce.leakage import MIN_ITEM_WORDS, Leak, find_leaks, without_leaks

AT = datetime(2025, 1, 1, tzinfo=UTC)


def said(*texts):
    """Give user and assistant in turn, the assistant first when a text begins with `>`."""
    return [
        Message("assistant" if text.startswith(">") else "user", text.removeprefix("> "), AT)
        for text in texts
    ]


def kinds(*texts):
    return [leak.kind for leak in find_leaks(said(*texts))]


@pytest.mark.parametrize(
    "text",
    [
        "my PHQ was 14",
        "I scored a fourteen on the PHQ-9 this time",
        "the phq 9 came out at 7 I think",
        "it said 17 out of 27",
        "got 19/27 again",
        "my depression score was 12 last month",
        "the BDI-II total was 31",
    ],
)
def test_a_spoken_score_is_found(text):
    assert "spoken_score" in kinds(text)


@pytest.mark.parametrize(
    "text",
    [
        "we won 14 to 9 and I scored twice",
        "I was up at 4 again",
        "nearly every day I walk past that bakery",
        "the little interest the bank pays is no pleasure",
        "I have trouble relaxing",
        "I was 14 out of 30 in the race",
        "not at all, it was fine",
        "she is better off without him",
    ],
)
def test_ordinary_speech_is_not_a_leak(text):
    assert kinds(text) == []


@pytest.mark.parametrize(
    "item",
    [
        item.wording
        for each in INSTRUMENTS.values()
        for item in each.items
        if len(item.wording.split()) >= MIN_ITEM_WORDS
    ],
)
def test_every_item_read_aloud_is_found_with_its_answer(item):
    dialogue = (f"> Have you been bothered by {item.lower()}?", "several days I would say")
    assert kinds(*dialogue) == ["item_wording", "item_answer"]


def test_the_opening_sentence_is_found():
    assert kinds(PHQ_9.stem) == ["item_wording"]


def test_a_bare_number_counts_only_after_a_scale_was_named():
    assert kinds("> What did the PHQ-9 say?", "14") == ["questionnaire_name", "spoken_score"]
    assert kinds("> How many eggs?", "14") == []
    assert kinds("> I read about the PHQ-9 today", "I woke at four and it was cold") == [
        "questionnaire_name"
    ]


def test_only_the_instruments_asked_for_are_looked_for():
    messages = said("> Feeling nervous, anxious or on edge?")
    assert find_leaks(messages, [GAD_7]) == [Leak("item_wording", 0)]
    assert find_leaks(messages, [PHQ_9]) == []


def test_leaking_messages_are_taken_out_and_nothing_else():
    messages = said("hello", "my PHQ was 14", "bye")
    kept = without_leaks(messages, find_leaks(messages))
    assert [message.content for message in kept] == ["hello", "bye"]


def test_the_bundled_chats_have_no_finding():
    found = [
        leak
        for split in bundled.SPLITS
        for conversation in bundled.conversations(split)
        for leak in find_leaks(conversation.messages)
    ]
    assert found == []


@given(st.lists(st.text(max_size=60), max_size=6))
def test_any_text_is_searched_and_indices_point_into_it(texts):
    messages = [Message("user", text, AT) for text in texts]
    leaks = find_leaks(messages)
    assert all(0 <= leak.message < len(messages) for leak in leaks)
    kept = without_leaks(messages, leaks)
    assert len(kept) == len(messages) - len({leak.message for leak in leaks})
