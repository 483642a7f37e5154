"""Each middleware alone, by messages of ASGI, and all of them around a real app."""

import asyncio
import json
from typing import Any
from uuid import UUID

import pytest
import structlog
from fastapi import APIRouter, FastAPI, Request
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import StreamingResponse
from starlette.testclient import TestClient
from structlog.testing import capture_logs

from sottovoce.service.api import middleware, problems
from sottovoce.service.api.middleware import BodyLimit, BodyText, RequestLog, SecurityHeaders
from sottovoce.service.api.rates import Rates

CANARY = "canary7f3e"
ID = "0f8fad5b-d9cb-469f-a165-70867728950e"
LIMIT = 100


class Recorder:
    """An app that notes what reaches it."""

    def __init__(self) -> None:
        self.bodies: list[bytes] = []

    async def __call__(self, scope, receive, send) -> None:
        message = await receive()
        self.bodies.append(message["body"])
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"ok"})


def called(app, chunks: list[bytes], headers: dict[str, str] | None = None):
    """Call an app with a body in chunks; give its messages and how many chunks it took."""
    taken, sent = 0, []

    async def receive():
        nonlocal taken
        if taken == len(chunks):
            return {"type": "http.disconnect"}
        taken += 1
        return {"type": "http.request", "body": chunks[taken - 1], "more_body": taken < len(chunks)}

    async def send(message):
        sent.append(message)

    raw = [(name.encode(), value.encode()) for name, value in (headers or {}).items()]
    scope = {"type": "http", "method": "POST", "path": "/", "headers": raw}
    asyncio.run(app(scope, receive, send))
    return sent, taken


def test_a_body_that_declares_too_much_is_refused_before_anything_is_read():
    inner = Recorder()
    sent, taken = called(BodyLimit(inner, LIMIT), [b"x"], {"content-length": str(LIMIT + 1)})
    assert (sent[0]["status"], taken, inner.bodies) == (413, 0, [])
    assert json.loads(sent[1]["body"])["type"] == "too-large"


def test_a_body_without_a_length_is_refused_at_the_first_byte_too_many():
    inner = Recorder()
    sent, taken = called(BodyLimit(inner, LIMIT), [b"x" * 60] * 50)
    assert (sent[0]["status"], taken, inner.bodies) == (413, 2, [])


def test_a_body_that_declares_less_than_it_sends_is_refused_too():
    inner = Recorder()
    sent, _ = called(BodyLimit(inner, LIMIT), [b"x" * 60] * 2, {"content-length": "5"})
    assert (sent[0]["status"], inner.bodies) == (413, [])


@given(st.lists(st.binary(max_size=40), min_size=1, max_size=6))
def test_a_body_reaches_the_app_whole_or_not_at_all(chunks):
    inner = Recorder()
    sent, _ = called(BodyLimit(inner, LIMIT), chunks)
    whole = b"".join(chunks)
    expected = (200, [whole]) if len(whole) <= LIMIT else (413, [])
    assert (sent[0]["status"], inner.bodies) == expected


def test_a_client_that_leaves_in_the_middle_reaches_nothing():
    inner = Recorder()

    async def left():
        return {"type": "http.disconnect"}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": []}
    asyncio.run(BodyLimit(inner, LIMIT)(scope, left, None))
    assert inner.bodies == []


def text_status(body: bytes) -> int:
    sent, _ = called(BodyText(Recorder()), [body])
    return sent[0]["status"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 200),
        ('"\U0001f600 \u05e9\u05dc\u05d5\u05dd"'.encode(), 200),
        (rb'"\ud83d\ude00"', 200),
        (rb'"\uD83D\uDE00"', 200),
        (rb'"\\ud800"', 200),
        (rb'"\\\ud800"', 422),
        (rb'"\ud800"', 422),
        (rb'"\udc00\ud800"', 422),
        (rb'"\ud83d\ud83d\ude00"', 422),
        (b'"\xed\xa0\x80"', 400),
        (b'"\xff"', 400),
        ('"text"'.encode("utf-16"), 400),
        ('"text"'.encode("utf-16-le"), 400),
    ],
)
def test_a_body_is_utf_8_without_lone_surrogates(body, status):
    assert text_status(body) == status


pieces = st.sampled_from(["a", "\\", '"', "\ud83d", "\ude00", "\U0001f600", "u", "ud800"])


@given(st.lists(pieces).map("".join))
def test_lone_surrogates_are_found_exactly_where_text_cannot_be_encoded(text):
    body = json.dumps(text).encode()
    parsed = json.loads(body)
    try:
        parsed.encode()
    except UnicodeEncodeError:
        assert text_status(body) == 422
    else:
        assert text_status(body) == 200


def made(**options: Any) -> FastAPI:
    app, router, people = FastAPI(openapi_url=None), APIRouter(prefix="/v1"), APIRouter()

    @people.get("/people/{person_id}")
    def person(person_id: str) -> dict[str, Any]:
        return {"bound": structlog.contextvars.get_contextvars()}

    @people.get("/people/{person_id}/fail")
    def fail(person_id: str) -> None:
        raise RuntimeError(CANARY)

    @people.get("/broken")
    def broken() -> StreamingResponse:
        def parts():
            yield b"a"
            raise RuntimeError(CANARY)

        return StreamingResponse(parts())

    @people.get("/cached", response_class=StreamingResponse)
    def cached() -> StreamingResponse:
        return StreamingResponse(iter([b"a"]), headers={"Cache-Control": "private, max-age=9"})

    @people.post("/echo")
    async def echo(request: Request) -> int:
        return len(await request.body())

    router.include_router(people)
    app.include_router(router)
    problems.install(app)
    middleware.install(app, LIMIT, **options)
    return app


@pytest.fixture
def observed() -> list[tuple]:
    return []


@pytest.fixture
def client(observed) -> TestClient:
    return TestClient(made(observe=lambda *each: observed.append(each)))


def test_the_log_names_the_template_of_the_route_and_never_the_path(client, observed):
    with capture_logs() as said:
        client.get(f"/v1/people/{CANARY}?q={CANARY}")
        client.get(f"/{CANARY}")
        client.request(CANARY, "/v1/people/1")
    assert [line["route"] for line in said] == [
        "/v1/people/{person_id}", "unmatched", "/v1/people/{person_id}"
    ]  # fmt: skip
    assert [line["method"] for line in said] == ["GET", "GET", "OTHER"]
    assert [each[:3] for each in observed] == [
        (line["route"], line["method"], line["status"]) for line in said
    ]
    assert CANARY not in str(said) + str(observed)


def test_a_request_is_one_line_with_status_time_and_bytes(client):
    with capture_logs() as said:
        response = client.get("/v1/people/1")
    (line,) = said
    assert line["event"] == "request"
    assert (line["status"], line["bytes"]) == (200, len(response.content))
    assert line["milliseconds"] >= 0


def test_a_request_id_that_is_a_uuid_is_kept_and_bound(client):
    response = client.get("/v1/people/1", headers={"x-request-id": ID})
    assert response.headers["x-request-id"] == ID
    assert response.json()["bound"] == {"request_id": ID}


@pytest.mark.parametrize("given_id", [CANARY, "", f"{{{ID}}}", f"urn:uuid:{ID}", "x" * 36])
def test_any_other_request_id_is_replaced(client, given_id):
    response = client.get("/v1/people/1", headers={"x-request-id": given_id})
    assert response.headers["x-request-id"] != given_id
    assert UUID(response.headers["x-request-id"]).version == 4


def test_what_fails_is_a_500_problem_and_nothing_reaches_the_server(client):
    with capture_logs() as said:
        response = client.get("/v1/people/1/fail")  # the client raises what an app lets out
    assert response.status_code == 500
    assert response.json()["type"] == "internal"
    assert response.headers["x-content-type-options"] == "nosniff"
    failed, line = said
    assert failed["event"] == "request-failed"
    assert failed["incident"] == response.json()["incident"]
    assert line["status"] == 500
    assert CANARY not in str(said) + response.text


def test_around_the_whole_app_a_failure_is_logged_once():
    inner = FastAPI()

    @inner.get("/")
    def fail() -> None:
        raise RuntimeError(CANARY)

    problems.install(inner)
    with capture_logs() as said:
        response = TestClient(RequestLog(inner)).get("/")
    assert response.json()["type"] == "internal"
    assert [line["event"] for line in said] == ["request-failed", "request"]
    assert said[1]["route"] == "/"


def test_a_response_that_breaks_off_is_logged_and_let_out_no_further(client):
    with capture_logs() as said:
        client.get("/v1/broken")
    assert [line["event"] for line in said] == ["request-failed", "request"]
    assert CANARY not in str(said)


@pytest.mark.parametrize("path", ["/v1/people/1", "/nothing", "/v1/people/1/fail"])
def test_every_response_has_the_security_headers(client, path):
    headers = client.get(path).headers
    assert {name: headers[name] for name, _ in SecurityHeaders.ALWAYS} == dict(
        SecurityHeaders.ALWAYS
    )
    assert "strict-transport-security" not in headers


def test_a_refused_body_has_the_headers_and_a_line_too(client):
    with capture_logs() as said:
        response = client.post("/v1/echo", content=b"x" * (LIMIT + 1))
    assert response.status_code == 413
    assert response.headers["cache-control"] == "no-store"
    assert said[0]["status"] == 413


def test_a_body_of_exactly_the_limit_passes_in_chunks(client):
    assert client.post("/v1/echo", content=iter([b"x" * 50, b"x" * 50])).json() == LIMIT


def test_a_route_keeps_its_own_caching(client):
    assert client.get("/v1/cached").headers["cache-control"] == "private, max-age=9"


def test_hsts_is_sent_only_when_told():
    response = TestClient(made(hsts=True)).get("/v1/people/1")
    assert response.headers["strict-transport-security"].startswith("max-age=")


def test_a_caller_that_asks_too_often_is_refused_with_headers_and_a_line():
    client = TestClient(made(rates=Rates(address="1/minute")))
    with capture_logs() as said:
        found = [client.get("/v1/people/1") for _ in range(2)]
    assert [each.status_code for each in found] == [200, 429]
    assert found[1].headers["cache-control"] == "no-store"
    assert [line["status"] for line in said] == [200, 429]


def test_what_is_no_request_passes_unchanged():
    with TestClient(made()) as client:  # the lifespan runs through every middleware
        assert client.get("/v1/people/1").status_code == 200
