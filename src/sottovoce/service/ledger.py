"""The consent ledger in the database: who agreed to what, when, by which text.

Owns its lines, which are only ever added, and what follows from a withdrawal. What counts of them
is worked out by a trigger beside the table (`migrations`) and read by the gate. Does not know HTTP.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import distinct_on

from sottovoce.consent import Purpose
from sottovoce.service.gate import Case
from sottovoce.service.refusals import Invalid
from sottovoce.service.tables import consents

SKEW = timedelta(minutes=5)
"""How far another machine's clock may be ahead. RFC 4120, 1.6 (Kerberos) takes five minutes for
the same purpose."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the ledger.

    Parameters
    ----------
    purpose, granted
        What was agreed to, or withdrawn.
    at
        When the person did so.
    text_version, source
        Of the text that they saw, and where they did it.
    recorded_at
        When the service heard of it; None before it did.
    """

    purpose: Purpose
    granted: bool
    at: datetime
    text_version: str
    source: str
    recorded_at: datetime | None = None


def record(case: Case, lines: list[Line]) -> frozenset[str]:
    """Add lines; give the purposes that the person withdraws with them.

    A line of the past does not undo a later one: of each purpose the latest in its own time
    counts, and a withdrawal goes before a grant of the same moment.

    Raises
    ------
    Invalid
        If a time lies further ahead than clocks go wrong.
    """
    before = standing(case)
    for number, line in enumerate(lines):
        if line.at > case.at + SKEW:
            raise Invalid(f"consent[{number}].at", "it lies in the future; send the time it was")
    rows = [
        {
            "person_id": case.person,
            "purpose": line.purpose,
            "granted": line.granted,
            "text_version": line.text_version,
            "source": line.source,
            "at": min(line.at, case.at),
            "recorded_at": case.at,
        }
        for line in lines
    ]
    if rows:
        case.connection.execute(insert(consents), rows)
    return before - standing(case)


def standing(case: Case) -> frozenset[str]:
    """Give what a person agrees to now, from the ledger itself."""
    latest = (
        select(consents.c.purpose, consents.c.granted)
        .ext(distinct_on(consents.c.purpose))
        .where(consents.c.person_id == case.person)
        .order_by(
            consents.c.purpose, consents.c.at.desc(), consents.c.granted, consents.c.id.desc()
        )
    )
    return frozenset(row.purpose for row in case.connection.execute(latest) if row.granted)


def lines_of(case: Case) -> list[Line]:
    """Give the whole ledger of a person, in the order in which it was written."""
    asked = select(consents).where(consents.c.person_id == case.person).order_by(consents.c.id)
    return [
        Line(row.purpose, row.granted, row.at, row.text_version, row.source, row.recorded_at)
        for row in case.connection.execute(asked)
    ]
