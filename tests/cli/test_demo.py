"""The command around the main job, with a quick stand-in for the estimator's 120 readings.

`tests/test_demo.py` runs the real thing once.
"""

import json

import pytest

from sottovoce import bundled, demo, ladder
from sottovoce.datasets import open_dataset

pytestmark = pytest.mark.usefixtures("quick_figures", "quick_reading")


def predictors() -> list[str]:
    """Name everybody whom the demo sets side by side, in order."""
    baselines = [ladder.RUNGS[key].title for key in demo.RUNGS]
    return [*baselines, demo.ESTIMATOR, *open_dataset("bundled").references]


def test_the_tables_name_every_predictor_and_call_the_people_simulated(run, tmp_path):
    out = tmp_path / "demo"
    outcome = run("demo", "--out", out)
    assert outcome.exit_code == 0
    for name in predictors():
        assert name in outcome.stdout
    assert "120 simulated test people" in outcome.stdout
    assert "nominal coverage 90%" in outcome.stdout
    assert "Next: sottovoce score" in outcome.stderr
    assert sorted(path.name for path in out.iterdir()) == [
        *("DATASHEET.md", "MODEL_CARD.md", "benchmark.json", "contents.json", "figures"),
        *("report.html", "scores.jsonl", "tables"),
    ]
    page = (out / "report.html").read_text("utf-8")
    assert page.count("A simulated person, taken by rank and not for a good fit.") == 3
    assert "http://" not in page.replace("http://www.w3.org", "")
    refused = run("demo", "--out", out)
    assert (refused.exit_code, "add --force" in refused.stderr) == (1, True)


def test_json_is_one_object_and_the_same_as_the_file(run, tmp_path):
    outcome = run("demo", "--out", tmp_path / "demo", "--json")
    printed = json.loads(outcome.stdout)
    assert printed == json.loads((tmp_path / "demo" / "benchmark.json").read_text("utf-8"))
    assert printed["simulated"] is True
    assert [row["name"] for row in printed["comparison"]["rows"]] == predictors()


def test_the_recorded_annotator_and_the_states_cover_the_test_people():
    test = bundled.users("test")
    assert test <= bundled.annotator_totals().keys()
    assert test <= bundled.state_totals().keys()


def test_a_file_is_no_folder_for_a_report_even_by_force(run, tmp_path):
    (tmp_path / "demo").write_text("mine", "utf-8")
    refused = run("demo", "--out", tmp_path / "demo", "--force")
    assert (refused.exit_code, "this is a file" in refused.stderr) == (1, True)
    assert (tmp_path / "demo").read_text("utf-8") == "mine"
