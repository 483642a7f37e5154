"""Questionnaires that people filled in. Owns these routes."""

from typing import Annotated

from fastapi import APIRouter, Path, Response

from sottovoce.errors import DataError
from sottovoce.service import questionnaires as stored
from sottovoce.service.api.answers import QuestionnaireOut, QuestionnairesOut
from sottovoce.service.api.dependencies import WithCaller, WithParts
from sottovoce.service.api.problems import responses
from sottovoce.service.api.requests import ID, PersonId, QuestionnaireIn
from sottovoce.service.api.routes.messages import WITH_CONSENT
from sottovoce.service.refusals import Invalid

router = APIRouter(prefix="/v1/people/{person_id}/questionnaires", tags=["questionnaires"])

QuestionnaireId = Annotated[str, Path(pattern=ID, description="The app's own id of it.")]


@router.put(
    "/{questionnaire_id}",
    responses=WITH_CONSENT | responses("conflict") | {201: {"model": QuestionnaireOut}},
)
def add_questionnaire(
    person_id: PersonId,
    questionnaire_id: QuestionnaireId,
    body: QuestionnaireIn,
    has: WithParts,
    who: WithCaller,
    response: Response,
) -> QuestionnaireOut:
    """Store a questionnaire; missing items follow the instrument's published rule."""
    try:
        answered = body.response(person_id)
    except DataError as error:
        raise Invalid(f"body.{error.field or 'items'}", error.problem) from None
    with has.gate.open(who, "questionnaires.add", person_id) as case:
        filled, new = stored.add(case, questionnaire_id, answered)
    response.status_code = 201 if new else 200
    return QuestionnaireOut.of(filled)


@router.get("", responses=WITH_CONSENT)
def read_questionnaires(person_id: PersonId, has: WithParts, who: WithCaller) -> QuestionnairesOut:
    """Read a person's questionnaires in the order of time."""
    with has.gate.open(who, "questionnaires.read", person_id) as case:
        found = stored.all_of(case)
    return QuestionnairesOut(questionnaires=[QuestionnaireOut.of(each) for each in found])
