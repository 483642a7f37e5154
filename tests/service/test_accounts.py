from datetime import timedelta
from uuid import uuid4

import pytest
from tests.service.told import ADMIN, MORNING, ask, consenting

from sottovoce.service import accounts
from sottovoce.service.accounts import LIFETIME, LONGEST, SECRET
from sottovoce.service.principals import ROLES, Principal
from sottovoce.service.refusals import Conflict, Invalid, NotFound

DAY = timedelta(days=1)


@pytest.fixture
def connection(database):
    with database.transaction() as opened:
        yield opened


@pytest.fixture
def made(database):
    """An account of an app with a key, and the key's secret."""
    with database.transaction() as opened:
        account = accounts.add_account(opened, "an app", "app", MORNING)
        key, secret = accounts.add_key(opened, account.id, MORNING)
    return account, key, secret


def test_a_key_opens_what_its_account_may_until_the_moment_it_expires(database, made):
    account, key, secret = made
    expected = Principal("app", account.id, key.id)
    last = MORNING + LIFETIME - timedelta(microseconds=1)
    assert accounts.by_secret(database, secret, MORNING) == expected
    assert accounts.by_secret(database, secret, last) == expected
    assert accounts.by_secret(database, secret, MORNING + LIFETIME) is None


def test_a_revoked_key_opens_nothing_and_another_of_the_account_still_does(database, made):
    account, key, secret = made
    with database.transaction() as opened:
        _, other = accounts.add_key(opened, account.id, MORNING)
        accounts.revoke_key(opened, key.id, MORNING)
        accounts.revoke_key(opened, key.id, MORNING + DAY)
        assert [
            each.revoked_at for each in accounts.list_keys(opened, account.id) if each.id == key.id
        ] == [MORNING]
    assert accounts.by_secret(database, secret, MORNING) is None
    assert accounts.by_secret(database, other, MORNING) is not None


def test_no_key_of_a_disabled_account_opens_anything(database, made):
    account, _, secret = made
    with database.transaction() as opened:
        accounts.disable_account(opened, account.id, MORNING)
        accounts.disable_account(opened, account.id, MORNING + DAY)
        assert [each.disabled_at for each in accounts.list_accounts(opened)] == [MORNING]
    assert accounts.by_secret(database, secret, MORNING) is None


@pytest.mark.parametrize(
    "secret",
    [
        "",
        "sv_",
        "sv_" + "A" * 43,
        "sv_" + "A" * 44,
        "'; --",
        "\ud800",
        "sv_" + "\x00" * 43,
        "x" * 10**6,
    ],
)
def test_what_is_no_key_opens_nothing(database, made, secret):
    assert accounts.by_secret(database, secret, MORNING) is None


def test_a_key_in_other_letters_or_with_more_around_it_opens_nothing(database, made):
    _, _, secret = made
    for other in (secret.swapcase(), secret[:-1], f"{secret} ", f"{secret}\n", secret[3:]):
        assert accounts.by_secret(database, other, MORNING) is None


def test_of_a_secret_only_a_hash_is_kept(gate, made):
    _, key, secret = made
    assert SECRET.fullmatch(secret)
    rows = ask(gate, "SELECT t.*, t::text FROM api_keys t")
    shown = str([tuple(row) for row in rows])
    for part in (secret, secret[3:], secret.encode().hex(), secret[3:].encode().hex()):
        assert part not in shown
    assert secret not in repr(key)
    assert rows[0].digest == accounts.digest(secret)


def test_no_two_secrets_are_the_same(connection):
    account = accounts.add_account(connection, "an app", "app", MORNING)
    secrets = {accounts.add_key(connection, account.id, MORNING)[1] for _ in range(100)}
    assert len(secrets) == 100


@pytest.mark.parametrize("lifetime", [timedelta(0), -DAY, LONGEST + timedelta(microseconds=1)])
def test_a_key_lives_neither_no_time_nor_forever(connection, lifetime):
    account = accounts.add_account(connection, "an app", "app", MORNING)
    with pytest.raises(Invalid, match="days"):
        accounts.add_key(connection, account.id, MORNING, lifetime=lifetime)


def test_scopes_are_actions_of_the_role_and_come_with_the_key(database):
    with database.transaction() as opened:
        account = accounts.add_account(opened, "an app", "app", MORNING)
        scopes = ("people.read", "messages.add")
        key, secret = accounts.add_key(opened, account.id, MORNING, scopes=scopes)
        assert accounts.list_keys(opened, account.id) == [key]
        for wrong in ("audit.read", "score.read", "nothing", ""):
            with pytest.raises(Invalid, match="1 of them"):
                accounts.add_key(opened, account.id, MORNING, scopes=("people.read", wrong))
    found = accounts.by_secret(database, secret, MORNING)
    assert found is not None
    assert found.scopes == set(scopes)


@pytest.mark.parametrize("role", ["service", "root", "", "App", "app\x00"])
def test_there_is_no_account_of_another_role(connection, role):
    with pytest.raises(Invalid, match="none of app"):
        accounts.add_account(connection, "x", role, MORNING)


@pytest.mark.parametrize("text", ["a\x00", "\udfff"])
def test_a_name_that_no_column_holds_is_refused(connection, text):
    for name, subject in ((text, None), ("x", text)):
        with pytest.raises(Invalid, match="NUL or half a character"):
            accounts.add_account(connection, name, "app", MORNING, subject)
    assert accounts.list_accounts(connection) == []


def test_a_name_and_a_subject_are_one_accounts_own(connection):
    accounts.add_account(connection, "a", "app", MORNING, "subject")
    for name, subject in (("a", None), ("b", "subject")):
        with pytest.raises(Conflict):
            accounts.add_account(connection, name, "clinician", MORNING, subject)
    assert [each.name for each in accounts.list_accounts(connection)] == ["a"]


def test_a_subject_of_a_token_is_its_account_in_its_role_only(database):
    with database.transaction() as opened:
        account = accounts.add_account(opened, "a", "clinician", MORNING, "subject")
    found = accounts.by_subject(database, "subject", "clinician")
    assert found == Principal("clinician", account.id)
    for subject, role in [("subject", each) for each in ROLES if each != "clinician"] + [
        ("other", "clinician"),
        ("", "clinician"),
    ]:
        assert accounts.by_subject(database, subject, role) is None
    with database.transaction() as opened:
        accounts.disable_account(opened, account.id, MORNING)
    assert accounts.by_subject(database, "subject", "clinician") is None


def test_what_is_not_there_is_said_to_be_missing(connection):
    for ask_for in (
        lambda: accounts.disable_account(connection, uuid4(), MORNING),
        lambda: accounts.revoke_key(connection, uuid4(), MORNING),
        lambda: accounts.add_key(connection, uuid4(), MORNING),
    ):
        with pytest.raises(NotFound):
            ask_for()


def test_only_clinicians_have_a_caseload_and_taking_off_is_as_often_as_one_likes(gate):
    consenting(gate, "u1")
    with gate.database.transaction() as opened:
        app = accounts.add_account(opened, "a", "app", MORNING)
        clinician = accounts.add_account(opened, "c", "clinician", MORNING)
    for nobody in (app.id, uuid4()):
        with pytest.raises(NotFound), gate.open(ADMIN, "caseload.manage", "u1") as case:
            accounts.assign(case, nobody, "on")
    for state, rows in (("on", 1), ("on", 1), ("off", 0), ("off", 0)):
        with gate.open(ADMIN, "caseload.manage", "u1") as case:
            accounts.assign(case, clinician.id, state)
        assert len(ask(gate, "SELECT 1 FROM caseloads")) == rows
