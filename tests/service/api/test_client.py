"""The client against the app, and against services that fail, are away, or say something odd."""

from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from starlette.testclient import TestClient
from tests import made
from tests.serving import START

from sottovoce import client as module
from sottovoce.client import ATTEMPTS, Client, OutgoingMessage, ServiceRefusal, Stored
from sottovoce.errors import ServiceError

URL = "http://service.example"


class App(httpx2.BaseTransport):
    """Sends requests to an app in this process, through whatever stands before it.

    Parameters
    ----------
    client
        Calls the app.
    """

    def __init__(self, client: TestClient) -> None:
        self.client, self.paths, self.failures = client, [], []

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Fail as long as failures are left, before or after the app has done its work."""
        self.paths.append(request.url.raw_path.decode())
        failure = self.failures.pop(0) if self.failures else None
        if isinstance(failure, int):
            return httpx2.Response(failure, text="a proxy's page")
        if failure is httpx2.ConnectError:
            raise failure("nobody listens")
        path = request.url.raw_path.decode()
        answer = self.client.request(
            request.method, path, content=request.read(), headers=dict(request.headers)
        )
        if failure is httpx2.ReadError:  # the work is done, the answer is lost
            raise failure("the connection was cut")
        return httpx2.Response(answer.status_code, content=answer.content, headers=answer.headers)


@pytest.fixture(autouse=True)
def pauses(monkeypatch):
    """Note the pauses between attempts instead of waiting."""
    waited: list[float] = []
    monkeypatch.setattr("tenacity.nap.time.sleep", waited.append)
    return waited


@pytest.fixture
def app(stage):
    return App(stage.client)


@pytest.fixture
def service(stage, app):
    with Client(URL, stage.secrets["app"], transport=app) as made_:
        yield made_


def lines(number: int) -> list[OutgoingMessage]:
    return [
        OutgoingMessage(f"m{n}", "c", "user", f"line {n}", START + timedelta(seconds=n))
        for n in range(number)
    ]


def agreed(service) -> None:
    service.register("ada")
    service.consent("ada", "monitoring", granted=True, text_version="v1", source="app")


def test_a_person_from_registering_to_erasing(stage, service):
    assert service.register("ada")
    assert not service.register("ada")
    given = {"granted": True, "text_version": "v1", "source": "app"}
    assert service.consent("ada", "monitoring", **given) == {"monitoring"}
    assert service.consent("ada", "research", **given, at=START) == {"monitoring", "research"}
    assert service.send("ada", lines(3)) == Stored(3, 0, 0)
    at = datetime(2026, 3, 2, 10, tzinfo=UTC)
    assert service.questionnaire("ada", "q1", "phq-9", at, items=[1] * 9) == 9
    assert service.questionnaire("ada", "q2", "phq-9", at, total=4) == 4
    found = service.trajectory("ada")
    assert found.pending
    assert found.estimates == ()
    assert sorted(found.questionnaires) == [("phq-9", at, 4.0), ("phq-9", at, 9.0)]
    stage.estimated("ada", made.estimate("ada"))
    stage.estimated("ada", made.estimate("ada", None, model_id="another", window_end=at))
    first, second = service.trajectory("ada").estimates
    assert (first.score, first.window_end, first.model_id) == (11.0, made.NOON, "made-up")
    assert first.p_at_least == made.estimate().p_at_least
    assert (second.score, second.reason) == (None, "too little conversation")
    assert service.fhir("ada")["resourceType"] == "Bundle"
    assert [each["content"] for each in service.export("ada")["messages"]] == [
        "line 0", "line 1", "line 2",
    ]  # fmt: skip
    service.erase("ada")
    service.erase("ada")
    assert list(service.people()) == []


def test_more_messages_than_one_call_takes_are_sent_in_several(stage, service, app):
    agreed(service)
    app.paths.clear()
    assert service.send("ada", lines(2005)) == Stored(2005, 0, 0)
    assert len(app.paths) == 3
    assert service.send("ada", lines(2010)) == Stored(5, 2005, 0)
    assert service.send("ada", []) == Stored(0, 0, 0)


def test_everybody_is_listed_over_several_pages(service):
    everybody = {f"p{number:03d}" for number in range(103)}
    for person in everybody:
        service.register(person)
    found = list(service.people())
    assert len(found) == 103
    assert set(found) == everybody


@pytest.mark.parametrize("failure", [503, 502, 504, 429, httpx2.ConnectError, httpx2.ReadError])
def test_a_call_that_may_succeed_later_is_made_again(service, app, pauses, failure):
    agreed(service)
    app.failures = [failure] * 3
    done = service.send("ada", lines(4))
    lost = failure is httpx2.ReadError
    assert done == (Stored(0, 4, 0) if lost else Stored(4, 0, 0))
    assert len(pauses) == 3
    assert all(0 < wait <= module.LONGEST_PAUSE for wait in pauses)


def test_pauses_grow_and_the_services_own_wish_is_kept_within_bounds(stage, pauses):
    said = iter([*[{}] * 5, {"retry_after": 3}, {"retry_after": 3600}])

    def busy(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(503, json=next(said, {"status": 503}))

    with (
        Client(URL, "key", transport=httpx2.MockTransport(busy)) as service,
        pytest.raises(ServiceRefusal),
    ):
        service.register("ada")
    assert pauses[5:] == [3.0, module.LONGEST_PAUSE]
    assert pauses[4] > pauses[0]


def test_after_some_attempts_a_refusal_is_told(pauses):
    asked = []

    def away(request: httpx2.Request) -> httpx2.Response:
        asked.append(request)
        return httpx2.Response(503, text="<html>")

    with (
        Client(URL, "key", transport=httpx2.MockTransport(away)) as service,
        pytest.raises(ServiceRefusal) as caught,
    ):
        service.register("ada")
    assert len(asked) == ATTEMPTS == len(pauses) + 1
    assert (caught.value.status, caught.value.problem) == (503, {})


def test_after_some_attempts_silence_is_one_sentence_without_the_path():
    def nobody(_: httpx2.Request) -> httpx2.Response:
        raise httpx2.ConnectError("connection refused for /v1/people/ada")

    with (
        Client(URL, "key", transport=httpx2.MockTransport(nobody)) as service,
        pytest.raises(ServiceError) as caught,
    ):
        service.register("ada")
    said = str(caught.value)
    assert "service.example" in said
    assert "ConnectError" in said
    assert "ada" not in said


def test_an_address_that_is_none_is_not_tried_again(pauses):
    with Client("htp://service.example", "key") as service, pytest.raises(ServiceError):
        service.register("ada")
    assert pauses == []


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422, 500])
def test_what_stays_wrong_is_told_at_once(pauses, status):
    problem = {"type": "some-kind", "title": "A title.", "detail": "A detail.", "status": status}

    def refuse(_: httpx2.Request) -> httpx2.Response:
        return httpx2.Response(status, json=problem)

    with (
        Client(URL, "key", transport=httpx2.MockTransport(refuse)) as service,
        pytest.raises(ServiceRefusal) as caught,
    ):
        service.export("ada")
    assert (caught.value.status, caught.value.problem) == (status, problem)
    assert str(caught.value) == f"the service answered {status} (some-kind): A detail."
    assert pauses == []


def test_a_missing_consent_says_which(service):
    service.register("ada")
    with pytest.raises(ServiceRefusal) as caught:
        service.send("ada", lines(1))
    assert (caught.value.status, caught.value.problem["purpose"]) == (403, "monitoring")
    assert "monitoring" in str(caught.value)
    assert "line 0" not in str(caught.value)


def test_a_wrong_key_is_refused_and_stands_in_no_error(stage, app):
    with (
        Client(URL, "sv_secret", transport=app) as service,
        pytest.raises(ServiceRefusal) as caught,
    ):
        service.register("ada")
    assert caught.value.status == 401
    assert "sv_secret" not in str(caught.value) + repr(service) + repr(caught.value)


@pytest.mark.parametrize("person", ["a/b", "a b", "a?b=c", "a#b", "é", "../accounts", "%2e"])
def test_an_id_never_leads_to_another_path(app, service, person):
    with pytest.raises(ServiceRefusal):
        service.register(person)
    (path,) = app.paths
    assert path.startswith("/v1/people/")
    assert path.count("/") == 3
    assert "?" not in path


@pytest.mark.parametrize("person", ["", ".", ".."])
def test_an_id_that_would_vanish_from_the_path_is_refused_here(app, service, person):
    with pytest.raises(ValueError, match="id"):
        service.erase(person)
    assert app.paths == []


def test_text_of_any_kind_arrives_as_it_was(stage, service):
    texts = ["\0", "\u202e\u05d0", "\U0001f642", "e\u0301"]
    agreed(service)
    batch = [
        OutgoingMessage(f"m{n}", "c", "user", text, START + timedelta(seconds=n))
        for n, text in enumerate(texts)
    ]
    service.send("ada", batch)
    assert [each["content"] for each in service.export("ada")["messages"]] == texts
