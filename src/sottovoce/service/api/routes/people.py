"""People: registering, listing, reading, erasing. Owns these routes."""

from typing import Any

from fastapi import APIRouter, Request, Response

from sottovoce.service import erasure
from sottovoce.service import people as stored
from sottovoce.service.api import cursors
from sottovoce.service.api.caching import answered
from sottovoce.service.api.dependencies import WithCaller, WithParts
from sottovoce.service.api.problems import responses
from sottovoce.service.api.schemas import PAGE, Cursor, Limit, PeopleOut, PersonId, PersonOut

REFUSALS = responses("malformed", "unauthenticated", "forbidden", "rate-limited", "unavailable")
ABOUT_ONE = REFUSALS | responses("not-found", "invalid")

router = APIRouter(prefix="/v1/people", tags=["people"])


@router.put("/{person_id}", responses=ABOUT_ONE | {201: {"model": PersonOut}})
def register_person(
    person_id: PersonId, has: WithParts, who: WithCaller, response: Response
) -> PersonOut:
    """Register a person under the app's own pseudonym; once is enough, twice changes nothing."""
    person, new = stored.register(has.gate, who, person_id)
    response.status_code = 201 if new else 200
    return PersonOut.of(person)


@router.get("", responses=REFUSALS | responses("invalid"))
def list_people(
    has: WithParts, who: WithCaller, cursor: Cursor = None, limit: Limit = PAGE
) -> PeopleOut:
    """List people: all of them to an app, their caseload to a clinician."""
    after = cursors.after_person(cursor)
    with has.gate.work(who, "people.list"):
        pass  # refused here, and noted even where nobody is shown; each person is noted below
    with has.gate.database.transaction() as connection:
        cases = has.gate.listed(connection, who, "people.list", after, limit + 1)
        shown = [PersonOut.of(stored.glance(case)) for case in cases[:limit]]
    more = cursors.person_cursor(cases[limit - 1].person) if len(cases) > limit else None
    return PeopleOut(people=shown, next=more)


@router.get("/{person_id}", response_model=PersonOut, responses=ABOUT_ONE)
def read_person(person_id: PersonId, has: WithParts, who: WithCaller, request: Request) -> Any:
    """Read a person at a glance. The ETag changes with anything that is told of them."""
    with has.gate.open(who, "people.read", person_id) as case:
        return answered(request, case, PersonOut.of(stored.glance(case)))


@router.delete("/{person_id}", status_code=204, responses=ABOUT_ONE)
def erase_person(person_id: PersonId, has: WithParts, who: WithCaller) -> None:
    """Erase a person: their key, and with it everything that it sealed, wherever a copy lies."""
    with has.gate.open(who, "people.erase", person_id) as case:
        erasure.erase(case)
