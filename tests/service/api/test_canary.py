"""A canary: after everything that can happen, a person's words and ids are nowhere they may not be.

One run of the whole service, with its real logs, database, metrics, spans, worker and a webhook's
receiver. What is searched is searched as text, as the hexadecimal digits in which a table shows
bytes, and as base64.
"""

import json
import threading
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import numpy as np
import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from sqlalchemy import select, text
from tests import made, serving

from sottovoce.cohort import WindowRules
from sottovoce.conformal import PredictiveDistribution
from sottovoce.instruments import PHQ_9
from sottovoce.scorer import Judged, Reading, Scorer
from sottovoce.service import telemetry
from sottovoce.service.database import Database
from sottovoce.service.delivering import Delivering
from sottovoce.service.opening import open_gate
from sottovoce.service.settings import ServiceSettings
from sottovoce.service.tables import deliveries, metadata
from sottovoce.service.webhooks import Reach
from sottovoce.service.worker import run_worker

TEXT = "canary-words-7f3e"
ID = "canary-id-91c4"
BASE = f"/v1/people/{ID}"


class Counting(Scorer):
    """Scores as many points as there are messages; a word of the person makes it fail aloud."""

    instrument = PHQ_9
    rules = WindowRules(min_user_messages=1, min_user_words=0)
    coverage = 0.8
    distribution = PredictiveDistribution.from_residuals(np.arange(-9.0, 10.0))
    model_id = "counting"
    summary = "counts messages"

    def read(self, windows):
        return [Reading(each.reason, each) for each in windows]

    def judge(self, readings, advance=None):
        for each in readings:
            said = [message.content for message in each.content.user_messages]
            if any("fail" in line for line in said):
                raise RuntimeError(f"the model could not read: {said}")
        return [Judged(len(each.content.user_messages), self.distribution) for each in readings]

    def save_pretrained(self, folder):
        return folder


@dataclass
class Run:
    """What a run left behind, by where it was found."""

    answers: dict[str, Any] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    events: list[str] = field(default_factory=list)

    def note(self, name: str, answer: Any) -> Any:
        """Keep an answer under a name."""
        assert name not in self.answers
        self.answers[name] = answer
        return answer


@contextmanager
def receiver(into: list[str]) -> Iterator[str]:
    """Receive webhooks on this machine; give where."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            into.append(str(self.headers) + body.decode())
            self.send_response(204)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()
    thread.join()


def told(stage, run: Run) -> None:
    """Tell the service of a person, under ids that are canaries, too."""
    run.note("register", stage.ask("PUT", BASE))
    stage.care(ID)
    for purpose in ("monitoring", "research"):
        stage.consent(ID, purpose)
    batch = [
        serving.message(n, f"{TEXT} {n}", id=f"{ID}-m{n}", conversation_id=f"{ID}-c")
        for n in range(4)
    ]
    run.note("send", stage.ask("POST", f"{BASE}/messages", json={"messages": batch}))
    filled = {"instrument": "phq-9", "completed_at": "2026-03-02T10:00:00Z", "items": [1] * 9}
    run.note("fill", stage.ask("PUT", f"{BASE}/questionnaires/{ID}-q", json=filled))


def read(stage, run: Run) -> None:
    """Read everything that can be read."""
    for name in (
        "",
        "/consent",
        "/questionnaires",
        "/trajectory",
        "/estimates",
        "/export",
        "/fhir",
    ):
        run.note(f"read {name}", stage.ask("GET", BASE + name))
    run.note("read messages", stage.ask("GET", f"{BASE}/messages", "clinician"))
    told_by = {"profile": None, "evidence": [{"text": TEXT}]}
    one = stage.estimated(ID, made.estimate(model_id="explaining"), told_by)
    run.note("evidence", stage.ask("GET", f"{BASE}/estimates/{one}", "clinician"))
    run.note("without evidence", stage.ask("GET", f"{BASE}/estimates/{one}", "app"))
    run.note("people", stage.ask("GET", "/v1/people"))
    run.note("research", stage.ask("GET", "/v1/research/export", "researcher"))
    for path in ("/v1/audit?limit=500", "/v1/jobs", "/v1/webhooks", "/v1/accounts", "/metrics"):
        run.note(path, stage.ask("GET", path, "admin"))


SAYING, FILLING = f"{BASE}/messages", f"{BASE}/questionnaires/{ID}"


def _saying(**changes: Any) -> dict[str, Any]:
    return {"json": {"messages": [serving.message(1, TEXT, **changes)]}}


def _filling(**said: Any) -> dict[str, Any]:
    return {"json": {"instrument": "phq-9", "completed_at": "2026-03-02T10:00:00Z"} | said}


ODD = {"X-Request-ID": TEXT, "Cookie": TEXT, "User-Agent": TEXT}
WRONG: dict[str, tuple[str, str, dict[str, Any]]] = {
    "conflict": ("POST", SAYING, _saying(id=f"{ID}-m1", conversation_id=f"{ID}-c")),
    "field": ("POST", SAYING, {"json": {"messages": [{TEXT: TEXT, "id": f"{ID} {ID}"}]}}),
    "role": ("POST", SAYING, _saying(role=TEXT)),
    "time": ("POST", SAYING, _saying(sent_at=TEXT)),
    "cut": ("POST", SAYING, {"content": f'{{"messages": ["{TEXT}'.encode()}),
    "not UTF-8": ("POST", SAYING, {"content": f'["{TEXT}\xff'.encode("latin-1")}),
    "too large": ("POST", SAYING, {"content": TEXT.encode() * 100_000}),
    "lone": ("POST", SAYING, {"content": f'["{TEXT}\\ud800"]'.encode()}),
    "total": ("PUT", FILLING, _filling(instrument=TEXT, completed_at=TEXT, items=[TEXT])),
    "items": ("PUT", FILLING, _filling(items=[99])),
    "consent": ("POST", f"{BASE}/consent", {"json": {"consent": [serving.consented(TEXT)]}}),
    "cursor": ("GET", f"/v1/people?cursor={TEXT}", {}),
    "limit": ("GET", f"/v1/people?limit={TEXT}", {}),
    "path": ("GET", f"/v1/{TEXT}/{ID}", {}),
    "id": ("GET", f"/v1/people/{ID}%20{TEXT}", {}),
    "uuid": ("GET", f"{BASE}/estimates/{TEXT}", {}),
    "nobody": ("GET", f"/v1/people/{ID}-nobody", {}),
    "method": ("CANARY", BASE, {}),
    "other method": ("PATCH", f"{BASE}/{TEXT}", {}),
    "headers": ("GET", f"{BASE}-x", {"headers": ODD}),
    "tag": ("GET", f"{BASE}-x", {"headers": {"If-None-Match": TEXT}}),
    "key": ("GET", BASE, {"headers": {"Authorization": f"Bearer {TEXT}"}}),
    "form": ("PUT", f"{BASE}/questionnaires/q", {"data": {TEXT: TEXT}}),
}
"""Requests that cannot be right, with canaries wherever there is room for one."""


def wrong(stage, run: Run) -> None:
    """Make every wrong request; each must be refused, and no refusal holds a canary."""
    for name, (method, path, given) in WRONG.items():
        headers = {"Authorization": f"Bearer {stage.secrets['app']}"} | given.get("headers", {})
        body = {key: value for key, value in given.items() if key != "headers"}
        answer = stage.client.request(method, path, headers=headers, **body)
        run.note(f"wrong {name}", answer)
        assert answer.status_code >= 400, name


def broken(stage, run: Run) -> None:
    """Let the database be away, refuse a row, and lack a table."""
    batch = {"messages": [serving.message(50, TEXT, id=f"{ID}-x")]}
    path = f"{BASE}/messages"
    for name, harm, mend in (
        ("row refused", "ALTER TABLE messages ADD CONSTRAINT never CHECK (false) NOT VALID",
         "ALTER TABLE messages DROP CONSTRAINT never"),
        ("no table", "ALTER TABLE messages RENAME TO lost", "ALTER TABLE lost RENAME TO messages"),
    ):  # fmt: skip
        with stage.gate.database.transaction() as connection:
            connection.execute(text(harm))
        answer = run.note(name, stage.ask("POST", path, json=batch))
        with stage.gate.database.transaction() as connection:
            connection.execute(text(mend))
        assert answer.status_code == 500
    away = Database("postgresql://canary@127.0.0.1:1/canary")
    gate = open_gate(stage.gate.database, stage.gate.keeper)
    gate.database = away
    app = serving.new_app(ServiceSettings(**serving.PLAIN), gate)
    with serving.TestClient(app, raise_server_exceptions=False) as client:
        headers = {"Authorization": f"Bearer {stage.secrets['app']}"}
        answer = run.note("away", client.post(path, json=batch, headers=headers))
        assert (answer.status_code, answer.json()["type"]) == (503, "unavailable")
        assert run.note("not ready", client.get("/ready")).status_code == 503
    away.close()


def worked(stage, run: Run, settings: ServiceSettings) -> None:
    """Score, and deliver what is to be delivered."""
    run_worker(stage.gate, settings, Counting(), once=True)
    with stage.gate.database.transaction() as connection:
        asked = select(deliveries.c.id).where(deliveries.c.outcome == "pending")
        waiting = connection.execute(asked).scalars().all()
    delivering = Delivering(stage.gate, Reach(settings.webhook_networks))
    for each in waiting:
        assert delivering.attempt(each) == "delivered"
    delivering.close()


def contents(database: Database) -> str:
    """Give every row of every table, as PostgreSQL writes it."""
    jobs = ("procrastinate_jobs", "procrastinate_events", "procrastinate_workers")
    with database.transaction() as connection:
        rows = [
            line
            for name in (*metadata.tables, *jobs)
            for line in connection.execute(text(f"SELECT each::text FROM {name} each")).scalars()
        ]
    return "\n".join(rows)


@pytest.fixture
def exported(monkeypatch):
    """Keep every span."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(telemetry.trace, "get_tracer", provider.get_tracer)
    monkeypatch.setattr(telemetry.trace, "get_tracer_provider", lambda: provider)
    yield exporter
    provider.shutdown()


@pytest.fixture
def run(stage, postgres, exported, capfd):
    """Run the service once through everything, and gather what it left behind."""
    with serving.logged() as written:
        found = _ran(stage, exported)
    found.places |= dict(zip(("stdout", "stderr"), capfd.readouterr(), strict=True))
    found.places["log"] = written.getvalue()
    logs = sorted((postgres.folder / "log").iterdir())
    found.places["PostgreSQL's log"] = "".join(each.read_text("utf-8") for each in logs)
    found.places["webhooks"] = "".join(found.events)
    return found


def _ran(stage, exported) -> Run:
    found = Run()
    settings = ServiceSettings(**serving.PLAIN)
    with receiver(found.events) as url:
        hook = {"url": url, "events": ["estimate.created", "consent.withdrawn"]}
        stage.done("POST", "/v1/webhooks", "admin", json=hook)
        told(stage, found)
        worked(stage, found, settings)
        read(stage, found)
        wrong(stage, found)
        broken(stage, found)
        again = [serving.message(60, f"fail {TEXT}", id=f"{ID}-f")]
        found.note("say", stage.ask("POST", f"{BASE}/messages", json={"messages": again}))
        worked(stage, found, settings)  # the model fails and says the text
        found.places["tables"] = contents(stage.gate.database)
        stage.consent(ID, "research", granted=False)
        worked(stage, found, settings)
        found.note("erase", stage.ask("DELETE", BASE))
        found.places["tables afterwards"] = contents(stage.gate.database)
        found.places["metrics"] = stage.ask("GET", "/metrics", "admin").text
    for each in exported.get_finished_spans():
        found.places["spans"] = found.places.get("spans", "") + each.to_json()
    return found


def holds(said: str, canary: str) -> bool:
    """Whether a canary is in some text, as it is, as hexadecimal digits or as base64."""
    raw = canary.encode()
    coded = [b64encode(b"\0" * shift + raw).decode()[4:-4] for shift in range(3)]
    return canary in said or raw.hex() in said or any(each in said for each in coded)


MAY_SAY = {"read messages", "read /export", "evidence"}


def test_words_and_ids_are_nowhere_but_in_the_answers_that_are_for_them(run):
    for name, answer in run.answers.items():
        assert holds(answer.text, TEXT) == (name in MAY_SAY), name
        about = str(answer.headers)
        assert not holds(about, TEXT), name
        assert not holds(about, ID), name
        if answer.status_code >= 400:
            assert not holds(answer.text, ID), name
    for place, said in run.places.items():
        assert not holds(said, TEXT), place
        assert not holds(said, ID), place
    _something_was_looked_at(run)


def _something_was_looked_at(run: Run) -> None:
    """Make sure that each place had something to tell."""
    lines = [json.loads(line) for line in run.places["log"].splitlines()]
    events = {each["event"] for each in lines}
    assert {"request", "request-failed", "database-away"} <= events
    assert any("RuntimeError" in str(each.get("types")) for each in lines)
    assert run.answers["read /trajectory"].json()["estimates"][0]["score"] == 4
    assert '"consent.withdrawn"' in run.places["webhooks"]
    assert "sottovoce_http_request_seconds_count" in run.places["metrics"]
    assert "failed" in run.places["tables"] or "RuntimeError" in run.places["tables"]
    assert "starting PostgreSQL" in run.places["PostgreSQL's log"]


def test_the_search_finds_what_it_looks_for_in_every_coding():
    for shift in range(3):
        padded = "x" * shift + TEXT + "x"
        assert holds(b64encode(padded.encode()).decode(), TEXT)
    assert holds(f"\\\\x00{TEXT.encode().hex()}", TEXT)
    assert holds(f"...{TEXT}...", TEXT)
    assert not holds("canary-words", TEXT)
