"""FHIR R4 QuestionnaireResponse: one resource, a Bundle, or NDJSON as bulk exports write it.

Owns the matching of a response's items to an instrument and the reading of an answer as points.
Does not know how a questionnaire is scored (`answers`, `instruments`). Streams NDJSON; of a
Bundle one entry list is held.

An item is matched by its code first: a LOINC code on the item itself, on the item of the
Questionnaire with the same linkId (contained, in the same Bundle, or on an earlier line), or at
the end of its ``definition``. Then by its linkId: one that was mapped (``item1=LINKID``), or one
that ends in the LOINC code ("/44250-9"). An answer is a LOINC answer code, a whole number, or a
coding with the ordinalValue (R4) or itemWeight (R5) extension. Responses that are not completed or
amended, and those of other questionnaires, are left out and counted.

References
----------
https://hl7.org/fhir/R4/questionnaireresponse.html
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from sottovoce.conversations import QuestionnaireResponse, located
from sottovoce.errors import DataError, describe
from sottovoce.instruments import INSTRUMENTS, Instrument
from sottovoce.readers.answers import Answers, points, response, total_points
from sottovoce.readers.clock import Clock
from sottovoce.readers.documents import read_objects
from sottovoce.readers.fhir_items import LOINC, Leaf, Matcher, QuestionnaireCodes, leaves
from sottovoce.readers.options import ReadOptions, Tally
from sottovoce.readers.turns import identifier

KEPT_STATUSES = ("completed", "amended")
STATUSES = (*KEPT_STATUSES, "in-progress", "entered-in-error", "stopped")
ORDINAL_EXTENSIONS = (
    "http://hl7.org/fhir/StructureDefinition/ordinalValue",
    "http://hl7.org/fhir/StructureDefinition/itemWeight",
)


def read_fhir(
    path: str | Path, options: ReadOptions | None = None, tally: Tally | None = None
) -> Iterator[QuestionnaireResponse]:
    """Read QuestionnaireResponse resources one at a time.

    Parameters
    ----------
    path
        JSON or NDJSON.
    options
        Uses `instrument` (where the items fit more than one), `columns` (item1.., total: linkIds)
        and `zone`.
    tally
        Counts what was left out or assumed.

    Raises
    ------
    DataError
        With file, line and field, at the first response that cannot be read.
    """
    options, tally = options or ReadOptions(), tally or Tally()
    reading = _Reading(options, tally)
    for line, document in read_objects(path):
        for resource in _resources(document, path, line):
            try:
                yield from reading.responses(resource)
            except DataError as error:
                raise located(error, path, line) from None


def _resources(document: dict[str, Any], path: str | Path, line: int) -> Sequence[dict[str, Any]]:
    """Give the resources of a document, Questionnaires first, as responses refer to them."""
    if document.get("resourceType") != "Bundle":
        return [document]
    entries = document.get("entry", [])
    if not isinstance(entries, list):
        raise DataError(
            f"it is {describe(entries)}", path=path, line=line, field="entry", fix="give a list"
        )
    resources = [each.get("resource") for each in entries if isinstance(each, dict)]
    found = [each for each in resources if isinstance(each, dict)]
    return sorted(found, key=lambda each: each.get("resourceType") != "Questionnaire")


class _Reading:
    """One pass over a file, with the Questionnaires seen so far."""

    def __init__(self, options: ReadOptions, tally: Tally) -> None:
        self.options, self.tally = options, tally
        self.clock = Clock(options, tally)
        self.codes = QuestionnaireCodes()

    def responses(self, resource: dict[str, Any]) -> Iterator[QuestionnaireResponse]:
        """Give the responses of one resource: none, one, or one per instrument in it."""
        kind = resource.get("resourceType")
        if kind == "Questionnaire":
            self.codes.learn(resource)
        elif not isinstance(kind, str):
            raise DataError(
                f"it is {describe(kind)}", field="resourceType", fix="give FHIR R4 resources"
            )
        elif kind != "QuestionnaireResponse":
            self.tally.left_out["resources of another kind"] += 1
        elif self._is_kept(resource):
            yield from self._scored(resource)

    def _is_kept(self, resource: dict[str, Any]) -> bool:
        status = resource.get("status")
        if status not in STATUSES:
            raise DataError(
                f"it is {describe(status)}",
                field="status",
                fix="give completed or amended, as FHIR asks",
            )
        if status not in KEPT_STATUSES:
            self.tally.left_out["responses that are not completed"] += 1
        return status in KEPT_STATUSES

    def _scored(self, resource: dict[str, Any]) -> Iterator[QuestionnaireResponse]:
        known, panels = self.codes.of(resource)
        matcher = Matcher(leaves(resource), known, self.options.columns)
        chosen = self._instruments(matcher, panels)
        if not chosen:
            self.tally.left_out["responses to other questionnaires"] += 1
        for used in chosen:
            items, total = matcher.match(used)
            answers = Answers(
                _subject(resource),
                used,
                self.clock.moment(resource.get("authored"), field="authored"),
                [_points(items.get(item.number), used) for item in used.items] if items else None,
                None if total is None else _total(total),
            )
            read = response(answers, self.tally)
            if read is not None:
                yield read

    def _instruments(self, matcher: Matcher, panels: frozenset[str]) -> list[Instrument]:
        if self.options.instrument is not None:
            used = self.options.questionnaire()
            items, total = matcher.match(used)
            return [used] if items or total is not None else []
        if self.options.columns:
            self.options.questionnaire()
        found = {}
        for each in INSTRUMENTS.values():
            items, total = matcher.match(each)
            marks: set[str | None] = {item.loinc for item in each.items if item.number in items}
            marks |= {each.loinc_total} if total is not None else set()
            if marks:
                found[each.key] = marks | (panels & {each.loinc_panel})
        kept = [key for key in found if not any(found[key] < other for other in found.values())]
        if len({frozenset(found[key]) for key in kept}) < len(kept):
            raise DataError(
                "the items fit more than one questionnaire",
                field="item",
                fix=f"add --instrument with one of {', '.join(sorted(kept))}",
            )
        return [INSTRUMENTS[key] for key in kept]


def _subject(resource: Mapping[str, Any]) -> str:
    """Give the id of the subject: of "Patient/17" or ".../Patient/17/_history/2" the 17."""
    subject = resource.get("subject")
    subject = subject if isinstance(subject, dict) else {}
    reference, named = subject.get("reference"), subject.get("identifier")
    if isinstance(reference, str) and "/" in reference:
        reference = reference.split("/_history/")[0].rstrip("/").rsplit("/", 1)[-1]
    if reference is None and isinstance(named, dict):
        reference = named.get("value")
    return identifier(reference, field="subject.reference")


def _answer(leaf: Leaf) -> Mapping[str, Any] | None:
    if not leaf.answers:
        return None
    if len(leaf.answers) > 1 or not isinstance(leaf.answers[0], dict):
        raise DataError(
            f"there are {len(leaf.answers)} answers to one item",
            field=leaf.place + ".answer",
            fix="give one",
        )
    return leaf.answers[0]


def _points(leaf: Leaf | None, used: Instrument) -> int | None:
    answer = None if leaf is None else _answer(leaf)
    if leaf is None or answer is None:
        return None
    field = leaf.place + ".answer"
    for name in ("valueInteger", "valueDecimal"):
        if name in answer:
            return points(answer[name], used, field=f"{field}.{name}")
    coding = answer.get("valueCoding")
    coding = coding if isinstance(coding, dict) else {}
    if coding.get("system", LOINC) == LOINC:
        for option in used.options:
            if option.loinc == coding.get("code"):
                return option.points
    ordinal = _ordinal(coding) if _ordinal(coding) is not None else _ordinal(answer)
    if ordinal is None:
        raise DataError(
            "the answer has no points",
            field=field,
            fix="give a LOINC answer code, a whole number, or an ordinalValue extension",
        )
    return points(ordinal, used, field=field)


def _ordinal(holder: Mapping[str, Any]) -> object:
    extensions = holder.get("extension")
    for extension in extensions if isinstance(extensions, list) else []:
        if isinstance(extension, dict) and extension.get("url") in ORDINAL_EXTENSIONS:
            found: object = extension.get("valueDecimal", extension.get("valueInteger"))
            return found
    return None


def _total(leaf: Leaf) -> float | None:
    answer = _answer(leaf)
    if answer is None:
        return None
    quantity = answer.get("valueQuantity")
    value = quantity.get("value") if isinstance(quantity, dict) else None
    for name in ("valueInteger", "valueDecimal"):
        value = answer.get(name, value)
    if value is None:
        raise DataError(
            "the total is not a number", field=leaf.place + ".answer", fix="give valueInteger"
        )
    return total_points(value, field=leaf.place + ".answer")
