"""Consent: what a person agrees to, and the ledger behind it. Owns these routes."""

from datetime import timedelta

from fastapi import APIRouter

from sottovoce.service import erasure, events, ledger
from sottovoce.service.api.answers import ConsentOut, ConsentsOut
from sottovoce.service.api.dependencies import WithCaller, WithParts
from sottovoce.service.api.requests import ConsentsIn, PersonId
from sottovoce.service.api.routes.people import ABOUT_ONE
from sottovoce.service.gate import Case

router = APIRouter(prefix="/v1/people/{person_id}/consent", tags=["consent"])


@router.post("", status_code=201, responses=ABOUT_ONE)
def record_consent(
    person_id: PersonId, body: ConsentsIn, has: WithParts, who: WithCaller
) -> ConsentsOut:
    """Add lines to the ledger, which is never changed. A withdrawal counts at once.

    Without `monitoring` messages are refused and nobody is scored; withdrawing it deletes what was
    gathered, when the operator's policy says so.
    """
    with has.gate.open(who, "consent.record", person_id) as case:
        withdrawn = ledger.record(case, [each.line() for each in body.consent])
        if "monitoring" in withdrawn:
            erasure.purge_later(case, timedelta(days=has.settings.purge_after_days))
        if withdrawn:  # after the purge, which deletes events with what they tell of
            events.emit(case, "consent.withdrawn")
        return _told(case)


@router.get("", responses=ABOUT_ONE)
def read_consent(person_id: PersonId, has: WithParts, who: WithCaller) -> ConsentsOut:
    """Read what a person agrees to, and the ledger."""
    with has.gate.open(who, "consent.read", person_id) as case:
        return _told(case)


def _told(case: Case) -> ConsentsOut:
    lines = [ConsentOut.of(line) for line in ledger.lines_of(case)]
    return ConsentsOut(standing=sorted(ledger.standing(case)), ledger=lines)
