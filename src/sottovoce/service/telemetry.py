"""What operators measure: Prometheus metrics, and spans for OpenTelemetry.

Owns the names of metrics, their labels and the attributes that a span may have. Labels are
templates of routes, names of tasks and short outcomes, never anything about a person. Metrics are
those of one process: Prometheus scrapes each API process and each worker by itself (the worker
serves its own with `serve`) and adds them up; prometheus_client's multiprocess mode is not used,
for it keeps files that outlive processes and loses custom collectors. It does not know where the
figures come from.

References
----------
https://prometheus.io/docs/practices/naming/; OpenTelemetry semantic conventions 1.44.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from fastapi.telemetry import TelemetryConfig
from opentelemetry import trace
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from prometheus_client.core import GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.registry import Collector

from sottovoce.service.logs import failure

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
"""What `Telemetry.exposition` writes (Prometheus text format)."""

REQUEST_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Bounds of the histogram of requests: prometheus_client's own from 5 ms to 10 s."""

SCORING_SECONDS = (0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0)
"""Bounds of the histogram of scoring one batch: a small backbone on a CPU takes tenths of a
second a window, a fine-tuned large one minutes a batch; a choice, not a measurement."""

Outcome = Literal["scored", "abstained", "refused"]
Reading = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Queue:
    """What the queue of jobs is asked for at every scrape; each is a query of the database."""

    depth: Reading
    oldest_pending_seconds: Reading
    dead_letters: Reading


class _QueueCollector(Collector):
    """Asks the queue when Prometheus does; a figure that cannot be had is left out."""

    TITLES: Mapping[str, str] = {
        "depth": "Jobs that wait or run.",
        "oldest_pending_seconds": "Age of the oldest job that waits.",
        "dead_letters": "Jobs that failed for good and can be run again.",
    }

    def __init__(self, queue: Queue) -> None:
        self._queue = queue

    def describe(self) -> Iterable[Metric]:
        """Name the figures, so that registering them asks nothing."""
        for name, title in self.TITLES.items():
            yield GaugeMetricFamily(f"sottovoce_queue_{name}", title)

    def collect(self) -> Iterable[Metric]:
        """Give the figures of now."""
        for name, title in self.TITLES.items():
            try:
                value = float(getattr(self._queue, name)())
            except Exception:  # noqa: S112 - while the database is away, the rest is told
                continue
            yield GaugeMetricFamily(f"sottovoce_queue_{name}", title, value=value)


class _Build(Collector):
    def __init__(self, version: str, model: str) -> None:
        self._labels = {"version": version, "model": model}

    def collect(self) -> Iterable[Metric]:
        """Give the build as labels of a constant."""
        yield InfoMetricFamily("sottovoce_build", "What runs here.", value=self._labels)


@dataclass(frozen=True, slots=True)
class Telemetry:
    """The metrics of one process, in a registry of their own.

    Parameters
    ----------
    registry
        Where they are registered.
    """

    registry: CollectorRegistry
    requests: Histogram = field(init=False)
    messages: Counter = field(init=False)
    estimates: Counter = field(init=False)
    jobs: Counter = field(init=False)
    scoring: Histogram = field(init=False)
    deliveries: Counter = field(init=False)

    def __post_init__(self) -> None:
        """Register every metric."""
        into: dict[str, Any] = {"registry": self.registry, "namespace": "sottovoce"}

        def counter(name: str, title: str, *labels: str) -> Counter:
            return Counter(name, title, labels, **into)

        made = {
            "requests": Histogram(
                "http_request_seconds",
                "Seconds from a request's first byte to its response's last; _count counts them.",
                ("route", "method", "status"),
                buckets=REQUEST_SECONDS,
                **into,
            ),
            "messages": counter("messages_stored", "Messages stored for the first time."),
            "estimates": counter("estimates", "Estimates by how they ended.", "outcome"),
            "jobs": counter("jobs", "Jobs that ended, by task and how.", "task", "outcome"),
            "scoring": Histogram(
                "scoring_seconds", "Seconds to score one batch.", buckets=SCORING_SECONDS, **into
            ),
            "deliveries": counter("webhook_deliveries", "Webhook attempts by how.", "outcome"),
        }
        for name, metric in made.items():
            object.__setattr__(self, name, metric)

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request: the `observe` of `api.middleware.RequestLog`."""
        self.requests.labels(route, method, str(status)).observe(seconds)

    def estimate(self, outcome: Outcome) -> None:
        """Count one estimate."""
        self.estimates.labels(outcome).inc()

    def watch(self, queue: Queue) -> None:
        """Tell the queue's state at every scrape."""
        self.registry.register(_QueueCollector(queue))

    def exposition(self) -> bytes:
        """Give all metrics in Prometheus' text format (`CONTENT_TYPE`)."""
        return generate_latest(self.registry)


def telemetry(version: str, model: str = "none") -> Telemetry:
    """Make the metrics of one process.

    Parameters
    ----------
    version
        The package's version.
    model
        The fingerprint of the estimator that this process scores with.
    """
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Build(version, model))
    return Telemetry(registry)


def serve(measured: Telemetry, port: int, host: str = "127.0.0.1") -> Callable[[], None]:
    """Serve metrics over HTTP for a process without an API, and give what ends it.

    Parameters
    ----------
    measured
        The metrics.
    port
        0 for any that is free.
    host
        Where it listens; loopback unless told otherwise, for metrics ask for no key.
    """
    from prometheus_client import start_http_server

    server, thread = start_http_server(port, host, registry=measured.registry)

    def stop() -> None:
        server.shutdown()
        server.server_close()
        thread.join()

    return stop


ATTRIBUTES = frozenset(
    {
        "sottovoce.task",
        "sottovoce.outcome",
        "sottovoce.purpose",
        "sottovoce.batch.size",
        "sottovoce.messages",
        "sottovoce.attempt",
        "http.request.method",
        "http.response.status_code",
        "http.route",
    }
)
"""Attributes that a span may have; any other is left out."""


FASTAPI_SILENT: TelemetryConfig = {"tracing": False, "metrics": False, "logs": False}
"""For `FastAPI(telemetry=...)`: its own spans would hold paths and thus people's ids
(`url.path`), and its log records whole exceptions. `api.middleware.RequestLog` makes the span."""


@contextmanager
def span(name: str, **attributes: Any) -> Iterator[Callable[..., None]]:
    """Time a piece of work as a span, where the operator has configured OpenTelemetry's SDK.

    Without an SDK it does nothing. An exception marks the span as failed by its types; neither
    its message nor its traceback is recorded, which the SDK would do by itself.

    Parameters
    ----------
    name
        A constant of the program ("score batch").
    attributes
        Names of `ATTRIBUTES` with `__` for dots ("sottovoce__task"); numbers, or text that is a
        constant of the program.

    Yields
    ------
    Callable
        Takes attributes that are only known later.
    """
    if isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):  # nobody configured one
        yield _unheard
        return
    tracer = trace.get_tracer("sottovoce")
    with tracer.start_as_current_span(
        name, attributes=_kept(attributes), record_exception=False, set_status_on_exception=False
    ) as current:
        try:
            yield lambda **later: current.set_attributes(_kept(later))
        except BaseException as exception:
            current.set_attribute("error.type", failure(exception)["types"][0])
            current.set_status(trace.StatusCode.ERROR)
            raise


def _unheard(**_: Any) -> None:
    """Take attributes that nobody asked for."""


def _kept(attributes: Mapping[str, Any]) -> dict[str, Any]:
    dotted = {key.replace("__", "."): value for key, value in attributes.items()}
    return {key: value for key, value in dotted.items() if key in ATTRIBUTES}
