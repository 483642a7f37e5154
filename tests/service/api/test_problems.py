"""Refusals over a real app: their form, and that nothing of a request comes back."""

import json
from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import psycopg
import pytest
from fastapi import APIRouter, Cookie, FastAPI, Header, Query
from hypothesis import given
from hypothesis import strategies as st
from pydantic import AnyUrl, BaseModel, ConfigDict, Field, field_validator
from pydantic_core import PydanticCustomError
from sqlalchemy.exc import OperationalError
from starlette.exceptions import HTTPException
from starlette.testclient import TestClient

from sottovoce.service.api import problems
from sottovoce.service.api.mistakes import told
from sottovoce.service.api.problems import KINDS, Problem

CANARY = "canary7f3e"


class Colour(Enum):
    RED = "red"


class Cat(BaseModel):
    form: Literal["cat"]


class Dog(BaseModel):
    form: Literal["dog"]


class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=3, pattern="^a")] = "a"
    number: int = 0
    real: float = 0.0
    exact: Decimal = Decimal(0)
    kind: Literal["one", "two"] = "one"
    colour: Colour = Colour.RED
    at: datetime | None = None
    unique: UUID | None = None
    link: AnyUrl | None = None
    flag: bool = False
    table: dict[int, int] = {}
    either: int | list[int] = 0
    pet: Annotated[Cat | Dog, Field(discriminator="form")] | None = None
    said: str = ""
    named: str = ""

    @field_validator("said")
    @classmethod
    def _quotes(cls, value: str) -> str:
        if value:
            raise ValueError(f"somebody said {value}")
        return value

    @field_validator("named")
    @classmethod
    def _kind(cls, value: str) -> str:
        if value:
            raise PydanticCustomError("unlucky", "{value} again", {"value": value, "gt": value})
        return value


class Outer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    messages: list[Inner]


def made() -> FastAPI:
    app, router = FastAPI(openapi_url=None), APIRouter(prefix="/v1")

    @router.post("/people/{person}/messages", responses=problems.responses("invalid", "forbidden"))
    def take(
        person: int,
        body: Outer,
        limit: Annotated[int, Query(le=9)] = 1,
        x_count: Annotated[int, Header()] = 0,
        session: Annotated[int, Cookie()] = 0,
    ) -> dict[str, int]:
        return {"taken": len(body.messages)}

    @router.get("/fail/{how}")
    def fail(how: str) -> None:
        failures: dict[str, Exception] = {
            "bug": RuntimeError(CANARY),
            "sqlalchemy": OperationalError(CANARY, {"text": CANARY}, Exception(CANARY)),
            "psycopg": psycopg.OperationalError(CANARY),
            "consent": problems.consent_missing("monitoring"),
            "rate": Problem("rate-limited", retry_after=7),
        }
        raise failures.get(how, Problem(how if how in KINDS else "not-found"))

    @router.get("/wrong-response")
    def wrong() -> Inner:
        return {"number": CANARY}  # type: ignore[return-value]

    app.include_router(router)
    problems.install(app, {"unlucky": "it brings no luck"})
    return app


@pytest.fixture(scope="module")
def app() -> FastAPI:
    return made()


@pytest.fixture(scope="module")
def client(app) -> TestClient:
    return TestClient(app, raise_server_exceptions=False)


HERE = "/v1/people/1/messages"


def assert_problem(response, kind: str) -> dict[str, Any]:
    assert response.headers["content-type"] == problems.MEDIA_TYPE
    said = response.json()
    assert (said["type"], said["title"]) == (kind, KINDS[kind].title)
    assert response.status_code == said["status"] == KINDS[kind].status
    assert CANARY not in response.text + str(response.headers)
    return said


def places(said) -> list[str]:
    return [each["where"] for each in said["errors"]]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_is_a_problem_document_with_its_status(client, kind):
    assert_problem(client.get(f"/v1/fail/{kind}"), kind)


def test_who_is_not_known_is_told_how_to_say_who_they_are(client):
    assert client.get("/v1/fail/unauthenticated").headers["www-authenticate"] == "Bearer"


def test_missing_consent_says_the_purpose(client):
    assert assert_problem(client.get("/v1/fail/consent"), "consent-missing")["purpose"] == (
        "monitoring"
    )


def test_a_rate_limit_says_when_to_come_back(client):
    response = client.get("/v1/fail/rate")
    assert assert_problem(response, "rate-limited")["retry_after"] == 7
    assert response.headers["retry-after"] == "7"


@pytest.mark.parametrize("how", ["sqlalchemy", "psycopg"])
def test_a_database_that_is_away_is_503_with_retry_after(client, how):
    response = client.get(f"/v1/fail/{how}")
    assert_problem(response, "unavailable")
    assert int(response.headers["retry-after"]) == problems.RETRY_AFTER


@pytest.mark.parametrize("path", ["/v1/fail/bug", "/v1/wrong-response"])
def test_anything_else_is_500_with_an_incident_and_without_its_message(client, path, capsys):
    first, second = client.get(path), client.get(path)
    ids = {assert_problem(each, "internal")["incident"] for each in (first, second)}
    assert len(ids) == 2


def test_a_frameworks_refusal_keeps_its_status_and_useful_headers_and_loses_its_words():
    headers = {"Allow": "GET", "Retry-After": "9", "X-Path": CANARY}
    problem = problems.from_status(HTTPException(405, CANARY, headers))
    assert (problem.status, problem.headers) == (405, {"Allow": "GET", "Retry-After": "9"})
    assert CANARY not in str(problem.body())
    assert problems.from_status(HTTPException(418, CANARY)).kind == "malformed"
    assert problems.from_status(HTTPException(502, CANARY)).kind == "internal"


def test_an_unknown_path_is_a_problem_that_does_not_repeat_it(client):
    assert_problem(client.get(f"/{CANARY}"), "not-found")


def test_a_wrong_method_says_which_are_allowed(client):
    response = client.get(HERE)
    assert_problem(response, "method-not-allowed")
    assert response.headers["allow"] == "POST"


def test_a_slash_too_many_is_no_redirect_that_repeats_the_path(client):
    response = client.post(f"/v1/people/{CANARY}/messages/", follow_redirects=False)
    assert_problem(response, "not-found")
    assert "location" not in response.headers


DEEP = b'{"messages": ' + b"[" * 100_000


@pytest.mark.parametrize(
    "body", [b"{", b'{"messages": [canary7f3e]}', b"\xff\xfe", b'"\xff"', DEEP, b"1" * 5000]
)
def test_a_body_that_cannot_be_read_is_400(client, body):
    response = client.post(HERE, content=body, headers={"content-type": "application/json"})
    assert_problem(response, "malformed")


def test_json_of_another_content_type_is_said_to_be_so(client):
    response = client.post(HERE, content=b"{}", headers={"content-type": "text/plain"})
    said = assert_problem(response, "invalid")
    assert "application/json" in said["errors"][0]["problem"]


def test_a_mistake_says_where_it_is_and_the_limit_of_the_schema(client):
    body = {"messages": [{}, {"text": "a" + CANARY}]}
    said = assert_problem(client.post(HERE, json=body), "invalid")
    assert said["errors"] == [
        {"where": "body.messages.1.text", "problem": "it may have at most 3 characters"}
    ]


def test_every_mistake_is_told_at_once(client):
    response = client.post(
        f"{HERE}?limit=99",
        json={"messages": [{"number": "x", "flag": "q"}]},
        headers={"x-count": "z"},
    )
    assert sorted(places(assert_problem(response, "invalid"))) == [
        "body.messages.0.flag",
        "body.messages.0.number",
        "header.x-count",
        "query.limit",
    ]


def test_an_apps_own_kind_of_mistake_is_told_in_the_apps_words():
    error = {"type": "unlucky", "loc": ("body", "named"), "ctx": {"value": CANARY}}
    words = {"unlucky": "it brings no luck"}
    assert told(error, {}, {"named"}, words) == ("body.named", "it brings no luck")


def test_a_key_that_the_schema_does_not_know_is_not_repeated(client):
    said = assert_problem(client.post(HERE, json={"messages": [], CANARY: 1}), "invalid")
    assert places(said) == ["body.*"]


def test_a_number_that_is_a_key_is_not_taken_for_a_position(client):
    body = {"messages": [{"table": {"491701234567": "x"}}]}
    response = client.post(HERE, json=body)
    said = assert_problem(response, "invalid")
    assert places(said) == ["body.messages.0.table.*"]
    assert "491701234567" not in response.text
    key = {"type": "int_parsing", "loc": ("body", "table", 4917), "ctx": {}}
    assert told(key, {"table": {4917: "x"}}, {"table"})[0] == "body.table.*"


def test_a_context_that_is_text_is_not_told():
    error = {"type": "less_than_equal", "loc": ("query",), "ctx": {"le": CANARY}}
    assert told(error, None, set()) == ("query", "it is not valid")


@pytest.mark.parametrize("field", sorted(Inner.model_fields))
@pytest.mark.parametrize("value", [CANARY, [CANARY], {CANARY: CANARY}, {"form": CANARY}])
def test_no_field_gives_its_value_back(client, field, value):
    response = client.post(HERE, json={"messages": [{field: value}]})
    assert_problem(response, "invalid")


leaf = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5).map(lambda text: CANARY + text),
    st.sampled_from([CANARY, f"2026-01-01T{CANARY}", f"https://{CANARY}:x/", f"1{CANARY}"]),
)
keys = st.one_of(st.sampled_from([*Inner.model_fields, "messages", "form"]), st.just(CANARY))
nested = st.recursive(
    leaf, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4)
)
bodies = nested | st.fixed_dictionaries(
    {"messages": st.lists(st.dictionaries(keys, nested, max_size=5), max_size=3)}
)


@given(body=bodies, where=st.sets(st.sampled_from(["path", "query", "key", "header", "cookie"])))
def test_nothing_of_a_request_comes_back_wherever_it_stands(body, where):
    response = SHARED.request(
        "POST",
        f"/v1/people/{CANARY if 'path' in where else 1}/messages",
        params={"limit": CANARY if "query" in where else 1}
        | ({CANARY: 1} if "key" in where else {}),
        headers={
            "content-type": "application/json",
            "x-count": CANARY if "header" in where else "1",
            "cookie": f"session={CANARY if 'cookie' in where else 1}",
        },
        content=json.dumps(body).encode(),
    )
    assert response.status_code in (200, 422)
    assert CANARY not in response.text + str(response.headers)


SHARED = TestClient(made())


def test_the_schema_documents_problems_and_no_form_of_fastapis_own(app):
    schema = app.openapi()
    parts = schema["components"]["schemas"]
    assert "Problem" in parts
    assert not {"HTTPValidationError", "ValidationError"} & set(parts)
    for path in schema["paths"].values():
        for operation in path.values():
            for status, response in operation["responses"].items():
                if int(status) >= 400:
                    assert list(response["content"]) == [problems.MEDIA_TYPE]
    assert "HTTPValidationError" not in json.dumps(schema)


def test_kinds_of_one_status_are_documented_together():
    told_together = problems.responses("forbidden", "consent-missing")[403]["description"]
    assert KINDS["forbidden"].title in told_together
    assert KINDS["consent-missing"].title in told_together
