from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.cohort import (
    WindowRules,
    assign_folds,
    build_cohort,
    newest_window,
    real_folds,
    split_people,
    timeline,
    window_before,
)
from sottovoce.conversations import Conversation, Message, QuestionnaireResponse
from sottovoce.errors import DataError
from sottovoce.instruments import PHQ_9

NOON = datetime(2025, 3, 14, 12, tzinfo=UTC)
EASY = WindowRules(min_user_messages=1, min_user_words=0)


def said(hours: float, text: str = "ten words are what it takes to say a thing", role="user"):
    return Message(role, text, NOON + timedelta(hours=hours))


def response(user="ada", total: float | None = 9.0, at=NOON, instrument="phq-9"):
    return QuestionnaireResponse(user, instrument, at, total)


def test_a_window_ends_strictly_before_the_questionnaire():
    messages = [said(-1), said(0), said(1)]
    window = window_before("ada", messages, NOON, EASY)
    assert window.messages == (messages[0],)


def test_a_window_reaches_back_to_its_first_moment_and_no_further():
    messages = [said(-14 * 24 - 0.001), said(-14 * 24), said(-1)]
    assert window_before("ada", messages, NOON, EASY).messages == tuple(messages[1:])


@given(
    st.lists(st.integers(-40 * 24, 10 * 24), max_size=30),
    st.floats(0.1, 60),
    st.sampled_from(["flag", "remove", "exclude"]),
)
def test_no_message_at_or_after_the_label_or_before_the_look_back(hours, days, policy):
    rules = WindowRules(look_back_days=days, min_user_messages=1, min_user_words=0, leaks=policy)
    conversation = Conversation("ada", "1", tuple(said(hour) for hour in hours))
    window = window_before("ada", timeline([conversation]), NOON, rules, response())
    stamps = [message.timestamp for message in window.messages]
    assert all(NOON - timedelta(days=days) <= stamp < NOON for stamp in stamps)
    assert stamps == sorted(stamps)
    expected = sum(NOON - timedelta(days=days) <= NOON + timedelta(hours=h) < NOON for h in hours)
    assert len(stamps) == expected


def test_the_newest_window_holds_the_last_message_and_ends_on_a_whole_second():
    last = Message("user", "so", NOON + timedelta(seconds=5.25))
    window = newest_window("ada", [said(-1), last], EASY)
    assert window.messages[-1] is last
    assert window.end == NOON + timedelta(seconds=6)


def test_a_person_without_messages_has_no_newest_window():
    with pytest.raises(DataError, match="no messages"):
        newest_window("ada", [], EASY)


@pytest.mark.parametrize(
    ("count", "words", "reason"),
    [
        (4, 20, "4 user messages in the window, 5 are needed"),
        (5, 8, "40 user words in the window, 45 are needed"),
        (5, 9, None),
    ],
)
def test_too_little_conversation_has_a_reason(count, words, reason):
    messages = [said(-2 - number, "word " * words) for number in range(count)]
    messages += [said(-1, "assistant words do not count " * 9, role="assistant")]
    ordered = sorted(messages, key=lambda message: message.timestamp)
    assert window_before("ada", ordered, NOON, WindowRules()).reason == reason


@pytest.mark.parametrize(
    ("policy", "kept", "reason"),
    [
        ("flag", 2, None),
        ("remove", 1, None),
        ("exclude", 2, "2 findings of questionnaire wording, excluded by rule"),
    ],
)
def test_leaks_are_flagged_removed_or_exclude_the_window(policy, kept, reason):
    messages = [said(-2, "my PHQ was 14"), said(-1)]
    rules = WindowRules(min_user_messages=1, min_user_words=0, leaks=policy)
    window = window_before("ada", messages, NOON, rules)
    assert len(window.messages) == kept
    assert window.reason == reason
    assert window.leaks == {"questionnaire_name": 1, "spoken_score": 1}


def test_a_cohort_counts_what_it_leaves_out():
    chats = [
        Conversation("ada", "1", (said(-1),)),
        Conversation("ben", "1", (said(-24 * 30),)),
    ]
    labels = [
        response("ada"),
        response("ada", total=None),
        response("ada", instrument="gad-7"),
        response("ben"),
        response("cyd"),
    ]
    cohort = build_cohort(chats, labels, EASY, PHQ_9)
    assert cohort.users == ["ada"]
    assert cohort.totals.tolist() == [9.0]
    assert cohort.left_out == {
        "too many items missing for a total": 1,
        "another instrument": 1,
        "too little conversation, or excluded for a leak": 1,
        "no conversations of this person": 1,
    }
    assert [each.user_id for each in cohort.barred] == ["ben"]
    assert cohort.barred[0].reason == "0 user messages in the window, 1 are needed"


def test_a_window_without_a_label_has_no_total():
    with pytest.raises(DataError, match="no label"):
        _ = window_before("ada", [said(-1)], NOON, EASY).total


@pytest.mark.parametrize(
    "wrong",
    [
        {"look_back_days": 0},
        {"min_user_messages": 0},
        {"min_user_words": -1},
        {"leaks": "ignore"},
    ],
)
def test_rules_that_make_no_sense_are_refused(wrong):
    with pytest.raises(DataError):
        WindowRules(**wrong)


people = st.lists(st.sampled_from([f"p{n}" for n in range(12)]), min_size=1, max_size=40)


@given(people, st.integers(2, 5), st.integers(0, 99), st.booleans())
def test_no_person_is_in_two_folds(users, n_folds, seed, stratify):
    distinct = len(set(users))
    totals = [float(len(user) + number % 20) for number, user in enumerate(users)]
    given_totals = totals if stratify else None
    if distinct < n_folds:
        with pytest.raises(DataError, match="cannot be split"):
            assign_folds(users, n_folds, seed, given_totals)
        return
    folds = assign_folds(users, n_folds, seed, given_totals)
    fold_of = {}
    for user, fold in zip(users, folds, strict=True):
        assert fold_of.setdefault(user, fold) == fold
    sizes = np.bincount(list(fold_of.values()), minlength=n_folds)
    assert sizes.max() - sizes.min() <= 1


@given(people, st.integers(0, 99))
def test_no_person_is_on_two_sides_of_a_split(users, seed):
    shares = {"train": 0.6, "validation": 0.2, "test": 0.2}
    parts = split_people(users, shares, seed)
    members = [user for part in parts.values() for user in part]
    assert sorted(members) == sorted(set(users))
    assert parts == split_people(
        reversed(users), {"train": 0.6, "validation": 0.2, "test": 0.2}, seed
    )


def test_stratified_folds_have_like_means():
    users = [f"p{n:03d}" for n in range(100)]
    totals = np.arange(100) % 28
    folds = assign_folds(users, 5, 0, totals)
    means = [totals[folds == fold].mean() for fold in range(5)]
    assert max(means) - min(means) < 1.0


def test_shares_that_do_not_add_up_are_refused():
    with pytest.raises(DataError, match="add up"):
        split_people(["ada"], {"train": 0.5}, 0)


def test_a_look_back_beyond_the_calendar_reaches_its_beginning():
    first = Message("user", "once", datetime(1, 1, 1, tzinfo=UTC))
    for days in (14, 1e6, 1e300):
        rules = WindowRules(look_back_days=days, min_user_messages=1, min_user_words=0)
        window = window_before("ada", [first], datetime(1, 1, 2, tzinfo=UTC), rules)
        assert window.messages == (first,)


def test_a_message_in_the_last_second_of_the_calendar_has_no_window_after_it():
    last = Message("user", "never", datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC))
    with pytest.raises(DataError, match="end of the calendar"):
        newest_window("ada", [last], EASY)


def test_pseudolabels_are_in_no_fold_and_move_nobody_else():
    users, totals = [f"p{number}" for number in range(12)], np.arange(12.0)
    alone = assign_folds(users[:8], 4, 0, totals[:8])
    reported = np.where(np.arange(12) < 8, totals, np.nan)
    folds = real_folds(users, 4, 0, reported)
    assert np.array_equal(folds[:8], alone)
    assert np.array_equal(folds[8:], [-1] * 4)
