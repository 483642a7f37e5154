"""How fast the service takes messages in, beside a bare FastAPI and SQLAlchemy insert of the same.

Both APIs are one uvicorn process with the same options, on the same embedded PostgreSQL with the
same engine options, sent the same requests by the same generator, in turns within each round, so
that drift of the machine meets both. The service does all that it does: API key, rate limit,
consent under the row's lock, encryption, audit chain, job for the worker, log line, metrics. The
bare API validates the same body, inserts the same rows as plain text and commits. No worker runs
beside the ratio; rows of their own tell what remains while one scores, and what memory does.
"""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import serving
from benchmarks.load_generator import Order, line
from benchmarks.serving import Program
from benchmarks.shared import options, show
from sottovoce.metrics.student import student_quantile
from sottovoce.service.database import Database
from sottovoce.service.embedded import Embedded

ROUNDS = 8
REQUESTS = {1: 1200, 10: 600, 50: 240}
"""Requests of one turn by messages of a batch: two to four seconds each."""

CONNECTIONS = 8
"""Requests under way at once; fewer than the ten database connections of one process."""

PEOPLE = 300
MEMORY = (10_000, 50_000, 100_000, 150_000, 200_000)
"""Messages after which the memory of the service's process is read."""

NEEDED = 0.5
"""The least ratio of messages a second that is asked for."""


@dataclass
class Rivals:
    """Both APIs, and what sends to them."""

    service: Program
    bare: Program
    key: str
    people: list[str]
    generator: "subprocess.Popen[bytes]"

    def send(self, to: Program, name: str, batch: int, requests: int) -> dict[str, Any]:
        """Send one turn; give its seconds, and those of each request."""
        assert to.port is not None
        order = Order(to.port, self.key, self.people, requests, batch, CONNECTIONS, name)
        assert self.generator.stdin is not None and self.generator.stdout is not None
        self.generator.stdin.write(line(order))
        self.generator.stdin.flush()
        answer = self.generator.stdout.readline()
        if not answer:
            sys.exit("Error: the generator of load ended; see above")
        found: dict[str, Any] = json.loads(answer)
        return found


@contextmanager
def rivals(folder: Path, server: str) -> Iterator[Rivals]:
    """Run both APIs, with people who agreed to be monitored in the service."""
    bare_url = serving.new_database(server, "bare")
    url = serving.new_database(server, "service")
    database = Database(url)
    database.migrate()
    settings = serving.service_settings(url, folder)
    ports = serving.free_port(), serving.free_port()
    service = serving.api(settings, folder / "service.log", ports[0])
    bare = serving.bare_api(bare_url, folder / "bare.log", ports[1])
    generator = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.load_generator"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with ExitStack() as stack:
        stack.callback(generator.kill)
        for program in (service, bare):
            program.start()
            stack.callback(program.stop)
            program.until_it_answers()
        key = serving.new_app_key(database)
        database.close()
        people = [f"person-{number}" for number in range(PEOPLE)]
        serving.welcome(ports[0], key, people)
        yield Rivals(service, bare, key, people, generator)


def compare(both: Rivals, batch: int) -> list[dict[str, Any]]:
    """Send in turns to either; give a row of each, and the ratio over rounds."""
    requests = REQUESTS[batch]
    programs = {"bare": both.bare, "service": both.service}
    seconds: dict[str, list[float]] = {name: [] for name in programs}
    took: dict[str, list[float]] = {name: [] for name in programs}
    for number in range(-1, ROUNDS):  # the first warms both up and is not counted
        turns = list(programs.items())
        for name, program in turns if number % 2 == 0 else reversed(turns):
            found = both.send(program, f"b{batch}r{number}", batch, requests)
            if number >= 0:
                seconds[name].append(found["seconds"])
                took[name].extend(found["took"])
    rows = []
    for name in programs:
        row = _speed(f"{name}, batches of {batch}", batch, requests, seconds[name], took[name])
        if name == "service":
            row |= _ratio(seconds)
        rows.append(row)
    return rows


def _speed(
    name: str, batch: int, requests: int, seconds: list[float], took: list[float]
) -> dict[str, Any]:
    middle = float(np.median(seconds))
    return {
        "name": name,
        "messages_per_second": round(requests * batch / middle),
        "requests_per_second": round(requests / middle),
        "p50_ms": float(np.percentile(took, 50)) * 1000,
        "p99_ms": float(np.percentile(took, 99)) * 1000,
    }


def _ratio(seconds: dict[str, list[float]]) -> dict[str, Any]:
    """Give the geometric mean over rounds of the service's speed by the bare one's, and its t."""
    logs = np.log(np.array(seconds["bare"]) / np.array(seconds["service"]))
    middle, error = float(logs.mean()), float(logs.std(ddof=1) / np.sqrt(len(logs)))
    far = student_quantile(0.95, len(logs) - 1) * error
    bounds = [float(np.exp(middle - far)), float(np.exp(middle + far))]
    return {"ratio": float(np.exp(middle)), "ratio_ci": bounds}


def memory(both: Rivals) -> list[dict[str, Any]]:
    """Start the service's process anew and read its memory while messages come in."""
    both.service.stop()
    both.service.start()
    both.service.until_it_answers()
    rows, sent = [], 0
    for mark in MEMORY:
        both.send(both.service, f"memory{mark}", 50, (mark - sent) // 50)
        sent = mark
        rows.append({"name": f"memory after {mark:,} messages", "rss_mb": _rss(both.service)})
    return rows


def _rss(program: Program) -> float:
    said = Path(f"/proc/{program.pid}/status").read_text("utf-8")
    return int(said.partition("VmRSS:")[2].split()[0]) / 1024


def main() -> None:
    """Print the table; exit 1 if the service is slower than half as fast."""
    given = options(__doc__ or "")
    before, begun = os.getloadavg()[0], time.monotonic()
    with (
        tempfile.TemporaryDirectory() as place,
        Embedded(Path(place) / "postgresql") as server,
        rivals(Path(place), server.url) as both,
    ):
        rows = [row for batch in REQUESTS for row in compare(both, batch)]
        rows += memory(both)
    title = (
        f"Messages in: the service against a bare insert, {ROUNDS} rounds in turns, {CONNECTIONS} "
        f"connections, {PEOPLE} people (load of the machine before: {before:.1f}; "
        f"{time.monotonic() - begun:.0f} s)"
    )
    show("service_load", title, rows, given)
    ratios = [row["ratio"] for row in rows if "ratio" in row]
    if min(ratios) < NEEDED:
        sys.exit(f"Error: the least ratio is {min(ratios):.2f} and {NEEDED} is needed")


if __name__ == "__main__":
    main()
