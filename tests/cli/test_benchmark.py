"""The command, with a quick stand-in for what a backbone reads; the rest is real."""

import csv
import html
import json
import shutil

import pytest
from tests import corpora, recipes

from sottovoce.conversations import read_json_lines, write_json_lines
from sottovoce.estimates import read_scores
from sottovoce.train import train

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


def test_a_model_of_another_questionnaire_is_refused(run, tmp_path):
    corpus = corpora.daic_woz(tmp_path / "daic")
    refused = run("benchmark", "daic-woz", corpus, "--out", tmp_path / "out")
    assert refused.exit_code == 1
    assert "the model estimates PHQ-9 and the data hold PHQ-8" in refused.stderr
    assert "train a model with instrument: phq-8" in refused.stderr
    assert not (tmp_path / "out" / "report.html").exists()


def test_a_model_for_phq_8_is_judged_on_interviews_of_the_corpus_form(run, tiny_qwen, tmp_path):
    corpus, out = corpora.daic_woz(tmp_path / "daic"), tmp_path / "out"
    recipes.write_people(tmp_path)
    labels = [row for _, row in read_json_lines(tmp_path / "labels.jsonl")]
    for row in labels:
        row.update(instrument="phq-8", total=min(row["total"], 24), items=None)
    write_json_lines(tmp_path / "labels.jsonl", labels)
    recipe = recipes.write_recipe(tmp_path, tiny_qwen, instrument="phq-8")
    model = train(recipe, tmp_path / "run").folder
    outcome = run(
        *("benchmark", "daic-woz", corpus, "--model", model, "--out", out),
        *("--rung", "mean", "--sample", 0, "--json"),
    )
    assert outcome.exit_code == 0, outcome.stderr
    found = json.loads(outcome.stdout)
    assert found["evaluation"]["instrument"] == "phq-8"
    assert found["left_out"]["sessions that the corpus excludes"] == 1
    assert found["evaluation"]["metrics"]["mae"]["value"] is None  # two people are too few
    assert {each.user_id for each in read_scores(out / "scores.jsonl")} == {"300", "409"}


def test_dep_wor_is_tested_in_folds(run, tmp_path):
    people = [(str(n % 2), str(20 + n), str(n % 28)) for n in range(40)]
    path = corpora.dep_wor(tmp_path, *people)
    outcome = run(
        *("benchmark", "dep-wor", path, "--out", tmp_path / "out", "--rung", "mean"),
        *("--sample", 0),
    )
    assert outcome.exit_code == 0, outcome.stderr
    assert "baselines learn from 5 folds of the test people" in outcome.stdout
    assert corpora.SAID not in (tmp_path / "out" / "report.html").read_text("utf-8")


def test_self_ratings_are_set_beside_estimates_where_there_is_no_questionnaire(run, tmp_path):
    people = [f"Female,{30 + n},Yes,{n % 9},{n % 7},{n % 8},{n % 5}" for n in range(12)]
    path, out = corpora.covid_worry(tmp_path, *people), tmp_path / "out"
    outcome = run("benchmark", "covid-worry", path, "--out", out)
    assert outcome.exit_code == 0, outcome.stderr
    assert "Self-ratings are no depression scale" in outcome.stdout
    assert {each.name for each in out.iterdir()} == {"benchmark.json", "scores.jsonl"}
    rows = json.loads((out / "benchmark.json").read_text("utf-8"))["rows"]
    assert {row["rating"] for row in rows} == {"sadness", "anxiety"}


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
