"""Questionnaires that people filled in, sealed in the database.

Owns their rows. Does not know who may store or read them (`gate`).
"""

from dataclasses import dataclass
from uuid import UUID, uuid5

from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from sottovoce.conversations import QuestionnaireResponse, response_from, response_record
from sottovoce.service.gate import Case
from sottovoce.service.ledger import SKEW
from sottovoce.service.people import changed
from sottovoce.service.refusals import Conflict, Invalid
from sottovoce.service.tables import questionnaires


@dataclass(frozen=True, slots=True)
class Filled:
    """A questionnaire as it is kept.

    Parameters
    ----------
    id
        The service's own.
    external_id
        The id that the app gave it.
    response
        What was answered; its `user_id` is the app's id of the person.
    """

    id: UUID
    external_id: str
    response: QuestionnaireResponse


def add(case: Case, external_id: str, response: QuestionnaireResponse) -> tuple[Filled, bool]:
    """Store a questionnaire; the same one twice is stored once.

    Returns
    -------
    Filled, bool
        And whether it is new.

    Raises
    ------
    Conflict
        If its id was used for other answers.
    Invalid
        If it was completed later than clocks go wrong.
    """
    if response.completed_at > case.at + SKEW:
        raise Invalid("completed_at", "it lies in the future; send the time it was")
    digest = case.index.of(case.person, "questionnaire", external_id)
    filled = Filled(uuid5(case.person, digest.hex()), external_id, response)
    record = {"id": external_id, "response": response_record(response)}
    row = {
        "person_id": case.person,
        "digest": digest,
        "id": filled.id,
        "instrument": response.instrument,
        "completed_at": min(response.completed_at, case.at),
        "received_at": case.at,
        "sealed": case.key.seal(record, _place(filled.id)),
    }
    added = insert(questionnaires).values(**row).on_conflict_do_nothing()
    new = case.connection.execute(added.returning(questionnaires.c.id)).scalar() is not None
    if new:
        changed(case)
    elif next(each for each in all_of(case) if each.id == filled.id) != filled:
        raise Conflict("this id belongs to other answers already; give the new ones another id")
    return filled, new


def all_of(case: Case) -> list[Filled]:
    """Give a person's questionnaires in the order of time."""
    asked = select(questionnaires).where(questionnaires.c.person_id == case.person)
    rows = case.connection.execute(
        asked.order_by(questionnaires.c.completed_at, questionnaires.c.id)
    )
    found = [(row.id, case.key.unseal(row.sealed, _place(row.id))) for row in rows]
    return [Filled(key, said["id"], response_from(said["response"])) for key, said in found]


def _place(key: UUID) -> str:
    return f"questionnaires:{key}"
