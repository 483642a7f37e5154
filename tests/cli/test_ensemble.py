"""End to end: tiny Qwen3.5 and tiny BERT probes as one, trained and used by the commands."""

import json

import pytest
from tests import recipes

from sottovoce.conversations import read_json_lines
from sottovoce.estimator import Estimator

TURNS = {"roles": ["user", "assistant"], "layout": "turns"}


@pytest.fixture
def recipe(tmp_path, tiny_qwen, tiny_bert):
    recipes.write_people(tmp_path)
    members = {
        "qwen": {"on": tiny_qwen},
        "bert": {"on": tiny_bert, "probe": {"layers": [1]}, "input": TURNS},
    }
    return recipes.write_ensemble(tmp_path, members)


def test_an_ensemble_is_trained_scores_and_is_evaluated(run, recipe, tmp_path):
    trained = run("train", recipe, "--out", tmp_path / "run", "--json")
    assert trained.exit_code == 0
    printed = json.loads(trained.stdout)
    assert printed["model_id"].startswith("ensemble-2-")
    assert printed["metrics"]["mae"]["value"] > 0

    chats, labels = tmp_path / "chats.jsonl", tmp_path / "labels.jsonl"
    scores = tmp_path / "scores.jsonl"
    scored = run(
        "score", chats, "--model", tmp_path / "run", "--at", labels, "--out", scores, "--json"
    )
    assert scored.exit_code == 0
    counts = json.loads(scored.stdout)
    assert (counts["scored"], counts["model_id"]) == (recipes.PEOPLE, printed["model_id"])
    for _, row in read_json_lines(scores):
        assert row["lower"] <= row["score"] <= row["upper"]

    evaluated = run("evaluate", scores, labels, "--out", tmp_path / "evaluation")
    assert evaluated.exit_code == 0


def test_a_saved_ensemble_scores_from_any_folder(run, recipe, tmp_path):
    assert run("train", recipe, "--out", tmp_path / "run").exit_code == 0
    moved = Estimator.from_pretrained(tmp_path / "run").save_pretrained(tmp_path / "elsewhere")
    here = run("score", tmp_path / "chats.jsonl", "--model", tmp_path / "run")
    there = run("score", tmp_path / "chats.jsonl", "--model", moved)
    assert here.exit_code == there.exit_code == 0
    assert here.stdout == there.stdout


def test_mistakes_of_members_are_told_before_anything_is_read(run, recipe, tmp_path):
    text = (tmp_path / "bert.yaml").read_text()
    (tmp_path / "bert.yaml").write_text(text.replace("probe:", "seed: 4\nprobe:"))
    outcome = run("train", recipe, "--out", tmp_path / "run")
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert outcome.stderr == (
        f"Error: {recipe}: one mistake: member bert.yaml: seed differs from the first member's; "
        "make them the same\n"
    )
    assert not (tmp_path / "run").exists()


def test_a_member_that_is_gone_ends_scoring_with_its_name(run, recipe, tmp_path):
    assert run("train", recipe, "--out", tmp_path / "run").exit_code == 0
    (tmp_path / "run" / "members" / "bert" / "model" / "estimator.json").unlink()
    outcome = run("score", tmp_path / "chats.jsonl", "--model", tmp_path / "run")
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert "member bert: " in outcome.stderr
    assert "estimator.json is missing" in outcome.stderr
