import subprocess
from contextlib import suppress
from datetime import timedelta

import pytest
from tests.service.filled import fill, of_everything
from tests.service.told import ADMIN, APP, ask, consenting, line, record, said

from sottovoce.errors import ServiceError
from sottovoce.service import erasure, ledger, messages, people
from sottovoce.service.masterkeys import new_master_keys
from sottovoce.service.opening import open_gate, rewrap
from sottovoce.service.principals import SERVICE
from sottovoce.service.refusals import ConsentMissing, NotFound
from sottovoce.service.sealing import PersonKey

CANARY = "canary-5e1c77"
"""In every text that is told: id, message, its ids, questionnaire's id, estimate's evidence."""


def tables(gate):
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"
    return [row.tablename for row in ask(gate, query)]


def dumped(gate):
    """Give every row of every table, as text and with every bytes column as it is."""
    values = [
        value
        for table in tables(gate)
        for row in ask(gate, f"SELECT t.*, t::text AS everything FROM {table} t")
        for value in row
    ]
    return b"\n".join(each if isinstance(each, bytes) else str(each).encode() for each in values)


def copied(gate, programs):
    """Give a dump as `pg_dump` makes it."""
    command = [programs / "pg_dump", "--inserts", gate.database.conninfo]
    return subprocess.run(command, check=True, capture_output=True).stdout


def logged(gate, postgres):
    """Give everything that the write-ahead log holds."""
    ask(gate, "SELECT pg_switch_wal()")
    folder = postgres.folder / "cluster" / "pg_wal"
    return b"".join(each.read_bytes() for each in folder.iterdir() if each.is_file())


def erase(gate, person):
    with gate.open(APP, "people.erase", person) as case:
        erasure.erase(case)
    return case


def test_no_plaintext_is_anywhere_before_or_after_somebody_is_erased(gate, postgres, programs):
    person = f"{CANARY}-person"
    fill(gate, person, CANARY)
    marker = "marker-of-this-test"
    record(gate, person, ledger.Line("warning", True, gate.clock(), marker, marker))
    places = dumped(gate), copied(gate, programs), logged(gate, postgres)
    assert [marker.encode() in place for place in places] == [True] * 3  # it would be found
    erase(gate, person)
    places += dumped(gate), copied(gate, programs), logged(gate, postgres)
    for encoded in (CANARY.encode(), CANARY.encode().hex().encode(), CANARY.encode("utf-16-le")):
        assert [encoded in place for place in places] == [False] * 6


def test_an_erased_person_leaves_lines_under_a_number_and_nothing_else(gate, programs):
    fill(gate, "u1")
    fill(gate, "u2")
    other = of_everything(gate, "u2")
    with gate.open(APP, "people.read", "u1") as case:
        number = case.person
    wrapped = ask(gate, "SELECT wrapped_key FROM people WHERE id = :id", id=number)[0].wrapped_key
    erase(gate, "u1")
    left = {
        table
        for table in tables(gate)
        if ask(gate, f"SELECT 1 FROM {table} t WHERE t::text LIKE :p", p=f"%{number}%")
    }
    assert left == {"accounts", "audit", "consents"}  # this test named the account after it
    assert wrapped not in dumped(gate)
    assert wrapped.hex().encode() not in copied(gate, programs)
    with pytest.raises(NotFound), gate.open(APP, "people.read", "u1"):
        pass
    with pytest.raises(NotFound), gate.open(SERVICE, "score.read", number):
        pass
    assert gate.verify().problem is None
    assert of_everything(gate, "u2") == other


def test_what_was_sealed_opens_with_no_key_that_is_left(gate):
    fill(gate, "u1")
    row = ask(gate, "SELECT person_id, digest, sealed FROM messages")[0]
    erase(gate, "u1")
    people.register(gate, APP, "u1")
    with gate.open(APP, "people.export", "u1") as case:
        assert case.person != row.person_id
        assert (list(messages.since(case)), case.purposes) == ([], frozenset())
        keys = [case.key, PersonKey(row.person_id, case.key.key)]
    for key in keys:
        with pytest.raises(ServiceError, match="another key"):
            key.unseal(row.sealed, f"messages:{bytes(row.digest).hex()}")


def test_an_old_copy_of_the_row_opens_until_the_master_key_is_rotated_away(database):
    keys = new_master_keys()
    gate = open_gate(database, keys)
    fill(gate, "u1", CANARY)
    row = ask(gate, "SELECT id, key_id, wrapped_key, sealed FROM people")[0]
    erase(gate, "u1")
    key = keys.unwrap(row.key_id, row.wrapped_key, row.id.bytes)  # from a backup made before
    assert PersonKey(row.id, key).unseal(row.sealed, "people") == "u1"
    newer = keys.newer()
    rewrap(database, newer)
    with pytest.raises(ServiceError, match="is not here"):
        newer.without_old().unwrap(row.key_id, row.wrapped_key, row.id.bytes)


def test_the_admin_may_erase_and_twice_is_nobody(gate):
    fill(gate, "u1")
    with gate.open(ADMIN, "people.erase", "u1") as case:
        erasure.erase(case)
    with pytest.raises(NotFound):
        erase(gate, "u1")


def test_jobs_about_somebody_erased_are_gone_and_those_of_others_wait(gate):
    for person in ("u1", "u2"):
        consenting(gate, person, "monitoring")
        with gate.open(APP, "messages.add", person) as case:
            messages.add(case, [said(1)], timedelta(0))
    with gate.open(APP, "consent.record", "u1") as case:
        erasure.purge_later(case, timedelta(days=30))
    erase(gate, "u1")
    left = ask(gate, "SELECT args FROM procrastinate_jobs")
    with gate.open(APP, "people.read", "u2") as case:
        assert [list(row.args.values()) for row in left] == [[str(case.person)]]


def test_an_erasure_that_fails_erases_nothing(gate):
    fill(gate, "u1")
    before = of_everything(gate, "u1")
    with suppress(RuntimeError), gate.open(APP, "people.erase", "u1") as case:
        erasure.erase(case)
        raise RuntimeError
    assert of_everything(gate, "u1") == before


def withdrawn(gate, person, wait):
    with gate.open(APP, "consent.record", person) as case:
        gone = ledger.record(case, [line("monitoring", False, gate.clock())])
        assert gone == {"monitoring"}
        erasure.purge_later(case, wait)


def test_a_withdrawal_purges_at_once_where_no_days_are_given(gate):
    fill(gate, "u1")
    withdrawn(gate, "u1", timedelta(0))
    for table in ("messages", "estimates", "questionnaires", "procrastinate_jobs"):
        assert ask(gate, f"SELECT 1 FROM {table}") == []
    with gate.open(APP, "people.read", "u1") as case:
        assert (case.external_id, case.purposes) == ("u1", {"research"})
        assert not people.glance(case).pending
        assert len(ledger.lines_of(case)) == 3


def test_a_withdrawal_purges_later_and_until_then_nobody_reads(gate):
    fill(gate, "u1")
    withdrawn(gate, "u1", timedelta(days=30))
    with pytest.raises(ConsentMissing), gate.open(SERVICE, "score.read", "u1"):
        pass
    waiting = ask(
        gate,
        "SELECT args, scheduled_at - now() > interval '29 days' AS late FROM procrastinate_jobs "
        "WHERE task_name = 'purge' AND status = 'todo'",
    )
    with gate.open(SERVICE, "score.purge", "u1") as case:
        found = [(*row.args.values(), row.late) for row in waiting]
        assert found == [(str(case.person), True)]
        erasure.purge(case)
    assert ask(gate, "SELECT 1 FROM messages") == []


def test_what_was_purged_may_be_said_again(gate):
    fill(gate, "u1")
    withdrawn(gate, "u1", timedelta(0))
    record(gate, "u1", line("monitoring", True, gate.clock()))
    with gate.open(APP, "messages.add", "u1") as case:
        assert messages.add(case, [said(1, "something else")], timedelta(0)).new == 1
    with gate.open(APP, "people.read", "u1") as case:
        assert people.glance(case).pending
