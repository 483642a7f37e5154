"""Nobody is let in: every route, whoever calls, whomever it is about, whatever she agrees to.

What may be is written out here by hand, and nothing of it is taken from the service's own table.
Every request of a refused cell is made for good, and the whole database is compared in the end;
what an allowed cell did is undone, so that the next one finds the same people.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any
from uuid import UUID, uuid4

import pytest
from fastapi.routing import iter_route_contexts
from sqlalchemy import select, text, update
from tests import made, serving

from sottovoce.service import accounts, events
from sottovoce.service.api.routes import ROUTERS
from sottovoce.service.database import Database
from sottovoce.service.masterkeys import new_master_keys
from sottovoce.service.opening import open_gate
from sottovoce.service.principals import SERVICE
from sottovoce.service.tables import api_keys, audit, metadata
from sottovoce.service.tables import events as told

CANARY = "canary-of-the-matrix"
APP, CARE, READS = {"app"}, {"app", "clinician"}, {"clinician"}
ADMIN, RESEARCH = {"admin"}, {"researcher"}


@dataclass(frozen=True)
class Rule:
    """Who may use a route, and what it needs.

    Parameters
    ----------
    roles
        Who may; None is everybody, without a key as well.
    ok
        What an allowed request is answered with.
    one
        Whether it is about one person.
    monitoring
        Whether she must agree to `monitoring`.
    body
        What is sent.
    tells
        Whether the answer holds what was said.
    new
        What is answered where there is nobody yet.
    """

    roles: set[str] | None
    ok: int = 200
    one: bool = True
    monitoring: bool = False
    body: Any = None
    tells: bool = False
    new: int = 404


CONSENT = {"consent": [serving.consented("research", at="2026-03-01T00:00:00Z")]}
MESSAGES = {"messages": [serving.message(77, CANARY)]}
FILLED = {"instrument": "phq-9", "completed_at": "2026-03-02T10:00:00Z", "items": [1] * 9}
HOOK = {"url": "https://127.0.0.1/", "events": ["estimate.created"]}

RULES = {
    "register_person": Rule(APP, new=201),
    "list_people": Rule(CARE, one=False),
    "read_person": Rule(CARE),
    "erase_person": Rule({"app", "admin"}, 204),
    "record_consent": Rule(APP, 201, body=CONSENT),
    "read_consent": Rule(CARE),
    "add_messages": Rule(APP, monitoring=True, body=MESSAGES),
    "read_messages": Rule(READS, monitoring=True, tells=True),
    "add_questionnaire": Rule(CARE, 201, monitoring=True, body=FILLED),
    "read_questionnaires": Rule(CARE, monitoring=True),
    "read_trajectory": Rule(CARE, monitoring=True),
    "read_estimates": Rule(CARE, monitoring=True),
    "read_estimate": Rule(CARE, monitoring=True),
    "export_person": Rule(APP, tells=True),
    "export_fhir": Rule(CARE, monitoring=True),
    "export_research": Rule(RESEARCH, one=False),
    "add_account": Rule(ADMIN, 201, one=False, body={"name": "another", "role": "app"}),
    "list_accounts": Rule(ADMIN, one=False),
    "disable_account": Rule(ADMIN, 204, one=False),
    "add_key": Rule(ADMIN, 201, one=False, body={}),
    "list_keys": Rule(ADMIN, one=False),
    "revoke_key": Rule(ADMIN, 204, one=False),
    "put_on_caseload": Rule(ADMIN, 204),
    "take_off_caseload": Rule(ADMIN, 204),
    "add_webhook": Rule(ADMIN, 201, one=False, body=HOOK),
    "read_event": Rule(APP),
    "list_webhooks": Rule(ADMIN, one=False),
    "disable_webhook": Rule(ADMIN, 204, one=False),
    "health": Rule(None, one=False),
    "ready": Rule(None, one=False),
    "metrics": Rule(ADMIN, one=False),
    "read_jobs": Rule(ADMIN, one=False),
    "rerun_job": Rule(ADMIN, 204, one=False),
    "read_audit": Rule(ADMIN, one=False),
    "openapi": Rule(None, one=False),
}
"""By the name of the route's function."""

NOT_LET_IN = ("no key", "garbage", "expired", "revoked", "disabled")
CALLERS = (*NOT_LET_IN, "app", "clinician", "researcher", "admin", "other scope")
PEOPLE = ("own", "other", "nobody")
CONSENTS = ("none", "granted", "withdrawn")
CELLS = list(product(CALLERS, PEOPLE, CONSENTS))


def expected(rule: Rule, caller: str, person: str, consent: str) -> int:
    """Give the status of a cell."""
    if rule.roles is None:
        return rule.ok
    if caller in NOT_LET_IN or caller not in rule.roles:
        return 401 if caller in NOT_LET_IN else 403
    if rule.one and person == "nobody":
        return rule.new
    if rule.one and caller == "clinician" and person == "other":
        return 404
    return 403 if rule.monitoring and consent != "granted" else rule.ok


class OneConnection:
    """An engine whose transactions are parts of one that is never committed."""

    def __init__(self, connection) -> None:
        self.connection = connection

    @contextmanager
    def connect(self):
        yield self.connection

    @contextmanager
    def begin(self):
        with self.connection.begin_nested():
            yield self.connection


class Undone(Database):
    """A database in which everything can be undone.

    Parameters
    ----------
    url
        Of a database with people in it.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.real = self.engine
        self.connection = self.real.connect()
        self.outer = self.connection.begin()
        self.engine = OneConnection(self.connection)  # type: ignore[assignment]

    def undo(self) -> None:
        """Make as if nothing had been done."""
        self.outer.rollback()
        self.outer = self.connection.begin()

    def close(self) -> None:
        """Undo and close."""
        self.outer.rollback()
        self.connection.close()
        self.real.dispose()

    def rows(self, asked: Any) -> list[Any]:
        """Give the rows of a query."""
        return list(self.connection.execute(asked).all())

    def contents(self) -> dict[str, tuple[int, str]]:
        """Count and digest the rows of every table but the audit log's."""
        found = {}
        names = [name for name in metadata.tables if not name.startswith("audit")]
        for name in [*names, "procrastinate_jobs", "procrastinate_events"]:
            lines = "md5(string_agg(each::text, chr(10) ORDER BY each::text))"
            ((number, digest),) = self.rows(text(f"SELECT count(*), {lines} FROM {name} each"))
            found[name] = (number, digest)
        return found


@dataclass
class World:
    """People in every state, whoever calls, and what routes are asked about."""

    stage: serving.Stage
    database: Undone
    secrets: dict[str, str | None]
    narrow: dict[str, tuple[str, str]]
    names: dict[str, str]
    ids: dict[tuple[str, str], dict[str, str]]
    rows: dict[tuple[str, str], UUID]


def _people(stage: serving.Stage) -> Iterator[tuple[str, str, str]]:
    """Make a person in every state of consent, on the caseload and not; and ten for research."""
    for person, consent in product(("own", "other"), CONSENTS):
        name = f"{person}-{consent}"
        stage.register(name)
        if person == "own":
            stage.care(name)
        if consent != "none":
            stage.consent(name)
            stage.say(name, CANARY)
        if consent == "withdrawn":
            stage.consent(name, granted=False)
        yield person, consent, name
    for number in range(10):
        stage.register(f"studied-{number}", "monitoring", "research")
        stage.done("PUT", f"/v1/people/studied-{number}/questionnaires/q", json=FILLED)


def _told(stage: serving.Stage, name: str) -> str:
    """Make an event about a person; give its id."""
    with stage.gate.open(SERVICE, "score.purge", stage.row(name)) as case:
        events.emit(case, "consent.withdrawn")
        asked = select(told.c.id).where(told.c.person_id == case.person)
        return str(case.connection.execute(asked).scalars().all()[-1])


def _keys(stage: serving.Stage) -> dict[str, str | None]:
    """Make a key that opens nothing of each kind."""
    database, now = stage.gate.database, stage.gate.clock()
    found: dict[str, str | None] = {"no key": None, "garbage": "sv_" + "x" * 43}
    (expired, found["expired"]) = stage.key("app")
    (revoked, found["revoked"]) = stage.key("app")
    with database.transaction() as connection:
        past = update(api_keys).where(api_keys.c.id == expired)
        connection.execute(past.values(expires_at=now - timedelta(seconds=1)))
        accounts.revoke_key(connection, revoked, now)
        gone = accounts.add_account(connection, "gone", "app", now)
        _, found["disabled"] = accounts.add_key(connection, gone.id, now)
        accounts.disable_account(connection, gone.id, now)
    return found


def _narrow(stage: serving.Stage) -> dict[str, tuple[str, str]]:
    """Make keys of each role that are limited to one action, and to another one."""
    scopes = {"app": ("people.list", "people.read"), "clinician": ("people.list", "people.read")}
    scopes["admin"] = ("metrics.read", "audit.read")
    found = {}
    for role, pair in scopes.items():
        found[role] = tuple(stage.key(role, scopes=(scope,))[1] for scope in pair)
    key, secret = stage.key("researcher")  # has one action only; another scope is written by hand
    with stage.gate.database.transaction() as connection:
        limited = update(api_keys).where(api_keys.c.id == key).values(scopes=["people.list"])
        connection.execute(limited)
    return found | {"researcher": (secret, secret)}  # type: ignore[return-value]


@pytest.fixture(scope="module")
def world(new_copy):
    """Make the people for good, and an app that does everything in a transaction to be undone."""
    database = Database(new_copy())
    keeper = new_master_keys()
    gate = open_gate(database, keeper)
    ids: dict[tuple[str, str], dict[str, str]] = {}
    with closing(database), serving.staged(gate) as stage:
        body = HOOK | {"events": ["consent.withdrawn"]}
        hook = stage.done("POST", "/v1/webhooks", "admin", json=body)["webhook"]["id"]
        for person, consent, name in list(_people(stage)):
            about = {"person_id": name, "event_id": _told(stage, name)}
            about["estimate_id"] = str(uuid4())
            if consent == "granted":
                about["estimate_id"] = str(stage.estimated(name, made.estimate(name)))
            ids[person, consent] = about
        nobody = {"person_id": "nobody", "event_id": str(uuid4()), "estimate_id": str(uuid4())}
        ids |= {("nobody", consent): nobody for consent in CONSENTS}
        spare, _ = stage.key("app")
        names = {"key_id": str(spare), "webhook_id": hook, "questionnaire_id": "q77"}
        names["job_id"] = str(_dead_job(database))
        rows = {key: stage.row(ids[key]["person_id"]) for key in ids if key[0] != "nobody"}
        known = (stage.secrets | _keys(stage), _narrow(stage), names, ids, rows)
        yield from _opened(database, keeper, stage, known)


def _opened(database, keeper, stage, known):
    with closing(Undone(database.url.render_as_string(hide_password=False))) as undone:
        gate = open_gate(undone, keeper)
        app = serving.new_app(serving.ServiceSettings(**serving.PLAIN), gate)
        with serving.TestClient(serving.Everywhere(app), raise_server_exceptions=False) as client:
            again = serving.Stage(gate, app, client, stage.accounts, stage.secrets)
            yield World(again, undone, *known)


def _dead_job(database: Database) -> int:
    """Make a job that has failed for good; give its number."""
    added = """
        INSERT INTO procrastinate_jobs (queue_name, task_name, priority, lock, args, status)
        VALUES ('score', 'score', 0, NULL, '{}', 'failed') RETURNING id
    """
    with database.transaction() as connection:
        return int(connection.execute(text(added)).scalar_one())


def routes(app: Any) -> dict[str, tuple[str, str]]:
    """Give method and path of every route that an app has, by name."""
    found = {}
    for each in iter_route_contexts(app.routes):
        methods = set(each.methods or ()) - {"HEAD"}
        assert len(methods) == 1, each.path
        assert each.name not in found, f"two routes are called {each.name}"
        found[each.name] = (methods.pop(), each.path)
    return found


def test_every_route_of_the_app_has_an_expectation_and_no_other(world):
    assert set(routes(world.stage.app)) == set(RULES)
    assert sum(len(router.routes) for router in ROUTERS) == len(RULES) - 1  # and the document


def test_the_matrix_is_the_full_product():
    whole = len(RULES) * len(CALLERS) * len(PEOPLE) * len(CONSENTS)
    assert whole == len(RULES) * len(CELLS) == 35 * 10 * 3 * 3
    statuses = {expected(rule, *cell) for rule in RULES.values() for cell in CELLS}
    assert statuses == {200, 201, 204, 401, 403, 404}
    for rule in RULES.values():
        assert len({expected(rule, *cell) for cell in CELLS}) > 1 or rule.roles is None


@pytest.mark.parametrize("name", RULES)
def test_only_who_may_is_let_in(world, name):
    rule = RULES[name]
    before, tried = world.database.contents(), 0
    refused = [cell for cell in CELLS if expected(rule, *cell) >= 400]
    for cell in refused:
        tried += _try(world, name, cell)
    assert world.database.contents() == before, "a refused request changed something"
    world.database.undo()
    for cell in [cell for cell in CELLS if cell not in refused]:
        tried += _try(world, name, cell)
        world.database.undo()
    assert tried == len(CELLS)


def _try(world: World, name: str, cell: tuple[str, str, str]) -> int:
    """Make one request and look at everything that it may and may not have done."""
    rule, (method, path) = RULES[name], routes(world.stage.app)[name]
    caller, person, consent = cell
    about = world.ids[person, consent]
    account = "clinician" if "caseload" in path else "app"
    known = world.names | about | {"account_id": str(world.stage.accounts[account])}
    begun = datetime.now(UTC)
    secret = _secret(world, name, caller)
    headers = {} if secret is None else {"Authorization": f"Bearer {secret}"}
    body = {} if rule.body is None else {"json": rule.body}
    answer = world.stage.client.request(method, path.format(**known), headers=headers, **body)
    wanted = expected(rule, *cell)
    assert answer.status_code == wanted, (name, cell, answer.text)
    if wanted >= 400:
        assert answer.headers["content-type"] == "application/problem+json", (name, cell)
    tells = rule.tells and wanted < 400 and consent == "granted"
    assert (CANARY in answer.text) == tells, (name, cell)
    _check_audit(world, name, cell, begun)
    return 1


def _secret(world: World, name: str, caller: str) -> str | None:
    """Give what a caller shows: a key of a role that may, limited to something else, if so."""
    if caller != "other scope":
        return world.secrets[caller]
    role = min(RULES[name].roles or {"app"})
    first, second = world.narrow[role]
    covered = {"app": "list_people", "clinician": "list_people", "admin": "metrics"}
    return second if covered.get(role) == name else first


OUTCOMES = {401: None, 403: "forbidden", 404: "not-found"}


def _check_audit(world: World, name: str, cell: tuple[str, str, str], begun: datetime) -> None:
    """Look for what the audit log says: who was let in or refused, and about whom."""
    rule, (caller, person, consent) = RULES[name], cell
    status = expected(rule, *cell)
    entries = world.database.rows(
        select(audit.c.role, audit.c.outcome, audit.c.person_id).where(audit.c.at >= begun)
    )
    if rule.roles is None or status == 401:
        assert entries == [], (name, cell)
        return
    missing = status == 403 and caller in rule.roles
    wanted = "consent-missing" if missing else OUTCOMES.get(status, "ok")
    role = min(rule.roles) if caller == "other scope" else caller
    assert entries, (name, cell)
    assert {(each.role, each.outcome) for each in entries} == {(role, wanted)}, (name, cell)
    if rule.one:
        assert len(entries) == 1, (name, cell)
        met = status < 400 or missing or (status == 404 and person == "other")
        if person != "nobody":
            row = world.rows[person, consent] if met else None
            assert entries[0].person_id == row, (name, cell)
