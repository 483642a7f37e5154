from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import tiny

from sottovoce.cohort import Window
from sottovoce.conversations import Message
from sottovoce.disturbances import (
    PASSAGES,
    TYPO_RATE,
    lower_case,
    newer_half,
    older_half,
    typos,
    upper_case,
    with_passages,
    without_emoji,
    without_punctuation,
)

CHANGES = (
    lambda window: typos(window, 3),
    lower_case,
    upper_case,
    without_punctuation,
    without_emoji,
    lambda window: with_passages(window, 3),
    older_half,
    newer_half,
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


def said(*texts: str) -> Window:
    return tiny.window("ada", list(texts), 12)


def own(window: Window) -> list[str]:
    return [each.content for each in window.user_messages]


@pytest.mark.parametrize("change", CHANGES)
@given(texts=st.lists(TEXTS, min_size=1, max_size=12))
def test_any_text_can_be_disturbed_and_person_time_and_label_stay(change, texts):
    window = said(*texts)
    changed = change(window)
    assert replace(changed, messages=()) == replace(window, messages=())
    assert changed == change(window)
    companion = [each for each in window.messages if each.role == "assistant"]
    assert all(each in companion for each in changed.messages if each.role == "assistant")
    times = [each.timestamp for each in changed.messages]
    assert times == sorted(times)


def test_about_one_word_in_ten_gets_one_wrong_letter():
    words = ["Sleeping"] * 2000
    (text,) = own(typos(said(" ".join(words)), seed=0))
    wrong = [each for each in text.split() if each != "Sleeping"]
    assert len(wrong) / len(words) == pytest.approx(TYPO_RATE, abs=0.03)
    for each in wrong:
        assert sum(a != b for a, b in zip(each, "Sleeping", strict=True)) == 1
        assert each[0].isupper()


def test_typing_errors_follow_the_seed_and_the_person():
    window = said("one two three four five six seven eight nine ten eleven twelve " * 5)
    assert typos(window, 1) == typos(window, 1) != typos(window, 2)
    other = replace(window, user_id="zoe")
    assert own(typos(other, 1)) != own(typos(window, 1))
    assert typos(window, 1, rate=0.0) == window


def test_case_is_changed_and_nothing_else():
    assert own(lower_case(said("I SEE, Zoe."))) == ["i see, zoe."]
    assert own(upper_case(said("I see, Zoe."))) == ["I SEE, ZOE."]


def test_punctuation_goes_and_the_words_that_it_kept_apart_stay_apart():
    assert own(without_punctuation(said("I don't know\N{EM DASH}well, (maybe)..."))) == [
        "I dont know well maybe"
    ]
    assert own(without_punctuation(said("..."))) == ["..."]  # else the message would be gone


def test_emoji_go_with_what_joins_them_and_digits_and_signs_of_trade_stay():
    text = "ok \U0001f44d\U0001f3fd \u2764\ufe0f \U0001f469\u200d\U0001f4bb \U0001f1eb\U0001f1f7"
    assert own(without_emoji(said(f"{text} 3 #1 \N{COPYRIGHT SIGN} :)")))[0].split() == [
        *("ok", "3", "#1", "\N{COPYRIGHT SIGN}", ":)")
    ]
    assert own(without_emoji(said("\U0001f600"))) == ["\U0001f600"]


def test_a_passage_follows_every_fifth_of_the_persons_messages():
    window = said(*[f"this is message {number}" for number in range(11)])
    texts = own(with_passages(window, seed=0))
    assert len(texts) == 13
    assert {texts[5], texts[11]} <= set(PASSAGES)
    assert own(with_passages(window, seed=0, passages=("x",), every=4))[4] == "x"


def test_the_halves_are_the_whole():
    for count in range(1, 6):
        window = said(*[f"message {number}" for number in range(count)])
        older, newer = older_half(window), newer_half(window)
        assert older.messages + newer.messages == window.messages
        assert len(older.user_messages) - len(newer.user_messages) in (0, 1)


def test_the_companions_words_are_left_alone():
    reply = Message("assistant", "How ARE you?", tiny.NOON)
    window = replace(said("Fine."), messages=(reply,))
    assert all(change(window).messages == (reply,) for change in CHANGES[:5])
