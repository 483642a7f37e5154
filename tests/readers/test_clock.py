from datetime import UTC, date, datetime, timedelta, timezone
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.errors import DataError
from sottovoce.readers import ReadOptions, Tally, zone_named
from sottovoce.readers.clock import Clock

NOON = datetime(2025, 5, 27, 12, tzinfo=UTC)
NAIVE = datetime(2025, 5, 27, 14)  # noqa: DTZ001 (the case at hand)
BERLIN = ZoneInfo("Europe/Berlin")


def clock(**options):
    return Clock(ReadOptions(**options), Tally())


@pytest.mark.parametrize(
    "value",
    [
        "2025-05-27T12:00:00Z",
        " 2025-05-27 14:00:00+02:00 ",
        NOON.timestamp(),
        int(NOON.timestamp()),
        str(int(NOON.timestamp())),
        f"{NOON.timestamp()}",
        NOON,
        NOON.astimezone(timezone(timedelta(hours=5))),
    ],
)
def test_times_with_a_zone_become_utc(value):
    moment = clock().moment(value, field="at")
    assert moment == NOON
    assert moment.tzinfo is UTC


def test_an_offset_wins_over_the_zone_of_the_options():
    assert clock(zone=BERLIN).moment("2025-05-27T12:00:00Z", field="at") == NOON


def test_naive_times_are_read_in_the_zone_of_the_options():
    assert clock(zone=BERLIN).moment("2025-05-27 14:00", field="at") == NOON
    assert clock(zone=BERLIN).moment(NAIVE, field="at") == NOON


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("2025-05-27 12:00", "the time has no time zone; add --timezone"),
        (NAIVE, "the time has no time zone; add --timezone"),
        ("yesterday", "not ISO 8601 (text of 9 characters)"),
        ("", "not ISO 8601 (empty text)"),
        (None, "the time is nothing"),
        (True, "the time is true or false"),
        (["x"], "the time is a list of 1"),
        (date(2025, 5, 27), "the time is a date"),
        (0, "not a unix time in seconds"),
        (12.5, "not a unix time in seconds"),
        (-1e10, "not a unix time in seconds"),
        (1_748_347_200_000, "looks like milliseconds"),
        (float("nan"), "not a finite number"),
        (float("inf"), "not a finite number"),
        ("0001-01-01T00:00:00+14:00", "outside the calendar"),
    ],
)
def test_other_times_are_refused_without_being_shown(value, problem):
    with pytest.raises(DataError) as caught:
        clock().moment(value, field="at")
    assert problem in str(caught.value)
    assert str(caught.value).startswith("field at: ")
    assert "yesterday" not in str(caught.value)


def test_a_time_that_clocks_skipped_is_refused():
    with pytest.raises(DataError, match="never was on the clocks"):
        clock(zone=BERLIN).moment("2025-03-30T02:30:00", field="at")


def test_a_time_that_clocks_showed_twice_is_the_first_and_counted():
    berlin = clock(zone=BERLIN)
    moment = berlin.moment("2025-10-26T02:30:00", field="at")
    assert moment == datetime(2025, 10, 26, 0, 30, tzinfo=UTC)
    assert sum(berlin.tally.assumed.values()) == 1


def test_a_date_alone_is_its_first_moment_and_counted():
    berlin = clock(zone=BERLIN)
    assert berlin.moment("2025-05-27", field="at") == datetime(2025, 5, 26, 22, tzinfo=UTC)
    assert sum(berlin.tally.assumed.values()) == 1


def test_turns_with_and_without_a_time_are_not_mixed():
    with pytest.raises(DataError, match="1 of 2 turns have no time"):
        clock(start=NOON).fill("u", [NOON, None], None)


def test_without_any_time_the_flag_is_named():
    with pytest.raises(DataError, match="add --start"):
        clock().fill("u", [None], None)


def test_own_times_need_no_start():
    assert clock().fill("u", [NOON, NOON], None) == [NOON, NOON]


@settings(deadline=None)
@given(
    counts=st.lists(st.tuples(st.sampled_from("ab"), st.integers(1, 5)), max_size=8),
)
def test_under_start_a_persons_times_strictly_increase(counts):
    undated, times = clock(start=NOON), {"a": [], "b": []}
    for user, count in counts:
        times[user] += undated.fill(user, [None] * count, None)
    for each in times.values():
        assert all(before < after for before, after in pairwise(each))
        assert each[:1] in ([], [NOON])


def test_zones_are_named_by_iana():
    assert zone_named("utc") is UTC
    assert zone_named("Europe/Berlin") == BERLIN
    for unknown in ("Mars/Base", "../etc/passwd", "", "Europe"):
        with pytest.raises(DataError, match="not known"):
            zone_named(unknown)
