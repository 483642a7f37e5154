import json
from datetime import UTC, datetime

import pytest

from sottovoce.instruments import GAD_7, PHQ_9

START = datetime(2025, 5, 27, 15, tzinfo=UTC)


def answered(item, value):
    return {"linkId": f"/{item.loinc}", "answer": [value]}


def resource(*items, **fields):
    return {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "subject": {"reference": "Patient/17"},
        "authored": "2025-05-27T15:00:00Z",
        "item": list(items),
        **fields,
    }


def whole(points=1, items=PHQ_9.items, **fields):
    return resource(*(answered(item, {"valueInteger": points}) for item in items), **fields)


def test_a_response_is_matched_by_its_link_ids(reading):
    (found,) = reading([whole()], "fhir")
    assert (found.user_id, found.instrument, found.total) == ("17", "phq-9", 9)
    assert found.completed_at == START


def test_a_code_wins_over_a_link_id(reading):
    items = [
        {
            "linkId": f"/{PHQ_9.items[8 - index].loinc}",
            "code": [{"system": "http://loinc.org", "code": item.loinc}],
            "answer": [{"valueInteger": int(index == 0) * 3}],
        }
        for index, item in enumerate(PHQ_9.items)
    ]
    (found,) = reading([resource(*items)], "fhir")
    assert found.items == (3, 0, 0, 0, 0, 0, 0, 0, 0)


def test_the_questionnaire_of_the_bundle_gives_the_codes(reading):
    questionnaire = {
        "resourceType": "Questionnaire",
        "url": "http://example.org/q",
        "code": [{"system": "http://loinc.org", "code": PHQ_9.loinc_panel}],
        "item": [
            {"linkId": f"x{item.number}", "code": [{"code": item.loinc}]} for item in PHQ_9.items
        ],
    }
    items = [{"linkId": f"x{n}", "answer": [{"valueInteger": 2}]} for n in range(1, 9)]
    response = resource(*items, questionnaire="http://example.org/q|2.0")
    bundle = {
        "resourceType": "Bundle",
        "entry": [
            {"resource": response},
            {"resource": questionnaire},
            {"resource": {"resourceType": "Patient"}},
            {},
        ],
    }
    (found,) = reading(json.dumps(bundle, indent=1), "fhir")
    assert (found.instrument, found.items) == ("phq-9", (2,) * 8 + (None,))
    assert found.total == 18.0
    assert reading.tally.left_out == {"resources of another kind": 1}


def test_eight_items_alone_may_be_either_questionnaire(reading):
    eight = whole(items=PHQ_9.items[:8])
    assert "--instrument with one of phq-8, phq-9" in reading.refusal([eight], "fhir")
    (found,) = reading([eight], "fhir", instrument="phq-8")
    assert (found.instrument, found.total) == ("phq-8", 8)
    (found,) = reading([eight], "fhir", instrument="phq-9")
    assert (found.instrument, found.total) == ("phq-9", 9.0)


def test_two_instruments_in_one_response_are_two_labels(reading):
    found = reading([whole(items=PHQ_9.items + GAD_7.items)], "fhir")
    assert [(each.instrument, each.total) for each in found] == [("phq-9", 9), ("gad-7", 7)]
    (only,) = reading([whole(items=PHQ_9.items + GAD_7.items)], "fhir", instrument="gad-7")
    assert only.instrument == "gad-7"


def test_what_is_not_completed_or_another_questionnaire_is_left_out(reading):
    found = reading(
        [
            whole(),
            whole(status="in-progress"),
            whole(status="amended", authored="2025-05-28T15:00:00Z"),
            resource({"linkId": "a", "answer": [{"valueString": "secret"}]}),
        ],
        "fhir",
    )
    assert len(found) == 2
    assert reading.tally.left_out == {
        "responses that are not completed": 1,
        "responses to other questionnaires": 1,
    }


@pytest.mark.parametrize("value", ["valueInteger", "valueDecimal", "valueQuantity"])
def test_a_total_alone_is_enough(reading, value):
    answer = {value: {"value": 14} if value == "valueQuantity" else 14}
    item = {"linkId": f"/{PHQ_9.loinc_total}", "answer": [answer]}
    (found,) = reading([resource(item)], "fhir")
    assert (found.total, found.items) == (14, None)


@pytest.mark.parametrize(
    ("reference", "user_id"),
    [
        ("Patient/17", "17"),
        ("https://example.org/fhir/Patient/17/_history/3", "17"),
        ("urn:uuid:0f", "urn:uuid:0f"),
    ],
)
def test_the_subject_is_the_user(reading, reference, user_id):
    (found,) = reading([whole(subject={"reference": reference})], "fhir")
    assert found.user_id == user_id
    (found,) = reading([whole(subject={"identifier": {"value": "mrn-5"}})], "fhir")
    assert found.user_id == "mrn-5"


FIRST = PHQ_9.items[0]


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ({"a": "secret"}, "line 1, field resourceType: it is nothing"),
        (whole(status="secret"), "field status: it is text of 6 characters"),
        (whole(subject=None), "field subject.reference: it is nothing"),
        (whole(subject={"reference": " "}), "field subject.reference: it is text of 1"),
        (whole(authored=None), "field authored: the time is nothing"),
        (whole(authored="2025-05-27"), "field authored: the time has no time zone"),
        (whole(authored="2025-05"), "field authored: the time is not ISO 8601"),
        (whole(points=4), "item 1 is 4, and an item runs from 0 to 3"),
        (whole(points=1.5), "item[1].answer.valueInteger: the answer is a number"),
        (whole(points="secret"), "the answer is text of 6 characters"),
        (resource(*whole()["item"], answered(FIRST, {"valueInteger": 1})), "field item[10]: two"),
        (
            resource(*whole()["item"][1:], answered(FIRST, {"valueString": "secret"})),
            "field item[9].answer: the answer has no points",
        ),
        (
            resource(*whole()["item"][1:], answered(FIRST, {"valueCoding": {"code": "secret"}})),
            "field item[9].answer: the answer has no points",
        ),
        (
            resource({"linkId": f"/{FIRST.loinc}", "answer": [{}, {}]}, *whole()["item"][1:]),
            "there are 2 answers to one item",
        ),
        (
            resource({"linkId": f"/{PHQ_9.loinc_total}", "answer": [{"valueString": "secret"}]}),
            "the total is not a number",
        ),
        (
            resource({"linkId": f"/{PHQ_9.loinc_total}", "answer": [{"valueInteger": 28}]}),
            "the total is 28, and PHQ-9 runs from 0 to 27",
        ),
        ({"resourceType": "Bundle", "entry": "secret"}, "field entry: it is text of 6"),
        ({"resourceType": "Patient"}, "nothing is left to write (1 resources of another kind)"),
    ],
)
def test_bad_resources_are_refused_in_one_sentence(reading, document, problem):
    sentence = reading.refusal([document], "fhir")
    assert problem in sentence
    assert "secret" not in sentence


def test_what_is_no_item_and_what_has_no_answer_is_passed_over(reading):
    total = {"linkId": f"/{PHQ_9.loinc_total}"}
    found = reading([whole(), resource("secret", total)], "fhir")
    assert len(found) == 1
    assert reading.tally.left_out == {"questionnaires without any answer": 1}


def test_mapped_link_ids_need_the_instrument(reading):
    sentence = reading.refusal([whole()], "fhir", columns={"item1": "a"})
    assert "add --instrument" in sentence
