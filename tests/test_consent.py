import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.consent import PURPOSES, Consent, Grant, grant_from, grant_record, read_consent
from sottovoce.errors import DataError

NOON = datetime(2025, 3, 14, 12, tzinfo=UTC)
DAY = timedelta(days=1)
USE = "external_annotation"


def test_a_grant_covers_its_person_and_purpose_from_its_time_on():
    consent = Consent([Grant("ada", USE, NOON)])
    assert consent.covers("ada", USE, NOON)
    assert consent.covers("ada", USE, NOON + DAY)


@pytest.mark.parametrize(
    ("user", "purpose", "at"),
    [
        ("eve", USE, NOON),
        ("ada", "research", NOON),
        ("ada", "marketing", NOON),
        ("ada", USE, NOON - DAY),
    ],
    ids=["unknown person", "other purpose", "unknown purpose", "granted later"],
)
def test_what_nobody_agreed_to_is_not_covered(user, purpose, at):
    assert not Consent([Grant("ada", USE, NOON)]).covers(user, purpose, at)


def test_a_withdrawal_ends_consent_at_its_time():
    consent = Consent([Grant("ada", USE, NOON, NOON + DAY)])
    assert consent.covers("ada", USE, NOON + DAY / 2)
    assert not consent.covers("ada", USE, NOON + DAY)
    assert consent.withdrew("ada", USE, NOON + DAY)
    assert not consent.withdrew("ada", USE, NOON)


@given(
    st.lists(st.tuples(st.sampled_from(["ada", "eve"]), st.sampled_from(PURPOSES), st.booleans()))
)
def test_the_latest_line_of_a_person_and_purpose_wins(told):
    grants = [Grant(user, use, NOON, NOON if gone else None) for user, use, gone in told]
    consent = Consent(grants)
    latest = {(user, use): not gone for user, use, gone in told}
    for user in ("ada", "eve"):
        for use in PURPOSES:
            assert consent.covers(user, use, NOON) == latest.get((user, use), False)


def test_a_ledger_is_read_back_as_it_was_written(tmp_path):
    grants = [
        Grant("ada", "research", NOON, None, "2", "paper form"),
        Grant("ada", "research", NOON, NOON + DAY),
    ]
    assert [grant_from(grant_record(each)) for each in grants] == grants
    path = tmp_path / "consent.jsonl"
    path.write_text("\n".join(json.dumps(grant_record(each)) for each in grants), "utf-8")
    assert read_consent(path).covers("ada", "research", NOON + DAY) is False


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"purpose": "marketing"}, "purpose"),
        ({"user_id": ""}, "user_id"),
        ({"granted_at": None}, "granted_at"),
        ({"granted_at": "2025-03-14"}, "granted_at"),
        ({"withdrawn_at": "2024-03-14T12:00:00Z"}, "withdrawn_at"),
        ({"version": 2}, "version"),
    ],
)
def test_a_ledger_with_a_broken_line_allows_nothing(tmp_path, changes, field):
    good = grant_record(Grant("xylophonist", USE, NOON))
    path = tmp_path / "consent.jsonl"
    path.write_text(json.dumps(good) + "\n" + json.dumps(good | changes), "utf-8")
    with pytest.raises(DataError) as error:
        read_consent(path)
    assert (error.value.line, error.value.field) == (2, field)
    assert "xylophonist" not in str(error.value)
