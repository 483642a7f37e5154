import threading
from contextlib import suppress
from datetime import timedelta
from itertools import pairwise
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from tests.service.told import APP, MORNING, ask, at_once, consenting, said

from sottovoce.errors import ServiceError
from sottovoce.service import messages
from sottovoce.service.messages import Said, Stored
from sottovoce.service.principals import SERVICE
from sottovoce.service.refusals import Conflict, Invalid

NOW = timedelta(0)
NUMBERS = iter(range(10**6))


def add(gate, person, *batch, delay=NOW):
    with gate.open(APP, "messages.add", person) as case:
        return messages.add(case, batch, delay)


def kept(gate, person):
    with gate.open(APP, "people.export", person) as case:
        return list(messages.since(case))


def jobs(gate):
    query = "SELECT id, task_name, queueing_lock, status, args FROM procrastinate_jobs ORDER BY id"
    return ask(gate, query)


def fetched(connection):
    """Take a job as a worker of procrastinate does; give its number."""
    connection.execute(text("INSERT INTO procrastinate_workers DEFAULT VALUES"))
    worker = "SELECT max(id) FROM procrastinate_workers"
    query = f"SELECT id FROM procrastinate_fetch_job_v2(NULL, ({worker}))"
    return connection.execute(text(query)).scalar()


def test_the_same_message_is_stored_once_however_often_it_comes(gate):
    consenting(gate, "u1", "monitoring")
    assert add(gate, "u1", said(1), said(2), said(1)) == Stored(2, 0, 0)
    assert add(gate, "u1", said(2), said(3)) == Stored(1, 1, 0)
    assert add(gate, "u1", said(1), said(2)) == Stored(0, 2, 0)
    assert add(gate, "u1") == Stored(0, 0, 0)
    assert [each.said for each in kept(gate, "u1")] == [said(1), said(2), said(3)]


def test_what_was_known_asks_for_no_scoring(gate):
    consenting(gate, "u1", "monitoring")
    add(gate, "u1", said(1))
    revision = ask(gate, "SELECT revision, version FROM people")
    add(gate, "u1", said(1))
    assert ask(gate, "SELECT revision, version FROM people") == revision


def test_an_id_is_a_persons_own(gate):
    for person in ("u1", "u2"):
        consenting(gate, person, "monitoring")
        assert add(gate, person, said(1, f"of {person}")).new == 1
    assert [each.said.content for each in kept(gate, "u2")] == ["of u2"]


@pytest.mark.parametrize(
    "other",
    [
        said(1, "other"),
        said(1, at=MORNING),
        Said("m1", "c2", "user", "hello", said(1).sent_at),
        Said("m1", "c1", "assistant", "hello", said(1).sent_at),
    ],
    ids=["content", "time", "conversation", "role"],
)
def test_an_id_that_comes_with_something_else_undoes_the_whole_batch(gate, other):
    consenting(gate, "u1", "monitoring")
    with pytest.raises(Conflict, match="of the batch share an id"):
        add(gate, "u1", said(1), other)
    add(gate, "u1", said(1))
    with pytest.raises(Conflict, match="stored already"):
        add(gate, "u1", said(2), other)
    assert [each.said for each in kept(gate, "u1")] == [said(1)]


@pytest.mark.parametrize(
    "content", ["", "🙂👩‍👩‍👧", "שלום \u202e", "a\x00b", "'; DROP TABLE x; --", "%s %(a)s :x"]
)
def test_any_text_comes_back_as_it_was(gate, content):
    consenting(gate, "u1", "monitoring")
    add(gate, "u1", said(1, content))
    assert [each.said.content for each in kept(gate, "u1")] == [content]
    assert add(gate, "u1", said(1, content)).known == 1


def test_half_a_character_is_refused_with_the_whole_batch(gate):
    consenting(gate, "u1", "monitoring")
    for wrong in (said(2, "a\ud800"), Said("\ud800", "c", "user", "x", MORNING)):
        with pytest.raises(Invalid) as caught:
            add(gate, "u1", said(1), wrong)
        assert "surrogate" in str(caught.value)
    assert kept(gate, "u1") == []


def test_ten_megabytes_are_a_message_like_another(gate):
    consenting(gate, "u1", "monitoring")
    long = "é🙂" * (10 * 2**20 // 6)
    add(gate, "u1", said(1, long))
    assert kept(gate, "u1")[0].said.content == long


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=20)
@given(order=st.permutations(range(8)), cuts=st.sets(st.integers(1, 7)), again=st.integers(0, 7))
def test_messages_are_read_in_the_order_of_time_and_else_as_they_came(gate, order, cuts, again):
    person = consenting(gate, f"p{next(NUMBERS)}", "monitoring")
    batch = [said(n, at=MORNING + timedelta(minutes=n // 3)) for n in order]
    edges = [0, *sorted(cuts), 8]
    parts = [batch[a:b] for a, b in pairwise(edges)]
    for part in [*parts, batch[again:]]:
        add(gate, person, *part)
    with gate.open(APP, "people.export", person) as case:
        found = [each.said for each in messages.since(case)]
        paged, after = [], None
        while True:
            page, after = messages.page(case, after, 3)
            paged += [each.said for each in page]
            if after is None:
                break
        assert messages.newest(case) == MORNING + timedelta(minutes=2)
        late = list(messages.since(case, MORNING + timedelta(minutes=1)))
    assert found == sorted(batch, key=lambda each: each.sent_at)  # stable
    assert paged == found
    assert [each.said for each in late] == found[3:]


def test_messages_of_the_future_count_as_said_when_they_came_and_keep_their_order(gate):
    consenting(gate, "u1", "monitoring")
    later = gate.clock() + timedelta(hours=1)
    batch = [said(n, at=later + timedelta(seconds=n)) for n in range(20)]
    assert add(gate, "u1", said(20, at=MORNING), *reversed(batch)) == Stored(21, 0, 20)
    found = kept(gate, "u1")
    assert [each.said for each in found] == [said(20, at=MORNING), *batch]
    assert max(each.at for each in found) <= gate.clock()
    assert add(gate, "u1", *batch) == Stored(0, 20, 0)


def test_many_messages_are_stored_in_one_batch(gate):
    consenting(gate, "u1", "monitoring")
    batch = [said(number) for number in range(2500)]
    assert add(gate, "u1", *batch) == Stored(2500, 0, 0)
    assert add(gate, "u1", *batch, said(2500)) == Stored(1, 2500, 0)


def test_a_row_that_was_moved_to_another_person_or_place_is_found(gate):
    for person in ("u1", "u2"):
        consenting(gate, person, "monitoring")
        add(gate, person, said(1), said(2))
    rows = ask(gate, "SELECT person_id, digest, sealed FROM messages ORDER BY person_id, digest")
    change = "UPDATE messages SET sealed = :sealed WHERE person_id = :person AND digest = :digest"
    for other in (rows[1], rows[2]):
        ask(
            gate,
            change,
            sealed=other.sealed,
            person=rows[0].person_id,
            digest=rows[0].digest,
        )
        with (
            pytest.raises(ServiceError, match="changed, moved"),
            gate.open(SERVICE, "score.read", rows[0].person_id) as case,
        ):
            list(messages.since(case))


def test_the_same_burst_from_several_threads_is_stored_once_with_one_job(gate):
    people = [consenting(gate, f"u{number}", "monitoring") for number in range(3)]

    def send(number):
        new = 0
        for turn in range(10):
            for person in people[number % 3 :] + people[: number % 3]:
                new += add(gate, person, *(said(n) for n in range(turn, turn + 5))).new
        return new

    assert sum(at_once(send, 8)) == 3 * 14
    assert [len(kept(gate, person)) for person in people] == [14] * 3
    found = jobs(gate)
    assert sorted((job.task_name, job.status) for job in found) == [("score", "todo")] * 3
    assert len({job.queueing_lock for job in found}) == 3
    assert gate.verify().problem is None


def test_a_job_is_there_only_if_the_message_is(gate):
    consenting(gate, "u1", "monitoring")
    with suppress(RuntimeError), gate.open(APP, "messages.add", "u1") as case:
        messages.add(case, [said(1)], NOW)
        assert len(jobs(gate)) == 0
        raise RuntimeError
    assert jobs(gate) == []


def test_a_worker_does_not_take_the_waiting_job_before_what_it_has_to_read_is_there(gate):
    consenting(gate, "u1", "monitoring")
    add(gate, "u1", said(1))
    with gate.open(APP, "messages.add", "u1") as case:
        messages.add(case, [said(2)], NOW)
        with gate.database.transaction() as worker:
            assert fetched(worker) is None
    with gate.database.transaction() as worker:
        assert fetched(worker) == jobs(gate)[0].id
    assert len(jobs(gate)) == 1


def test_a_batch_that_comes_when_the_job_was_just_taken_makes_another(gate):
    consenting(gate, "u1", "monitoring")
    add(gate, "u1", said(1))
    sent = threading.Event()

    def send():
        add(gate, "u1", said(2))
        sent.set()

    thread = threading.Thread(target=send)
    with gate.database.transaction() as worker:  # has taken the job and not committed that yet
        taken = fetched(worker)
        thread.start()
        assert not sent.wait(0.3)  # neither sure that it is read nor that it is not: waits
    thread.join()
    assert [(job.id == taken, job.status) for job in jobs(gate)] == [
        (True, "doing"),
        (False, "todo"),
    ]


def test_no_message_is_left_unread_however_workers_and_senders_meet(gate):
    people = [consenting(gate, f"u{number}", "monitoring") for number in range(2)]
    done = threading.Event()
    read: dict[object, int] = {}

    def work():
        while True:
            last = done.is_set()
            with gate.database.transaction() as connection:
                job = fetched(connection)
            if job is None and last:
                return
            if job is not None:
                args = ask(gate, "SELECT args FROM procrastinate_jobs WHERE id = :id", id=job)
                [person] = args[0].args.values()
                with gate.open(SERVICE, "score.read", UUID(person)) as case:
                    read[person] = max(read.get(person, 0), len(list(messages.since(case))))

    def send(number):
        for turn in range(25):
            add(gate, people[turn % 2], said(1000 * number + turn))

    workers = [threading.Thread(target=work) for _ in range(2)]
    for each in workers:
        each.start()
    at_once(send, 3)
    done.set()
    for each in workers:
        each.join()
    counts = ask(gate, "SELECT person_id, count(*) AS n FROM messages GROUP BY person_id")
    assert {str(row.person_id): row.n for row in counts} == read
