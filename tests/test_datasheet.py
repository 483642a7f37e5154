import re

import pytest
import yaml
from tests import corpora, made

from sottovoce.datasets import open_dataset
from sottovoce.datasheet import OPEN, write_datasheet
from sottovoce.report.checklists import GUIDELINES, datasheet
from sottovoce.report.holdings import HOLDINGS


@pytest.fixture(scope="module")
def report():
    return made.report()


@pytest.fixture(scope="module")
def simulated():
    return open_dataset("bundled")


def answers(report, dataset):
    return {row.number: row.answer for row in datasheet(report, dataset).rows}


def test_every_answer_is_asked_for():
    items = yaml.safe_load((GUIDELINES / "datasheet.yaml").read_text("utf-8"))["items"]
    assert {item["knows"] for item in items if "knows" in item} == set(HOLDINGS)


def test_the_sections_are_those_of_the_publication(report, simulated):
    rows = datasheet(report, simulated).rows
    assert list(dict.fromkeys(row.section for row in rows)) == [
        "Motivation",
        "Composition",
        "Collection",
        "Preprocessing",
        "Uses",
        "Distribution",
        "Maintenance",
    ]


def test_the_sheet_of_the_bundled_cohort_says_what_it_holds(report, simulated, tmp_path):
    text = write_datasheet(tmp_path / "DATASHEET.md", simulated, report).read_text()
    assert text.startswith("# Datasheet: dialogues (simulated)\n")
    assert "**Simulated people; never evidence of clinical accuracy.**" in text
    assert "480 people, 826 conversations" in text
    assert "320 questionnaires" in text
    assert "200 train, 160 unlabelled, 120 test" in text
    questions = re.findall(r"^\*\*\d\.\d+ ", text, re.MULTILINE)
    assert len(questions) == len(datasheet(report, simulated).rows)
    assert text.count(OPEN) == sum(row.answer is None for row in datasheet(report, simulated).rows)


def test_consent_and_ethics_stay_open(report, simulated):
    said = answers(report, simulated)
    assert (said["1.1"], said["3.4"], said["3.5"], said["7.1"]) == (None, None, None, None)


def test_real_people_s_data_are_sensitive_and_made_up_times_are_no_dates(report, tmp_path):
    table = corpora.dep_wor(tmp_path, ("0.0", "25.0", "3"))
    said = answers(report, open_dataset("dep-wor", table))
    assert "health data" in said["2.10"]
    assert said["3.1"] is None
    assert "made up" in said["3.2"]
    assert said["2.6"] == "There is none."
    assert "GPL-3" in said["6.2"]


def test_data_without_a_questionnaire_have_no_label(report, tmp_path):
    table = corpora.covid_worry(tmp_path, "Female,30,Yes,7,8,3,4")
    said = answers(report, open_dataset("covid-worry", table))
    assert said["2.4"].startswith("There is none")
    assert said["2.1"] == "A person: their conversations, and self-rated sadness and anxiety."
    assert said["3.2"] == "Messages from 6 April 2020 to 5 March 2021."


def test_what_was_left_out_on_reading_is_told(report, tmp_path):
    said = answers(report, open_dataset("daic-woz", corpora.daic_woz(tmp_path)))
    assert "2 turns while a session was interrupted" in said["4.1"]
    assert "1 people have conversations" not in said["2.5"]
    assert "1 the other way round" in said["2.5"]
