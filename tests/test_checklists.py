from dataclasses import replace

import pytest
import yaml
from tests import corpora, made

from sottovoce.datasets import open_dataset
from sottovoce.evaluation import Check, Robustness, Settings, Shift, Suite, ThresholdRow, evaluate
from sottovoce.metrics import Figure
from sottovoce.report import Report
from sottovoce.report.checklists import GUIDELINES, tripod_ai, tripod_llm
from sottovoce.report.knowledge import KNOWLEDGE, PARTLY

TRIPOD_AI = """
    1 2 3a 3b 3c 4 5a 5b 6a 6b 6c 7 8a 8b 8c 9a 9b 9c 10 11 12a 12b 12c 12d 12e 12f 12g 13 14 15 16
    17 18a 18b 18c 18d 18e 18f 19 20a 20b 20c 21 22 23a 23b 24 25 26 27a 27b 27c
""".split()
"""Collins et al. 2024, table 2."""

TRIPOD_LLM = """
    1 2 3a 3b 4 5a 5b 5c 5d 5e 6a 6b 6c 6d 6e 7a 7b 7c 7d 7e 8a 8b 8c 9a 9b 10 11 12 13
    14a 14b 14c 14d 14e 14f 15 16a 16b 16c 16d 17 18 19a 19b 19c 19d 19e 19f 19g
""".split()
"""Gallifant et al. 2025, table 2."""


@pytest.fixture(scope="module")
def bare():
    """The least that an evaluation of plain scores knows."""
    totals, estimates, users = made.cohort(60)
    scores = [each.score for each in estimates]
    found = evaluate(totals, scores, users, instrument="phq-9", settings=Settings(resamples=100))
    return Report("Plain scores", found)


@pytest.fixture(scope="module")
def rich():
    return made.report()


@pytest.fixture(scope="module")
def simulated():
    return open_dataset("bundled")


def answers(checklist):
    return {row.number: row.answer for row in checklist.rows}


@pytest.mark.parametrize(("fill", "numbers"), [(tripod_ai, TRIPOD_AI), (tripod_llm, TRIPOD_LLM)])
def test_the_items_are_those_of_the_publication(fill, numbers, bare):
    rows = fill(bare).rows
    assert [row.number for row in rows] == numbers
    assert all(row.section and row.asks.endswith(".") for row in rows)
    assert len({row.asks for row in rows}) > 0.9 * len(rows)


def test_an_item_asks_only_what_somebody_can_answer_and_every_answer_is_asked_for():
    asked = set()
    for path in GUIDELINES.glob("tripod_*.yaml"):
        items = yaml.safe_load(path.read_text("utf-8"))["items"]
        asked |= {item["knows"] for item in items if "knows" in item}
    assert asked == set(KNOWLEDGE)


@pytest.mark.parametrize("number", ["1", "2", "3a", "4", "17", "18a", "18b", "19", "25", "27c"])
def test_what_no_run_can_know_stays_open(number, rich, simulated):
    assert answers(tripod_ai(rich, simulated))[number] is None


def test_figures_stand_there_with_interval_and_n(rich):
    mae = rich.evaluation.figures["mae"].text()
    assert mae in answers(tripod_ai(rich))["23a"]
    assert mae in answers(tripod_llm(rich))["17"]


def test_plain_scores_answer_little_and_invent_nothing(bare):
    said = answers(tripod_ai(bare))
    assert "The PHQ-9 total, 0 to 27 points" in said["8a"]
    assert "the model abstained on 6 of 60" in said["11"]
    unknown = ("5a", "5b", "6b", "7", "9b", "12a", "12g", "14", "18e", "18f", "22")
    assert {said[number] for number in unknown} == {None}


def test_answers_are_counted_and_those_in_part_apart(bare):
    checklist = tripod_ai(bare)
    given = [row.answer for row in checklist.rows if row.answer is not None]
    partly = [each for each in given if each.startswith(PARTLY)]
    assert checklist.counted == (
        f"{len(given)} of 52 answered by this run, {len(partly)} of these in part"
    )
    record = checklist.as_dict()
    assert (record["answered"], record["items"]) == (len(given), 52)
    assert record["in_part"] == len(partly)
    assert record["rows"][0]["answer"] is None


def test_a_checklist_without_half_answers_does_not_speak_of_them(bare):
    checklist = tripod_ai(bare)
    kept = tuple(row for row in checklist.rows if not (row.answer or "").startswith(PARTLY))
    whole = replace(checklist, rows=kept)
    assert whole.counted == f"{whole.n_answered} of {len(kept)} answered by this run"


def test_a_data_set_answers_where_data_are_from_and_how_they_are_divided(rich, simulated):
    said = answers(tripod_ai(rich, simulated))
    assert "200 train, 160 unlabelled, 120 test" in said["12a"]
    assert said["18e"] == "Licence: CC0. Where: in the package."
    assert "Its people are simulated." in said["5a"]


def test_made_up_times_are_no_dates(rich, simulated, tmp_path):
    assert answers(tripod_ai(rich))["5b"].endswith("from 1 March 2025 to 2 June 2025.")
    assert answers(tripod_ai(rich, simulated))["5b"] is None
    assert answers(tripod_llm(rich, simulated))["5c"] is None
    dated = open_dataset("covid-worry", corpora.covid_worry(tmp_path, "Female,30,Yes,7,8,3,4"))
    assert answers(tripod_llm(rich, dated))["5c"] == (
        "In part: the data hold messages from 6 April 2020 to 5 March 2021."
    )


def test_what_was_left_out_on_reading_is_told(rich, tmp_path):
    said = answers(tripod_ai(rich, open_dataset("daic-woz", corpora.daic_woz(tmp_path))))
    assert "1 sessions that the corpus excludes" in said["7"]


def test_data_without_a_split_are_said_to_have_none(rich, tmp_path):
    data = open_dataset("dep-wor", corpora.dep_wor(tmp_path, ("0.0", "25.0", "3")))
    assert "the data have no split" in answers(tripod_ai(rich, data))["12a"]


def test_recorded_annotators_are_told(rich, simulated):
    said = answers(tripod_llm(rich, simulated))
    assert "480 people were read by a recorded annotator" in said["8b"]
    assert answers(tripod_llm(rich))["8b"] is None


def test_thresholds_checks_and_disturbances_are_answers(rich):
    threshold = ThresholdRow("chosen on validation people", 10, 8.5, {}, {})
    found = replace(
        rich,
        evaluation=replace(rich.evaluation, thresholds=(threshold,)),
        suite=Suite((Check("length", "Length", "warn", "Why."), Check("order", "O", "pass", "W."))),
        robustness=Robustness((Shift("typos", "Typing errors", 9, 0, {"moved": Figure(0.7)}),)),
    )
    said = answers(tripod_llm(found))
    assert said["6e"] == "Cases are called at an estimate of 8.5 (chosen on validation people)."
    assert "Checks for leaks and shortcuts: 1 pass, 1 warn, 0 fail." in said["19b"]
    assert "Typing errors 0.70" in said["19e"]


def test_a_group_that_is_too_small_is_not_told_by_the_others(rich):
    said = answers(tripod_ai(rich))["20b"]
    assert "by gender 40 woman, 20 man" in said
    assert "by rare" not in said


def test_nothing_is_said_of_figures_that_could_not_be_computed():
    totals, estimates, users = made.cohort(5)
    found = evaluate(totals, estimates, users, instrument="phq-9")
    said = answers(tripod_ai(Report("Five people", found)))
    assert said["23a"] is None
    assert "NaN" not in str(said)
