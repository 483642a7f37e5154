"""Accounts and API keys: who may call, until when.

Owns accounts, keys and caseloads. A key is 256 random bits, shown once and kept as a hash: a slow
hash is for secrets that people choose. Does not know what a role may do (`actions`).
"""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

from sqlalchemy import Connection, bindparam, delete, func, select, update
from sqlalchemy.dialects.postgresql import insert

from sottovoce.service.actions import ACTIONS
from sottovoce.service.database import Database, Frequent
from sottovoce.service.gate import Case
from sottovoce.service.principals import ROLES, Principal, Role
from sottovoce.service.refusals import Conflict, Invalid, NotFound, check_storable
from sottovoce.service.tables import accounts, api_keys, caseloads

PREFIX = "sv_"
"""Begins every key, so that scanners for leaked secrets know one."""

SECRET = re.compile(PREFIX + r"[A-Za-z0-9_-]{43}")
"""A key: 32 random bytes in URL-safe base64."""

LIFETIME = timedelta(days=90)
"""How long a key lives unless asked otherwise. Ours; PCI DSS 4.0, 8.3.9 asks for 90 days of
passwords."""

LONGEST = timedelta(days=365)
"""The longest life of a key; ours."""


@dataclass(frozen=True, slots=True)
class Account:
    """Somebody, or an app, that may call."""

    id: UUID
    name: str
    role: Role
    subject: str | None
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key, without its secret."""

    id: UUID
    account: UUID
    scopes: tuple[str, ...]
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None


def add_account(
    connection: Connection, name: str, role: str, at: datetime, subject: str | None = None
) -> Account:
    """Add an account.

    Parameters
    ----------
    connection
        In a transaction of the action `accounts.manage`.
    name
        For people to read.
    role
        One of `ROLES`.
    at
        Now.
    subject
        Who it is for an identity provider, where bearer tokens are used.

    Raises
    ------
    Invalid, Conflict
        If there is no such role, or the name or subject is taken or cannot be kept.
    """
    if role not in ROLES:
        raise Invalid("role", f"it is none of {', '.join(ROLES)}")
    check_storable("name", name)
    check_storable("subject", subject or "")
    account = Account(uuid4(), name, role, subject, at, None)
    row = {"id": account.id, "name": name, "role": role, "subject": subject, "created_at": at}
    added = insert(accounts).values(**row).on_conflict_do_nothing().returning(accounts.c.id)
    if connection.execute(added).scalar() is None:
        raise Conflict("an account of this name or subject exists already; choose another")
    return account


def list_accounts(connection: Connection) -> list[Account]:
    """Give every account, by name."""
    rows = connection.execute(select(accounts).order_by(accounts.c.name))
    return [Account(*row) for row in rows]


def disable_account(connection: Connection, account: UUID, at: datetime) -> None:
    """Let an account, and all of its keys, call no more."""
    off = update(accounts).where(accounts.c.id == account)
    once = off.values(disabled_at=func.coalesce(accounts.c.disabled_at, at))
    if connection.execute(once.returning(accounts.c.id)).scalar() is None:
        raise NotFound("account")


def add_key(
    connection: Connection,
    account: UUID,
    at: datetime,
    *,
    lifetime: timedelta = LIFETIME,
    scopes: tuple[str, ...] = (),
) -> tuple[ApiKey, str]:
    """Make a key of an account; its secret is given here and never again.

    Raises
    ------
    NotFound, Invalid
        If there is no such account, a scope is no action of its role, or the life is too long.
    """
    role = connection.execute(select(accounts.c.role).where(accounts.c.id == account)).scalar()
    if role is None:
        raise NotFound("account")
    if not timedelta(0) < lifetime <= LONGEST:
        raise Invalid("days", f"a key lives from 1 to {LONGEST.days} days")
    allowed = {name for name, each in ACTIONS.items() if role in each.roles}
    if unknown := set(scopes) - allowed:
        raise Invalid("scopes", f"{len(unknown)} of them are no actions of the role {role}")
    secret = PREFIX + secrets.token_urlsafe(32)
    key = ApiKey(uuid4(), account, scopes, at, at + lifetime, None)
    row = {
        "id": key.id,
        "account_id": account,
        "digest": digest(secret),
        "scopes": list(scopes),
        "created_at": at,
        "expires_at": key.expires_at,
    }
    connection.execute(insert(api_keys).values(**row))
    return key, secret


def list_keys(connection: Connection, account: UUID) -> list[ApiKey]:
    """Give the keys of an account, the oldest first."""
    asked = select(
        api_keys.c.id,
        api_keys.c.account_id,
        api_keys.c.scopes,
        api_keys.c.created_at,
        api_keys.c.expires_at,
        api_keys.c.revoked_at,
    ).where(api_keys.c.account_id == account)
    rows = connection.execute(asked.order_by(api_keys.c.created_at, api_keys.c.id))
    return [ApiKey(row[0], row[1], tuple(row[2]), *row[3:]) for row in rows]


def revoke_key(connection: Connection, key: UUID, at: datetime) -> None:
    """Let a key open nothing from now on."""
    off = update(api_keys).where(api_keys.c.id == key)
    once = off.values(revoked_at=func.coalesce(api_keys.c.revoked_at, at))
    if connection.execute(once.returning(api_keys.c.id)).scalar() is None:
        raise NotFound("key")


_BY_SECRET = Frequent(
    select(accounts.c.role, accounts.c.id, api_keys.c.id, api_keys.c.scopes)
    .join(accounts, accounts.c.id == api_keys.c.account_id)
    .where(
        api_keys.c.digest == bindparam("shown"),
        api_keys.c.revoked_at.is_(None),
        api_keys.c.expires_at > bindparam("now"),
        accounts.c.disabled_at.is_(None),
    )
)
_BY_SUBJECT = Frequent(
    select(accounts.c.role, accounts.c.id).where(
        accounts.c.subject == bindparam("named"),
        accounts.c.role == bindparam("as"),
        accounts.c.disabled_at.is_(None),
    )
)


def by_secret(database: Database, secret: str, at: datetime) -> Principal | None:
    """Give who shows a key; None where it opens nothing, for whatever reason."""
    if SECRET.fullmatch(secret) is None:
        return None
    return _principal(database, _BY_SECRET, {"shown": digest(secret), "now": at})


def by_subject(database: Database, subject: str, role: str) -> Principal | None:
    """Give the account that an identity provider's subject belongs to, if it has that role."""
    return _principal(database, _BY_SUBJECT, {"named": subject, "as": role})


def assign(case: Case, account: UUID, state: Literal["on", "off"]) -> None:
    """Put a person on a clinician's caseload, or take them off it.

    Raises
    ------
    NotFound
        If there is no such clinician.
    """
    connection = case.connection
    asked = select(accounts.c.id).where(accounts.c.id == account, accounts.c.role == "clinician")
    if connection.execute(asked).scalar() is None:
        raise NotFound("clinician")
    if state == "on":
        row = {"account_id": account, "person_id": case.person, "since": case.at}
        connection.execute(insert(caseloads).values(**row).on_conflict_do_nothing())
        return
    mine = (caseloads.c.account_id == account) & (caseloads.c.person_id == case.person)
    connection.execute(delete(caseloads).where(mine))


def digest(secret: str) -> bytes:
    """Give what is kept of a key."""
    return hashlib.sha256(secret.encode()).digest()


def _principal(database: Database, asked: Frequent, given: dict[str, Any]) -> Principal | None:
    with database.asking() as connection:
        found = asked.first(connection, **given)
    if found is None:
        return None
    role, account, *key = found
    return Principal(role, account, *([key[0], frozenset(key[1])] if key else []))
