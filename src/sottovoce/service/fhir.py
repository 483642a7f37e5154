"""FHIR R4 for other clinical systems: estimates and questionnaires of one person as a Bundle.

Owns which resource says what, and the project's own codes. Pure: records in, plain dicts out; does
not know storage, HTTP or who may ask. The text of messages is in none of the resources.

An estimate never carries the LOINC code of the questionnaire's total, which means that the patient
answered. Its interval stands in components of its own: a referenceRange would say what is normal in
a population, and a valueRange would lose the estimate. It is derived from the messages of its
window, for which a DocumentReference stands, and from no questionnaire: none was read.

References
----------
https://hl7.org/fhir/R4/observation.html, https://hl7.org/fhir/R4/riskassessment.html
(probabilityDecimal is in percent there: "expressed as percentages as well (max = 100)"),
https://hl7.org/fhir/R4/datatypes.html#string, https://hl7.org/fhir/R4/bundle.html
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from sottovoce.conversations import QuestionnaireResponse, format_time, response_record
from sottovoce.errors import DataError
from sottovoce.estimates import Estimate, estimate_record
from sottovoce.instruments import Instrument, instrument
from sottovoce.readers.fhir_items import LOINC

SYSTEM = "urn:uuid:6b1f5b0e-7d0c-4f6e-9a6b-2c1f0d9e4a57"
"""Ours, drawn once and never to change: the system of the codes below. The project owns no domain
that a URL could stand on, and FHIR takes any absolute URI."""

NAMESPACE = UUID(SYSTEM.removeprefix("urn:uuid:"))
"""Ids are version 5 UUIDs in it, so that an export repeated is the same."""

LOINC_QUESTIONNAIRES = f"{LOINC}/q/"
"""LOINC's own FHIR server (https://loinc.org/fhir/) gives panels as Questionnaires of this URL."""

UCUM = "http://unitsofmeasure.org"
ABSENT = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"

METHOD = (
    "Estimated by a statistical model from the text of the person's conversations with an AI "
    "companion; the person did not answer the questionnaire"
)
NOT_A_DIAGNOSIS = (
    "An estimate of what the person would score on the questionnaire. It is not a diagnosis, does "
    "not stand for an assessment by a clinician, and cannot rule out a risk of suicide."
)
WITHHELD = "The person's conversations in this window; they stay where they are and are not sent"

Resource = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Subject:
    """Whom the resources are about: a Patient that the receiver knows by this identifier.

    Parameters
    ----------
    system
        Absolute URI of who gives out the identifiers; the operator's to set.
    value
        The identifier.

    Raises
    ------
    DataError
        If the system is no URI, or the value is blank.
    """

    system: str
    value: str

    def __post_init__(self) -> None:
        scheme, colon, rest = self.system.partition(":")
        if not (scheme.isascii() and scheme.isalpha() and colon and rest) or _spaced(self.system):
            raise DataError(
                "the system of the identifier is no absolute URI",
                field="system",
                fix="give one like https://clinic.example/ids",
            )
        if _text(self.value) != self.value:
            raise DataError(
                "the identifier is blank, or has control characters or spaces at its ends",
                field="value",
                fix="give the identifier that the receiver knows",
            )

    @property
    def reference(self) -> Resource:
        """A logical reference: by identifier, as the Patient is not in the Bundle."""
        named = {"system": self.system, "value": self.value}
        return {"type": "Patient", "identifier": named}


@dataclass(frozen=True, slots=True)
class Issued:
    """An estimate as it was given out.

    Parameters
    ----------
    estimate
        The estimate.
    issued
        When it was made, timezone-aware.
    version
        Of the software that made it.
    """

    estimate: Estimate
    issued: datetime
    version: str


def bundle(
    subject: Subject, estimates: Iterable[Issued], responses: Iterable[QuestionnaireResponse]
) -> Resource:
    """Give all that is known of one person as a Bundle of the type ``collection``.

    Parameters
    ----------
    subject
        Who it is to the receiver.
    estimates, responses
        Of one person, in any number; the same one twice stands in it once.

    Returns
    -------
    dict
        JSON of a FHIR R4 Bundle: Device, DocumentReference, Observation, RiskAssessment and
        QuestionnaireResponse, each under its ``urn:uuid``.

    Raises
    ------
    DataError
        If the records are of more than one person.
    """
    estimates, responses = tuple(estimates), tuple(responses)
    people = {each.estimate.user_id for each in estimates} | {each.user_id for each in responses}
    if len(people) > 1:
        raise DataError(
            f"the records are of {len(people)} people", field="user_id", fix="export one at a time"
        )
    found = [each for made in estimates for each in estimate_resources(subject, made)]
    found += [each for answered in responses for each in response_resources(subject, answered)]
    entries = {f"urn:uuid:{each['id']}": each for each in found}
    whole: Resource = {
        "resourceType": "Bundle",
        "id": _identity("Bundle", subject, sorted(entries)),
        "type": "collection",
    }
    if entries:  # FHIR has no empty arrays
        whole["entry"] = [{"fullUrl": url, "resource": each} for url, each in entries.items()]
    return whole


def estimate_resources(subject: Subject, made: Issued) -> list[Resource]:
    """Give an estimate as Device, DocumentReference, Observation and RiskAssessments.

    One that was abstained has an Observation without a value that says why, and no risk; one about
    a person without any message has no window and thus no DocumentReference.
    """
    device = _device(made)
    window = _window(subject, made.estimate)
    observation = _estimate_observation(subject, made)
    observation["device"] = _reference(device)
    if window is not None:
        observation["derivedFrom"] = [_reference(window)]
    risks = [
        _risk(subject, made, cut_off, observation, device)
        for cut_off in sorted(made.estimate.p_at_least)
        if not made.estimate.abstained
    ]
    return [device, *([] if window is None else [window]), observation, *risks]


def response_resources(subject: Subject, response: QuestionnaireResponse) -> list[Resource]:
    """Give a questionnaire that somebody filled in, and its total under its LOINC code.

    There is no Observation where there is no total, or where LOINC has no code for it that was
    verified (`instruments`).
    """
    used = instrument(response.instrument)
    filled: Resource = {
        "resourceType": "QuestionnaireResponse",
        "id": _identity("QuestionnaireResponse", subject, _without_user(response_record(response))),
        "status": "completed",
        "subject": subject.reference,
        "authored": format_time(response.completed_at),
        "source": subject.reference,
    }
    if used.loinc_panel is not None:
        filled["questionnaire"] = LOINC_QUESTIONNAIRES + used.loinc_panel
    if items := _items(used, response):
        filled["item"] = items
    if response.total is None or used.loinc_total is None:
        return [filled]
    return [filled, _total_observation(subject, response, filled)]


def _device(made: Issued) -> Resource:
    model, version = _text(made.estimate.model_id), _text(made.version)
    return {
        "resourceType": "Device",
        "id": str(uuid5(NAMESPACE, json.dumps(["Device", model, version]))),
        "deviceName": [{"name": model, "type": "model-name"}],
        "type": _own("estimator", "Sottovoce estimator"),
        "version": [{"type": {"text": "Sottovoce"}, "value": version}],
    }


def _window(subject: Subject, estimate: Estimate) -> Resource | None:
    """Give the messages that were read as a document that is not sent."""
    period = _period(estimate)
    if period is None:
        return None
    return {
        "resourceType": "DocumentReference",
        "id": _identity("DocumentReference", subject, period),
        "status": "current",
        "type": _own("conversation-window", "Conversations with an AI companion"),
        "subject": subject.reference,
        "content": [{"attachment": {"title": WITHHELD}}],
        "context": {"period": period},
    }


def _estimate_observation(subject: Subject, made: Issued) -> Resource:
    """Give the Observation without device and derivedFrom."""
    estimate, used = made.estimate, instrument(made.estimate.instrument)
    observation: Resource = {
        "resourceType": "Observation",
        "id": _estimate_identity("Observation", subject, made),
        "status": "preliminary",
        "code": _own(
            f"{used.key}-total-estimated", f"{used.title} total estimated from conversation"
        ),
        "subject": subject.reference,
    }
    if (period := _period(estimate)) is not None:
        observation["effectivePeriod"] = period
    observation |= {
        "issued": format_time(made.issued),
        **_outcome(estimate),
        "note": [{"text": NOT_A_DIAGNOSIS}],
        "method": _method(),
        "component": _components(estimate),
    }
    return observation


def _outcome(estimate: Estimate) -> Resource:
    """Give the value and its band, or why there is none."""
    record = estimate_record(estimate)
    if estimate.abstained:
        absent = {"system": ABSENT, "code": "not-performed", "display": "Not Performed"}
        own = _own("abstained", "The model abstained")["coding"]
        return {"dataAbsentReason": {"coding": [absent, *own], "text": _text(record["reason"])}}
    value = {"valueQuantity": _points(record["score"])}
    if estimate.band is None:
        return value
    return value | {"interpretation": [{"text": _text(estimate.band)}]}


def _components(estimate: Estimate) -> list[Resource]:
    record = estimate_record(estimate)
    counted = {
        "code": _own("user-messages", "Messages of the person in the window"),
        "valueInteger": estimate.n_messages,
    }
    if estimate.abstained:
        return [counted]
    return [
        {
            "code": _own("interval-lower", "Lower end of the prediction interval"),
            "valueQuantity": _points(record["lower"]),
        },
        {
            "code": _own("interval-upper", "Upper end of the prediction interval"),
            "valueQuantity": _points(record["upper"]),
        },
        {
            "code": _own("interval-coverage", "Nominal coverage of the prediction interval"),
            "valueQuantity": _quantity(_percent(estimate.coverage), "%", "%"),
        },
        counted,
    ]


def _risk(
    subject: Subject, made: Issued, cut_off: int, observation: Resource, device: Resource
) -> Resource:
    """Give the probability of a total at or above a cut-off."""
    used = instrument(made.estimate.instrument)
    name = f"{used.key}-total-at-least-{cut_off}"
    said = f"{used.title} total at or above {cut_off}"
    chance = _percent(made.estimate.p_at_least[cut_off])
    prediction: Resource = {
        "outcome": _own(name, said),
        "probabilityDecimal": chance,
        # in words, too: many programs write a share of 1 here, and 0.4 percent is not 40
        "rationale": f"A probability of {chance} percent of a {said}, were it filled in",
    }
    if (period := _period(made.estimate)) is not None:
        prediction["whenPeriod"] = period
    return {
        "resourceType": "RiskAssessment",
        "id": _estimate_identity(name, subject, made),
        "status": "preliminary",
        "method": _method(),
        "code": _own(f"{used.key}-total-probability", f"Probability of a {used.title} total"),
        "subject": subject.reference,
        "occurrenceDateTime": format_time(made.issued),
        "performer": _reference(device),
        "basis": [_reference(observation)],
        "prediction": [prediction],
        "note": [{"text": NOT_A_DIAGNOSIS}],
    }


def _items(used: Instrument, response: QuestionnaireResponse) -> list[Resource]:
    """Give the items by their LOINC codes, answered or not, and the total as the last one."""
    found: list[Resource] = []
    by_points = {option.points: option for option in used.options}
    for item, points in zip(used.items, response.items or (), strict=bool(response.items)):
        found.append({"linkId": item.loinc, "text": item.wording})
        if points is not None:
            option = by_points[points]
            coding = {"system": LOINC, "code": option.loinc, "display": option.wording}
            found[-1]["answer"] = [{"valueCoding": coding}]
    if response.total is not None:
        link = used.loinc_total or "total"
        answer = {"valueDecimal": _short(response.total)}
        found.append({"linkId": link, "text": f"{used.title} total", "answer": [answer]})
    return found


def _total_observation(
    subject: Subject, response: QuestionnaireResponse, filled: Resource
) -> Resource:
    used = instrument(response.instrument)
    assert response.total is not None and used.loinc_total is not None
    title = f"{used.title} total"
    coding = {"system": LOINC, "code": used.loinc_total}  # LOINC's own name is not ours to write
    survey = {"system": CATEGORY, "code": "survey", "display": "Survey"}
    observation: Resource = {
        "resourceType": "Observation",
        "id": _identity("Observation", subject, filled["id"]),
        "status": "final",
        "category": [{"coding": [survey]}],
        "code": {"coding": [coding], "text": title},
        "subject": subject.reference,
        "effectiveDateTime": format_time(response.completed_at),
        "valueQuantity": _points(_short(response.total)),
        "derivedFrom": [_reference(filled)],
    }
    if response.items is not None and None in response.items:
        missing = response.items.count(None)
        said = f"{missing} of {len(response.items)} items were not answered. {used.missing_rule}."
        observation["note"] = [{"text": said}]
    return observation


def _own(code: str, display: str) -> Resource:
    return {"coding": [{"system": SYSTEM, "code": code, "display": display}]}


def _method() -> Resource:
    return _own("conversation-estimate", "Estimate from conversation") | {"text": METHOD}


def _quantity(value: float, unit: str, code: str) -> Resource:
    return {"value": value, "unit": unit, "system": UCUM, "code": code}


def _points(value: float) -> Resource:
    return _quantity(value, "points", "{score}")


def _percent(share: float) -> float:
    return _short(100 * share)


def _short(number: float) -> float:
    """Round to 4 decimals, as `scores.jsonl` does; whole numbers without a point."""
    short = round(number, 4)
    return int(short) if float(short).is_integer() else short


def _period(estimate: Estimate) -> dict[str, str] | None:
    if estimate.window_start is None or estimate.window_end is None:
        return None
    return {
        "start": format_time(estimate.window_start),
        "end": format_time(estimate.window_end),
    }


def _reference(resource: Resource) -> Resource:
    return {"reference": f"urn:uuid:{resource['id']}", "type": resource["resourceType"]}


def _identity(kind: str, subject: Subject, content: object) -> str:
    name = [kind, subject.system, subject.value, content]
    return str(uuid5(NAMESPACE, json.dumps(name, sort_keys=True)))


def _estimate_identity(kind: str, subject: Subject, made: Issued) -> str:
    content = _without_user(estimate_record(made.estimate))
    return _identity(kind, subject, [content, format_time(made.issued), made.version])


def _without_user(record: Mapping[str, Any]) -> dict[str, Any]:
    """Leave the app's own id out: the receiver knows the person by another one."""
    return {name: value for name, value in record.items() if name != "user_id"}


def _text(text: str) -> str:
    """Give a text as FHIR takes it: without control characters, not blank."""
    kept = "".join(" " if ord(letter) < 32 or ord(letter) == 127 else letter for letter in text)
    return " ".join(kept.split()) or "not told"


def _spaced(text: str) -> bool:
    return any(letter.isspace() for letter in text)
