"""Going out: all of a person's data, FHIR, and a research export. Owns these routes."""

import json
import shutil
from pathlib import Path
from tempfile import TemporaryDirectory

from fastapi import APIRouter
from starlette.background import BackgroundTask
from starlette.responses import FileResponse, Response

from sottovoce import __version__
from sottovoce.errors import DataError
from sottovoce.service import estimates, ledger, messages, questionnaires
from sottovoce.service import people as stored
from sottovoce.service.api.answers import (
    ConsentOut,
    EstimateOut,
    ExportOut,
    MessageOut,
    PersonOut,
    QuestionnaireOut,
)
from sottovoce.service.api.dependencies import WithCaller, WithParts
from sottovoce.service.api.problems import responses
from sottovoce.service.api.requests import PersonId
from sottovoce.service.api.routes.messages import WITH_CONSENT
from sottovoce.service.api.routes.people import ABOUT_ONE, REFUSALS
from sottovoce.service.fhir import Issued, Subject, bundle
from sottovoce.service.refusals import Conflict
from sottovoce.service.studies import export_study

FHIR = "application/fhir+json"

router = APIRouter(prefix="/v1", tags=["exports"])


@router.get("/people/{person_id}/export", responses=ABOUT_ONE)
def export_person(person_id: PersonId, has: WithParts, who: WithCaller) -> ExportOut:
    """Give everything that is kept of a person, as the person may ask for (GDPR, article 15)."""
    with has.gate.open(who, "people.export", person_id) as case:
        return ExportOut(
            person=PersonOut.of(stored.glance(case)),
            consent=[ConsentOut.of(line) for line in ledger.lines_of(case)],
            messages=[MessageOut.of(each) for each in messages.since(case)],
            questionnaires=[QuestionnaireOut.of(each) for each in questionnaires.all_of(case)],
            estimates=[EstimateOut.of(each) for each in estimates.all_of(case)],
        )


@router.get(
    "/people/{person_id}/fhir",
    responses=WITH_CONSENT | {200: {"content": {FHIR: {"schema": {"type": "object"}}}}},
    response_class=Response,
)
def export_fhir(person_id: PersonId, has: WithParts, who: WithCaller) -> Response:
    """Give estimates and questionnaires as a FHIR R4 Bundle; no message is in it."""
    with has.gate.open(who, "fhir.read", person_id) as case:
        series = estimates.trajectory(estimates.all_of(case))
        issued = [Issued(each.estimate, each.made_at, __version__) for each in series]
        answered = [each.response for each in questionnaires.all_of(case)]
    subject = Subject(has.settings.patient_system, person_id)
    said = json.dumps(bundle(subject, issued, answered), ensure_ascii=False, allow_nan=False)
    return Response(said, media_type=FHIR)


@router.get(
    "/research/export",
    responses=REFUSALS
    | responses("conflict")
    | {200: {"content": {"application/zip": {"schema": {"type": "string", "format": "binary"}}}}},
    response_class=Response,
)
def export_research(has: WithParts, who: WithCaller) -> Response:
    """Give a research export as a zip: who agreed, de-identified, times moved, few withheld."""
    place = TemporaryDirectory(prefix="sottovoce-")
    try:
        folder = Path(place.name) / "export"
        export_study(has.gate, who, folder, has.deidentifier())
        packed = shutil.make_archive(str(Path(place.name) / "packed"), "zip", folder)
    except DataError as error:
        place.cleanup()
        raise Conflict(error.problem) from None
    except BaseException:
        place.cleanup()
        raise
    headers = {"Content-Disposition": 'attachment; filename="research-export.zip"'}
    done = BackgroundTask(place.cleanup)
    return FileResponse(packed, media_type="application/zip", headers=headers, background=done)
