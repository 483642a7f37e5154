"""Limits over a small app, at a clock that the test moves."""

import re
import threading

import limits.storage.memory
import limits.strategies
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from sottovoce.service.api import rates
from sottovoce.service.api.rates import RateLimit, Rates

SECRET = "Bearer canary7f3e"


class Clock:
    """Stands for the module `time` in the library and in ours."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def time(self) -> float:
        return self.now

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch):
    made = Clock()
    monkeypatch.setattr(limits.storage.memory, "time", made)
    monkeypatch.setattr(limits.strategies, "time", made)
    monkeypatch.setattr(rates, "time", made)
    return made


class App:
    """Answers 401 to whoever presents no key it knows, and counts whom it saw."""

    def __init__(self) -> None:
        self.seen = 0

    def answer(self, request) -> PlainTextResponse:
        self.seen += 1
        known = request.headers.get("authorization", "").startswith("Bearer canary")
        return PlainTextResponse("ok", 200 if known else 401)


def made(**allowed: str):
    app = App()
    routes = [Route(path, app.answer) for path in ("/x", "/health", "/ready")]
    limited = RateLimit(Starlette(routes=routes), Rates(**allowed))

    def caller(address: str) -> TestClient:
        return TestClient(limited, client=(address, 1))

    return app, caller, limited


def statuses(client, times: int, **headers: str) -> list[int]:
    return [client.get("/x", headers=headers).status_code for _ in range(times)]


def test_an_address_is_refused_after_its_limit_and_the_app_sees_nothing_more(clock):
    app, caller, _ = made(address="3/minute")
    assert statuses(caller("192.0.2.1"), 5) == [401, 401, 401, 429, 429]
    assert app.seen == 3
    assert statuses(caller("192.0.2.2"), 1) == [401]
    assert statuses(caller("192.0.2.1"), 5, authorization=SECRET) == [200] * 5  # by its key


def test_a_key_is_refused_after_its_limit_wherever_it_comes_from(clock):
    _, caller, _ = made(key="3/minute")
    found = [statuses(caller(f"192.0.2.{n}"), 1, authorization=SECRET)[0] for n in range(5)]
    assert found == [200, 200, 200, 429, 429]
    assert statuses(caller("192.0.2.9"), 1, authorization=SECRET + "2") == [200]


def test_keys_cannot_be_tried_out_and_a_right_guess_after_many_is_not_told(clock):
    app, caller, _ = made(failures="4/minute")
    client = caller("192.0.2.1")
    guessed = [statuses(client, 1, authorization=f"Bearer {n}")[0] for n in range(6)]
    assert guessed == [401] * 4 + [429] * 2
    assert statuses(client, 1, authorization=SECRET) == [429]
    assert app.seen == 4
    assert statuses(caller("192.0.2.2"), 1, authorization=SECRET) == [200]


def test_a_refusal_says_when_to_come_back_and_is_right(clock):
    _, caller, _ = made(address="2/minute")
    client = caller("192.0.2.1")
    statuses(client, 2)
    response = client.get("/x")
    assert response.json()["type"] == "rate-limited"
    wait = int(response.headers["retry-after"])
    assert response.json()["retry_after"] == wait >= 1
    clock.now += 120  # the whole of both windows that the count slides over
    assert statuses(client, 1) == [401]


def test_waiting_as_long_as_told_is_enough(clock):
    _, caller, _ = made(address="2/minute")
    client = caller("192.0.2.1")
    statuses(client, 2)
    for _ in range(4):  # each answer is kept, however often it takes asking
        response = client.get("/x")
        if response.status_code == 401:
            break
        clock.now += int(response.headers["retry-after"])
    assert response.status_code == 401


def test_responses_say_the_policies_and_a_refusal_which_of_them_it_is_by(clock):
    _, caller, _ = made(address="9/minute", key="2/minute")
    client = caller("192.0.2.1")
    answers = [client.get("/x", headers={"authorization": SECRET}) for _ in range(3)]
    policies = {each.headers["ratelimit-policy"] for each in answers}
    assert policies == {'"address";q=9;w=60, "key";q=2;w=60'}
    assert [each.status_code for each in answers] == [200, 200, 429]
    assert re.fullmatch(r'"key";r=0;t=\d+', answers[-1].headers["ratelimit"])
    assert "ratelimit" not in answers[0].headers


def test_probes_are_never_refused(clock):
    _, caller, _ = made(address="1/minute", failures="1/minute")
    client = caller("192.0.2.1")
    assert [client.get(path).status_code for path in ("/health", "/ready") * 3] == [401] * 6


def test_one_ipv6_subscriber_counts_as_one(clock):
    _, caller, _ = made(address="2/minute")
    found = [statuses(caller(f"2001:db8:0:1::{n}"), 1)[0] for n in range(1, 4)]
    assert found == [401, 401, 429]
    assert statuses(caller("2001:db8:0:2::1"), 1) == [401]


def test_the_key_itself_lies_in_no_counter(clock):
    _, caller, limited = made()
    statuses(caller("192.0.2.1"), 2, authorization=SECRET)
    statuses(caller("192.0.2.1"), 1)
    kept = vars(limited._counts.storage)
    assert "192.0.2.1" in str(kept)
    assert "canary" not in str(kept)


@given(st.text(st.characters(codec="latin-1", exclude_characters="\r\n\0"), max_size=20))
def test_any_authorization_header_is_counted(value):
    _, caller, _ = made()
    raw = value.strip().encode("latin-1")
    response = caller("192.0.2.1").get("/x", headers={b"authorization": raw})
    assert response.status_code in (200, 401)


def test_counters_that_are_over_are_dropped_and_no_thread_is_started_for_it(clock):
    _, caller, limited = made()
    before = threading.active_count()
    for number in range(5):
        statuses(caller(f"192.0.2.{number}"), 1, authorization=f"Bearer {number}")
    counted = len(limited._counts.storage.expirations)
    clock.now += 300
    statuses(caller("192.0.2.9"), 1, authorization=SECRET)
    assert counted == 10  # five keys, and a failure of each of five addresses
    assert len(limited._counts.storage.expirations) == 1
    assert threading.active_count() <= before
