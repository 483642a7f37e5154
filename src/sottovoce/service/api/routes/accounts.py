"""Accounts, API keys and caseloads, for administrators. Owns these routes."""

from datetime import timedelta
from uuid import UUID

from fastapi import APIRouter

from sottovoce.service import accounts as stored
from sottovoce.service.api.answers import AccountOut, AccountsOut, KeyOut, KeysOut, NewKeyOut
from sottovoce.service.api.dependencies import WithCaller, WithParts
from sottovoce.service.api.problems import responses
from sottovoce.service.api.requests import AccountIn, KeyIn, PersonId
from sottovoce.service.api.routes.people import ABOUT_ONE

router = APIRouter(prefix="/v1", tags=["accounts"])
MANAGE = "accounts.manage"


@router.post("/accounts", status_code=201, responses=ABOUT_ONE | responses("conflict"))
def add_account(body: AccountIn, has: WithParts, who: WithCaller) -> AccountOut:
    """Add an account for a person or an app that calls."""
    with has.gate.work(who, MANAGE) as connection:
        at = has.gate.clock()
        return AccountOut.of(stored.add_account(connection, body.name, body.role, at, body.subject))


@router.get("/accounts", responses=ABOUT_ONE)
def list_accounts(has: WithParts, who: WithCaller) -> AccountsOut:
    """List the accounts."""
    with has.gate.work(who, MANAGE) as connection:
        found = stored.list_accounts(connection)
    return AccountsOut(accounts=[AccountOut.of(each) for each in found])


@router.delete("/accounts/{account_id}", status_code=204, responses=ABOUT_ONE)
def disable_account(account_id: UUID, has: WithParts, who: WithCaller) -> None:
    """Disable an account and all of its keys."""
    with has.gate.work(who, MANAGE) as connection:
        stored.disable_account(connection, account_id, has.gate.clock())
    has.callers.forget()


@router.post("/accounts/{account_id}/keys", status_code=201, responses=ABOUT_ONE)
def add_key(account_id: UUID, body: KeyIn, has: WithParts, who: WithCaller) -> NewKeyOut:
    """Make a key of an account. Its secret is in this answer and nowhere else."""
    with has.gate.work(who, MANAGE) as connection:
        lifetime, scopes = timedelta(days=body.days), tuple(body.scopes)
        at = has.gate.clock()
        key, secret = stored.add_key(connection, account_id, at, lifetime=lifetime, scopes=scopes)
    return NewKeyOut(key=KeyOut.of(key), secret=secret)


@router.get("/accounts/{account_id}/keys", responses=ABOUT_ONE)
def list_keys(account_id: UUID, has: WithParts, who: WithCaller) -> KeysOut:
    """List the keys of an account, without their secrets."""
    with has.gate.work(who, MANAGE) as connection:
        found = stored.list_keys(connection, account_id)
    return KeysOut(keys=[KeyOut.of(each) for each in found])


@router.delete("/keys/{key_id}", status_code=204, responses=ABOUT_ONE)
def revoke_key(key_id: UUID, has: WithParts, who: WithCaller) -> None:
    """Revoke a key at once."""
    with has.gate.work(who, MANAGE) as connection:
        stored.revoke_key(connection, key_id, has.gate.clock())
    has.callers.forget()


@router.put("/accounts/{account_id}/caseload/{person_id}", status_code=204, responses=ABOUT_ONE)
def put_on_caseload(account_id: UUID, person_id: PersonId, has: WithParts, who: WithCaller) -> None:
    """Put a person on a clinician's caseload."""
    with has.gate.open(who, "caseload.manage", person_id) as case:
        stored.assign(case, account_id, "on")


@router.delete("/accounts/{account_id}/caseload/{person_id}", status_code=204, responses=ABOUT_ONE)
def take_off_caseload(
    account_id: UUID, person_id: PersonId, has: WithParts, who: WithCaller
) -> None:
    """Take a person off a clinician's caseload."""
    with has.gate.open(who, "caseload.manage", person_id) as case:
        stored.assign(case, account_id, "off")
