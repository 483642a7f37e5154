"""What stands around every route: hosts, headers, methods, limits, keys, and what a mode hides."""

import threading
from datetime import timedelta

import pytest
from sqlalchemy import update
from tests import serving
from tests.serving import message

from sottovoce.service.api.app import new_app
from sottovoce.service.api.middleware import SecurityHeaders
from sottovoce.service.opening import rewrap
from sottovoce.service.settings import ServiceSettings
from sottovoce.service.tables import api_keys

PROBLEM = "application/problem+json"


def asked(stage):
    """Send requests of every ending; give their answers by status."""
    stage.register("ada", "monitoring")
    ask, path = stage.ask, "/v1/people/ada"
    big = {"messages": [message(1, "x" * 2**21)]}
    answers = [
        ask("GET", path), ask("DELETE", "/v1/people/nobody"), ask("GET", path, None),
        ask("GET", "/v1/accounts"), ask("GET", "/nothing/here"), ask("PATCH", path),
        ask("POST", f"{path}/messages", content=b"{", headers={"Content-Type": "application/json"}),
        ask("POST", f"{path}/messages", json=big), ask("POST", f"{path}/messages", json={}),
        ask("PUT", "/v1/people/new"), ask("DELETE", "/v1/people/new"), ask("GET", "/health", None),
        ask("GET", path, headers={"If-None-Match": "*"}),
    ]  # fmt: skip
    return {each.status_code: each for each in answers}


def test_every_answer_has_the_security_headers_and_a_request_id(stage):
    found = asked(stage)
    assert set(found) == {200, 201, 204, 304, 400, 401, 403, 404, 405, 413, 422}
    for status, answer in found.items():
        for name, value in SecurityHeaders.ALWAYS:
            wanted = "private, no-cache" if (status, name) == (304, "Cache-Control") else value
            assert answer.headers[name] == wanted, (status, name)
        assert len(answer.headers["x-request-id"]) == 36
        assert "server" not in answer.headers
        if status >= 400:
            assert answer.headers["content-type"] == PROBLEM
            assert answer.json()["status"] == status
    assert found[401].headers["www-authenticate"] == "Bearer"


def test_a_failure_is_a_problem_without_its_message(stage, monkeypatch):
    def fail(*_):
        raise RuntimeError("canary of a failure")

    stage.register("ada")
    monkeypatch.setattr("sottovoce.service.api.routes.people.stored.glance", fail)
    answer = stage.ask("GET", "/v1/people/ada")
    assert (answer.status_code, answer.json()["type"]) == (500, "internal")
    assert "canary" not in answer.text
    assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PATCH", "TRACE", "POST"])
def test_a_method_that_is_not_offered_is_405_and_says_which_are(stage, method):
    answer = stage.ask(method, "/v1/people/ada")
    assert answer.status_code == 405
    allowed = set(answer.headers["allow"].split(", "))
    assert allowed & {"GET", "PUT", "DELETE"}
    assert method not in allowed


def test_a_path_with_a_slash_too_many_is_not_redirected(stage):
    for path in ("/v1/people/", "/v1/people/ada/", "//v1/people"):
        answer = stage.ask("GET", path, follow_redirects=False)
        assert answer.status_code == 404
        assert "location" not in answer.headers


def test_only_the_hosts_that_are_named_are_answered(stage_with):
    with stage_with(allowed_hosts=("api.example.org", "*.inner")) as stage:
        for host, status in {
            "api.example.org": 200, "API.example.org:443": 200, "a.inner": 200, "inner": 400,
            "example.org": 400, "api.example.org.evil.net": 400, "localhost": 400, "[::1]:80": 400,
            "www.api.example.org": 400, "a.inner@evil": 400,
        }.items():  # fmt: skip
            answer = stage.ask("GET", "/v1/people", headers={"Host": host})
            assert answer.status_code == status, host
            if status == 400:
                assert answer.headers["content-type"] == PROBLEM
                assert answer.headers["x-content-type-options"] == "nosniff"
                assert host not in answer.text
            assert stage.ask("GET", "/health", None, headers={"Host": host}).status_code == 200


def test_the_document_is_hidden_in_production_and_tls_is_demanded(stage_with, tmp_path):
    with stage_with(production=True, master_key_file=tmp_path / "key") as stage:
        for path in ("/openapi.json", "/docs", "/redoc", "/docs/oauth2-redirect"):
            assert stage.ask("GET", path).status_code == 404, path
        health = stage.ask("GET", "/health", None)
        assert health.headers["strict-transport-security"].startswith("max-age=63072000")
        wrong = stage.ask("POST", "/v1/people/ada/messages", json={"messages": 1})
        assert wrong.json()["errors"][0]["where"] == "body.messages"  # names are known all the same


def test_beside_production_there_is_a_document_but_no_page_of_a_foreign_host(stage):
    assert stage.ask("GET", "/openapi.json", None).status_code == 200
    assert stage.ask("GET", "/docs", None).status_code == 404
    assert "strict-transport-security" not in stage.ask("GET", "/health", None).headers


def limited(gate, per_minute: int):
    """Give a client that always comes from one address."""
    settings = ServiceSettings(**(serving.PLAIN | {"requests_per_minute": per_minute}))
    return serving.TestClient(new_app(settings, gate), raise_server_exceptions=False)


def test_who_asks_too_often_is_told_when_to_come_back(gate):
    with limited(gate, 5) as client:
        statuses = [client.get("/v1/nothing").status_code for _ in range(6)]
        assert statuses == [404] * 5 + [429]
        refused = client.get("/v1/nothing")
        assert refused.json()["type"] == "rate-limited"
        assert 1 <= int(refused.headers["retry-after"]) <= 60
        assert refused.json()["retry_after"] == int(refused.headers["retry-after"])
        assert client.get("/health").status_code == 200


def test_who_tries_keys_is_refused_whatever_is_shown(gate, stage):
    with limited(gate, 1000) as client:
        good = {"Authorization": f"Bearer {stage.secrets['app']}"}
        assert client.get("/v1/people", headers=good).status_code == 200
        for number in range(20):
            guess = {"Authorization": f"Bearer sv_{number:043d}"}
            assert client.get("/v1/people", headers=guess).status_code == 401
        assert client.get("/v1/people", headers=good).status_code == 429


@pytest.mark.parametrize(
    "shown",
    ["", "Bearer", "Bearer ", "Basic YTpi", "bearer x", "Bearer sv_", "Bearer \xe9", "Bearer a b"],
)
def test_what_is_no_key_opens_nothing(stage, shown):
    headers = {"Authorization": shown.encode("latin-1")}
    answer = stage.ask("GET", "/v1/people", None, headers=headers)
    assert (answer.status_code, answer.json()["type"]) == (401, "unauthenticated")
    assert set(answer.json()) == {"type", "title", "status"}


def test_the_scheme_is_read_in_any_case_and_spaces_around_a_key_do_not_matter(stage):
    headers = {"Authorization": f"bEaReR  {stage.secrets['app']} "}
    assert stage.ask("GET", "/v1/people", None, headers=headers).status_code == 200


def test_a_key_ends_at_its_time_and_when_it_is_revoked(stage):
    key, stage.secrets["app"] = stage.key("app", lifetime=timedelta(days=1))
    assert stage.ask("GET", "/v1/people").status_code == 200
    assert stage.ask("DELETE", f"/v1/keys/{key}", "admin").status_code == 204
    assert stage.ask("GET", "/v1/people").status_code == 401
    assert stage.ask("DELETE", f"/v1/keys/{key}", "admin").status_code == 204  # once is enough
    key, stage.secrets["app"] = stage.key("app")
    with stage.gate.database.transaction() as connection:
        over = update(api_keys).where(api_keys.c.id == key).values(expires_at=stage.gate.clock())
        connection.execute(over)
    assert stage.ask("GET", "/v1/people").status_code == 401


def test_a_key_made_over_http_is_shown_once_and_does_what_it_may(stage):
    account = stage.accounts["app"]
    made = stage.done(
        "POST", f"/v1/accounts/{account}/keys", "admin", json={"days": 1, "scopes": ["people.list"]}
    )
    stage.secrets["narrow"] = made["secret"]
    assert stage.ask("GET", "/v1/people", "narrow").status_code == 200
    assert stage.ask("PUT", "/v1/people/ada", "narrow").status_code == 403
    listed = stage.ask("GET", f"/v1/accounts/{account}/keys", "admin")
    assert made["secret"] not in listed.text
    assert made["key"]["id"] in {each["id"] for each in listed.json()["keys"]}


@pytest.mark.parametrize(
    "body",
    [{"days": 0}, {"days": 366}, {"days": "NaN"}, {"scopes": ["people.everything"]},
     {"scopes": ["accounts.manage"]}, {"other": 1}, {"days": 1e-12}],
)  # fmt: skip
def test_a_key_that_cannot_be_meant_is_not_made(stage, body):
    path = f"/v1/accounts/{stage.accounts['app']}/keys"
    before = stage.done("GET", path, "admin")
    assert stage.ask("POST", path, "admin", json=body).status_code == 422
    assert stage.done("GET", path, "admin") == before


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999", "-1", "28", "1e30"])
def test_a_total_that_no_questionnaire_has_is_refused(stage, number):
    stage.register("ada", "monitoring")
    told = '{"instrument": "phq-9", "completed_at": "2026-03-02T10:00:00Z", "total": '
    body = told + number + "}"
    headers = {"Content-Type": "application/json"}
    path = "/v1/people/ada/questionnaires/q1"
    answer = stage.ask("PUT", path, content=body.encode(), headers=headers)
    assert answer.status_code == 422, answer.text
    assert stage.done("GET", "/v1/people/ada/questionnaires")["questionnaires"] == []


@pytest.mark.parametrize(
    "person", ["a b", "a%2Fb", "a%00b", "x" * 129, "%C3%A9", "a;b", ".hidden", "a%0A"]
)
def test_a_pseudonym_is_what_stands_in_a_path_as_it_is(stage, person):
    assert stage.ask("PUT", f"/v1/people/{person}").status_code in (404, 422)
    assert stage.done("GET", "/v1/people")["people"] == []


def test_an_etag_saves_the_answer_until_something_changes(stage):
    stage.register("ada", "monitoring")
    for path in ("/v1/people/ada", "/v1/people/ada/trajectory", "/v1/people/ada/estimates"):
        first = stage.ask("GET", path)
        tag = {"If-None-Match": f'"other", {first.headers["etag"]}'}
        same = stage.ask("GET", path, headers=tag)
        assert (same.status_code, same.content, same.headers["etag"]) == (
            304, b"", first.headers["etag"],
        )  # fmt: skip
    trajectory = stage.ask("GET", path).headers["etag"]
    stage.say("ada", "something new")
    again = stage.ask("GET", path, headers={"If-None-Match": trajectory})
    assert again.status_code == 200
    other = stage.ask("GET", "/v1/people/ada", headers={"If-None-Match": again.headers["etag"]})
    assert other.status_code == 200  # a tag of another kind of answer


def test_requests_go_on_while_every_key_is_wrapped_anew(stage, gate):
    for number in range(30):
        stage.register(f"p{number}", "monitoring")
    held = gate.keeper.newer()
    gate.keeper = held
    statuses: list[int] = []

    def ask() -> None:
        for number in range(30):
            body = {"messages": [message(1, "while keys change")]}
            answer = stage.ask("POST", f"/v1/people/p{number}/messages", json=body)
            statuses.append(answer.status_code)

    thread = threading.Thread(target=ask)
    thread.start()
    assert rewrap(gate.database, held) == 30 + 2  # and the keys of index and audit log
    thread.join()
    assert statuses == [200] * 30
    gate.keeper = held.without_old()
    stage.care("p0")
    assert [each["content"] for each in stage.said("p0")] == ["while keys change"]
