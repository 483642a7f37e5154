import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from datetime import timedelta

import pytest
from tests.service import monitored
from tests.service.monitored import (
    APP,
    LIMIT,
    QUICK,
    Counting,
    agree,
    agreeing,
    ask,
    scores,
    talking,
    tell,
    until,
    working,
)

from sottovoce.errors import ServiceError
from sottovoce.service.database import Database
from sottovoce.service.embedded import Embedded
from sottovoce.service.erasure import purge_later
from sottovoce.service.jobs import Queue, dead, rerun_all
from sottovoce.service.masterkeys import new_master_keys, write_master_keys
from sottovoce.service.opening import open_gate
from sottovoce.service.scoring import Batcher
from sottovoce.service.settings import ServiceSettings
from sottovoce.service.worker import Hooks, Working, handlers

BLOCKED = """
import sys
from pathlib import Path
from tests.service.monitored import QUICK, Counting
from sottovoce.service.database import Database
from sottovoce.service.masterkeys import read_master_keys
from sottovoce.service.opening import open_gate
from sottovoce.service.settings import ServiceSettings
from sottovoce.service.worker import run_worker

class Blocked(Counting):
    def read(self, windows):
        print("scoring", flush=True)
        if len(sys.argv) > 3:
            sys.stdin.readline()
        else:
            self.open.clear()
        return super().read(windows)

gate = open_gate(Database(sys.argv[1]), read_master_keys(Path(sys.argv[2])))
run_worker(gate, ServiceSettings(), Blocked(), pace=QUICK)
"""


def behind(gate):
    return ask(gate, "SELECT id FROM people WHERE revision > scored_revision")


def left(gate):
    """Jobs, apart from the one that looks after the others."""
    return ask(gate, "SELECT status::text FROM procrastinate_jobs WHERE task_name <> 'tend'")


def caught_up(gate):
    return not behind(gate) and not left(gate)


def workers(gate):
    return ask(gate, "SELECT id FROM procrastinate_workers")


@pytest.fixture
def blocked(gate, tmp_path):
    """Start a worker in a process of its own that is held up while it scores."""
    started = []
    key = tmp_path / "master.key"
    write_master_keys(key, gate.keeper)

    def start(*more):
        url = gate.database.url.render_as_string(hide_password=False)
        process = subprocess.Popen(
            [sys.executable, "-c", BLOCKED, url, str(key), *more],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        for line in process.stdout:
            if line == "scoring\n":
                return process
        raise AssertionError("the worker ended before it scored")

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_everybody_who_said_something_is_scored_and_no_job_is_left(gate):
    people = [talking(gate, str(number), *["hello"] * number) for number in range(1, 12)]

    async def run():
        async with working(gate, Counting()):
            await until(lambda: caught_up(gate))

    asyncio.run(run())
    assert [scores(gate, each) for each in people] == [[float(n)] for n in range(1, 12)]
    assert workers(gate) == []


def test_what_is_said_while_a_person_is_scored_is_scored_afterwards(gate):
    person, scorer = talking(gate, "ada", "one"), Counting()
    scorer.open.clear()

    async def run():
        async with working(gate, scorer):
            await until(scorer.begun.is_set)
            await asyncio.to_thread(tell, gate, "ada", "two")
            scorer.open.set()
            await until(lambda: caught_up(gate))

    asyncio.run(run())
    assert scores(gate, person)[-1] == 2.0


def test_a_model_that_fails_leaves_a_dead_letter_that_can_be_run_again(gate, capsys):
    person, scorer = talking(gate, "ada", "my secret words"), Counting()
    scorer.broken = True

    def letters():
        with gate.database.transaction() as connection:
            return dead(connection)

    async def run():
        async with working(gate, scorer):
            await until(letters)
            (letter,) = letters()
            assert (letter.row, letter.attempts) == (person, QUICK.backoff.attempts)
            assert letter.failure == "builtins.RuntimeError"
            scorer.broken = False
            with gate.database.transaction() as connection:
                assert rerun_all(connection) == 1
            await until(lambda: caught_up(gate))

    asyncio.run(run())
    assert scores(gate, person) == [1.0]
    assert len(scorer.batches) == QUICK.backoff.attempts + 1
    said = capsys.readouterr()
    assert "job-failed" in said.out
    assert "secret" not in said.out + said.err


def test_one_person_who_cannot_be_scored_holds_nobody_up(gate):
    people = [talking(gate, name, name) for name in ("ada", "poison", "cy")]

    async def run():
        async with working(gate, Counting()):
            await until(lambda: left(gate) == [("failed",)])

    asyncio.run(run())
    assert [scores(gate, each) for each in people] == [[1.0], [], [1.0]]


def test_a_withdrawal_is_purged_by_a_worker(gate):
    talking(gate, "ada")
    agree(gate, "ada", granted=False)
    with gate.open(APP, "consent.record", "ada") as case:
        purge_later(case, timedelta(microseconds=1))

    async def run():
        async with working(gate, Counting()):
            await until(lambda: not left(gate))

    asyncio.run(run())
    assert ask(gate, "SELECT count(*) FROM messages") == [(0,)]


def test_a_worker_that_is_told_to_stop_finishes_what_it_has_begun(gate):
    scorer = Counting()
    scorer.open.clear()
    first = talking(gate, "ada")

    async def run():
        async with working(gate, scorer) as worker:
            await until(scorer.begun.is_set)
            worker.stop()
            second = await asyncio.to_thread(talking, gate, "ben")
            scorer.open.set()
        return second

    second = asyncio.run(run())
    assert scores(gate, first) == [1.0]
    assert (monitored.jobs(gate, first), monitored.jobs(gate, second)) == ([], ["todo"])
    assert workers(gate) == []


def test_a_worker_that_is_told_to_stop_gives_back_what_it_has_not_begun(gate):
    scorer = Counting()
    scorer.open.clear()
    people = [talking(gate, str(number)) for number in range(QUICK.concurrency)]

    async def run():
        async with working(gate, scorer) as worker:
            await until(scorer.begun.is_set)
            await until(lambda: left(gate) == [("doing",)] * len(people))
            worker.stop()
            scorer.open.set()

    asyncio.run(run())
    done = sum(scorer.batches)
    assert 0 < done < len(people)
    assert left(gate) == [("todo",)] * (len(people) - done)
    assert sorted(scores(gate, each) for each in people) == sorted(
        [[]] * (len(people) - done) + [[1.0]] * done
    )


def test_a_worker_that_finishes_a_long_job_is_not_taken_for_dead(gate):
    scorer = Counting()
    scorer.open.clear()
    person = talking(gate, "ada")

    def last():
        return ask(gate, "SELECT max(last_heartbeat) FROM procrastinate_workers")[0][0]

    async def run():
        async with working(gate, scorer) as worker:
            await until(scorer.begun.is_set)
            worker.stop()
            for _ in range(4):  # one may have been on its way when it was told
                seen = last()
                await until(lambda seen=seen: last() > seen)
            scorer.open.set()

    asyncio.run(run())
    assert scores(gate, person) == [1.0]


def test_a_job_whose_end_could_not_be_written_down_is_taken_up(gate, monkeypatch):
    person, settled, seen = talking(gate, "ada"), Queue.finish_job, []

    async def lose(queue, job, status, delete_job):
        if job.task_name != "score" or seen:
            await settled(queue, job, status, delete_job)
        else:
            seen.append(job.id)
            queue._watcher.lost()

    monkeypatch.setattr(Queue, "finish_job", lose)

    async def run():
        async with working(gate, Counting()):
            await until(lambda: seen and caught_up(gate))

    asyncio.run(run())
    assert scores(gate, person) == [1.0]


def test_another_worker_finishes_what_a_killed_one_had_begun(gate, blocked):
    people = [talking(gate, name) for name in ("ada", "ben")]
    process = blocked()
    assert "doing" in {row.status for row in left(gate)}
    process.kill()
    process.wait()

    async def run():
        async with working(gate, Counting()):
            await until(lambda: caught_up(gate))

    asyncio.run(run())
    assert [scores(gate, each) for each in people] == [[1.0], [1.0]]


def test_the_first_signal_lets_a_worker_finish(gate, blocked):
    person = talking(gate, "ada")
    process = blocked("held up by stdin")
    process.send_signal(signal.SIGTERM)
    process.communicate("go on\n", timeout=LIMIT)
    assert process.returncode == 0
    assert scores(gate, person) == [1.0]
    assert (monitored.jobs(gate, person), workers(gate)) == ([], [])


def test_the_second_signal_ends_a_worker_at_once(gate, blocked):
    person = talking(gate, "ada")
    process = blocked()
    process.send_signal(signal.SIGTERM)
    while process.poll() is None:  # until the first is heard, the second is the same one
        time.sleep(0.2)
        process.send_signal(signal.SIGINT)
    assert process.returncode == 128 + signal.SIGTERM
    assert monitored.jobs(gate, person) == ["doing"]


def test_a_worker_goes_on_after_its_connections_were_cut(gate):
    ready, scorer = [], Counting()
    cut = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )

    async def run():
        async with working(gate, scorer, Hooks(ready=lambda: ready.append(True))):
            await until(lambda: ready)
            for name in ("ada", "ben", "cy"):
                await asyncio.to_thread(ask, gate, cut)
                await until(lambda: ask(gate, "SELECT 1"))
                await asyncio.to_thread(talking, gate, name)
            await until(lambda: caught_up(gate))

    asyncio.run(run())
    assert ask(gate, "SELECT count(*) FROM estimates") == [(3,)]


def test_a_worker_outlives_a_server_that_is_killed_while_it_scores(tmp_path):
    scorer = Counting()
    scorer.open.clear()
    with Embedded(tmp_path / "postgres") as server:
        database = Database(server.url)
        database.migrate()
        gate = open_gate(database, new_master_keys())
        first, second = talking(gate, "ada"), agreeing(gate, "ben")

        async def run():
            async with working(gate, scorer, Hooks(revive=server.restart)):
                await until(scorer.begun.is_set)
                os.kill(server.pid, signal.SIGKILL)
                await until(lambda: not server.running())
                scorer.open.set()
                await until(lambda: ask(gate, "SELECT 1"))
                await asyncio.to_thread(tell, gate, "ben", "hello")
                await until(lambda: caught_up(gate))

        asyncio.run(run())
        assert [scores(gate, each) for each in (first, second)] == [[1.0], [1.0]]
        database.close()


def once(gate, ahead, scorer=None):
    async def run():
        batcher = Batcher(scorer or Counting())
        await Working(gate, handlers(gate, ServiceSettings(), batcher), QUICK).run_once(ahead)
        batcher.close()

    asyncio.run(run())


def test_once_works_off_what_is_due_or_will_be_soon_and_leaves_the_rest(gate):
    soon, later = talking(gate, "ada"), talking(gate, "ben")
    change = "UPDATE procrastinate_jobs SET scheduled_at = now() + make_interval(secs => :wait) "
    change += "WHERE args->>'row' = :id"
    ask(gate, change, wait=0.5, id=str(soon))
    ask(gate, change, wait=3600, id=str(later))
    once(gate, ahead=5.0)
    assert (scores(gate, soon), scores(gate, later)) == ([1.0], [])
    assert monitored.jobs(gate, later) == ["todo"]


def test_once_takes_up_what_was_forgotten(gate):
    person = talking(gate, "ada")
    ask(gate, "DELETE FROM procrastinate_jobs")
    once(gate, ahead=0)
    assert scores(gate, person) == [1.0]


def test_once_says_in_a_sentence_that_the_database_is_away(gate):
    talking(gate, "ada")
    away = Database("postgresql://localhost:1/nothing")
    gate.database, there = away, gate.database
    with pytest.raises(ServiceError, match="the database went away"):
        once(gate, ahead=0)
    gate.database = there


def test_the_command_scores_what_waits_with_a_real_model(gate, tiny_run, tmp_path):
    key = tmp_path / "master.key"
    write_master_keys(key, gate.keeper)
    texts = ["I lie awake for hours and everything feels heavy and pointless to me"] * 8
    person = talking(gate, "ada", *texts)
    given = {
        "SOTTOVOCE_DATABASE_URL": gate.database.url.render_as_string(hide_password=False),
        "SOTTOVOCE_MASTER_KEY_FILE": str(key),
    }
    command = [sys.executable, "-m", "sottovoce.cli", "worker", "--once", "--model", str(tiny_run)]
    done = subprocess.run(
        command, env=os.environ | given, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stderr.splitlines() if line.startswith("{")]
    said = {(each["event"], each.get("outcome")) for each in lines}
    assert {("worker-ready", None), ("job-done", "scored")} <= said
    assert len(scores(gate, person)) == 1
    assert "awake" not in done.stderr
