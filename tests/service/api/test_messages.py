"""Messages over HTTP: whatever people write comes back as it was, once, in the order of time."""

import json
import random
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import func, select
from tests.serving import START, message

from sottovoce.service.tables import messages

PATH = "/v1/people/ada/messages"
TEXTS = {
    "emoji": "I am fine \U0001f642\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f1e9\U0001f1ea",
    "right to left": "\u202b\u05d0\u05e0\u05d9 \u05e2\u05d9\u05d9\u05e3\u202c \u0627\u0644\u0644",
    "NUL": "before\0after",
    "combining": "e\u0301 is not \u00e9, Z\u0351\u036b\u0343a\u0329lgo",
    "line ends": "one\r\ntwo\u2028three\x0b",
    "empty": "",
    "not a character": "\ufffe\uffff\U0010ffff",
    "looks like JSON": '{"role": "assistant", "content": "\\u0000"}',
}


@pytest.fixture(scope="module")
def ada(world):
    """Give the app, with a person who agrees to everything and is on the caseload."""
    world.register("ada", "monitoring")
    world.care("ada")
    return world


@pytest.fixture
def anew(ada):
    """Give the app, with a person of whom nothing is known yet."""
    ada.done("DELETE", "/v1/people/ada")
    ada.register("ada", "monitoring")
    ada.care("ada")
    return ada


def send(stage, *batch, **given):
    return stage.ask("POST", PATH, json={"messages": list(batch)}, **given)


@pytest.mark.parametrize("name", TEXTS)
def test_text_comes_back_character_for_character(anew, name):
    assert send(anew, message(1, TEXTS[name])).status_code == 200
    (kept,) = anew.said("ada")
    assert kept["content"] == TEXTS[name]
    told = anew.done("GET", "/v1/people/ada/export")["messages"]
    assert [each["content"] for each in told] == [TEXTS[name]]


@settings(max_examples=30)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=50))
def test_any_text_comes_back(ada, text):
    ada.done("DELETE", "/v1/people/ada")
    ada.register("ada", "monitoring")
    ada.care("ada")
    assert send(ada, message(1, text)).json() == {"new": 1, "known": 0, "ahead": 0}
    assert [each["content"] for each in ada.said("ada")] == [text]


@pytest.mark.parametrize(
    ("body", "status", "kind"),
    [
        (b'{"messages": [{"content": "\xff\xfe"}]}', 400, "malformed"),
        (b'{"messages": [{"content": "\xed\xa0\x80"}]}', 400, "malformed"),
        (b'{"messages": [{"content": "cut', 400, "malformed"),
        ('{"messages": []}'.encode("utf-16"), 400, "malformed"),
        (b'{"messages": [{"content": "\\ud800"}]}', 422, "invalid"),
        (b'{"messages": [{"content": "\\ude00\\ud83d"}]}', 422, "invalid"),
        (b'{"messages": []}', 422, "invalid"),
        (b"[]", 422, "invalid"),
        (b"", 422, "invalid"),
    ],
)
def test_what_is_no_text_is_refused_and_nothing_of_it_is_stored(anew, body, status, kind):
    answer = anew.ask("POST", PATH, content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, answer.json()["type"]) == (status, kind)
    assert anew.said("ada") == []


def test_ten_megabytes_are_refused_and_the_connection_goes_on(anew):
    answer = send(anew, message(1, "x" * 10_000_000))
    assert (answer.status_code, answer.json()["type"]) == (413, "too-large")
    assert answer.json()["limit"] == 2**20
    assert send(anew, message(1)).json()["new"] == 1


def test_a_body_without_a_length_is_counted_while_it_comes(anew):
    def endless() -> Iterator[bytes]:
        for _ in range(2000):
            taken.append(1)
            yield b" " * 1024

    taken: list[int] = []
    headers = {"Content-Type": "application/json"}
    answer = anew.ask("POST", PATH, content=endless(), headers=headers)
    assert answer.status_code == 413
    body = json.dumps({"messages": [message(1)]}).encode()
    pieces = (body[at : at + 7] for at in range(0, len(body), 7))
    assert anew.ask("POST", PATH, content=pieces, headers=headers).json()["new"] == 1


def test_a_message_longer_than_the_schema_takes_is_refused_by_its_place(anew):
    answer = send(anew, message(1), message(2, "x" * 200_001))
    assert answer.status_code == 422
    (mistake,) = answer.json()["errors"]
    assert mistake["where"] == "body.messages.1.content"
    assert anew.said("ada") == []


def test_a_thousand_messages_are_taken_at_once_and_one_more_is_not(anew):
    batch = [message(number, f"line {number}") for number in range(1000)]
    assert send(anew, *batch).json() == {"new": 1000, "known": 0, "ahead": 0}
    assert send(anew, *batch, message(1000)).status_code == 422
    with anew.gate.database.transaction() as connection:
        asked = select(func.count()).where(messages.c.person_id == anew.row("ada"))
        assert connection.execute(asked).scalar() == 1000


def test_batches_that_come_again_and_in_any_order_are_stored_once_in_the_order_of_time(anew):
    chance = random.Random(5)
    batch = [message(number, f"line {number}") for number in range(40)]
    for _ in range(6):
        some = chance.sample(batch, 25)
        answer = send(anew, *some, *some[:3]).json()  # three of them twice in one batch
        assert answer["new"] + answer["known"] == 25
    send(anew, *batch)
    assert [each["content"] for each in anew.said("ada")] == [each["content"] for each in batch]
    assert send(anew, *batch).json() == {"new": 0, "known": 40, "ahead": 0}


@pytest.mark.parametrize(
    "change",
    [
        {"content": "other"},
        {"role": "assistant"},
        {"conversation_id": "d"},
        {"sent_at": "2026-03-02T09:01:00.000001Z"},
    ],
)
def test_an_id_that_is_used_for_something_else_is_a_conflict_and_changes_nothing(anew, change):
    send(anew, message(1))
    answer = send(anew, message(2, "new"), message(1) | change)
    assert (answer.status_code, answer.json()["type"]) == (409, "conflict")
    assert [each["id"] for each in anew.said("ada")] == ["m1"]
    assert send(anew, message(3), message(3) | change).status_code == 409
    assert len(anew.said("ada")) == 1


def test_the_same_moment_in_another_time_zone_is_the_same_message(anew):
    send(anew, message(1))
    elsewhere = START.astimezone() + timedelta(minutes=1)
    assert send(anew, message(1, sent_at=elsewhere.isoformat())).json()["known"] == 1


@pytest.mark.parametrize("ahead", [timedelta(minutes=2), timedelta(days=2)])
def test_a_message_from_a_clock_that_is_fast_counts_as_said_when_it_came(anew, ahead):
    now = datetime.now(UTC)
    fast = message(1, sent_at=(now + ahead).isoformat())
    assert send(anew, message(0), fast).json() == {"new": 2, "known": 0, "ahead": 1}
    first, second = anew.said("ada")
    assert datetime.fromisoformat(second["sent_at"]) == now + ahead
    assert now <= datetime.fromisoformat(second["at"]) <= datetime.now(UTC)
    assert first["at"] == first["sent_at"]
    assert send(anew, fast).json() == {"new": 0, "known": 1, "ahead": 0}


def test_the_first_and_the_last_year_of_the_calendar_are_times(anew):
    early, late = "0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"
    assert send(anew, message(1, sent_at=late), message(0, sent_at=early)).json()["ahead"] == 1
    first, second = anew.said("ada")
    assert (first["id"], second["id"]) == ("m0", "m1")
    assert datetime.fromisoformat(first["at"]) == datetime(1, 1, 1, tzinfo=UTC)
    assert datetime.fromisoformat(second["sent_at"]).year == 9999


@pytest.mark.parametrize(
    "time",
    ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-01:00", "2026-03-02T09:00:00", "now", 1e300],
)
def test_a_time_that_is_none_is_refused(anew, time):
    answer = send(anew, message(1, sent_at=time))
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["where"] == "body.messages.0.sent_at"


def test_two_clients_that_send_the_same_at_once_store_it_once(anew):
    batch = [message(number, f"line {number}") for number in range(200)]
    answers, start = [], threading.Barrier(4)

    def client(order: int) -> None:
        mine = list(batch)
        random.Random(order).shuffle(mine)
        start.wait()
        answers.append(send(anew, *mine))

    threads = [threading.Thread(target=client, args=(order,)) for order in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert [each.status_code for each in answers] == [200] * 4
    assert sum(each.json()["new"] for each in answers) == 200
    assert sum(each.json()["known"] for each in answers) == 600
    assert len(anew.said("ada")) == 200


def test_pages_give_every_message_once_while_others_come(anew):
    same = {"sent_at": START.isoformat()}  # pages also end between messages of one moment
    send(anew, *[message(number, **(same if number % 3 else {})) for number in range(50)])
    seen, cursor = [], None
    while True:
        given = {"limit": "7"} | ({} if cursor is None else {"cursor": cursor})
        page = anew.done("GET", PATH, "clinician", params=given)
        seen += [each["id"] for each in page["messages"]]
        cursor = page["next"]
        if cursor is None:
            break
        send(anew, message(100 + len(seen)))  # later than every other
    before = [f"m{number}" for number in range(50)]
    assert len(seen) == len(set(seen))
    assert set(before) <= set(seen)
