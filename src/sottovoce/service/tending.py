"""Looking after the queue: what dead workers left, who was forgotten, what is done with.

Owns that nothing stays in limbo, whatever died when. Does not know what a job does (`scoring`).
Each step is one short transaction and looks again at what it changes, so that several workers may
tend at once.
"""

from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import text
from sqlalchemy.exc import IntegrityError

from sottovoce.service.database import Database
from sottovoce.service.jobs import TEND

WORKER_DIED = "worker-died"
"""The kind of failure of a job whose workers died over it."""

AT_ONCE = 1000
"""People put into the queue by one round; ours, a matter of seconds. The next round takes more."""


@dataclass(frozen=True, slots=True)
class Tended:
    """What one round did.

    Parameters
    ----------
    put_back, superseded, given_up
        Jobs of dead workers: back in the queue; ended, since another of the same kind waits for the
        person; made dead letters, since too many workers died over them.
    enqueued
        People with something new whom no job waited for.
    removed
        Jobs that were done with.
    """

    put_back: int = 0
    superseded: int = 0
    given_up: int = 0
    enqueued: int = 0
    removed: int = 0


def tend(database: Database, dead_after: float, attempts: int) -> Tended:
    """Look after the queue once.

    Parameters
    ----------
    database
        Migrated.
    dead_after
        Seconds without a sign of life after which a worker counts as dead.
    attempts
        How often a job may be tried.
    """
    fates = [_take_up(database, job, attempts) for job in _left(database, dead_after)]
    counted = (fates.count("put_back"), fates.count("superseded"), fates.count("given_up"))
    enqueued = sum(_enqueue(database, person) for person in _forgotten(database))
    return Tended(*counted, enqueued, _remove(database))


_LEFT = text(
    """
    SELECT job.id, job.attempts, job.worker_id AS worker, job.task_name AS task
    FROM procrastinate_jobs job
    LEFT JOIN procrastinate_workers worker ON worker.id = job.worker_id
    WHERE job.status = 'doing' AND (
        worker.id IS NULL OR worker.last_heartbeat < now() - make_interval(secs => :dead_after)
    )
    """
)
_STILL = """
    WITH still AS (
        SELECT id FROM procrastinate_jobs
        WHERE id = :id AND status = 'doing' AND worker_id IS NOT DISTINCT FROM :worker
        FOR UPDATE SKIP LOCKED
    )
"""
_PUT_BACK = text(
    f"{_STILL} SELECT procrastinate_retry_job_v2(id, now(), NULL, NULL, NULL) FROM still"  # noqa: S608
)
_SUPERSEDE = text(f"{_STILL} SELECT procrastinate_finish_job_v1(id, 'succeeded', true) FROM still")  # noqa: S608
_GIVE_UP = text(
    f"""{_STILL}, noted AS (
        UPDATE procrastinate_jobs job
        SET args = args || jsonb_build_object('failure_kind', cast(:kind AS text)),
            status = 'failed', attempts = attempts + 1
        FROM still WHERE job.id = still.id RETURNING job.id
    )
    SELECT id FROM noted
    """  # noqa: S608
)


def _left(database: Database, dead_after: float) -> list[Any]:
    with database.transaction() as connection:
        return list(connection.execute(_LEFT, {"dead_after": dead_after}).all())


def _take_up(database: Database, job: Any, attempts: int) -> str:
    """Say what became of a job whose worker is dead; "" where somebody else saw to it."""
    given = {"id": job.id, "worker": job.worker}
    if job.task == TEND:  # the next is on its way
        return _supersede(database, given)
    if job.attempts + 1 >= attempts:
        fate, statement, given = "given_up", _GIVE_UP, given | {"kind": WORKER_DIED}
    else:
        fate, statement = "put_back", _PUT_BACK
    try:
        with database.transaction() as connection:
            return fate if connection.execute(statement, given).all() else ""
    except IntegrityError:  # another one waits already
        return _supersede(database, given)


def _supersede(database: Database, given: dict[str, Any]) -> str:
    with database.transaction() as connection:
        return "superseded" if connection.execute(_SUPERSEDE, given).all() else ""


_BEHIND = "revision > scored_revision AND purposes @> ARRAY['monitoring']"
_NO_JOB = """
    NOT EXISTS (
        SELECT FROM procrastinate_jobs
        WHERE queueing_lock = 'score:' || people.id AND status IN ('todo', 'doing', 'failed')
    )
"""
_FORGOTTEN = text(f"SELECT id FROM people WHERE {_BEHIND} AND {_NO_JOB} LIMIT {AT_ONCE}")  # noqa: S608
# as the gate locks whoever a message is stored for, and before any job is looked at, as there
_LOCK = text(f"SELECT id FROM people WHERE id = :id AND {_BEHIND} FOR NO KEY UPDATE")  # noqa: S608
_ENQUEUE = text(
    f"SELECT sottovoce_later('score', id, now()) FROM people WHERE id = :id AND {_NO_JOB}"  # noqa: S608
)


def _forgotten(database: Database) -> list[UUID]:
    with database.transaction() as connection:
        return list(connection.execute(_FORGOTTEN).scalars())


def _enqueue(database: Database, person: UUID) -> bool:
    with database.transaction() as connection:
        if connection.execute(_LOCK, {"id": person}).scalar() is None:
            return False
        return bool(connection.execute(_ENQUEUE, {"id": person}).all())


_OLD = text(
    """
    DELETE FROM procrastinate_jobs job
    WHERE status IN ('succeeded', 'cancelled', 'aborted') AND NOT EXISTS (
        SELECT FROM procrastinate_events event
        WHERE event.job_id = job.id AND event.at > now() - interval '1 day'
    )
    """
)
_MOOT = text(
    f"""
    DELETE FROM procrastinate_jobs job
    WHERE status = 'failed' AND task_name = 'score' AND NOT EXISTS (
        SELECT FROM people WHERE id = cast(job.args->>'row' AS uuid) AND {_BEHIND}
    )
    """  # noqa: S608
)


def _remove(database: Database) -> int:
    """Delete what ended a day ago, and dead letters about people who are scored or gone."""
    with database.transaction() as connection:
        return connection.execute(_OLD).rowcount + connection.execute(_MOOT).rowcount
