"""The command, with a quick stand-in for what a backbone reads; the rest is real."""

import csv
import html
import json
import shutil

import pytest
from tests import recipes

from sottovoce.conversations import read_json_lines, write_json_lines
from sottovoce.estimates import read_scores

pytestmark = pytest.mark.usefixtures("quick_figures", "quick_reading")

FILES = {
    *("DATASHEET.md", "MODEL_CARD.md", "benchmark.json", "contents.json", "figures"),
    *("report.html", "scores.jsonl", "tables"),
}


@pytest.fixture
def study(tmp_path):
    """Make somebody's own folder: 40 people, a third of them to train on."""
    folder = tmp_path / "my-study"
    folder.mkdir()
    recipes.write_people(folder, 40)
    rows = [row for _, row in read_json_lines(folder / "people.jsonl")]
    for number, row in enumerate(rows):
        row["split"] = "train" if number % 3 == 0 else "test"
        row["age"] = 20 + number
    write_json_lines(folder / "people.jsonl", rows)
    return folder


def test_leaks_shortcuts_and_disturbances_are_looked_at(run, tmp_path):
    out = tmp_path / "benchmark"
    outcome = run("benchmark", "bundled", "--out", out, "--sample", 12, "--rung", "mean")
    assert outcome.exit_code == 0
    assert {path.name for path in out.iterdir()} == FILES
    found = json.loads((out / "benchmark.json").read_text("utf-8"))
    assert (found["dataset"], found["simulated"]) == ("bundled", True)
    checks = {check["key"]: check["status"] for check in found["suite"]["checks"]}
    assert set(checks.values()) <= {"pass", "warn", "fail"}
    assert found["robustness"]["shifts"]
    for title in ("120 simulated people", "Leaks and shortcuts", "Texts disturbed", "annotator"):
        assert title in outcome.stdout
    assert f"Next: python -m webbrowser {out / 'report.html'}" in outcome.stderr
    thresholds = found["evaluation"]["thresholds"]
    assert thresholds[0]["threshold"] == 10
    assert thresholds[1]["threshold"] is not None  # chosen on training people, out of fold
    page = (out / "report.html").read_text("utf-8")
    for check in found["suite"]["checks"]:
        assert html.escape(check["title"], quote=True).replace("&#x27;", "&#39;") in page
    listed = list(csv.reader((out / "tables" / "leaks.csv").read_text("utf-8").splitlines()))
    assert len(listed) == 1 + len(checks)


def test_one_s_own_folder_is_split_by_its_column(run, study, tmp_path):
    out = tmp_path / "out"
    outcome = run("benchmark", "folder", study, "--out", out, "--sample", 0, "--rung", "mean")
    assert outcome.exit_code == 0
    assert "baselines learn from 14 training people" in outcome.stdout
    found = json.loads((out / "benchmark.json").read_text("utf-8"))
    assert (found["suite"], found["robustness"]) == (None, None)
    scored = {each.user_id for each in read_scores(out / "scores.jsonl")}
    assert len(scored) == 26
    assert "rank" not in (out / "report.html").read_text("utf-8")


def test_words_of_people_who_are_not_simulated_leave_in_no_file(run, study, tmp_path):
    out = tmp_path / "out"
    run("benchmark", "folder", study, "--out", out, "--sample", 12)
    said = {
        message["content"]
        for _, row in read_json_lines(study / "chats.jsonl")
        for message in row["messages"]
    }
    for path in out.rglob("*"):
        if path.suffix in (".html", ".json", ".jsonl", ".csv", ".tex", ".md", ".svg"):
            text = path.read_text("utf-8")
            assert not any(words in text for words in said), path.name


def test_two_models_stand_side_by_side(run, study, tiny_run, tmp_path):
    other = shutil.copytree(tiny_run, tmp_path / "other")
    record = json.loads((other / "model" / "estimator.json").read_text("utf-8"))
    out = tmp_path / "out"
    same = run("benchmark", "folder", study, "--model", tiny_run, "--model", other, "--out", out)
    assert (same.exit_code, "the same model is named twice" in same.stderr) == (1, True)
    outcome = run(
        *("benchmark", "folder", study, "--model", tiny_run, "--out", out, "--rung", "mean"),
        *("--sample", 0, "--json"),
    )
    rows = [row["name"] for row in json.loads(outcome.stdout)["comparison"]["rows"]]
    assert rows == ["mean predictor", record["model_id"]]


def test_a_live_annotator_s_readings_are_one_more_rung(run, study, tmp_path):
    file = recipes.write_annotated(tmp_path, 40).rename(tmp_path / "live.jsonl")
    outcome = run(
        *("benchmark", "folder", study, "--out", tmp_path / "out", "--annotations", file),
        *("--sample", 0, "--rung", "mean", "--json"),
    )
    names = [row["name"] for row in json.loads(outcome.stdout)["comparison"]["rows"]]
    assert names[-1] == "live"


def test_data_are_exported_as_canonical_files(run, study, tmp_path):
    outcome = run("benchmark", "folder", study, "--export", tmp_path / "canonical")
    assert outcome.exit_code == 0
    names = {path.name for path in (tmp_path / "canonical").iterdir()}
    assert names >= {"chats.jsonl", "labels.jsonl", "people.jsonl"}
    again = run("benchmark", "folder", study, "--export", tmp_path / "canonical")
    assert (again.exit_code, "exists already" in again.stderr) == (1, True)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("no-such-data", "--out", "x"), 1, "there is no data set of that name"),
        (("bundled",), 2, "Name --out for the results, or --export"),
        (("bundled", "--out", "x", "--export", "y"), 2, "Name --out for the results"),
        (("bundled", "--out", "x", "--sample", "3"), 2, "--sample takes 0, or 10 people or more"),
        (("bundled", "--out", "x", "--rung", "best"), 1, "a rung of the ladder is unknown"),
        (("folder", "nowhere", "--out", "x"), 1, "nowhere"),
        (("folder", "--out", "x"), 1, "folder"),
    ],
)
def test_bad_usage_is_one_sentence(run, tmp_path, monkeypatch, arguments, code, said):
    monkeypatch.chdir(tmp_path)
    outcome = run("benchmark", *arguments)
    assert outcome.exit_code == code
    assert said in outcome.stderr
    assert not (tmp_path / "x").exists()


def test_nothing_is_overwritten_without_force(run, study, tmp_path):
    out = tmp_path / "out"
    (out).mkdir()
    (out / "mine.txt").write_text("mine", "utf-8")
    refused = run("benchmark", "folder", study, "--out", out)
    assert (refused.exit_code, "add --force" in refused.stderr) == (1, True)
    run("benchmark", "folder", study, "--out", out, "--force", "--sample", 0, "--rung", "mean")
    assert (out / "mine.txt").read_text("utf-8") == "mine"
    assert (out / "report.html").is_file()
