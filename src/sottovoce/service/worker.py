"""The worker: one process that holds a model and does the queue's jobs until it is told to stop.

Owns starting, stopping and beginning anew when the database was away. Does not know what a job does
(`scoring`) nor how the queue keeps them (`jobs`). The model is loaded once, whatever happens to the
database meanwhile.
"""

import asyncio
import contextlib
import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import get_args
from uuid import UUID

import structlog
from procrastinate import App
from procrastinate.exceptions import ProcrastinateException
from procrastinate.worker import Worker
from psycopg import Error
from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from sottovoce import __version__
from sottovoce.errors import ServiceError
from sottovoce.scorer import Scorer
from sottovoce.service.delivering import Delivering
from sottovoce.service.gate import Gate
from sottovoce.service.jobs import Backoff, Handler, Released, Tending, make_app
from sottovoce.service.logs import failure
from sottovoce.service.scoring import Batcher, Scoring, purge
from sottovoce.service.settings import ServiceSettings
from sottovoce.service.telemetry import Outcome, Telemetry, telemetry
from sottovoce.service.tending import tend
from sottovoce.service.webhooks import Reach
from sottovoce.stream import PEOPLE_AT_ONCE


@dataclass(frozen=True, slots=True)
class Pace:
    """How a worker goes about its work.

    Parameters
    ----------
    concurrency
        Jobs at the same time: as many as are scored together.
    heartbeat, dead_after
        Seconds between two signs of life, and without one until a worker counts as dead. Ours: five
        signs may be missed, by a machine that is busy or a connection that has to be made again. A
        worker that is taken for dead and lives does no harm (`jobs.Queue`).
    poll
        Seconds between two looks into the queue. A job is put into it before it is due, so that
        being told of it is not enough; ours, half of what the scoring waits for more messages.
    tend
        When the queue is looked after: cron with seconds as a sixth field. Ours: what a dead worker
        left is taken up within 25 seconds, and an idle queue is asked four times a minute.
    backoff
        When a job that failed is tried again.
    anew, anew_most
        Seconds before a worker that lost the database begins anew, and at most, doubled in between.
    """

    concurrency: int = PEOPLE_AT_ONCE
    heartbeat: float = 2.0
    dead_after: float = 10.0
    poll: float = 1.0
    tend: str = "* * * * * */15"
    backoff: Backoff = field(default_factory=Backoff)
    anew: float = 0.5
    anew_most: float = 10.0


def _nothing() -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True)
class Hooks:
    """What others do around a worker.

    Parameters
    ----------
    ready
        Called when it begins to take jobs, again after each time it began anew.
    revive
        Called when the database is away, before the next try: starts an embedded server again.
    stopping
        Called when it is told to stop, before it waits for what it has begun.
    telemetry
        Counts what it does; None counts it for nobody.
    """

    ready: Callable[[], None] = _nothing
    revive: Callable[[], None] = _nothing
    stopping: Callable[[], None] = _nothing
    telemetry: Telemetry | None = None


class Working:
    """A worker at work.

    Parameters
    ----------
    gate
        Of a migrated database.
    handlers
        What it does, by the name of the task.
    pace, hooks
        See there.
    """

    def __init__(
        self, gate: Gate, handlers: dict[str, Handler], pace: Pace, hooks: Hooks | None = None
    ) -> None:
        self._database, self._handlers, self._pace = gate.database, handlers, pace
        self._hooks = hooks or Hooks()
        self._worker: Worker | None = None
        self._asked = asyncio.Event()
        self._log = structlog.get_logger()

    def stop(self) -> None:
        """Take no more jobs, finish those begun, and end."""
        self._asked.set()
        self._hooks.stopping()
        self.lost()

    def registered(self) -> None:
        """Tell that jobs are taken from now on."""
        self._log.info("worker-ready")
        self._hooks.ready()

    def lost(self) -> None:
        """Let the procrastinate worker end, once what it began is done."""
        if self._worker is not None:
            self._worker.stop()  # type: ignore[no-untyped-call]

    async def run(self) -> None:
        """Work until told to stop; whatever ends before that begins anew, later and later."""
        wait = self._pace.anew
        while not self._asked.is_set():
            began = time.monotonic()
            await self._round(until_empty=False)
            if self._asked.is_set():
                break
            if time.monotonic() - began > self._pace.anew_most:
                wait = self._pace.anew
            self._log.warning("worker-begins-anew", seconds=wait)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), wait)
            wait = min(2 * wait, self._pace.anew_most)
            await self._revive()
        self._log.info("worker-stopped")

    async def run_once(self, ahead: float) -> None:
        """Work until nothing is due, nor will be within some seconds, and end.

        Raises
        ------
        ServiceError
            If the database goes away.
        """
        while not self._asked.is_set():
            await self._tend()
            await self._round(until_empty=True)
            due = await asyncio.to_thread(self._due_in)
            if due is None or due > ahead:
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._asked.wait(), max(due, 0.0))

    async def _round(self, *, until_empty: bool) -> None:
        """Run a procrastinate worker until it ends, for whatever reason."""
        tending = Tending(self._tend, self._pace.tend)
        app = make_app(self._database, self._handlers, tending, self, self._pace.backoff)
        try:
            await asyncio.to_thread(self._database.check)
            async with app.open_async():
                self._worker = self._procrastinate(app, until_empty=until_empty)
                if not self._asked.is_set():
                    await self._alive(app, self._worker)
        except (ProcrastinateException, Error, ServiceError, OSError) as error:
            if until_empty:
                raise ServiceError(_AWAY) from None
            self._log.warning("worker-lost-database", **failure(error))
        finally:
            self._worker = None

    async def _alive(self, app: App, worker: Worker) -> None:
        """Run a worker, which gives signs of life until its last job is done.

        Those of procrastinate end when it begins to stop, however long its jobs take after that.
        """

        async def beat() -> None:
            while True:
                await asyncio.sleep(self._pace.heartbeat)
                if worker.worker_id is not None:
                    with contextlib.suppress(ProcrastinateException):
                        await app.job_manager.update_heartbeat(worker.worker_id)

        beating = asyncio.create_task(beat())
        try:
            await worker.run()  # type: ignore[no-untyped-call]
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    def _procrastinate(self, app: App, *, until_empty: bool) -> Worker:
        pace = self._pace
        return Worker(
            app,
            wait=not until_empty,
            concurrency=pace.concurrency,
            fetch_job_polling_interval=pace.poll,
            update_heartbeat_interval=pace.heartbeat,
            stalled_worker_timeout=pace.dead_after,
            delete_jobs="successful",
            install_signal_handlers=False,
        )

    async def _tend(self) -> None:
        given = (self._database, self._pace.dead_after, self._pace.backoff.attempts)
        try:
            done = await asyncio.to_thread(tend, *given)
        except SQLAlchemyError as error:  # the next round does it
            self._log.warning("not-tended", **failure(error))
            return
        for what in ("put_back", "superseded", "given_up", "enqueued", "removed"):
            if number := getattr(done, what):
                self._log.info(f"tended-{what.replace('_', '-')}", count=number)

    async def _revive(self) -> None:
        try:
            await asyncio.to_thread(self._hooks.revive)
        except (ServiceError, OSError) as error:
            self._log.warning("database-not-revived", **failure(error))

    def _due_in(self) -> float | None:
        """Seconds until the next job is due, below 0 if one is; None where none waits."""
        with self._database.transaction() as connection:
            found = connection.execute(_NEXT).scalar()
        return None if found is None else float(found)


_AWAY = "the database went away before the work was done; see that it runs and begin again"
_NEXT = text(
    "SELECT extract(epoch FROM min(coalesce(scheduled_at, now())) - now()) "
    "FROM procrastinate_jobs WHERE status = 'todo'"
)


def run_worker(
    gate: Gate,
    settings: ServiceSettings,
    scorer: Scorer,
    *,
    pace: Pace | None = None,
    hooks: Hooks | None = None,
    once: bool = False,
) -> None:
    """Run a worker in this process until SIGTERM or SIGINT; a second one ends it at once.

    What the first signal finds begun is finished and written down. After the second, or a kill,
    other workers take up what was begun (`tending`).

    Parameters
    ----------
    gate
        Of a migrated database.
    settings
        How long a withdrawal waits for its purge, and scoring for more messages.
    scorer
        Loaded.
    pace, hooks
        See there.
    once
        End when nothing waits any more.
    """
    asyncio.run(_run(gate, settings, scorer, pace or Pace(), hooks, once))


async def _run(
    gate: Gate,
    settings: ServiceSettings,
    scorer: Scorer,
    pace: Pace,
    hooks: Hooks | None,
    once: bool,
) -> None:
    hooks = hooks or Hooks()
    measured = hooks.telemetry or telemetry(__version__, scorer.model_id)
    most, took = min(pace.concurrency, PEOPLE_AT_ONCE), measured.scoring.observe
    batcher = Batcher(scorer, most=most, took=took)
    doing = {
        name: _counted(name, each, measured)
        for name, each in handlers(gate, settings, batcher, measured).items()
    }
    working = Working(gate, doing, pace, replace(hooks, stopping=batcher.give_back))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, _signalled, working, number)
    try:
        await (working.run_once(settings.score_delay) if once else working.run())
    finally:
        batcher.close()


def handlers(
    gate: Gate, settings: ServiceSettings, batcher: Batcher, measured: Telemetry | None = None
) -> dict[str, Handler]:
    """Give what a worker does, by the name of the task."""
    wait = timedelta(days=settings.purge_after_days)
    delivering = Delivering(gate, Reach(settings.webhook_networks), measured)

    async def purged(person: UUID) -> str:
        return await asyncio.to_thread(purge, gate, person, wait)

    return {"score": Scoring(gate, batcher), "purge": purged, "deliver": delivering}


def _counted(name: str, handler: Handler, measured: Telemetry) -> Handler:
    """Count how jobs of a task end."""

    async def run(row: UUID) -> str:
        try:
            outcome = await handler(row)
        except Released:
            raise
        except Exception:
            measured.jobs.labels(name, "failed").inc()
            raise
        measured.jobs.labels(name, outcome).inc()
        if name == "score" and outcome in get_args(Outcome):
            measured.estimates.labels(outcome).inc()
        return outcome

    return run


def _signalled(working: Working, number: int) -> None:
    """Stop in order; a second signal of either kind ends the process where it is."""
    working.stop()
    for each in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(each, os._exit, 128 + number)
