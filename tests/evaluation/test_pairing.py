import random
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.made import NOON, estimate, response

from sottovoce.conversations import parse_time
from sottovoce.errors import DataError
from sottovoce.evaluation import match

DAY = timedelta(days=1)


def at(days: float, user="ada", score=11.0, **changes):
    return estimate(
        user, score, window_end=NOON + days * DAY, window_start=NOON + (days - 14) * DAY, **changes
    )


def asked(days: float, user="ada", total=12, **changes):
    return response(user, total, completed_at=NOON + days * DAY, **changes)


def test_a_questionnaire_takes_the_latest_estimate_before_it():
    early, late = at(-3), at(-1)
    pairing = match([late, early, at(1)], [asked(0)], 14)
    assert [pair.estimate for pair in pairing.pairs] == [late]
    assert pairing.unmatched_scores == {
        "not the latest estimate before any questionnaire": 1,
        "no questionnaire within the look-back after it": 1,
    }


def test_an_estimate_without_a_window_is_held_against_nothing_and_counted():
    silent = estimate("ada", None, window_start=None, window_end=None)
    why = "the person's conversations hold no message, so that there is no window"
    pairing = match([silent, at(-1, "ben")], [asked(0), asked(0, "ben")], 14)
    assert [pair.estimate.user_id for pair in pairing.pairs] == ["ben"]
    assert pairing.unmatched_labels == pairing.unmatched_scores == {why: 1}
    late = match([silent, at(1)], [asked(0)], 14)
    assert late.unmatched_labels == {"every estimate ends after the questionnaire": 1}
    assert match([silent], [], 14).unmatched_scores == {"no questionnaire for this person": 1}


def test_a_window_that_ends_with_the_questionnaire_counts():
    assert len(match([at(0)], [asked(0)], 14).pairs) == 1


def test_the_look_back_is_the_last_day_that_counts():
    assert len(match([at(-14)], [asked(0)], 14).pairs) == 1
    pairing = match([at(-14.01)], [asked(0)], 14)
    assert pairing.unmatched_labels == {"the latest estimate is older than the look-back": 1}


def test_an_abstention_is_not_passed_over_for_an_earlier_score():
    pairing = match([at(-3), at(-1, score=None)], [asked(0)], 14)
    assert pairing.pairs[0].estimate.abstained


@pytest.mark.parametrize(
    ("scores", "label", "reason"),
    [
        ([at(0, "ben")], asked(1), "no estimate for this person"),
        ([at(2)], asked(1), "every estimate ends after the questionnaire"),
        ([at(0), at(0, score=3.0)], asked(1), "several estimates end at the same time"),
        ([at(0)], asked(1, total=None), "no total: too many items are missing"),
        ([at(0)], asked(1, instrument="gad-7"), "another instrument than the estimates'"),
    ],
)
def test_a_questionnaire_without_a_partner_says_why(scores, label, reason):
    pairing = match(scores, [label], 14)
    assert pairing.pairs == ()
    assert pairing.unmatched_labels == {reason: 1}
    assert sum(pairing.unmatched_scores.values()) == len(scores)


def test_a_person_without_a_questionnaire_is_counted():
    pairing = match([at(0), at(0, "ben")], [asked(1)], 14)
    assert pairing.unmatched_scores == {"no questionnaire for this person": 1}


def test_one_estimate_may_serve_two_questionnaires():
    assert len(match([at(0)], [asked(1), asked(2)], 14).pairs) == 2


@pytest.mark.parametrize("days", [0, -1, float("nan"), float("inf")])
def test_a_look_back_that_is_not_above_zero_is_an_error(days):
    with pytest.raises(DataError, match="look-back"):
        match([], [], days)


def test_a_look_back_beyond_the_calendar_counts_every_questionnaire_after():
    assert len(match([at(0)], [asked(9000)], 1e300).pairs) == 1


def test_a_pair_tells_numbers_and_no_text():
    record = match([at(0)], [asked(1.5)], 14).pairs[0].as_dict()
    assert record["days_between"] == 1.5
    assert (record["user_id"], record["total"], record["score"]) == ("ada", 12, 11.0)
    assert parse_time(record["completed_at"], field="completed_at") == NOON + 1.5 * DAY


MOMENTS = st.integers(-400, 400).map(lambda hours: hours / 24)
PEOPLE = st.sampled_from(["ada", "ben", "cy"])


@given(
    st.lists(st.tuples(PEOPLE, MOMENTS), max_size=12),
    st.lists(st.tuples(PEOPLE, MOMENTS), max_size=12),
    st.randoms(use_true_random=False),
)
@settings(deadline=None)
def test_no_estimate_sees_the_future_and_everything_is_counted(scores, labels, order):
    estimates = [at(days, user) for user, days in scores]
    responses = [asked(days, user) for user, days in labels]
    pairing = match(estimates, responses, 14)
    for pair in pairing.pairs:
        gap = pair.response.completed_at - pair.estimate.window_end
        assert timedelta(0) <= gap <= 14 * DAY
        assert pair.response.user_id == pair.estimate.user_id
    assert len(pairing.pairs) + sum(pairing.unmatched_labels.values()) == len(labels)
    used = {id(pair.estimate) for pair in pairing.pairs}
    assert len(used) + sum(pairing.unmatched_scores.values()) == len(scores)
    mixed = random.Random(order.random()).sample(estimates, len(estimates))
    again = match(mixed, responses, 14)
    assert [pair.as_dict() for pair in again.pairs] == [pair.as_dict() for pair in pairing.pairs]
