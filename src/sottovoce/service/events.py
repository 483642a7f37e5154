"""Events and their deliveries: what webhooks are told, kept in the transaction of what happened.

Owns the outbox. Does not know how a delivery is signed and sent (`webhooks`) nor when (`jobs`).
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal
from uuid import UUID, uuid4

from sqlalchemy import Connection, func, insert, select, update

from sottovoce.service.database import Database
from sottovoce.service.gate import Case, Gate
from sottovoce.service.masterkeys import KeyKeeper
from sottovoce.service.refusals import NotFound
from sottovoce.service.sealing import wrapped_by
from sottovoce.service.tables import deliveries, endpoints, events

EventType = Literal["estimate.created", "consent.withdrawn"]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where events go."""

    id: UUID
    url: str
    events: tuple[str, ...]
    created_at: datetime
    disabled_at: datetime | None


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened.

    Parameters
    ----------
    id
        The same however often it is told.
    type, at
        What, and when.
    person
        Row of the person it is about.
    subject
        Which of the service's own records it is about; None for the person as such.
    """

    id: UUID
    type: str
    at: datetime
    person: UUID
    subject: UUID | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """An event on its way to an endpoint.

    Parameters
    ----------
    event
        What is told.
    endpoint, url, secret
        Where it goes, and what signs it.
    attempts
        How often it was tried.
    """

    event: Event
    endpoint: UUID
    url: str
    secret: str
    attempts: int


def emit(case: Case, kind: EventType, subject: UUID | None = None) -> None:
    """Tell every endpoint that asked for it, when this transaction is committed."""
    asked = select(endpoints.c.id).where(
        endpoints.c.disabled_at.is_(None), endpoints.c.events.contains([kind])
    )
    found = case.connection.execute(asked).scalars().all()
    if not found:
        return
    event = uuid4()
    row = {"id": event, "type": kind, "person_id": case.person, "subject_id": subject}
    case.connection.execute(insert(events).values(**row, at=case.at))
    for endpoint in found:
        key = uuid4()
        sent = {"id": key, "event_id": event, "endpoint_id": endpoint, "attempts": 0}
        case.connection.execute(insert(deliveries).values(**sent, outcome="pending"))
        case.connection.execute(select(func.sottovoce_later("deliver", key, case.at)))


def find(database: Database, event: UUID) -> Event | None:
    """Give an event; None where there is none, or the person was erased."""
    with database.engine.connect() as connection:
        found = connection.execute(select(events).where(events.c.id == event)).one_or_none()
    return None if found is None else _event(found)


def delivery(gate: Gate, key: UUID) -> Delivery | None:
    """Give a delivery that is still to be made; None where it is made, or nobody wants it."""
    asked = (
        select(
            events,
            endpoints.c.id.label("endpoint"),
            endpoints.c.url,
            endpoints.c.key_id,
            endpoints.c.wrapped_secret,
            deliveries.c.attempts,
        )
        .join(deliveries, deliveries.c.event_id == events.c.id)
        .join(endpoints, endpoints.c.id == deliveries.c.endpoint_id)
        .where(
            deliveries.c.id == key,
            deliveries.c.outcome.in_(("pending", "failed")),
            endpoints.c.disabled_at.is_(None),
        )
    )
    with gate.database.engine.connect() as connection:
        found = connection.execute(asked).one_or_none()
    if found is None:
        return None
    secret = gate.keeper.unwrap(found.key_id, found.wrapped_secret, found.endpoint.bytes).decode()
    return Delivery(_event(found), found.endpoint, found.url, secret, found.attempts)


def attempted(
    gate: Gate, key: UUID, outcome: str, again: timedelta | None = None, *, off: UUID | None = None
) -> None:
    """Write down how an attempt ended, and when the next one is made.

    Parameters
    ----------
    gate, key
        Of the delivery.
    outcome
        "delivered", "failed", or "given-up".
    again
        How long until the next attempt; None where there is none.
    off
        An endpoint that asked to be told nothing more.
    """
    at = gate.clock()
    with gate.database.transaction() as connection:
        more = {"attempts": deliveries.c.attempts + 1, "last_at": at, "outcome": outcome}
        connection.execute(update(deliveries).where(deliveries.c.id == key).values(more))
        if again is not None:
            connection.execute(select(func.sottovoce_later("deliver", key, at + again)))
        if off is not None:
            disable_endpoint(connection, off, at)


def _event(row: Any) -> Event:
    return Event(row.id, row.type, row.at, row.person_id, row.subject_id)


def add_endpoint(
    connection: Connection,
    keeper: KeyKeeper,
    url: str,
    wanted: tuple[str, ...],
    secret: str,
    at: datetime,
) -> Endpoint:
    """Add where events go; its secret is kept wrapped."""
    endpoint = Endpoint(uuid4(), url, wanted, at, None)
    key_id, wrapped = wrapped_by(keeper, secret.encode(), endpoint.id.bytes)
    row = {
        "id": endpoint.id,
        "url": url,
        "events": list(wanted),
        "key_id": key_id,
        "wrapped_secret": wrapped,
        "created_at": at,
    }
    connection.execute(insert(endpoints).values(**row))
    return endpoint


def list_endpoints(connection: Connection) -> list[Endpoint]:
    """Give every endpoint, the oldest first."""
    rows = connection.execute(select(endpoints).order_by(endpoints.c.created_at, endpoints.c.id))
    return [
        Endpoint(row.id, row.url, tuple(row.events), row.created_at, row.disabled_at)
        for row in rows
    ]


def disable_endpoint(connection: Connection, endpoint: UUID, at: datetime) -> None:
    """Send nothing more there."""
    off = update(endpoints).where(endpoints.c.id == endpoint).values(disabled_at=at)
    if connection.execute(off.returning(endpoints.c.id)).scalar() is None:
        raise NotFound("webhook")
