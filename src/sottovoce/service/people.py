"""People: registering one, and what may be said of one at a glance.

Owns the row of a person. Does not know who may ask (`gate`).
"""

import secrets
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from sottovoce.service.actions import ACTIONS
from sottovoce.service.audit import Entry
from sottovoce.service.gate import Case, Gate
from sottovoce.service.principals import Principal
from sottovoce.service.refusals import Forbidden
from sottovoce.service.sealing import PersonKey, new_key
from sottovoce.service.tables import people


@dataclass(frozen=True, slots=True)
class Person:
    """What is said of a person at a glance.

    Parameters
    ----------
    external_id
        The id by which the app knows the person.
    created_at
        When they were registered.
    purposes
        What they agree to, in alphabetical order.
    pending
        Whether something was said that no estimate has read yet.
    """

    external_id: str
    created_at: datetime
    purposes: tuple[str, ...]
    pending: bool


def register(gate: Gate, who: Principal, external_id: str) -> tuple[Person, bool]:
    """Register a person, with a key of their own; once is enough.

    Returns
    -------
    Person, bool
        And whether they are new.
    """
    action, at = "people.register", gate.clock()
    if not ACTIONS[action].allows(who):
        with gate.work(who, action):  # refuses, and notes it
            raise Forbidden
    with gate.database.transaction() as connection:
        digest = gate.index.person(external_id)
        known = connection.execute(select(people.c.id).where(people.c.digest == digest)).scalar()
        person = known or UUID(bytes=secrets.token_bytes(16), version=4)
        if known is None:
            key, key_id, wrapped = new_key(gate.keeper, person.bytes)
            row = {
                "id": person,
                "digest": digest,
                "key_id": key_id,
                "wrapped_key": wrapped,
                "sealed": PersonKey(person, key).seal(external_id, "people"),
                "created_at": at,
            }
            added = insert(people).values(**row).on_conflict_do_nothing(index_elements=["digest"])
            new = connection.execute(added.returning(people.c.id)).scalar()
            if new is not None:  # otherwise somebody else came first
                gate.note(connection, [Entry.of(who, action, new, "ok", at)])
                return Person(external_id, at, (), pending=False), True
    with gate.open(who, action, external_id) as case:
        return glance(case), False


def glance(case: Case) -> Person:
    """Say what is known of a person at a glance."""
    return Person(
        case.external_id,
        case.created_at,
        tuple(sorted(case.purposes)),
        case.revision > case.scored_revision,
    )


def changed(case: Case) -> None:
    """Count a change of what is told of a person, whose row the case has locked."""
    counted = update(people).values(version=people.c.version + 1)
    case.connection.execute(counted.where(people.c.id == case.person))
