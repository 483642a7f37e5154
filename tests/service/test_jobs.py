import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status
from tests.service import monitored
from tests.service.monitored import ask, take, talking, tell

from sottovoce.service.jobs import (
    Away,
    Backoff,
    Queue,
    Tending,
    backlog,
    dead,
    make_app,
    rerun,
    rerun_all,
)


class Watcher:
    def __init__(self):
        self.heard = []

    def registered(self):
        self.heard.append("registered")

    def lost(self):
        self.heard.append("lost")


def with_queue(gate, work):
    """Do something with the manager of an open app."""

    async def run():
        app = make_app(gate.database, {}, Tending(None, "* * * * *"), Watcher(), Backoff())
        async with app.open_async():
            return await work(app.job_manager)

    return asyncio.run(run())


def taken(gate, worker=None):
    worker, number = take(gate, worker=worker)
    (row,) = ask(gate, "SELECT queueing_lock FROM procrastinate_jobs WHERE id = :n", n=number)
    return Job(
        id=number,
        queue="score",
        lock=None,
        queueing_lock=row.queueing_lock,
        task_name="score",
        worker_id=worker,
    )


def fail(gate, job):
    ask(gate, "SELECT procrastinate_finish_job_v1(:id, 'failed', false)", id=job)


def test_a_burst_of_messages_asks_for_one_scoring(gate):
    person = talking(gate, "ada")
    for _ in range(5):
        tell(gate, "ada", "and again")
    assert monitored.jobs(gate, person) == ["todo"]


def test_a_message_that_comes_while_its_person_is_scored_asks_for_another_scoring(gate):
    person = talking(gate, "ada")
    take(gate)
    tell(gate, "ada", "and something else")
    assert monitored.jobs(gate, person) == ["doing", "todo"]


@given(st.integers(0, 30), st.floats(0.1, 10), st.floats(10, 1000), st.integers(1, 20))
def test_waits_double_up_to_the_longest_and_end_after_the_last_attempt(done, first, most, attempts):
    backoff = Backoff(first, most, attempts)
    before = datetime.now(UTC)
    decision = backoff.get_retry_decision(
        exception=RuntimeError(),
        job=Job(id=1, queue="q", lock=None, queueing_lock=None, task_name="score", attempts=done),
    )
    if done + 1 >= attempts:
        assert decision is None
        return
    wait = decision.retry_at - before
    expected = min(first * 2**done, most)
    assert timedelta(seconds=expected * 0.5) <= wait
    assert wait <= timedelta(seconds=expected * 1.5) + (datetime.now(UTC) - before)


def test_waits_of_jobs_that_failed_together_differ():
    job = Job(id=1, queue="q", lock=None, queueing_lock=None, task_name="score")
    moments = {Backoff().get_retry_decision(exception=OSError(), job=job).retry_at for _ in "ab"}
    assert len(moments) == 2


def test_a_job_comes_back_later_and_counts_its_attempts(gate):
    person = talking(gate, "ada")
    job = taken(gate)
    later = datetime.now(UTC) + timedelta(hours=1)
    with_queue(gate, lambda queue: queue.retry_job(job, later))
    assert monitored.jobs(gate, person) == ["todo"]
    (row,) = ask(gate, "SELECT attempts, scheduled_at FROM procrastinate_jobs")
    assert (row.attempts, row.scheduled_at) == (1, later)


def test_a_job_that_met_no_database_comes_back_soon_however_often_and_counts_no_attempt(gate):
    talking(gate, "ada")
    job = taken(gate)

    async def postponed(queue):
        queue.uncounted.add(job.id)
        await queue.retry_job(job)

    with_queue(gate, postponed)
    assert ask(gate, "SELECT status::text, attempts FROM procrastinate_jobs") == [("todo", 0)]
    tired = Job(id=1, queue="q", lock=None, queueing_lock=None, task_name="score", attempts=50)
    backoff, now = Backoff(), datetime.now(UTC)
    assert backoff.get_retry_decision(exception=OSError(), job=tired) is None
    again = backoff.get_retry_decision(exception=Away(), job=tired).retry_at
    assert again - now < timedelta(seconds=2 * backoff.first)


def test_a_job_that_fails_while_another_waits_for_its_person_ends(gate):
    person = talking(gate, "ada")
    job = taken(gate)
    tell(gate, "ada", "something new")
    with_queue(gate, lambda queue: queue.retry_job(job))
    assert monitored.jobs(gate, person) == ["todo"]
    assert ask(gate, "SELECT id FROM procrastinate_jobs")[0].id != job.id


@pytest.mark.parametrize("status", ["todo", "doing"])
def test_a_worker_leaves_a_job_alone_that_others_took_over(gate, status):
    person = talking(gate, "ada")
    job = taken(gate)
    ask(gate, "SELECT procrastinate_retry_job_v2(:id, now(), NULL, NULL, NULL)", id=job.id)
    if status == "doing":
        take(gate)
    with_queue(gate, lambda queue: queue.finish_job(job, Status.SUCCEEDED, delete_job=True))
    with_queue(gate, lambda queue: queue.retry_job(job))
    assert monitored.jobs(gate, person) == [status]


def test_who_runs_a_worker_hears_that_an_end_could_not_be_written_down():
    class Away:
        async def execute_query_all_async(self, *_, **__):
            raise ConnectorException

    watcher = Watcher()
    job = Job(id=1, queue="q", lock=None, queueing_lock=None, task_name="score", worker_id=1)
    asyncio.run(Queue(Away(), watcher).finish_job(job, Status.SUCCEEDED, delete_job=True))
    assert watcher.heard == ["lost"]


def test_a_dead_letter_is_told_by_its_row_and_comes_back_as_new(gate):
    person = talking(gate, "ada")
    _, number = take(gate)
    fail(gate, number)
    with gate.database.transaction() as connection:
        (letter,) = dead(connection)
        assert (letter.id, letter.task, letter.row) == (number, "score", person)
        assert letter.at is not None
        assert rerun(connection, number)
        assert not rerun(connection, number)
        assert dead(connection) == []
    (row,) = ask(gate, "SELECT status::text, attempts FROM procrastinate_jobs")
    assert (row.status, row.attempts) == ("todo", 0)


def test_a_dead_letter_whose_work_waits_already_is_removed_when_it_is_run_again(gate):
    person = talking(gate, "ada")
    _, number = take(gate)
    fail(gate, number)
    tell(gate, "ada", "something new")
    assert monitored.jobs(gate, person) == ["failed", "todo"]
    with gate.database.transaction() as connection:
        assert rerun_all(connection) == 1
    assert monitored.jobs(gate, person) == ["todo"]


def test_the_backlog_counts_jobs_by_task_and_tells_the_age_of_the_oldest(gate):
    for name in ("ada", "ben", "cy"):
        talking(gate, name)
    worker, number = take(gate)
    fail(gate, number)
    take(gate, worker=worker)
    ask(gate, "UPDATE procrastinate_jobs SET scheduled_at = now() - interval '90 s'")
    with gate.database.transaction() as connection:
        found = backlog(connection)
    assert (found.waiting, found.running, found.dead) == ({"score": 1}, {"score": 1}, {"score": 1})
    assert found.oldest == pytest.approx(90, abs=5)


def test_a_job_that_is_not_due_has_no_age(gate):
    talking(gate, "ada")
    ask(gate, "UPDATE procrastinate_jobs SET scheduled_at = now() + interval '1 h'")
    with gate.database.transaction() as connection:
        found = backlog(connection)
    assert (found.waiting, found.oldest) == ({"score": 1}, 0)
