import threading
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy.exc import SQLAlchemyError
from tests.service.told import APP, MORNING, ask, consenting, line, record, said

from sottovoce.consent import PURPOSES
from sottovoce.service import ledger, messages, people
from sottovoce.service.gate import Gate
from sottovoce.service.masterkeys import new_master_keys
from sottovoce.service.opening import open_gate
from sottovoce.service.refusals import ConsentMissing, Invalid

NUMBERS = iter(range(10**6))
LINES = st.lists(
    st.tuples(st.sampled_from(PURPOSES), st.booleans(), st.integers(0, 4)), max_size=12
)
MINUTE = timedelta(minutes=1)


@pytest.fixture
def at_noon(database):
    """A gate whose clock a test moves."""
    clock = [MORNING + timedelta(hours=4)]
    return open_gate(database, new_master_keys(), lambda: clock[0]), clock


def stands(gate: Gate, person: str) -> frozenset[str]:
    with gate.open(APP, "consent.read", person) as case:
        assert case.purposes == ledger.standing(case)
        return case.purposes


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE consents SET granted = true",
        "DELETE FROM consents",
        "TRUNCATE consents",
        "TRUNCATE consents CASCADE",
        "UPDATE audit SET outcome = 'ok'",
        "DELETE FROM audit",
        "TRUNCATE audit",
    ],
)
def test_the_database_itself_refuses_to_change_the_ledger_and_the_log(gate, statement):
    consenting(gate, "u1", "monitoring")
    before = ask(gate, "SELECT * FROM consents"), ask(gate, "SELECT * FROM audit")
    with pytest.raises(SQLAlchemyError):
        ask(gate, statement)
    assert (ask(gate, "SELECT * FROM consents"), ask(gate, "SELECT * FROM audit")) == before


def test_a_grant_that_comes_late_does_not_undo_a_later_withdrawal(gate):
    consenting(gate, "u1", "monitoring")
    record(gate, "u1", line("monitoring", False, MORNING + 2 * MINUTE))
    record(gate, "u1", line("monitoring", True, MORNING + MINUTE))
    assert stands(gate, "u1") == frozenset()
    record(gate, "u1", line("monitoring", True, MORNING + 3 * MINUTE))
    assert stands(gate, "u1") == {"monitoring"}


@pytest.mark.parametrize("order", [(True, False), (False, True)])
def test_a_withdrawal_goes_before_a_grant_of_the_same_moment(gate, order):
    people.register(gate, APP, "u1")
    record(gate, "u1", *(line("monitoring", granted, MORNING) for granted in order))
    assert stands(gate, "u1") == frozenset()


def test_a_withdrawal_tells_what_ended_and_only_that(gate):
    consenting(gate, "u1", "monitoring", "research")
    gone = line("research", False, MORNING + MINUTE)
    assert record(gate, "u1", gone, line("warning", False, MORNING + MINUTE)) == {"research"}
    assert record(gate, "u1", gone) == frozenset()
    assert record(gate, "u1") == frozenset()


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=40)
@given(batches=st.lists(LINES, min_size=1, max_size=4))
def test_what_stands_is_the_latest_line_of_each_purpose(gate, batches):
    person = f"p{next(NUMBERS)}"
    people.register(gate, APP, person)
    told = []
    for batch in batches:
        told += batch
        record(gate, person, *(line(p, granted, MORNING + n * MINUTE) for p, granted, n in batch))
        expected = set()
        for purpose in PURPOSES:
            lines = [(at, not granted) for p, granted, at in told if p == purpose]
            if lines and not max(lines)[1]:
                expected.add(purpose)
        assert stands(gate, person) == expected
    with gate.open(APP, "consent.read", person) as case:
        kept = [(each.purpose, each.granted, each.at) for each in ledger.lines_of(case)]
    assert kept == [(p, granted, MORNING + n * MINUTE) for p, granted, n in told]


def test_a_clock_a_little_ahead_is_taken_as_now_and_one_far_ahead_is_refused(at_noon):
    gate, clock = at_noon
    people.register(gate, APP, "u1")
    record(gate, "u1", line("monitoring", True, clock[0] + 2 * MINUTE))
    with gate.open(APP, "consent.read", "u1") as case:
        assert [each.at for each in ledger.lines_of(case)] == clock
    for ahead in (ledger.SKEW + timedelta(microseconds=1), 10 * MINUTE):
        with pytest.raises(Invalid, match=r"consent\[1\]\.at"):
            record(
                gate,
                "u1",
                line("research", True, clock[0]),
                line("monitoring", False, clock[0] + ahead),
            )
    assert stands(gate, "u1") == {"monitoring"}


@pytest.mark.parametrize("back", [timedelta(seconds=2), timedelta(hours=1)])
def test_a_withdrawal_holds_though_the_services_clock_jumped_back(at_noon, back):
    gate, clock = at_noon
    consenting(gate, "u1", "monitoring", at=clock[0])
    clock[0] -= back
    late = line("monitoring", False, clock[0] - ledger.SKEW - MINUTE)
    assert record(gate, "u1", late) == frozenset()  # of the past: a grant came after it
    assert record(gate, "u1", line("monitoring", False, clock[0])) == {"monitoring"}
    assert stands(gate, "u1") == frozenset()


@pytest.mark.parametrize("text", ["a\x00b", "\ud800"])
def test_a_text_that_no_column_holds_is_refused(gate, text):
    people.register(gate, APP, "u1")
    for version, source in ((text, "app"), ("v1", text)):
        with pytest.raises(Invalid, match=r"consent\[0\]"):
            record(gate, "u1", ledger.Line("research", True, MORNING, version, source))
    assert stands(gate, "u1") == frozenset()


def test_nothing_of_an_id_or_a_text_is_read_as_sql(gate):
    evil = "'; DROP TABLE people; --"
    people.register(gate, APP, evil)
    record(gate, evil, ledger.Line("research", True, MORNING, evil, evil))
    with gate.open(APP, "people.read", evil) as case:
        assert (case.external_id, case.purposes) == (evil, {"research"})


def test_a_withdrawal_waits_for_the_batch_before_it_and_stops_the_one_after_it(gate):
    consenting(gate, "u1", "monitoring")
    stored, withdrawn = threading.Event(), threading.Event()

    def withdraw():
        stored.wait()
        record(gate, "u1", line("monitoring", False, gate.clock()))
        withdrawn.set()

    thread = threading.Thread(target=withdraw)
    thread.start()
    with gate.open(APP, "messages.add", "u1") as case:
        stored.set()
        assert not withdrawn.wait(0.3)  # it cannot come in between
        messages.add(case, [said(1)], timedelta(0))
    thread.join()
    with pytest.raises(ConsentMissing), gate.open(APP, "messages.add", "u1") as case:
        messages.add(case, [said(2)], timedelta(0))
    assert [row.n for row in ask(gate, "SELECT count(*) AS n FROM messages")] == [1]


def test_a_batch_that_waits_for_a_withdrawal_is_refused(gate):
    consenting(gate, "u1", "monitoring")
    caught = []

    def store():
        try:
            with gate.open(APP, "messages.add", "u1") as case:
                messages.add(case, [said(1)], timedelta(0))
        except ConsentMissing as refusal:
            caught.append(refusal)

    thread = threading.Thread(target=store)
    with gate.open(APP, "consent.record", "u1") as case:
        thread.start()
        thread.join(0.3)
        assert thread.is_alive()
        ledger.record(case, [line("monitoring", False, gate.clock())])
    thread.join()
    assert len(caught) == 1
    assert ask(gate, "SELECT 1 FROM messages") == []
    assert ask(gate, "SELECT 1 FROM procrastinate_jobs") == []
