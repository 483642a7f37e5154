"""Messages: in as they are written, out to who treats the person. Owns these routes."""

import asyncio
from datetime import timedelta

from fastapi import APIRouter, Response

from sottovoce.service import messages as stored
from sottovoce.service.api import cursors
from sottovoce.service.api.answers import MessageOut, MessagesOut, StoredOut
from sottovoce.service.api.dependencies import Parts, WithCaller, WithParts
from sottovoce.service.api.problems import responses
from sottovoce.service.api.requests import PAGE, Cursor, Limit, MessagesIn, PersonId
from sottovoce.service.api.routes.people import ABOUT_ONE
from sottovoce.service.principals import Principal

WITH_CONSENT = ABOUT_ONE | responses("forbidden", "consent-missing")

router = APIRouter(prefix="/v1/people/{person_id}/messages", tags=["messages"])


@router.post(
    "", response_model=StoredOut, responses=WITH_CONSENT | responses("conflict", "too-large")
)
async def add_messages(
    person_id: PersonId, body: MessagesIn, has: WithParts, who: WithCaller
) -> Response:
    """Store a batch of messages, all or nothing, and ask for a new estimate.

    In any order. What is answered with 200 is kept, once, however often it is sent: a client that
    hears nothing sends it again.
    """
    said = [each.said() for each in body.messages]
    done = await asyncio.to_thread(_stored, has, who, "messages.add", person_id, said)
    has.telemetry.messages.inc(done.new)
    told = StoredOut(new=done.new, known=done.known, ahead=done.ahead)
    # written here: FastAPI would ask another thread to validate three numbers of our own
    return Response(told.model_dump_json(), media_type="application/json")


def _stored(
    has: Parts, who: Principal, action: str, person_id: str, said: list[stored.Said]
) -> stored.Stored:
    """Store, in a thread by asyncio's own means, which cost half of FastAPI's."""
    with has.gate.open(who, action, person_id) as case:
        return stored.add(case, said, timedelta(seconds=has.settings.score_delay))


@router.get("", responses=WITH_CONSENT)
def read_messages(
    person_id: PersonId,
    has: WithParts,
    who: WithCaller,
    cursor: Cursor = None,
    limit: Limit = PAGE,
) -> MessagesOut:
    """Read messages in the order of time: for clinicians, of people on their caseload."""
    after = cursors.after_message(cursor)
    with has.gate.open(who, "messages.read", person_id) as case:
        found, more = stored.page(case, after, limit)
    following = None if more is None else cursors.message_cursor(more)
    return MessagesOut(messages=[MessageOut.of(each) for each in found], next=following)
