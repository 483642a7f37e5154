"""The main job, run once for the whole session as a stranger would run it."""

import json

import pytest
from tests.browser import rendered

from sottovoce.estimates import read_scores


def test_the_demo_prints_every_predictor_with_intervals(demo_run):
    for name in (
        "mean predictor",
        "TF-IDF + ridge",
        "MiniLM + ridge",
        "this estimator",
        "annotator",
        "noise ceiling",
    ):
        assert name in demo_run.stdout
    assert "never evidence of clinical accuracy" in demo_run.stdout
    assert "Next: sottovoce score" in demo_run.stderr


def test_everybody_of_the_test_split_is_scored(demo_run):
    estimates = list(read_scores(demo_run.out / "scores.jsonl"))
    assert len({each.user_id for each in estimates}) == len(estimates) == 120
    assert not any(each.abstained for each in estimates)


def test_the_estimator_meets_its_bar_on_the_simulated_test_people(demo_run):
    rows = {row["name"]: row for row in demo_run.result["comparison"]["rows"]}
    ours = rows["this estimator"]
    assert ours["r"]["value"] >= 0.60
    for baseline in ("mean predictor", "TF-IDF + ridge", "MiniLM + ridge"):
        assert ours["mae"]["value"] < rows[baseline]["mae"]["value"]
        assert rows[baseline]["differences"]["mae"]["lower"] is not None
    covered = demo_run.result["evaluation"]["metrics"]["coverage"]["value"]
    assert covered == pytest.approx(0.9, abs=0.05)


def test_the_report_opens_in_a_browser_and_needs_nothing_else(demo_run):
    page = (demo_run.out / "report.html").read_text("utf-8")
    assert 'src="http' not in page
    shown = rendered(demo_run.out / "report.html")
    for words in ("imulated", "this estimator", "coverage", "severity"):
        assert words in shown
    assert shown.count("<svg") >= 5


def test_the_result_has_no_nan(demo_run):
    text = json.dumps(demo_run.result)
    assert "NaN" not in text
    assert "Infinity" not in text
