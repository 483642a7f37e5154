import json
import shutil

import numpy as np
import pytest
from tests import recipes, tiny

from sottovoce.assembly import assemble
from sottovoce.conversations import read_json_lines
from sottovoce.ensemble import Ensemble
from sottovoce.errors import ModelError, RecipeError
from sottovoce.estimates import read_scores
from sottovoce.estimator import Estimator

OWN = {
    "MODEL_CARD.md",
    "data.json",
    "ensemble.json",
    "ensemble.safetensors",
    "environment.json",
    "metrics.json",
    "predictions.jsonl",
    "recipe.yaml",
    "report.html",
}
TURNS = {"roles": ["user", "assistant"], "layout": "turns"}


@pytest.fixture
def people(tmp_path):
    recipes.write_people(tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def made(tmp_path_factory, tiny_qwen, tiny_bert):
    """A run of an ensemble beside the files it was trained on; tests read it only."""
    folder = tmp_path_factory.mktemp("assembled")
    recipes.write_people(folder)
    members = {
        "qwen": {"on": tiny_qwen},
        "bert": {"on": tiny_bert, "probe": {"layers": [1]}, "input": TURNS},
    }
    return assemble(recipes.write_ensemble(folder, members), folder / "run")


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def test_the_run_of_an_ensemble_holds_each_member_s_whole_run(made):
    expected = set(OWN)
    for name in ("qwen", "bert"):
        expected |= {f"members/{name}/{each}" for each in recipes.HELD_IN_A_RUN}
    assert files(made.folder) == expected


def test_the_run_folder_is_the_ensemble_and_each_member_an_estimator(made):
    windows = tiny.labelled_windows(6)
    loaded = Estimator.from_pretrained(made.folder)
    assert isinstance(loaded, Ensemble)
    assert loaded.model_id == made.estimator.model_id
    for before, after in zip(made.estimator.score(windows), loaded.score(windows), strict=True):
        assert after.score == pytest.approx(before.score, abs=1e-3)
    for name, member in loaded.members.items():
        alone = Estimator.from_pretrained(made.folder / "members" / name)
        assert alone.model_id == member.model_id


def test_predictions_are_those_of_the_folds(made):
    totals = np.array([each.total for each in tiny.labelled_windows(recipes.PEOPLE)])
    scores = np.array([each.score for each in read_scores(made.folder / "predictions.jsonl")])
    metrics = json.loads((made.folder / "metrics.json").read_text())
    mae = metrics["out_of_fold"]["metrics"]["mae"]["value"]
    assert mae == pytest.approx(np.abs(scores - totals).mean(), abs=1e-3)
    members = np.stack(
        [
            [each.score for each in read_scores(made.folder / f"members/{name}/predictions.jsonl")]
            for name in ("qwen", "bert")
        ],
        axis=1,
    )
    assert (members.min(axis=1) - 1e-6 <= scores).all()
    assert (scores <= members.max(axis=1) + 1e-6).all()


def test_metrics_record_weights_and_whether_the_width_follows_disagreement(made):
    found = json.loads((made.folder / "metrics.json").read_text())["ensemble"]
    assert found["weights"] == made.estimator.weights
    assert sum(found["weights"].values()) == pytest.approx(1)
    tried = found["interval_scores"]
    assert tried[str(found["width_follows_disagreement"])] == min(tried.values())


def test_the_run_of_an_ensemble_is_repeated_from_its_own_folder(made, tmp_path):
    again = assemble(made.folder / "recipe.yaml", tmp_path / "again")
    assert again.estimator.model_id == made.estimator.model_id
    assert files(again.folder) == files(made.folder)
    for name in ("predictions.jsonl", "metrics.json", "MODEL_CARD.md", "ensemble.json"):
        assert (again.folder / name).read_bytes() == (made.folder / name).read_bytes()


def test_the_card_of_an_ensemble_shows_its_members(made):
    card = (made.folder / "MODEL_CARD.md").read_text()
    for name, weight in made.estimator.weights.items():
        model_id = made.estimator.members[name].model_id
        assert f"| {name} | {weight:.2f} | {model_id} |" in card
    assert "disagreement" in card
    assert "24 people, 24 windows." in card
    assert "it never diagnoses" in card
    assert "/tmp" not in card


def test_no_saying_enters_what_an_ensemble_s_run_shows(made):
    for name in ("report.html", "metrics.json", "data.json", "MODEL_CARD.md"):
        text = (made.folder / name).read_text("utf-8")
        assert not any(saying in text for saying in tiny.SAYINGS)


def test_a_recipe_of_one_estimator_is_trained_as_ever(people, tiny_qwen):
    run = assemble(recipes.write_recipe(people, tiny_qwen), people / "run")
    assert isinstance(run.estimator, Estimator)
    assert files(run.folder) == recipes.HELD_IN_A_RUN


def test_a_member_that_cannot_be_trained_is_named_and_leaves_no_folder(people, tiny_qwen):
    members = {"fine": {"on": tiny_qwen}, "deep": {"on": tiny_qwen, "probe": {"layers": [9]}}}
    with pytest.raises(ModelError, match="member deep: layer 9 was asked for"):
        assemble(recipes.write_ensemble(people, members), people / "run")
    assert not list(people.glob("run*"))


def test_progress_counts_every_member(people, tiny_qwen):
    told = []
    members = {"a": {"on": tiny_qwen}, "b": {"on": tiny_qwen, "input": TURNS}}
    path = recipes.write_ensemble(people, members)
    assemble(path, people / "run", lambda done, total, _=None: told.append((done, total)))
    assert told[-1] == (2 * recipes.PEOPLE, 2 * recipes.PEOPLE)


def test_an_ensemble_takes_the_place_of_an_old_run(made, people, tiny_qwen):
    old = shutil.copytree(made.folder, people / "run")
    members = {"a": {"on": tiny_qwen}, "b": {"on": tiny_qwen, "input": TURNS}}
    run = assemble(recipes.write_ensemble(people, members, weights="equal"), old)
    assert run.estimator.weights == {"a": 0.5, "b": 0.5}
    assert sorted(path.name for path in (old / "members").iterdir()) == ["a", "b"]
    rows = [row for _, row in read_json_lines(old / "predictions.jsonl")]
    assert {row["model_id"] for row in rows} == {run.estimator.model_id}


def test_a_reader_and_a_probe_are_trained_as_one(people, tiny_qwen):
    recipes.write_annotated(people)
    members = {"probe": {"on": tiny_qwen}, "reader": {"on": tiny_qwen} | recipes.READER}
    made = assemble(recipes.write_ensemble(people, members), people / "run")
    kinds = [each.artefact.body.kind for each in made.estimator.members.values()]
    assert kinds == ["probe", "reader"]
    own = json.loads((made.folder / "members" / "reader" / "data.json").read_text())
    assert set(own["files"]) == {"chats", "labels", "annotations"}
    (each,) = Estimator.from_pretrained(made.folder).explain(tiny.labelled_windows(1))
    assert len(each.grounds.profile) == 9


def test_a_reader_without_annotations_is_refused_before_any_member_is_trained(people, tiny_qwen):
    members = {"probe": {"on": "no-such-backbone"}, "reader": {"on": tiny_qwen} | recipes.READER}
    members["reader"] |= {"data": {}}
    path = recipes.write_ensemble(people, members)
    with pytest.raises(RecipeError, match=r"reader\.yaml: data\.annotations is missing"):
        assemble(path, people / "run")
