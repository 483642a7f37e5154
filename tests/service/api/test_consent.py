"""Consent over HTTP: what stands, what a withdrawal does, and forgetting a person."""

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select, text
from tests import made
from tests.serving import consented, message

from sottovoce.service.tables import estimates, messages, questionnaires

PATH = "/v1/people/ada/consent"
FILLED = {"instrument": "phq-9", "completed_at": "2026-03-02T10:00:00Z", "items": [1] * 9}


def record(stage, *lines):
    return stage.ask("POST", PATH, json={"consent": list(lines)})


def ago(**span: int) -> str:
    return (datetime.now(UTC) - timedelta(**span)).isoformat()


def kept(stage) -> int:
    """Count everything that was told of a person."""
    with stage.gate.database.transaction() as connection:
        return sum(
            connection.execute(select(func.count()).select_from(table)).scalar_one()
            for table in (messages, questionnaires, estimates)
        )


@pytest.fixture
def ada(stage):
    stage.register("ada")
    stage.care("ada")
    return stage


def test_without_monitoring_a_message_is_refused_and_the_purpose_is_named(ada):
    body = {"messages": [message(1)]}
    answer = ada.ask("POST", "/v1/people/ada/messages", json=body)
    assert answer.status_code == 403
    assert answer.json()["type"] == "consent-missing"
    assert answer.json()["purpose"] == "monitoring"
    ada.consent("ada", "research")
    assert ada.ask("POST", "/v1/people/ada/messages", json=body).status_code == 403
    assert ada.consent("ada")["standing"] == ["monitoring", "research"]
    assert ada.ask("POST", "/v1/people/ada/messages", json=body).status_code == 200
    assert kept(ada) == 1


def test_a_line_that_comes_late_does_not_undo_what_was_said_after_it(ada):
    withdrawn = record(ada, consented(granted=False, at=ago(hours=1)))
    assert withdrawn.json()["standing"] == []
    late = record(ada, consented(granted=True, at=ago(hours=2)))
    assert late.status_code == 201
    assert late.json()["standing"] == []
    assert len(late.json()["ledger"]) == 2
    assert record(ada, consented(granted=True, at=ago(minutes=1))).json()["standing"] == [
        "monitoring"
    ]


def test_of_one_moment_a_withdrawal_counts(ada):
    at = ago(hours=1)
    lines = [consented(granted=False, at=at), consented(granted=True, at=at)]
    assert record(ada, *lines).json()["standing"] == []


def test_a_line_of_the_future_is_refused_and_one_of_a_fast_clock_counts_from_now(ada):
    tomorrow = (datetime.now(UTC) + timedelta(days=1)).isoformat()
    answer = record(ada, consented(), consented(at=tomorrow))
    assert answer.status_code == 422
    assert ada.done("GET", PATH)["ledger"] == []
    soon = (datetime.now(UTC) + timedelta(minutes=2)).isoformat()
    assert record(ada, consented(at=soon)).json()["standing"] == ["monitoring"]
    assert record(ada, consented(granted=False)).json()["standing"] == []


def test_nothing_that_ends_before_its_beginning_is_believed(ada):
    for at in ("0001-01-01T00:00:00Z", ago(days=4000)):
        assert record(ada, consented(at=at)).status_code == 201
    assert record(ada, consented(at="9999-12-31T23:59:59Z")).status_code == 422


def everything(stage) -> None:
    """Tell all kinds of things about a person who agrees."""
    stage.consent("ada")
    stage.say("ada", "one", "two")
    stage.done("PUT", "/v1/people/ada/questionnaires/q1", json=FILLED)
    stage.estimated("ada", made.estimate("ada"))
    assert kept(stage) == 4


def test_a_withdrawal_deletes_everything_at_once_and_stops_reading_and_scoring(ada):
    everything(ada)
    assert ada.consent("ada", granted=False)["standing"] == []
    assert kept(ada) == 0
    for path in ("messages", "trajectory", "estimates", "questionnaires", "fhir"):
        answer = ada.ask("GET", f"/v1/people/ada/{path}", "clinician")
        assert (answer.status_code, answer.json()["type"]) == (403, "consent-missing"), path
    with ada.gate.database.transaction() as connection:
        waiting = text("SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo'")
        assert connection.execute(waiting).scalar() == 0
    assert ada.consent("ada")["standing"] == ["monitoring"]
    assert ada.said("ada") == []


def test_a_withdrawal_of_something_else_deletes_nothing(ada):
    everything(ada)
    ada.consent("ada", "research")
    ada.consent("ada", "research", granted=False)
    assert kept(ada) == 4


def test_by_the_operators_policy_a_withdrawal_deletes_after_days(stage_with):
    with stage_with(purge_after_days=30) as stage:
        stage.register("ada")
        stage.care("ada")
        everything(stage)
        stage.consent("ada", granted=False)
        assert kept(stage) == 4
        assert stage.ask("GET", "/v1/people/ada/messages", "clinician").status_code == 403
        with stage.gate.database.transaction() as connection:
            asked = text("SELECT scheduled_at FROM procrastinate_jobs WHERE task_name = 'purge'")
            (due,) = connection.execute(asked).scalars()
        left = due - datetime.now(UTC)
        assert timedelta(days=29, hours=23) < left <= timedelta(days=30)


def test_a_withdrawal_is_told_to_a_webhook_although_it_deletes_at_once(ada):
    hook = {"url": "https://127.0.0.1/", "events": ["consent.withdrawn"]}
    ada.done("POST", "/v1/webhooks", "admin", json=hook)
    everything(ada)
    ada.consent("ada", granted=False)
    with ada.gate.database.transaction() as connection:
        told = connection.execute(
            text(
                "SELECT type, outcome FROM events JOIN deliveries ON "
                "deliveries.event_id = events.id"
            )
        ).all()
        jobs = text("SELECT count(*) FROM procrastinate_jobs WHERE task_name = 'deliver'")
        assert connection.execute(jobs).scalar() == 1
    assert [tuple(each) for each in told] == [("consent.withdrawn", "pending")]


ABOUT = (
    ("GET", ""), ("DELETE", ""), ("GET", "/consent"), ("POST", "/consent"), ("GET", "/messages"),
    ("POST", "/messages"), ("GET", "/questionnaires"), ("PUT", "/questionnaires/q1"),
    ("GET", "/trajectory"), ("GET", "/estimates"), ("GET", "/export"), ("GET", "/fhir"),
)  # fmt: skip


def test_who_is_erased_is_nowhere_and_the_pseudonym_is_free_again(ada):
    everything(ada)
    first = ada.row("ada")
    assert ada.ask("DELETE", "/v1/people/ada").status_code == 204
    bodies = {"/consent": {"consent": [consented()]}, "/messages": {"messages": [message(1)]}}
    bodies["/questionnaires/q1"] = FILLED
    for method, path in ABOUT:
        who = "clinician" if (method, path) == ("GET", "/messages") else "app"
        body = {"json": bodies[path]} if method in ("POST", "PUT") else {}
        answer = ada.ask(method, f"/v1/people/ada{path}", who, **body)
        assert (answer.status_code, answer.json()["type"]) == (404, "not-found"), (method, path)
    assert ada.done("GET", "/v1/people")["people"] == []
    assert kept(ada) == 0
    assert ada.ask("PUT", "/v1/people/ada").status_code == 201
    assert ada.row("ada") != first
    assert ada.done("GET", PATH) == {"standing": [], "ledger": []}
    assert ada.ask("GET", "/v1/people/ada", "clinician").status_code == 404
