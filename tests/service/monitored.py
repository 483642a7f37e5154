"""People who talk, a scorer that counts, and a worker that is quick, for tests of jobs."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import numpy as np
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from sottovoce.cohort import WindowRules
from sottovoce.conformal import PredictiveDistribution
from sottovoce.instruments import PHQ_9
from sottovoce.scorer import Judged, Reading, Scorer
from sottovoce.service import estimates, ledger, messages, people
from sottovoce.service.gate import Gate
from sottovoce.service.jobs import Backoff
from sottovoce.service.principals import SERVICE, Principal
from sottovoce.service.scoring import Batcher
from sottovoce.service.settings import ServiceSettings
from sottovoce.service.worker import Hooks, Pace, Working, handlers

APP = Principal("app", uuid4(), uuid4())
QUICK = Pace(
    concurrency=8,
    heartbeat=0.2,
    dead_after=1.5,
    poll=0.05,
    tend="* * * * * *",
    backoff=Backoff(first=0.02, longest=0.05, attempts=3),
    anew=0.05,
    anew_most=0.5,
)
LIMIT = 60
"""Seconds after which a test gives up waiting; what it waits for takes far less."""


class Counting(Scorer):
    """Scores one point for each message of the person; can be held up, slow, or broken.

    Raises for whoever said "poison", quoting them as some library would.
    """

    instrument = PHQ_9
    rules = WindowRules(min_user_messages=1, min_user_words=0)
    coverage = 0.9
    distribution = PredictiveDistribution.from_residuals(np.arange(-9.0, 10.0))
    model_id = "counting"
    summary = "counts messages"

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.threads: set[int] = set()
        self.begun, self.open = threading.Event(), threading.Event()
        self.open.set()
        self.broken = False
        self.seconds = 0.0

    def read(self, windows):
        self.batches.append(len(windows))
        self.threads.add(threading.get_ident())
        self.begun.set()
        assert self.open.wait(LIMIT)
        time.sleep(self.seconds * len(windows))
        for each in windows:
            for message in each.messages:
                if self.broken or message.content == "poison":
                    raise RuntimeError(f"cannot read {message.content!r}")
        return [Reading(each.reason, float(len(each.user_messages))) for each in windows]

    def judge(self, readings, advance=None):
        return [Judged(min(each.content, 27.0), self.distribution) for each in readings]

    def save_pretrained(self, folder):
        raise NotImplementedError


def agreeing(gate: Gate, name: str) -> UUID:
    """Register somebody who agrees to monitoring; give the row's id."""
    people.register(gate, APP, name)
    agree(gate, name)
    with gate.open(APP, "people.read", name) as case:
        return case.person


def agree(gate: Gate, name: str, *, granted: bool = True) -> None:
    with gate.open(APP, "consent.record", name) as case:
        ledger.record(case, [ledger.Line("monitoring", granted, case.at, "v1", "app")])


def tell(gate: Gate, name: str, *said: str, ago: float = 0, role: Any = "user") -> None:
    """Let somebody say something some minutes ago; it is due to be scored at once."""
    at = gate.clock() - timedelta(minutes=ago)
    batch = [messages.Said(uuid4().hex, "c", role, content, at) for content in said]
    with gate.open(APP, "messages.add", name) as case:
        messages.add(case, batch, timedelta(0))


def talking(gate: Gate, name: str, *said: str) -> UUID:
    """Register somebody who has said something."""
    person = agreeing(gate, name)
    tell(gate, name, *(said or ("I slept badly",)))
    return person


def scores(gate: Gate, person: UUID) -> list[float | None]:
    """Give the scores of a person's trajectory; what each window holds, by `Counting`."""
    with gate.open(SERVICE, "score.purge", person) as case:
        made = estimates.trajectory(estimates.all_of(case))
        return [each.estimate.score for each in made]


def ask(gate: Gate, query: str, **values: Any) -> list[Any]:
    """Ask the database itself, past the gate."""
    with gate.database.transaction() as connection:
        result = connection.execute(text(query), values)
        return list(result.all()) if result.returns_rows else []


def jobs(gate: Gate, person: UUID) -> list[str]:
    """Give the status of each job about a person."""
    query = "SELECT status::text FROM procrastinate_jobs WHERE args->>'row' = :id ORDER BY id"
    return [row.status for row in ask(gate, query, id=str(person))]


def take(gate: Gate, *, worker: int | None = None) -> tuple[int, int]:
    """Take the next job as a worker does; give worker and job."""
    if worker is None:
        worker = ask(gate, "SELECT * FROM procrastinate_register_worker_v1()")[0][0]
    (job,) = ask(gate, "SELECT id FROM procrastinate_fetch_job_v2(NULL, :w)", w=worker)
    return worker, job.id


def fall_silent(gate: Gate, worker: int) -> None:
    """Let a worker's last sign of life be an hour old."""
    late = "UPDATE procrastinate_workers SET last_heartbeat = now() - interval '1 hour'"
    ask(gate, f"{late} WHERE id = :worker", worker=worker)


@asynccontextmanager
async def working(gate: Gate, scorer: Scorer, hooks=None, pace: Pace = QUICK):
    """Run a worker beside the test, and stop it in order."""
    batcher = Batcher(scorer)
    hooks = replace(hooks or Hooks(), stopping=batcher.give_back)
    worker = Working(gate, handlers(gate, ServiceSettings(), batcher), pace, hooks)
    task = asyncio.create_task(worker.run())
    try:
        yield worker
    finally:
        worker.stop()
        await asyncio.wait_for(task, LIMIT)
        batcher.close()


async def until(condition: Callable[[], Any]) -> None:
    """Wait until something is so; while the database is away it is not."""

    def so():
        with contextlib.suppress(OperationalError):
            return condition()

    async with asyncio.timeout(LIMIT):
        while not await asyncio.to_thread(so):
            await asyncio.sleep(0.02)
