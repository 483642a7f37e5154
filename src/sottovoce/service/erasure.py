"""Forgetting: all of a person, or what was gathered while they agreed.

Owns what is deleted, and when after a withdrawal. Does not know who may ask for it (`gate`).

A person's row holds the only copy of their key, wrapped: when it is deleted, nothing that the key
sealed can be read in tables or in copies made afterwards. Copies of the row made before, in older
backups and until they are overwritten in the write-ahead log and the table's file, open for whoever
holds the master key of that time: rotating the master key and destroying the old one ends that,
too. What stays is the consent ledger and the audit log, under a random number that leads to nobody.
"""

from datetime import timedelta

from sqlalchemy import delete, func, select, text, update

from sottovoce.service.gate import Case
from sottovoce.service.people import changed
from sottovoce.service.tables import estimates, events, messages, people, questionnaires


def erase(case: Case) -> None:
    """Delete a person and everything told of them; jobs about them find nobody."""
    case.connection.execute(delete(people).where(people.c.id == case.person))
    _forget_jobs(case)


def purge(case: Case) -> None:
    """Delete what was said and estimated; the person, the ledger and the key stay."""
    for table in (messages, estimates, questionnaires, events):
        case.connection.execute(delete(table).where(table.c.person_id == case.person))
    caught_up = update(people).where(people.c.id == case.person)
    case.connection.execute(caught_up.values(scored_revision=people.c.revision))
    changed(case)
    _forget_jobs(case)


def purge_later(case: Case, wait: timedelta) -> None:
    """Purge when the days of a withdrawal are over, unless the person agrees again; 0 is now."""
    if not wait:
        purge(case)
        return
    case.connection.execute(select(func.sottovoce_later("purge", case.person, case.at + wait)))


def _forget_jobs(case: Case) -> None:
    """Delete jobs about a person that nobody has begun."""
    case.connection.execute(
        text("DELETE FROM procrastinate_jobs WHERE status = 'todo' AND args->>'row' = :row"),
        {"row": str(case.person)},
    )
