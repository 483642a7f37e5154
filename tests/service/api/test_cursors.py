"""Pages: everything once and nothing twice while others write, and cursors that nobody gave."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sottovoce.service.api import cursors

PAGES = (("/v1/people", "app"), ("/v1/people/ada/messages", "clinician"), ("/v1/audit", "admin"))


@pytest.fixture(scope="module")
def ada(world):
    world.register("ada", "monitoring")
    world.care("ada")
    world.say("ada", "one", "two", "three")
    return world


def walked(stage, path: str, who: str, name: str, meanwhile) -> list[dict]:
    """Read all pages, doing something between each two."""
    found, cursor = [], None
    for number in range(1000):
        given_ = {"limit": 3} | ({} if cursor is None else {"cursor": cursor})
        page = stage.done("GET", path, who, params=given_)
        assert len(page[name]) <= 3
        found += page[name]
        cursor = page["next"]
        if cursor is None:
            return found
        meanwhile(number)
    raise AssertionError("the pages do not end")


def test_everybody_is_listed_once_while_others_are_registered(stage):
    before = {f"p{number}" for number in range(20)}
    for person in before:
        stage.register(person)

    def meanwhile(number: int) -> None:
        if number < 10:
            stage.register(f"new{number}")

    found = [each["id"] for each in walked(stage, "/v1/people", "app", "people", meanwhile)]
    assert len(found) == len(set(found))
    assert before <= set(found)


def test_a_clinician_lists_her_caseload(stage):
    for person in ("ada", "bo", "cy"):
        stage.register(person)
    stage.care("bo")
    listed = stage.done("GET", "/v1/people", "clinician")
    assert [each["id"] for each in listed["people"]] == ["bo"]
    where = f"/v1/accounts/{stage.accounts['clinician']}/caseload/bo"
    assert stage.ask("DELETE", where, "admin").status_code == 204
    assert stage.done("GET", "/v1/people", "clinician")["people"] == []


def test_every_entry_of_the_audit_log_is_given_once_while_others_are_written(stage):
    for number in range(10):
        stage.register(f"p{number}")
    before = stage.done("GET", "/v1/audit", "admin", params={"limit": 500})["entries"]

    def meanwhile(number: int) -> None:
        if number < 10:
            stage.register(f"new{number}")

    found = walked(stage, "/v1/audit", "admin", "entries", meanwhile)
    places = [(each["lane"], each["number"]) for each in found]
    assert places == sorted(set(places))
    assert {(each["lane"], each["number"]) for each in before} <= set(places)


@pytest.mark.parametrize(("path", "who"), PAGES)
@pytest.mark.parametrize(
    "cursor",
    ["", "!", "a", "aaa", "%00", "é", "x" * 200, "-", "MjAyNg", "fA", "AAAAAAAAAAAA", "/+=="],
)
def test_a_cursor_that_nobody_gave_is_refused_or_leads_somewhere(ada, path, who, cursor):
    answer = ada.ask("GET", path, who, params={"cursor": cursor})
    assert answer.status_code in (200, 422)
    if answer.status_code == 422:
        assert answer.json()["errors"][0]["where"] in ("cursor", "query.cursor")


@settings(max_examples=60)
@given(st.sampled_from(PAGES), st.binary(max_size=60) | st.just(b"0001-01-01T00:00:00+14:00|x"))
@example(PAGES[1], b"0001-01-01T00:00:00+14:00|x")
@example(PAGES[1], b"9999-12-31T23:59:59-14:00|x")
@example(PAGES[1], b"2026-01-01T00:00:00|x")
@example(PAGES[2], b"\xff" + b"\x7f" + b"\xff" * 7)
@example(PAGES[2], b"\x00" + b"\xff" * 8)
def test_no_bytes_in_a_cursor_break_a_page(ada, where, raw):
    path, who = where
    answer = ada.ask("GET", path, who, params={"cursor": cursors._text(raw)})
    assert answer.status_code in (200, 422), answer.text


@given(st.text(max_size=210))
@settings(max_examples=40)
def test_no_text_in_a_cursor_breaks_a_page(ada, text):
    assert ada.ask("GET", "/v1/people", params={"cursor": text}).status_code in (200, 422)


@given(st.integers(0, 15), st.integers(0, 2**63 - 1), st.uuids())
def test_cursors_of_people_and_entries_say_where_a_page_ended(lane, number, person):
    assert cursors.after_entry(cursors.entry_cursor(lane, number)) == (lane, number)
    assert cursors.after_person(cursors.person_cursor(person)) == person


def test_a_cursor_of_another_kind_of_page_is_refused(ada):
    ada.register("bo")
    given_by = {
        path: ada.done("GET", path, who, params={"limit": 1})["next"] for path, who in PAGES
    }
    assert all(given_by.values())
    for path, who in PAGES:
        for other, cursor in given_by.items():
            answer = ada.ask("GET", path, who, params={"cursor": cursor})
            assert answer.status_code == (200 if other == path else 422), (path, other)


@pytest.mark.parametrize("limit", ["0", "501", "-1", "many", "1e2"])
def test_a_page_has_one_to_five_hundred_rows(ada, limit):
    answer = ada.ask("GET", "/v1/people", params={"limit": limit})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"] == "query.limit"
