"""Estimates in the database, sealed: the series that a trajectory is made of.

Owns their rows, and which of several about the same window counts. Does not know how an estimate is
made (`scoring`) nor who may read it (`gate`).
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from sottovoce.estimates import Estimate, estimate_from, estimate_record
from sottovoce.service.gate import Case
from sottovoce.service.tables import estimates, people


@dataclass(frozen=True, slots=True)
class Made:
    """An estimate as it is kept.

    Parameters
    ----------
    id
        The service's own.
    made_at
        When it was made.
    revision
        Change of the person up to which it read.
    estimate
        Its `user_id` is the app's id of the person.
    evidence
        Item profile and the messages behind it (`sottovoce.explanation`), where the model gives
        them.
    """

    id: UUID
    made_at: datetime
    revision: int
    estimate: Estimate
    evidence: dict[str, Any] | None = None


def add(
    case: Case, estimate: Estimate, revision: int, evidence: dict[str, Any] | None = None
) -> Made | None:
    """Store an estimate that read a person up to a change; None where it is there already.

    Its `user_id` is left out of what is sealed: it is put back when it is read.
    """
    key = uuid5(case.person, f"{estimate.model_id}:{revision}")
    record = {"estimate": estimate_record(estimate), "evidence": evidence}
    row = {
        "id": key,
        "person_id": case.person,
        "model_id": estimate.model_id,
        "revision": revision,
        "window_end": estimate.window_end,
        "made_at": case.at,
        "sealed": case.key.seal(record, _place(key)),
    }
    added = insert(estimates).values(**row).on_conflict_do_nothing()
    new = case.connection.execute(added.returning(estimates.c.id)).scalar()
    if new is not None:
        read = max(revision, case.scored_revision)
        more = {"version": people.c.version + 1, "scored_revision": read}
        case.connection.execute(update(people).where(people.c.id == case.person).values(more))
    return None if new is None else Made(key, case.at, revision, estimate, evidence)


def all_of(case: Case) -> list[Made]:
    """Give every estimate of a person, in the order in which they were made."""
    asked = select(estimates).where(estimates.c.person_id == case.person)
    ordered = asked.order_by(estimates.c.made_at, estimates.c.revision, estimates.c.id)
    external = case.external_id
    made = []
    for row in case.connection.execute(ordered):
        found = case.key.unseal(row.sealed, _place(row.id))
        estimate = replace(estimate_from(found["estimate"]), user_id=external)
        made.append(Made(row.id, row.made_at, row.revision, estimate, found["evidence"]))
    return made


def trajectory(made: Iterable[Made]) -> list[Made]:
    """Give one estimate for each window's end, in the order of time.

    Of several that end at the same moment the one that read most counts: a message that came late
    changed what was said in the window. Of two that read the same, by different models, the later
    made counts.
    """
    counting: dict[datetime, Made] = {}
    for each in made:
        end = each.estimate.window_end
        if end is None:
            continue
        known = counting.get(end)
        if known is None or (each.revision, each.made_at) >= (known.revision, known.made_at):
            counting[end] = each
    return [counting[end] for end in sorted(counting)]


def _place(key: UUID) -> str:
    return f"estimates:{key}"
