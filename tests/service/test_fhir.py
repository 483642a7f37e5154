"""Both the official R4 schema and fhir.resources must take what is exported.

fhir.resources has classes of R4B, not of R4; for the resources that are exported their elements are
compared with those of the R4 schema below. It checks what the schema does not: that required codes
are there.
"""

import json
import re
from datetime import UTC, datetime, timedelta, timezone
from importlib import import_module
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.made import NOON, estimate, response
from tests.service.fhir_schema import RESOURCES, cut, problems, schema

from sottovoce.errors import DataError
from sottovoce.estimates import Estimate
from sottovoce.instruments import GAD_7, INSTRUMENTS, PHQ_8, PHQ_9
from sottovoce.readers import ReadOptions, Tally, read
from sottovoce.service.fhir import SYSTEM, Issued, Subject, bundle

OWN_ID = "the-id-inside-the-app"
PAGE = Path(__file__).parents[2] / "docs" / "fhir.md"
ADA = Subject("https://clinic.example/ids", "17")
PATIENT = {"type": "Patient", "identifier": {"system": ADA.system, "value": ADA.value}}


def issued(made):
    return Issued(made, NOON + timedelta(minutes=5), "0.5.0")


def exported(*estimates, responses=()):
    return bundle(ADA, map(issued, estimates), responses)


def resources(whole, kind):
    found = [each["resource"] for each in whole.get("entry", [])]
    return [each for each in found if each["resourceType"] == kind]


def estimated(whole):
    return [each for each in resources(whole, "Observation") if each["status"] == "preliminary"]


def r4b(kind):
    return getattr(import_module(f"fhir.resources.R4B.{kind.lower()}"), kind)


def check(whole):
    text = json.dumps(whole, allow_nan=False)
    assert problems(json.loads(text)) == []
    r4b("Bundle").model_validate_json(text)
    for each in whole.get("entry", []):
        r4b(each["resource"]["resourceType"]).model_validate(each["resource"])


def codes(node):
    """Give every (system, code) anywhere in a resource."""
    if isinstance(node, list):
        return {pair for each in node for pair in codes(each)}
    if not isinstance(node, dict):
        return set()
    own = {(node["system"], node["code"])} if {"system", "code"} <= set(node) else set()
    return own | {pair for each in node.values() for pair in codes(each)}


def references(node):
    if isinstance(node, list):
        return {found for each in node for found in references(each)}
    if not isinstance(node, dict):
        return set()
    own = {node["reference"]} if "reference" in node else set()
    return own | {found for each in node.values() for found in references(each)}


def components(observation):
    return {
        each["code"]["coding"][0]["code"]: each.get("valueQuantity", each.get("valueInteger"))
        for each in observation["component"]
    }


def test_an_estimate_is_a_preliminary_observation_of_its_own_code():
    whole = exported(estimate())
    check(whole)
    (observation,) = estimated(whole)
    (coding,) = observation["code"]["coding"]
    assert (coding["system"], coding["code"]) == (SYSTEM, "phq-9-total-estimated")
    assert observation["subject"] == PATIENT
    points = {"unit": "points", "system": "http://unitsofmeasure.org", "code": "{score}"}
    assert observation["valueQuantity"] == {"value": 11, **points}
    assert observation["effectivePeriod"] == {
        "start": "2025-02-28T12:00:00Z",
        "end": "2025-03-14T12:00:00Z",
    }
    assert observation["issued"] == "2025-03-14T12:05:00Z"
    assert "not a diagnosis" in observation["note"][0]["text"]
    assert "did not answer" in observation["method"]["text"]


def test_the_interval_stands_in_components_beside_the_value():
    (observation,) = estimated(exported(estimate(coverage=0.57)))
    found = components(observation)
    assert (found["interval-lower"]["value"], found["interval-upper"]["value"]) == (5, 17)
    assert (found["interval-coverage"]["value"], found["interval-coverage"]["code"]) == (57, "%")
    assert found["user-messages"] == 12
    assert "referenceRange" not in observation


def test_the_device_names_the_model_and_the_software():
    whole = exported(estimate(), estimate(score=3.0))
    (device,) = resources(whole, "Device")
    assert device["deviceName"] == [{"name": "made-up", "type": "model-name"}]
    assert device["version"][0]["value"] == "0.5.0"
    pointed = {each["device"]["reference"] for each in estimated(whole)}
    assert pointed == {f"urn:uuid:{device['id']}"}


def test_an_estimate_is_derived_from_the_messages_and_from_no_questionnaire():
    whole = exported(estimate(), responses=[response()])
    (observation,) = estimated(whole)
    (document,) = resources(whole, "DocumentReference")
    assert [each["reference"] for each in observation["derivedFrom"]] == [
        f"urn:uuid:{document['id']}"
    ]
    assert document["context"]["period"] == observation["effectivePeriod"]
    (content,) = document["content"]
    assert set(content["attachment"]) == {"title"}


def test_an_abstention_says_why_and_has_no_risk():
    whole = exported(estimate(score=None))
    check(whole)
    (observation,) = estimated(whole)
    assert not {"valueQuantity", "interpretation"} & set(observation)
    absent = observation["dataAbsentReason"]
    assert [each["code"] for each in absent["coding"]] == ["not-performed", "abstained"]
    assert absent["text"] == "too little conversation"
    assert set(components(observation)) == {"user-messages"}
    assert resources(whole, "RiskAssessment") == []


def test_an_abstention_about_a_person_without_messages_has_no_period():
    whole = exported(estimate(score=None, window_start=None, window_end=None, n_messages=0))
    check(whole)
    (observation,) = estimated(whole)
    assert not {"effectivePeriod", "derivedFrom"} & set(observation)
    assert resources(whole, "DocumentReference") == []


def test_each_cut_off_is_a_risk_in_percent_resting_on_the_observation():
    whole = exported(estimate(p_at_least={10: 0.6234, 5: 0.9, 20: 0.0001}))
    check(whole)
    (observation,) = estimated(whole)
    risks = resources(whole, "RiskAssessment")
    told = {
        each["prediction"][0]["outcome"]["coding"][0]["code"]: each["prediction"][0]
        for each in risks
    }
    chances = {code: each["probabilityDecimal"] for code, each in told.items()}
    assert chances == {
        "phq-9-total-at-least-5": 90,
        "phq-9-total-at-least-10": 62.34,
        "phq-9-total-at-least-20": 0.01,
    }
    least = told["phq-9-total-at-least-20"]["rationale"]
    assert least.startswith("A probability of 0.01 percent of a PHQ-9 total at or above 20")
    for risk in risks:
        assert risk["status"] == "preliminary"
        assert risk["basis"] == [
            {"reference": f"urn:uuid:{observation['id']}", "type": "Observation"}
        ]
        assert risk["prediction"][0]["whenPeriod"] == observation["effectivePeriod"]


def test_a_questionnaire_is_given_with_its_codes_and_its_total():
    whole = exported(responses=[response(total=12, items=(3, 3, 2, 2, 1, 1, 0, 0, 0))])
    check(whole)
    (filled,) = resources(whole, "QuestionnaireResponse")
    assert filled["questionnaire"].endswith(f"/{PHQ_9.loinc_panel}")
    assert [each["linkId"] for each in filled["item"]] == [
        *(item.loinc for item in PHQ_9.items),
        PHQ_9.loinc_total,
    ]
    answered = [each["answer"][0]["valueCoding"]["code"] for each in filled["item"][:-1]]
    assert answered == [PHQ_9.options[each].loinc for each in (3, 3, 2, 2, 1, 1, 0, 0, 0)]
    (total,) = resources(whole, "Observation")
    assert total["code"]["coding"] == [{"system": "http://loinc.org", "code": PHQ_9.loinc_total}]
    assert (total["status"], total["valueQuantity"]["value"]) == ("final", 12)
    assert total["derivedFrom"][0]["reference"] == f"urn:uuid:{filled['id']}"
    assert "note" not in total


def test_a_total_with_missing_items_says_by_which_rule_it_was_made():
    items = (1, 1, 1, 1, 1, 1, 2, None, None)
    whole = exported(responses=[response(total=PHQ_9.total(items), items=items)])
    check(whole)
    (filled,) = resources(whole, "QuestionnaireResponse")
    assert ["answer" in each for each in filled["item"]] == [True] * 7 + [False] * 2 + [True]
    (total,) = resources(whole, "Observation")
    assert total["valueQuantity"]["value"] == 10.2857
    said = total["note"][0]["text"]
    assert said.startswith("2 of 9 items were not answered. ")
    assert PHQ_9.missing_rule in said


@pytest.mark.parametrize(
    "filled",
    [
        response(instrument="phq-8", total=8, items=(1,) * 8),
        response(total=None, items=(1, None, None, None, 1, 1, 1, 1, 1)),
    ],
)
def test_without_a_total_or_its_code_there_is_no_observation(filled):
    whole = exported(responses=[filled])
    check(whole)
    assert resources(whole, "QuestionnaireResponse")
    assert resources(whole, "Observation") == []


def answered(used):
    points = st.none() | st.integers(0, used.item_maximum)
    count = len(used.items)
    some = st.lists(points, min_size=count, max_size=count).filter(lambda each: set(each) != {None})
    whole = st.integers(used.minimum, used.maximum).map(lambda total: {"total": total})
    scored = some.map(lambda items: {"total": used.total(items), "items": tuple(items)})
    moment = st.integers(0, 10**8).map(lambda seconds: NOON + timedelta(seconds=seconds))
    return st.builds(
        lambda fields, at: response("17", instrument=used.key, completed_at=at, **fields),
        scored | whole,
        moment,
    )


@pytest.mark.parametrize("used", INSTRUMENTS.values(), ids=lambda each: each.key)
def test_the_package_reads_back_what_it_wrote(used, tmp_path_factory):
    path = tmp_path_factory.mktemp("fhir") / "bundle.json"
    # without a code for the total the reader is told under which name it stands
    columns = {} if used.loinc_total else {"total": "total"}
    options = ReadOptions(instrument=used.key, columns=columns)

    @given(answered(used))
    @settings(max_examples=40)
    def reads_back(filled):
        path.write_text(json.dumps(exported(estimate("17"), responses=[filled])), "utf-8")
        assert list(read(path, "fhir", options, Tally())) == [filled]

    reads_back()


@pytest.mark.parametrize("used", [PHQ_9, GAD_7], ids=lambda each: each.key)
def test_the_panel_tells_the_reader_which_questionnaire_it_is(used, tmp_path):
    filled = response(
        "17", instrument=used.key, total=len(used.items), items=(1,) * len(used.items)
    )
    path = tmp_path / "bundle.json"
    path.write_text(json.dumps(exported(responses=[filled])), "utf-8")
    assert list(read(path, "fhir", ReadOptions(), Tally())) == [filled]


TEXTS = st.text(
    st.characters(exclude_categories=("Cs",)) | st.sampled_from("\x00\x07\x1f \u00a0\n\u2028🙂م"),
    min_size=1,
    max_size=12,
)
ZONES = st.integers(-12 * 60, 14 * 60).map(lambda late: timezone(timedelta(minutes=late)))
TIMES = st.datetimes(
    datetime.fromisoformat("1900-01-01"),  # hypothesis adds the zones
    datetime.fromisoformat("2200-01-01"),
    timezones=ZONES | st.just(UTC),
)


@st.composite
def estimates(draw):
    used = draw(st.sampled_from(list(INSTRUMENTS.values())))
    abstained = draw(st.booleans())
    within = st.floats(used.minimum, used.maximum, allow_nan=False)
    low, score, high = sorted(draw(st.tuples(within, within, within)))
    times = sorted(draw(st.tuples(TIMES, TIMES)))
    timeless = abstained and draw(st.booleans())
    chances = st.dictionaries(st.integers(0, 999), st.floats(0, 1), max_size=3)
    return Estimate(
        user_id=OWN_ID,
        instrument=used.key,
        window_start=None if timeless else times[0],
        window_end=None if timeless else times[1],
        score=None if abstained else score,
        lower=None if abstained else low,
        upper=None if abstained else high,
        coverage=draw(st.floats(0.001, 0.999)),
        p_at_least=draw(chances),
        band=None if abstained or draw(st.booleans()) else used.band(score).name,
        n_messages=draw(st.integers(0, 2**31 - 1)),
        abstained=abstained,
        reason=draw(TEXTS) if abstained else None,
        model_id=draw(TEXTS),
    )


@given(st.lists(estimates(), max_size=3), st.lists(answered(PHQ_8), max_size=1))
@settings(max_examples=40)
def test_odd_estimates_are_still_sound_resources(made, filled):
    filled = [response(OWN_ID, each.total, items=each.items, instrument="phq-8") for each in filled]
    whole = bundle(ADA, map(issued, made), filled)
    check(whole)
    urls = [each["fullUrl"] for each in whole.get("entry", [])]
    assert len(urls) == len(set(urls))
    assert references(whole) <= set(urls)
    assert OWN_ID not in json.dumps(whole)
    totals = {("http://loinc.org", each.loinc_total) for each in INSTRUMENTS.values()}
    assert not totals & codes(whole)
    for risk in resources(whole, "RiskAssessment"):
        assert 0 <= risk["prediction"][0]["probabilityDecimal"] <= 100


def test_an_export_repeated_is_the_same():
    first = exported(estimate(), responses=[response()])
    assert exported(estimate(), responses=[response()]) == first
    assert exported(estimate(), estimate(), responses=[response(), response()]) == first
    again = exported(estimate(score=11.5), responses=[response(total=13)])
    urls = [{each["fullUrl"] for each in whole["entry"]} for whole in (first, again)]
    shared = {
        each["id"] for each in (*resources(first, "Device"), *resources(first, "DocumentReference"))
    }
    assert urls[0] & urls[1] == {f"urn:uuid:{each}" for each in shared}


def test_ids_of_one_person_are_not_those_of_another():
    other = bundle(Subject(ADA.system, "18"), [issued(estimate())], [response()])
    shared = {each["fullUrl"] for each in exported(estimate(), responses=[response()])["entry"]}
    shared &= {each["fullUrl"] for each in other["entry"]}
    assert shared == {f"urn:uuid:{each['id']}" for each in resources(other, "Device")}


def test_nothing_known_is_a_bundle_without_entries():
    whole = exported()
    check(whole)
    assert "entry" not in whole


def test_records_of_two_people_are_refused():
    with pytest.raises(DataError, match="the records are of 2 people; export one at a time"):
        exported(estimate("ada"), responses=[response("bob")])


@pytest.mark.parametrize("system", ["", "clinic", "http:", "urn:with space", ":x"])
def test_a_system_that_is_no_uri_is_refused(system):
    with pytest.raises(DataError, match="no absolute URI"):
        Subject(system, "17")


@pytest.mark.parametrize("value", ["", "  ", "a\x00b", " 17"])
def test_an_identifier_that_fhir_has_no_room_for_is_refused(value):
    with pytest.raises(DataError, match="field value"):
        Subject(ADA.system, value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"status": "guessed"}, "'guessed' is not one of"),
        ({"estimate": 1}, "'estimate' was unexpected"),
        ({"valueQuantity": {"points": 3}}, "'points' was unexpected"),
        ({"issued": "yesterday"}, "'yesterday' does not match"),
    ],
)
def test_the_schema_would_say_what_is_wrong(change, told):
    whole = exported(estimate())
    for each in estimated(whole):
        each.update(change)
    assert told in " ".join(problems(whole))


def test_the_schema_is_one_that_was_cut():
    assert cut(schema()) == schema()


@pytest.mark.parametrize("kind", RESOURCES)
def test_r4b_has_the_elements_of_r4_here(kind):
    official = {
        name for name in schema()["definitions"][kind]["properties"] if not name.startswith("_")
    }
    fields = {each.alias or name for name, each in r4b(kind).model_fields.items()}
    fields = {each for each in fields if not each.startswith("_") and not each.endswith("__ext")}
    assert official <= fields | {"resourceType"}


def test_the_page_shows_what_the_code_makes():
    (shown,) = re.findall(r"```json\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    (observation,) = estimated(exported(estimate()))
    assert json.loads(shown) == observation


def test_the_code_of_the_page_runs():
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
    names = {"estimate": estimate(), "made_at": NOON, "questionnaires": [response()]}
    exec(code, names)
    check(names["whole"])
    assert len(estimated(names["whole"])) == 1


def test_the_page_names_every_code_of_our_own():
    whole = exported(estimate(), estimate(score=None))
    own = {code for system, code in codes(whole) if system == SYSTEM}
    told = PAGE.read_text("utf-8")
    named = {code.replace("phq-9", "KEY") for code in own}
    named = {re.sub(r"at-least-\d+", "at-least-N", code) for code in named}
    assert {code for code in named if f"`{code}`" not in told} == set()
    assert SYSTEM in told
