"""Jobs: the queue in the service's own PostgreSQL, how often one is tried, and dead letters.

Owns the procrastinate app, how a job that fails comes back, and what is told of the queue. Does not
know what a job does (`scoring`), nor what is mended from outside (`tending`). A job is put into the
queue by the SQL function `sottovoce_later`, in the transaction that makes it necessary: of a kind
and a person one waits at most.

A job that succeeds is deleted. One that fails is tried again later, and after the last attempt
stays as `failed`, a dead letter, until somebody runs it again or there is nothing left to do.
"""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString, Protocol
from uuid import UUID

import procrastinate
import structlog
from procrastinate.exceptions import ConnectorException, UniqueViolation
from procrastinate.jobs import Job, Status
from procrastinate.manager import JobManager
from procrastinate.retry import BaseRetryStrategy, RetryDecision
from sqlalchemy import Connection, text
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from sottovoce.service.database import AWAY, WAIT_SECONDS, Database
from sottovoce.service.logs import failure

Handler = Callable[[UUID], Awaitable[str]]
"""What does a job about a row, by its id, and says in a word what came of it."""

CONNECTIONS = 4
"""Connections of the queue itself, besides the listener's. Ours: what passes over them are single
short statements."""

PATIENCE = 3.0
"""Seconds that a statement of the queue waits for a connection; ours. While the database is away
this passes before the worker begins anew."""

TEND = "tend"
"""The task that looks after the queue."""


class Released(Exception):  # noqa: N818 - nothing went wrong
    """A worker that stops gives back a job that it has not really begun."""


class Away(Exception):  # noqa: N818 - it is the database that is away
    """A job met no database: it comes back soon, and that was no attempt."""


class Failed(Exception):  # noqa: N818 - what procrastinate is told, and logs
    """A job did not succeed; says of what kind the failure is and nothing of its words."""


@dataclass(frozen=True)
class Backoff(BaseRetryStrategy):
    """When a job that failed is tried again: later and later, never all at the same time.

    Parameters
    ----------
    first, longest
        Seconds before the second attempt, and between any two; doubled in between, and each drawn
        from half of it to one and a half times it.
    attempts
        How often a job is tried. Ours, as the others: the last of ten is made about 17 minutes
        after the first, which outlasts a restart of what a job needs.
    """

    first: float = 2.0
    longest: float = 600.0
    attempts: int = 10

    def get_retry_decision(
        self,
        *,
        exception: BaseException,
        job: Job,
    ) -> RetryDecision | None:
        """Say when; None after the last attempt. `Job.attempts` counts those before this one."""
        if isinstance(exception, Released):
            return RetryDecision(retry_at=datetime.now(UTC))
        if isinstance(exception, Away):
            return RetryDecision(retry_at=datetime.now(UTC) + timedelta(seconds=self.first))
        if job.attempts + 1 >= self.attempts:
            return None
        wait = min(self.first * 2.0**job.attempts, self.longest)
        spread = random.SystemRandom().uniform(0.5, 1.5)
        return RetryDecision(retry_at=datetime.now(UTC) + timedelta(seconds=wait * spread))


@dataclass(frozen=True, slots=True)
class Tending:
    """Looking after the queue: what is done, and when, as cron with seconds in a sixth field."""

    work: Callable[[], Awaitable[None]]
    cron: str


class Watcher(Protocol):
    """Who runs a worker and wants to know how it fares."""

    def registered(self) -> None:
        """Hear that the queue knows the worker, which begins to take jobs."""

    def lost(self) -> None:
        """Hear that what became of a job is not written down: the worker must begin anew."""


_MINE: LiteralString = """
    WITH mine AS (
        SELECT id FROM procrastinate_jobs
        WHERE id = %(job)s AND status = 'doing' AND worker_id = %(worker)s FOR UPDATE
    )
"""
_FINISH = f"{_MINE} SELECT procrastinate_finish_job_v1(id, %(end)s, %(delete)s) FROM mine"  # noqa: S608
_UNCOUNT: LiteralString = """
    UPDATE procrastinate_jobs SET attempts = attempts - 1
    WHERE id = %(job)s AND status = 'todo' RETURNING id
"""
_RETRY = f"{_MINE} SELECT procrastinate_retry_job_v2(id, %(at)s, NULL, NULL, NULL) FROM mine"  # noqa: S608


class Queue(JobManager):
    """Procrastinate's manager of jobs, careful where it would leave one in limbo.

    A worker that stood still for so long that others took its jobs over leaves them alone. A job
    that failed while another for the same person waits already ends: the other does its work.

    Parameters
    ----------
    connector
        To the database.
    watcher
        Hears of the worker's beginning and of what could not be written down.

    Attributes
    ----------
    uncounted
        Jobs whose next return is no attempt: they met no database.
    """

    def __init__(self, connector: procrastinate.PsycopgConnector, watcher: Watcher) -> None:
        super().__init__(connector)
        self._watcher = watcher
        self.uncounted: set[int | None] = set()

    async def register_worker(self) -> int:
        """Make the worker known."""
        number = await super().register_worker()
        self._watcher.registered()
        return number

    async def finish_job(self, job: Job, status: Status, delete_job: bool) -> None:
        """End a job that is still this worker's."""
        await self._settle(job, _FINISH, end=status.value, delete=delete_job)

    async def retry_job(
        self,
        job: Job,
        retry_at: datetime | None = None,
        priority: int | None = None,  # noqa: ARG002 - as all stand in the queue they came by
        queue: str | None = None,  # noqa: ARG002
        lock: str | None = None,  # noqa: ARG002
    ) -> None:
        """Put a job that is still this worker's back, unless another waits in its place."""
        try:
            await self._settle(job, _RETRY, at=retry_at or datetime.now(UTC))
            if job.id in self.uncounted:
                self.uncounted.discard(job.id)
                await self._settle(job, _UNCOUNT)
        except UniqueViolation:
            structlog.get_logger().info("job-superseded", task=job.task_name, job=job.id)
            await self.finish_job(job, Status.SUCCEEDED, delete_job=True)

    async def _settle(self, job: Job, query: LiteralString, **values: Any) -> None:
        given = {"job": job.id, "worker": job.worker_id} | values
        try:
            await self.connector.execute_query_all_async(query, **given)
        except UniqueViolation:
            raise
        except ConnectorException as error:
            structlog.get_logger().warning("job-not-settled", job=job.id, **failure(error))
            self._watcher.lost()


def make_app(
    database: Database,
    handlers: Mapping[str, Handler],
    tending: Tending,
    watcher: Watcher,
    backoff: Backoff,
) -> procrastinate.App:
    """Make the app of one run of a worker.

    Parameters
    ----------
    database
        Migrated.
    handlers
        By the name of the task, which is its queue's, too.
    tending
        Done by one of the workers each time.
    watcher
        See `Queue`.
    backoff
        When a job that failed is tried again.
    """
    connector = procrastinate.PsycopgConnector(
        conninfo=database.conninfo,
        min_size=1,
        max_size=CONNECTIONS,
        timeout=PATIENCE,
        kwargs={"connect_timeout": int(WAIT_SECONDS), "application_name": "sottovoce worker"},
    )
    app = procrastinate.App(connector=connector)
    app.job_manager = queue = Queue(connector, watcher)
    for name, handler in handlers.items():
        told = app.task(name=name, queue=name, retry=backoff, pass_context=True)
        told(_guarded(database, queue, handler))

    async def tend(timestamp: int) -> None:  # noqa: ARG001 - procrastinate gives it
        await tending.work()

    # no lock: where a worker died while it tended, nobody would ever do it again
    task = app.task(name=TEND, queue=TEND, queueing_lock=TEND, priority=1)(tend)
    app.periodic(cron=tending.cron)(task)
    return app


def _guarded(database: Database, queue: Queue, handler: Handler) -> Callable[..., Awaitable[None]]:
    """Let a handler do a job; what it fails of is noted beside the job, without its words."""

    async def run(
        context: procrastinate.JobContext,
        row: str,
        failure_kind: str | None = None,  # noqa: ARG001 - noted by an attempt before
    ) -> None:
        job = context.job
        said = {"task": job.task_name, "job": job.id, "row": row, "attempt": job.attempts + 1}
        try:
            outcome = await handler(UUID(row))
        except Released:
            raise
        except AWAY as error:
            structlog.get_logger().warning("job-postponed", **said, **failure(error))
            queue.uncounted.add(job.id)
            raise Away from None
        except Exception as error:
            known = failure(error)
            structlog.get_logger().warning("job-failed", **said, **known)
            with contextlib.suppress(SQLAlchemyError):
                await asyncio.to_thread(_note, database, job.id, known["types"][0])
            raise Failed(known["types"][0]) from None
        structlog.get_logger().info("job-done", **said, outcome=outcome)

    return run


_NOTE = text(
    "UPDATE procrastinate_jobs SET args = args || jsonb_build_object('failure_kind', "
    "cast(:kind AS text)) WHERE id = :job"
)


def _note(database: Database, job: int | None, kind: str) -> None:
    with database.transaction() as connection:
        connection.execute(_NOTE, {"job": job, "kind": kind})


@dataclass(frozen=True, slots=True)
class Dead:
    """A dead letter: a job that failed as often as it may.

    Parameters
    ----------
    id, task
        The job's number and what it was to do.
    row
        Id of the row that it was about.
    attempts
        How often it was tried.
    at
        When it failed last.
    failure
        Name of the exception's type.
    """

    id: int
    task: str
    row: UUID | None
    attempts: int
    at: datetime | None
    failure: str | None


_DEAD = text(
    """
    SELECT job.id, job.task_name AS task, job.attempts,
           cast(job.args->>'row' AS uuid) AS row,
           (SELECT max(event.at) FROM procrastinate_events event
            WHERE event.job_id = job.id AND event.type = 'failed') AS at,
           job.args->>'failure_kind' AS failure
    FROM procrastinate_jobs job WHERE job.status = 'failed' ORDER BY job.id
    """
)
_AGAIN = text(
    """
    UPDATE procrastinate_jobs SET status = 'todo', attempts = 0, scheduled_at = now()
    WHERE id = :job AND status = 'failed' RETURNING id
    """
)
_DROP = text("DELETE FROM procrastinate_jobs WHERE id = :job AND status = 'failed' RETURNING id")


def dead(connection: Connection) -> list[Dead]:
    """Give the dead letters, the oldest job first."""
    return [Dead(**row._mapping) for row in connection.execute(_DEAD)]


def rerun(connection: Connection, job: int) -> bool:
    """Put a dead letter back into the queue, as if it had never been tried.

    Where another job does the same by now, the letter is removed.

    Returns
    -------
    bool
        Whether there was such a dead letter.
    """
    try:
        with connection.begin_nested():
            return connection.execute(_AGAIN, {"job": job}).scalar() is not None
    except IntegrityError:
        return connection.execute(_DROP, {"job": job}).scalar() is not None


def rerun_all(connection: Connection) -> int:
    """Put every dead letter back into the queue; give how many there were."""
    return sum(rerun(connection, each.id) for each in dead(connection))


@dataclass(frozen=True, slots=True)
class Backlog:
    """How the queue stands.

    Parameters
    ----------
    waiting, running, dead
        Jobs of each task that wait, whether they are due or not; that a worker does; that failed
        for good.
    oldest
        Seconds since when the job that waits longest is due; 0 where none is.
    """

    waiting: Mapping[str, int]
    running: Mapping[str, int]
    dead: Mapping[str, int]
    oldest: float


_COUNTS = text(
    "SELECT status::text, task_name, count(*) AS jobs FROM procrastinate_jobs GROUP BY 1, 2"
)
_OLDEST = text(
    """
    SELECT coalesce(extract(epoch FROM now() - min(coalesce(job.scheduled_at, event.at))), 0)
    FROM procrastinate_jobs job
    LEFT JOIN procrastinate_events event ON event.job_id = job.id AND event.type = 'deferred'
    WHERE job.status = 'todo' AND coalesce(job.scheduled_at, now()) <= now()
    """
)


def backlog(connection: Connection) -> Backlog:
    """Say how the queue stands, for metrics."""
    counts: dict[str, dict[str, int]] = {"todo": {}, "doing": {}, "failed": {}}
    for status, task, number in connection.execute(_COUNTS):
        if status in counts:
            counts[status][task] = number
    oldest = float(connection.execute(_OLDEST).scalar_one())
    return Backlog(counts["todo"], counts["doing"], counts["failed"], oldest)
