"""The main job, run once for the whole session as a stranger would run it."""

import json
import re
from pathlib import Path

import pytest
from tests.browser import rendered

from sottovoce.estimates import read_scores

README = (Path(__file__).parents[1] / "README.md").read_text("utf-8")
NUMBER = re.compile(r"[+−-]?\d+(?:\.\d+)?")
TOLERANCE = 0.03
"""Points, or units of r: what another CPU's float32 may move; seen here: 0."""


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


def test_the_demo_block_is_what_the_demo_prints(demo_run):
    (shown,) = re.findall(r"```text\n(.*?)```", README, re.DOTALL)
    printed = demo_run.stdout.replace(str(demo_run.out), "demo")
    assert NUMBER.sub("#", shown).split() == NUMBER.sub("#", printed).split()
    for expected, found in zip(NUMBER.findall(shown), NUMBER.findall(printed), strict=True):
        pair = [float(each.replace("−", "-")) for each in (expected, found)]
        assert pair[0] == pytest.approx(pair[1], abs=TOLERANCE)


def test_what_the_readme_says_of_the_lowest_and_highest_band_is_measured(demo_run):
    said = re.findall(r"bias ([+−][\d.]+)(?: points)?,\s+(?:interval )?coverage ([\d.]+)", README)
    bands = demo_run.result["evaluation"]["bands"]
    assert len(said) == 2
    for (bias, coverage), band in zip(said, (bands[0], bands[-1]), strict=True):
        assert float(bias.replace("−", "-")) == pytest.approx(band["bias"]["value"], abs=0.08)
        assert float(coverage) == pytest.approx(band["coverage"]["value"], abs=TOLERANCE)
