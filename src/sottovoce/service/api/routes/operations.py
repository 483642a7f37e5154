"""Whether the service runs, its metrics, its jobs, its audit log. Owns these routes."""

from typing import Annotated

from fastapi import APIRouter, Path
from sqlalchemy import select, tuple_
from sqlalchemy.exc import SQLAlchemyError
from starlette.responses import Response

from sottovoce import __version__
from sottovoce.errors import ServiceError
from sottovoce.service import jobs
from sottovoce.service.api import cursors
from sottovoce.service.api.answers import (
    AuditEntryOut,
    AuditOut,
    DeadJobOut,
    HealthOut,
    JobsOut,
    ReadyOut,
)
from sottovoce.service.api.dependencies import WithCaller, WithParts
from sottovoce.service.api.problems import Problem, responses
from sottovoce.service.api.requests import PAGE, Cursor, Limit
from sottovoce.service.api.routes.people import ABOUT_ONE, REFUSALS
from sottovoce.service.database import suits
from sottovoce.service.refusals import NotFound
from sottovoce.service.tables import audit
from sottovoce.service.telemetry import CONTENT_TYPE

router = APIRouter(tags=["operations"])

JobId = Annotated[int, Path(ge=1, le=2**63 - 1)]


@router.get("/health")
def health() -> HealthOut:
    """Say that the process runs."""
    return HealthOut(status="ok")


@router.get("/ready", responses=responses("unavailable"))
def ready(has: WithParts) -> ReadyOut:
    """Say that requests can be answered: the database is there, its schema is the right one."""
    try:
        found = has.gate.database.revision()
    except (SQLAlchemyError, ServiceError):
        found = None
    if found is None or not suits(found):
        raise Problem("unavailable", "The database is away, or its schema is an older one.")
    return ReadyOut(status="ready", schema_revision=found, version=__version__)


@router.get(
    "/metrics",
    responses=REFUSALS | {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}},
    response_class=Response,
)
def metrics(has: WithParts, who: WithCaller) -> Response:
    """Give this process's metrics in Prometheus' text format."""
    with has.gate.work(who, "metrics.read"):
        pass
    return Response(has.telemetry.exposition(), media_type=CONTENT_TYPE)


@router.get("/v1/jobs", responses=REFUSALS)
def read_jobs(has: WithParts, who: WithCaller) -> JobsOut:
    """Say what waits to be done, and what failed too often."""
    with has.gate.work(who, "jobs.manage") as connection:
        stands = jobs.backlog(connection)
        return JobsOut(
            waiting=dict(stands.waiting),
            running=dict(stands.running),
            oldest_seconds=stands.oldest,
            dead=[DeadJobOut.of(each) for each in jobs.dead(connection)],
        )


@router.post("/v1/jobs/{job_id}/rerun", status_code=204, responses=ABOUT_ONE)
def rerun_job(job_id: JobId, has: WithParts, who: WithCaller) -> None:
    """Run a job again that failed too often."""
    with has.gate.work(who, "jobs.manage") as connection:
        if not jobs.rerun(connection, job_id):
            raise NotFound("dead job")


@router.get("/v1/audit", responses=REFUSALS | responses("invalid"))
def read_audit(
    has: WithParts, who: WithCaller, cursor: Cursor = None, limit: Limit = PAGE
) -> AuditOut:
    """Read the audit log, chain by chain."""
    after = cursors.after_entry(cursor)
    asked = select(audit).order_by(audit.c.lane, audit.c.number).limit(limit + 1)
    if after is not None:
        asked = asked.where(tuple_(audit.c.lane, audit.c.number) > after)
    with has.gate.work(who, "audit.read") as connection:
        rows = connection.execute(asked).all()
    entries = [
        AuditEntryOut(
            lane=row.lane,
            number=row.number,
            at=row.at,
            account_id=row.account_id,
            key_id=row.key_id,
            role=row.role,
            action=row.action,
            person=row.person_id,
            outcome=row.outcome,
        )
        for row in rows[:limit]
    ]
    more = cursors.entry_cursor(entries[-1].lane, entries[-1].number) if rows[limit:] else None
    return AuditOut(entries=entries, next=more)
