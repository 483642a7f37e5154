import copy
import dataclasses
import inspect
from contextlib import suppress
from datetime import timedelta
from itertools import product
from uuid import uuid4

import pytest
from sqlalchemy import text
from tests.service.told import ADMIN, APP, MORNING, ask, at_once, consenting, said

from sottovoce.service import accounts, messages, people
from sottovoce.service.actions import ACTIONS
from sottovoce.service.gate import Case
from sottovoce.service.masterkeys import new_master_keys
from sottovoce.service.opening import open_gate
from sottovoce.service.principals import ROLES, SERVICE, Principal
from sottovoce.service.refusals import Conflict, ConsentMissing, Forbidden, NotFound

# Written out by hand from the issue: who may do what to one person, and what the person must have
# agreed to. `actions.ACTIONS` is what is tested, so it is not read here.
TO_ONE = {
    "people.register": ("app", None),
    "people.read": ("app clinician", None),
    "people.export": ("app", None),
    "people.erase": ("app admin", None),
    "consent.read": ("app clinician", None),
    "consent.record": ("app", None),
    "messages.add": ("app", "monitoring"),
    "messages.read": ("clinician", "monitoring"),
    "questionnaires.add": ("app clinician", "monitoring"),
    "questionnaires.read": ("app clinician", "monitoring"),
    "estimates.read": ("app clinician", "monitoring"),
    "fhir.read": ("app clinician", "monitoring"),
    "score.read": ("service", "monitoring"),
    "score.store": ("service", "monitoring"),
    "score.purge": ("service", None),
    "events.read": ("app", None),
    "caseload.manage": ("admin", None),
}
TO_SEVERAL = {
    "people.list": "app clinician",
    "research.export": "researcher",
    "accounts.manage": "admin",
    "audit.read": "admin",
    "jobs.manage": "admin",
    "webhooks.manage": "admin",
    "metrics.read": "admin",
}
EVERYBODY = (*ROLES, "service")


def log(gate):
    query = (
        "SELECT role, action, person_id, outcome, account_id FROM audit ORDER BY at, lane, number"
    )
    return [tuple(row) for row in ask(gate, query)]


def newest(gate, account):
    query = "SELECT action, person_id, outcome FROM audit WHERE account_id = :account"
    return [tuple(row) for row in ask(gate, query, account=account)]


def clinician_of(gate, *persons):
    with gate.database.transaction() as connection:
        name = uuid4().hex
        account = accounts.add_account(connection, name, "clinician", MORNING).id
    for person in persons:
        with gate.open(ADMIN, "caseload.manage", person) as case:
            accounts.assign(case, account, "on")
    return Principal("clinician", account)


def opened(gate, who, action, person):
    """Say how the gate answers."""
    try:
        with gate.open(who, action, person) as case:
            return "ok", case.person
    except Forbidden:
        return "forbidden", None
    except NotFound:
        return "not-found", None
    except ConsentMissing as refusal:
        return f"no {refusal.purpose}", None


def test_every_action_is_in_the_table_of_this_test():
    assert set(TO_ONE) | set(TO_SEVERAL) == set(ACTIONS)


def test_every_role_on_and_off_caseload_with_and_without_consent(gate):
    agreed = {"none": (), "monitoring": ("monitoring",), "research": ("research",)}
    for name, purposes in agreed.items():
        consenting(gate, name, *purposes)
    treating, other = clinician_of(gate, *agreed), clinician_of(gate)
    callers = [APP, ADMIN, SERVICE, Principal("researcher", uuid4()), treating, other]
    wrong = []
    for (action, (roles, purpose)), who, (name, purposes) in product(
        TO_ONE.items(), callers, agreed.items()
    ):
        if who.role not in roles.split():
            expected = "forbidden"
        elif who is other:
            expected = "not-found"
        elif purpose is not None and purpose not in purposes:
            expected = f"no {purpose}"
        else:
            expected = "ok"
        found, _ = opened(gate, who, action, name)
        if found != expected:
            wrong.append((action, who.role, who is other, name, expected, found))
    assert wrong == []


@pytest.mark.parametrize("action", TO_SEVERAL)
def test_every_role_and_actions_about_nobody_or_several(gate, action):
    for role in EVERYBODY:
        who = Principal(role, uuid4())
        if role in TO_SEVERAL[action].split():
            with gate.work(who, action):
                pass
            expected = "ok"
        else:
            with pytest.raises(Forbidden), gate.work(who, action):
                pass
            with pytest.raises(Forbidden), gate.database.transaction() as connection:
                gate.listed(connection, who, action)
            expected = "forbidden"
        assert newest(gate, who.account) == [(action, None, expected)]


def test_a_scope_narrows_a_key_and_never_widens_it(gate):
    consenting(gate, "u1", "monitoring")
    narrow = Principal("app", uuid4(), uuid4(), frozenset({"people.read", "people.erase"}))
    assert opened(gate, narrow, "people.read", "u1")[0] == "ok"
    assert opened(gate, narrow, "messages.add", "u1")[0] == "forbidden"
    wide = Principal("researcher", uuid4(), uuid4(), frozenset({"people.read"}))
    assert opened(gate, wide, "people.read", "u1")[0] == "forbidden"


def test_what_is_refused_is_in_the_log_under_the_person_it_was_about(gate):
    consenting(gate, "u1")
    person = opened(gate, APP, "people.read", "u1")[1]
    stranger, app, researcher = clinician_of(gate), Principal("app", uuid4()), uuid4()
    opened(gate, stranger, "people.read", "u1")
    opened(gate, app, "messages.add", "u1")
    opened(gate, app, "people.read", "nobody")
    opened(gate, Principal("researcher", researcher), "people.read", "u1")
    assert newest(gate, stranger.account) == [("people.read", person, "not-found")]
    assert sorted(newest(gate, app.account), key=str) == [
        ("messages.add", person, "consent-missing"),
        ("people.read", None, "not-found"),
    ]
    assert newest(gate, researcher) == [("people.read", None, "forbidden")]
    assert gate.verify().problem is None


@pytest.mark.parametrize(
    ("error", "outcome"), [(RuntimeError("x"), "failed"), (Conflict("x"), "conflict")]
)
def test_an_error_undoes_everything_and_is_noted(gate, error, outcome):
    consenting(gate, "u1", "monitoring")
    who = Principal("app", uuid4())
    with suppress(type(error)), gate.open(who, "messages.add", "u1") as case:
        messages.add(case, [said(1)], timedelta(0))
        raise error
    assert ask(gate, "SELECT 1 FROM messages UNION ALL SELECT 1 FROM procrastinate_jobs") == []
    assert newest(gate, who.account) == [("messages.add", case.person, outcome)]
    worker = Principal("admin", uuid4())
    with suppress(type(error)), gate.work(worker, "jobs.manage") as connection:
        connection.execute(text("DELETE FROM people"))
        raise error
    assert newest(gate, worker.account) == [("jobs.manage", None, outcome)]
    assert opened(gate, APP, "people.read", "u1")[0] == "ok"


def test_a_failure_of_the_database_itself_is_noted(gate):
    consenting(gate, "u1", "monitoring")
    who = Principal("app", uuid4())
    with pytest.raises(Exception, match="SQLSTATE"), gate.open(who, "people.read", "u1") as case:
        case.connection.execute(text("SELECT 1/0"))
    assert newest(gate, who.account) == [("people.read", case.person, "failed")]


def test_what_cannot_be_written_to_the_log_is_not_done(gate):
    consenting(gate, "u1", "monitoring")
    ask(gate, "DELETE FROM audit_heads")
    with pytest.raises(KeyError), gate.open(APP, "messages.add", "u1") as case:
        messages.add(case, [said(1)], timedelta(0))
    assert ask(gate, "SELECT 1 FROM messages") == []


def test_a_refusal_gives_its_connection_back_before_it_takes_another(new_database, template):
    from sottovoce.service.database import Database

    database = Database(new_database(template), connections=2)
    gate = open_gate(database, new_master_keys())
    consenting(gate, "u1")

    def refused(number):
        return [opened(gate, APP, "messages.add", "u1")[0] for _ in range(5)]

    found = at_once(refused, 8)
    assert found == [["no monitoring"] * 5] * 8
    database.close()


def test_nothing_but_the_gate_makes_a_case(gate):
    consenting(gate, "u1")
    with gate.open(APP, "people.read", "u1") as case:
        values = [getattr(case, each.name) for each in dataclasses.fields(Case)]
        for proof in (None, object(), True, case):
            with pytest.raises(TypeError, match="only"):
                Case(*values, proof)
        with pytest.raises(ValueError, match="gate"):
            dataclasses.replace(case, person=uuid4())
        with pytest.raises(dataclasses.FrozenInstanceError):
            case.person = uuid4()
        assert case.key.key.hex() not in repr(copy.copy(case))
        assert "u1" not in repr(case)


def test_every_module_about_a_person_asks_for_a_case():
    from sottovoce.service import erasure, estimates, ledger, questionnaires

    for module in (erasure, estimates, ledger, messages, questionnaires):
        own = inspect.getmembers(module, inspect.isfunction)
        queries = [
            each
            for name, each in own
            if each.__module__ == module.__name__ and "connection" in inspect.getsource(each)
        ]
        assert queries
        for each in queries:
            assert "case" in inspect.signature(each).parameters, each.__qualname__


def test_listing_shows_who_may_be_seen_and_notes_each(gate):
    for number in range(5):
        consenting(gate, f"u{number}", *(["research"] if number % 2 else []))
    treating = clinician_of(gate, "u0", "u3")
    researcher = Principal("researcher", uuid4())
    with gate.work(treating, "people.list") as connection:
        mine = gate.listed(connection, treating, "people.list")
        assert {each.external_id for each in mine} == {"u0", "u3"}
    with gate.work(researcher, "research.export") as connection:
        agreed = gate.listed(connection, researcher, "research.export")
        assert {each.external_id for each in agreed} == {"u1", "u3"}
    noted = {row[1] for row in newest(gate, researcher.account)}
    assert noted == {None, *(each.person for each in agreed)}


def test_pages_of_a_listing_show_everybody_once(gate):
    for number in range(7):
        people.register(gate, APP, f"u{number}")
    seen, after = [], None
    with gate.work(APP, "people.list") as connection:
        while page := gate.listed(connection, APP, "people.list", after, 3):
            seen += [each.external_id for each in page]
            after = page[-1].person
    assert sorted(seen) == [f"u{number}" for number in range(7)]
    assert gate.verify().problem is None


def test_listings_in_pages_by_several_callers_at_once_do_not_wait_for_each_other(gate):
    for number in range(24):
        people.register(gate, APP, f"u{number}")
    ids = [row.id for row in ask(gate, "SELECT id FROM people ORDER BY id")]
    starts = [None, *ids[2:-1:3]]

    def pages(number):  # everybody in an order of their own, so that chains are met in any order
        who, seen = Principal("app", uuid4()), set()
        with gate.work(who, "people.list") as connection:
            for after in starts[number:] + starts[:number]:
                page = gate.listed(connection, who, "people.list", after, 3)
                seen |= {each.person for each in page}
        return seen

    for _ in range(3):
        assert at_once(pages, 8) == [set(ids)] * 8
    assert gate.verify().problem is None


def test_a_case_opened_by_the_rows_id_is_the_same_person(gate):
    consenting(gate, "u1", "monitoring")
    person = opened(gate, APP, "people.read", "u1")[1]
    assert opened(gate, SERVICE, "score.read", person) == ("ok", person)
    assert opened(gate, SERVICE, "score.read", uuid4())[0] == "not-found"
    assert opened(gate, APP, "people.read", str(person))[0] == "not-found"


@pytest.mark.parametrize("name", ["' OR true --", "\ud800", "", "u1\x00", "%", "u" * 10**5])
def test_a_strange_id_is_nobody(gate, name):
    consenting(gate, "u1")
    assert opened(gate, APP, "people.read", name)[0] == "not-found"
