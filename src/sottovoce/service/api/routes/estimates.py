"""Estimates, their evidence, and the trajectory. Owns these routes."""

from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request

from sottovoce.service import estimates as stored
from sottovoce.service import questionnaires
from sottovoce.service.api.answers import (
    EstimateOut,
    EstimatesOut,
    EvidenceOut,
    QuestionnaireOut,
    TrajectoryOut,
)
from sottovoce.service.api.caching import answered
from sottovoce.service.api.dependencies import WithCaller, WithParts
from sottovoce.service.api.requests import PersonId
from sottovoce.service.api.routes.messages import WITH_CONSENT
from sottovoce.service.refusals import NotFound

router = APIRouter(prefix="/v1/people/{person_id}", tags=["estimates"])


@router.get("/trajectory", response_model=TrajectoryOut, responses=WITH_CONSENT)
def read_trajectory(person_id: PersonId, has: WithParts, who: WithCaller, request: Request) -> Any:
    """Read a person over time: one estimate for each window's end, and the questionnaires."""
    with has.gate.open(who, "estimates.read", person_id) as case:
        series = stored.trajectory(stored.all_of(case))
        filled = questionnaires.all_of(case)
        said = TrajectoryOut(
            id=person_id,
            pending=case.revision > case.scored_revision,
            estimates=[EstimateOut.of(each) for each in series],
            questionnaires=[QuestionnaireOut.of(each) for each in filled],
        )
        return answered(request, case, said)


@router.get("/estimates", response_model=EstimatesOut, responses=WITH_CONSENT)
def read_estimates(person_id: PersonId, has: WithParts, who: WithCaller, request: Request) -> Any:
    """Read every estimate of a person, also those that a later one about the window replaced."""
    with has.gate.open(who, "estimates.read", person_id) as case:
        made = [EstimateOut.of(each) for each in stored.all_of(case)]
        return answered(request, case, EstimatesOut(estimates=made))


@router.get("/estimates/{estimate_id}", responses=WITH_CONSENT)
def read_estimate(
    person_id: PersonId, estimate_id: UUID, has: WithParts, who: WithCaller
) -> EvidenceOut:
    """Read an estimate; clinicians also read the messages that it rests on, if the model tells."""
    with has.gate.open(who, "estimates.read", person_id) as case:
        made = next((each for each in stored.all_of(case) if each.id == estimate_id), None)
    if made is None:
        raise NotFound("estimate")
    told = made.evidence if who.role == "clinician" and made.evidence is not None else {}
    return EvidenceOut(
        estimate=EstimateOut.of(made), profile=told.get("profile"), evidence=told.get("evidence")
    )
