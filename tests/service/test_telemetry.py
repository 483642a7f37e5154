"""Metrics as Prometheus reads them, spans as the SDK's in-memory exporter keeps them."""

import urllib.request

import pytest
from fastapi import FastAPI
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client.parser import text_string_to_metric_families
from starlette.testclient import TestClient

from sottovoce.service import telemetry as module
from sottovoce.service.api import middleware, problems
from sottovoce.service.telemetry import Queue, serve, span, telemetry

CANARY = "canary7f3e"


def samples(measured) -> dict[str, float]:
    """Read the exposition with the library's own parser; name and labels to value."""
    found = {}
    for family in text_string_to_metric_families(measured.exposition().decode()):
        for each in family.samples:
            labels = ",".join(f"{key}={value}" for key, value in sorted(each.labels.items()))
            found[f"{each.name}{{{labels}}}"] = each.value
    return found


def test_requests_are_counted_by_route_method_and_status():
    measured = telemetry("1.0")
    measured.request("/v1/people/{person_id}", "GET", 200, 0.02)
    measured.request("/v1/people/{person_id}", "GET", 200, 0.3)
    measured.request("unmatched", "GET", 404, 0.001)
    found = samples(measured)
    of_person = "method=GET,route=/v1/people/{person_id},status=200"
    assert found[f"sottovoce_http_request_seconds_count{{{of_person}}}"] == 2
    assert found[f"sottovoce_http_request_seconds_sum{{{of_person}}}"] == pytest.approx(0.32)
    assert found["sottovoce_http_request_seconds_count{method=GET,route=unmatched,status=404}"] == 1


def test_messages_estimates_jobs_scoring_and_deliveries_are_counted():
    measured = telemetry("1.0")
    measured.messages.inc(3)
    measured.estimate("abstained")
    measured.jobs.labels("score", "done").inc()
    measured.scoring.observe(0.7)
    measured.deliveries.labels("delivered").inc()
    found = samples(measured)
    assert found["sottovoce_messages_stored_total{}"] == 3
    assert found["sottovoce_estimates_total{outcome=abstained}"] == 1
    assert found["sottovoce_jobs_total{outcome=done,task=score}"] == 1
    assert found["sottovoce_scoring_seconds_bucket{le=1.0}"] == 1
    assert found["sottovoce_webhook_deliveries_total{outcome=delivered}"] == 1


def test_the_build_is_told():
    found = samples(telemetry("1.2.3", "abc"))
    assert found["sottovoce_build_info{model=abc,version=1.2.3}"] == 1


def test_two_registries_know_nothing_of_each_other():
    first, second = telemetry("1"), telemetry("1")
    first.messages.inc()
    assert samples(second)["sottovoce_messages_stored_total{}"] == 0


def test_the_queue_is_asked_at_each_scrape_and_not_before():
    asked = []

    def depth() -> float:
        asked.append(1)
        return len(asked)

    measured = telemetry("1")
    measured.watch(Queue(depth, lambda: 12.5, lambda: 2))
    assert asked == []
    assert samples(measured)["sottovoce_queue_depth{}"] == 1
    found = samples(measured)
    assert found["sottovoce_queue_depth{}"] == 2
    assert found["sottovoce_queue_oldest_pending_seconds{}"] == 12.5
    assert found["sottovoce_queue_dead_letters{}"] == 2


def test_a_queue_that_cannot_be_asked_leaves_the_other_figures():
    def away() -> float:
        raise OSError(CANARY)

    measured = telemetry("1")
    measured.watch(Queue(away, lambda: 1, away))
    found = samples(measured)
    assert "sottovoce_queue_depth{}" not in found
    assert found["sottovoce_queue_oldest_pending_seconds{}"] == 1
    assert CANARY not in measured.exposition().decode()


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def test_a_worker_serves_its_own_metrics_until_it_is_told_to_stop():
    measured, port = telemetry("1"), free_port()
    measured.messages.inc(4)
    stop = serve(measured, port)
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as response:
            assert b"sottovoce_messages_stored_total 4.0" in response.read()
    finally:
        stop()
    with pytest.raises(OSError, match="refused"):
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics")


@pytest.fixture
def exported(monkeypatch):
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(module.trace, "get_tracer", provider.get_tracer)
    monkeypatch.setattr(module.trace, "get_tracer_provider", lambda: provider)
    exporter.provider = provider
    yield exporter
    provider.shutdown()


def test_a_span_has_the_attributes_of_the_list_and_no_others(exported):
    with span("score batch", sottovoce__task="score", sottovoce__batch__size=3, text=CANARY):
        pass
    (done,) = exported.get_finished_spans()
    assert done.name == "score batch"
    assert dict(done.attributes) == {"sottovoce.task": "score", "sottovoce.batch.size": 3}


def test_a_span_may_learn_more_later_from_the_same_list(exported):
    with span("http request") as tell:
        tell(http__route="/v1/people/{person_id}", http__target=CANARY)
    (done,) = exported.get_finished_spans()
    assert dict(done.attributes) == {"http.route": "/v1/people/{person_id}"}


def traced(exported, monkeypatch, **options) -> str:
    """Serve one request that fails, with the SDK set up, and give everything that it keeps."""
    app = FastAPI(**options)

    @app.get("/v1/people/{person_id}")
    def fail(person_id: str) -> None:
        raise RuntimeError(person_id)

    problems.install(app)
    middleware.install(app, 100)
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: exported.provider)
    TestClient(app).get(f"/v1/people/{CANARY}?q={CANARY}")
    kept = exported.get_finished_spans()
    assert "http request" in {each.name for each in kept}
    return "".join(each.to_json() for each in kept)


def test_a_request_is_a_span_with_the_routes_template_and_never_its_path(exported, monkeypatch):
    kept = traced(exported, monkeypatch, telemetry=module.FASTAPI_SILENT)
    assert "/v1/people/{person_id}" in kept
    assert CANARY not in kept


def test_fastapis_own_spans_would_tell_the_path(exported, monkeypatch):
    assert CANARY in traced(exported, monkeypatch)  # once this fails, they need not be silenced


def test_a_span_within_another_is_its_child(exported):
    with span("outer"), span("inner"):
        pass
    inner, outer = exported.get_finished_spans()
    assert inner.parent.span_id == outer.context.span_id


def test_an_exception_marks_its_span_without_its_message(exported):
    with pytest.raises(RuntimeError), span("score batch"):
        raise RuntimeError(CANARY)
    (done,) = exported.get_finished_spans()
    assert done.status.status_code == trace.StatusCode.ERROR
    assert done.attributes["error.type"] == "builtins.RuntimeError"
    assert CANARY not in done.to_json()


def test_without_an_sdk_a_span_does_nothing():
    with span("score batch", sottovoce__task="score"):
        assert not trace.get_current_span().is_recording()
