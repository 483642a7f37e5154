import threading
from datetime import timedelta

import pytest
from tests.service import monitored
from tests.service.monitored import APP, agree, ask, fall_silent, take, talking, tell

from sottovoce.service import messages
from sottovoce.service.jobs import dead
from sottovoce.service.tending import WORKER_DIED, Tended, tend

FORGET = "DELETE FROM procrastinate_jobs"
DEAD_AFTER = 10


def tended(gate, attempts=10):
    return tend(gate.database, DEAD_AFTER, attempts)


def test_a_dead_worker_s_job_comes_back(gate):
    person = talking(gate, "ada")
    worker, _ = take(gate)
    fall_silent(gate, worker)
    assert tended(gate) == Tended(put_back=1)
    assert monitored.jobs(gate, person) == ["todo"]


def test_a_job_whose_worker_was_forgotten_comes_back(gate):
    person = talking(gate, "ada")
    worker, _ = take(gate)
    ask(gate, "SELECT procrastinate_unregister_worker_v1(:w)", w=worker)
    assert tended(gate) == Tended(put_back=1)
    assert monitored.jobs(gate, person) == ["todo"]


def test_a_living_worker_s_job_is_left_alone(gate):
    person = talking(gate, "ada")
    take(gate)
    assert tended(gate) == Tended()
    assert monitored.jobs(gate, person) == ["doing"]


def test_a_dead_worker_s_job_ends_where_another_waits_for_the_person(gate):
    person = talking(gate, "ada")
    worker, number = take(gate)
    tell(gate, "ada", "something new")
    fall_silent(gate, worker)
    assert tended(gate) == Tended(superseded=1)
    assert monitored.jobs(gate, person) == ["todo"]
    assert ask(gate, "SELECT id FROM procrastinate_jobs")[0].id != number


def test_a_job_over_which_workers_die_again_and_again_becomes_a_dead_letter(gate):
    person = talking(gate, "ada")
    for _ in range(2):
        worker, _ = take(gate)
        fall_silent(gate, worker)
        tended(gate, attempts=2)
    assert monitored.jobs(gate, person) == ["failed"]
    with gate.database.transaction() as connection:
        (letter,) = dead(connection)
    assert (letter.failure, letter.attempts, letter.row) == (WORKER_DIED, 2, person)


def test_tending_that_died_itself_leaves_nothing(gate):
    deferred = "SELECT procrastinate_defer_jobs_v1(ARRAY[ROW('tend', 'tend', 1, NULL, 'tend', "
    ask(gate, deferred + "'{}'::jsonb, NULL)::procrastinate_job_to_defer_v1])")
    worker, _ = take(gate)
    fall_silent(gate, worker)
    assert tended(gate) == Tended(superseded=1)
    assert ask(gate, "SELECT id FROM procrastinate_jobs") == []


def test_somebody_whom_no_job_waits_for_is_put_into_the_queue_once(gate):
    person = talking(gate, "ada")
    ask(gate, FORGET)
    assert tended(gate) == Tended(enqueued=1)
    assert tended(gate) == Tended()
    assert monitored.jobs(gate, person) == ["todo"]


def test_nobody_is_put_into_the_queue_without_consent(gate):
    person = talking(gate, "ada")
    agree(gate, "ada", granted=False)
    ask(gate, FORGET)
    assert tended(gate) == Tended()
    agree(gate, "ada")
    assert tended(gate) == Tended(enqueued=1)
    assert monitored.jobs(gate, person) == ["todo"]


@pytest.mark.parametrize("status", ["doing", "failed"])
def test_nobody_is_put_into_the_queue_beside_a_job_that_runs_or_is_a_dead_letter(gate, status):
    person = talking(gate, "ada")
    take(gate)
    ask(gate, f"UPDATE procrastinate_jobs SET status = '{status}'")
    assert tended(gate) == Tended()
    assert monitored.jobs(gate, person) == [status]


def test_a_message_that_is_just_being_stored_is_waited_for(gate):
    person = talking(gate, "ada")
    ask(gate, FORGET)
    found = []
    with gate.open(APP, "messages.add", "ada") as case:
        looking = threading.Thread(target=lambda: found.append(tended(gate)))
        looking.start()
        waiting = "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() "
        while not ask(gate, waiting + "AND wait_event_type = 'Lock'"):
            assert looking.is_alive()
        said = messages.Said("new", "c", "user", "hello", case.at)
        messages.add(case, [said], timedelta(0))
    looking.join()
    assert found == [Tended()]
    assert monitored.jobs(gate, person) == ["todo"]


def test_what_ended_a_day_ago_is_removed_and_what_ended_now_is_kept(gate):
    for name in ("ada", "ben"):
        talking(gate, name)
    ask(gate, "UPDATE people SET scored_revision = revision")
    ask(gate, "UPDATE procrastinate_jobs SET status = 'cancelled'")
    old = "UPDATE procrastinate_events SET at = now() - interval '25 h'"
    ask(gate, f"{old} WHERE job_id = (SELECT min(id) FROM procrastinate_jobs)")
    assert tended(gate) == Tended(removed=1)
    assert len(ask(gate, "SELECT id FROM procrastinate_jobs")) == 1


def test_a_dead_letter_stays_until_its_person_is_scored_or_gone(gate):
    for name in ("ada", "ben", "cy"):
        talking(gate, name)
    ask(gate, "UPDATE procrastinate_jobs SET status = 'failed'")
    assert tended(gate) == Tended()
    with gate.open(APP, "people.read", "ada") as case:
        ask(gate, "UPDATE people SET scored_revision = revision WHERE id = :id", id=case.person)
    with gate.open(APP, "people.read", "ben") as case:
        ask(gate, "DELETE FROM people WHERE id = :id", id=case.person)
    assert tended(gate) == Tended(removed=2)
