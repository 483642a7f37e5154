import hashlib
import hmac
import json
import os
from uuid import UUID, uuid4

import pytest
from tests.service.told import APP, MORNING, ask, at_once, consenting

from sottovoce.conversations import format_time
from sottovoce.errors import ServiceError
from sottovoce.service import audit
from sottovoce.service.audit import LANES, Entry, read_anchors
from sottovoce.service.principals import Principal

FREE = "ALTER TABLE audit DISABLE TRIGGER ALL"
"""What somebody does first who owns the database."""
LANE = "(SELECT lane FROM audit GROUP BY lane HAVING count(*) >= 4 ORDER BY lane LIMIT 1)"


@pytest.fixture
def filled(gate):
    """A gate with some entries in some chains, and the database's own guard taken away."""
    for number in range(4):
        person = consenting(gate, f"u{number}", "monitoring")
        for _ in range(4):
            with gate.open(APP, "people.read", person):
                pass
    ask(gate, FREE)
    assert gate.verify().problem is None
    return gate


def broken(gate, statement, **values):
    ask(gate, statement, **values)
    found = gate.verify().problem
    assert found is not None
    return found


@pytest.mark.parametrize(
    "change",
    [
        "at = at + interval '1 microsecond'",
        "account_id = gen_random_uuid()",
        "account_id = NULL",
        "key_id = NULL",
        "role = 'admin'",
        "action = 'consent.read'",
        "person_id = gen_random_uuid()",
        "person_id = NULL",
        "outcome = 'failed'",
        "mac = set_byte(mac, 0, get_byte(mac, 0) # 1)",
        "number = number + 1000",
        "number = -number",
        "lane = (lane + 1) % 16, number = 1000",
        "lane = 16",
        "lane = -1",
    ],
)
def test_a_change_of_any_column_is_found(filled, change):
    where = f"WHERE lane = {LANE} AND number = 2"
    assert "chain" in broken(filled, f"UPDATE audit SET {change} {where}")


@pytest.mark.parametrize("number", ["1", "2", "(SELECT max(number) FROM audit WHERE lane = l)"])
def test_an_entry_that_is_gone_is_found(filled, number):
    query = f"WITH chosen AS (SELECT {LANE} AS l) DELETE FROM audit USING chosen"
    assert "chain" in broken(filled, f"{query} WHERE lane = l AND number = {number}")


@pytest.mark.parametrize(
    ("lane", "number"),
    [(LANE, "1000"), (LANE, "0"), (LANE, "-1"), ("16", "1"), ("-3", "1")],
)
def test_an_inserted_entry_is_found_wherever_it_is_put(filled, lane, number):
    columns = "at, account_id, key_id, role, action, person_id, outcome, mac"
    chosen = f"SELECT {lane}, {number}, {columns} FROM audit WHERE lane = {LANE} AND number = 2"
    assert "chain" in broken(filled, f"INSERT INTO audit (lane, number, {columns}) {chosen}")


def test_two_entries_that_changed_places_are_found(filled):
    first = f"UPDATE audit SET number = 1000 WHERE lane = {LANE} AND number = 2"
    ask(filled, first)
    ask(filled, f"UPDATE audit SET number = 2 WHERE lane = {LANE} AND number = 3")
    last = f"UPDATE audit SET number = 3 WHERE lane = {LANE} AND number = 1000"
    assert "broken at entry 2" in broken(filled, last)


def cut(gate, keep):
    """Cut a chain's end off and put its head there."""
    lane = ask(gate, f"SELECT {LANE} AS lane")[0].lane
    ask(gate, "DELETE FROM audit WHERE lane = :lane AND number > :keep", lane=lane, keep=keep)
    ask(
        gate,
        "UPDATE audit_heads SET number = :keep, mac = coalesce((SELECT mac FROM audit a WHERE "
        "a.lane = :lane AND a.number = :keep), ''::bytea) WHERE lane = :lane",
        lane=lane,
        keep=keep,
    )


@pytest.mark.parametrize("keep", [0, 2])
def test_an_end_that_was_cut_off_with_its_head_is_found_by_heads_kept_elsewhere(filled, keep):
    anchors = filled.verify().heads
    cut(filled, keep)
    assert filled.verify().problem is None  # what the log alone cannot show
    assert "has lost the newest" in filled.verify(anchors).problem
    for number in range(4):  # and it does not help to write new entries over the gap
        for _ in range(8):
            with filled.open(APP, "people.read", f"u{number}"):
                pass
    assert filled.verify().problem is None
    assert "another one than before" in filled.verify(anchors).problem


def test_an_end_that_was_cut_off_without_its_head_is_found(filled):
    found = broken(filled, f"DELETE FROM audit WHERE lane = {LANE} AND number > 2")
    assert "ends before its head" in found


def test_a_chain_that_was_made_anew_without_the_key_is_found(filled):
    lane, *_ = ask(filled, f"SELECT {LANE} AS lane")[0]
    rows = ask(filled, "SELECT * FROM audit WHERE lane = :lane ORDER BY number", lane=lane)
    before, key = b"", os.urandom(32)
    for row in rows:
        entry = Entry(
            row.at, row.account_id, row.key_id, row.role, row.action, row.person_id, "failed"
        )
        before = entry.mac(key, row.number, before)
        ask(
            filled,
            "UPDATE audit SET outcome = 'failed', mac = :mac WHERE lane = :lane AND number = :n",
            mac=before,
            lane=lane,
            n=row.number,
        )
    set_head = "UPDATE audit_heads SET mac = :mac WHERE lane = :lane"
    assert "broken at entry 1" in broken(filled, set_head, mac=before, lane=lane)


def test_heads_come_back_from_json_and_hold_while_the_log_grows(filled):
    anchors = read_anchors(json.loads(json.dumps(filled.verify().heads)))
    assert filled.verify(anchors).problem is None
    consenting(filled, "another")
    found = filled.verify(anchors)
    assert found.problem is None
    assert found.entries == ask(filled, "SELECT count(*) AS n FROM audit")[0].n


@pytest.mark.parametrize("record", [None, [], "x", 3, {"a": [1, "x"]}, {"1": 2}, {"1": [1]}])
def test_what_is_no_head_is_refused(record):
    with pytest.raises(ServiceError, match="no heads of an audit log"):
        read_anchors(record)


def test_a_code_is_an_hmac_of_what_stands_there():
    person, account = UUID(int=3), UUID(int=4)
    entry = Entry(MORNING, account, None, "app", "people.read", person, "ok")
    said = [3, 7, format_time(MORNING), account.hex, None, person.hex]
    said += ["app", "people.read", "ok"]
    expected = hmac.new(b"k" * 32, json.dumps(said).encode() + b"b" * 32, hashlib.sha256)
    assert entry.mac(b"k" * 32, 7, b"b" * 32) == expected.digest()


def test_writers_at_once_leave_whole_chains(gate):
    people = [uuid4() for _ in range(40)]

    def write(number):
        who = Principal("app", uuid4())
        for turn in range(50):
            chosen = people[(number + 7 * turn) % 40], people[(3 * number + turn) % 40], None
            entries = [Entry.of(who, "people.read", each, "ok", MORNING) for each in chosen]
            with gate.database.transaction() as connection:
                gate.note(connection, entries)

    at_once(write, 8)
    found = gate.verify()
    assert (found.problem, found.entries) == (None, 8 * 50 * 3)


def test_a_long_chain_is_read_in_pages(gate, monkeypatch):
    monkeypatch.setattr(audit, "PAGE", 7)
    for length in (6, 1, 7):  # 6, 7 and 14 entries: short of a page, one, and two
        entries = [Entry(MORNING, None, None, "app", "people.read", None, "ok")] * length
        with gate.database.transaction() as connection:
            gate.note(connection, entries)
        assert gate.verify().problem is None
    assert gate.verify().entries == 14


def test_nothing_is_written_for_nobody(gate):
    with gate.database.transaction() as connection:
        gate.note(connection, [])
    assert gate.verify().entries == 0


def test_there_are_as_many_chains_as_heads(gate):
    assert ask(gate, "SELECT count(*) AS n FROM audit_heads")[0].n == LANES
