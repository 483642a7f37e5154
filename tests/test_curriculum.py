from pathlib import Path

import pytest
import yaml
from tests import recipes

from sottovoce.curriculum import read_curriculum
from sottovoce.errors import RecipeError

ROOT = Path(__file__).parents[1]


def written(folder, members=None, **section):
    """Write members' recipes and a self-training's recipe; None takes a key away."""
    for name, changes in (members or {"a": {}}).items():
        whole = recipes.recipe("a-backbone", name=name, **changes)
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(whole), "utf-8")
    whole = {
        "members": [f"{name}.yaml" for name in members or {"a": {}}],
        "pool": {"chats": "pool.jsonl", "annotations": "annotations.jsonl"},
        "test": {"chats": "test.jsonl", "labels": "test-labels.jsonl"},
    }
    whole = {key: each for key, each in (whole | section).items() if each is not None}
    path = folder / "self-train.yaml"
    path.write_text(yaml.safe_dump({"name": "mine", "self_training": whole}), "utf-8")
    return path


def test_a_recipe_brings_its_members_its_plan_and_its_files(tmp_path):
    path = written(tmp_path, stages=["ground_truth", "relabel", "relabel"], trust=[0.5], parts=3)
    curriculum = read_curriculum(path)
    assert list(curriculum.members) == ["a"]
    assert curriculum.plan.stages == ("ground_truth", "relabel", "relabel")
    assert (curriculum.plan.trust, curriculum.plan.parts) == ((0.5,), 3)
    assert curriculum.files()["annotations"] == tmp_path / "annotations.jsonl"
    assert curriculum.files()["test_labels"] == tmp_path / "test-labels.jsonl"
    assert not curriculum.simulated


def test_the_small_recipe_is_valid_and_of_simulated_people():
    curriculum = read_curriculum(ROOT / "recipes" / "self-train-small.yaml")
    assert curriculum.simulated
    assert curriculum.plan.stages == (
        "ground_truth",
        "annotator",
        "evidence",
        "relabel",
        "ensemble",
    )
    assert all(path.is_file() for path in curriculum.files().values())


@pytest.mark.parametrize(
    ("section", "mistake"),
    [
        ({"stages": ["annotator"]}, "self_training.stages: the first stage is not ground_truth"),
        ({"stages": ["ground_truth", "label"]}, "self_training.stages.1: input should be"),
        ({"trust": [0, 1]}, "self_training.trust: 0 is always tried"),
        ({"blend": [1.5]}, "self_training.blend: 0 is always tried"),
        ({"test": None}, "write test or cross_validation, one of them"),
        ({"cross_validation": 5}, "write test or cross_validation, one of them"),
        ({"test": {"chats": "x"}}, "self_training.test: labels are missing"),
        ({"test": {"chats": "bundled", "labels": "x"}}, "brings its labels"),
        ({"pool": {"chats": "x"}}, "self_training.pool.annotations is missing"),
        ({"round": 2}, "self_training.round is not a key"),
        ({"parts": 1}, "self_training.parts: input should be greater"),
    ],
)
def test_a_mistake_is_told_by_its_key(tmp_path, section, mistake):
    assert mistake in recipes.refused(read_curriculum, written(tmp_path, **section))


def test_all_mistakes_are_told_at_once_those_of_members_among_them(tmp_path):
    path = written(tmp_path, {"a": {}, "b": {"seed": 4}}, parts=0, trust=[-1.0])
    told = recipes.refused(read_curriculum, path)
    assert told.startswith("3 mistakes: ")
    assert "member b.yaml: seed differs from the first member's" in told


def test_another_kind_of_recipe_is_refused_by_what_it_lacks(tmp_path):
    with pytest.raises(RecipeError, match="the key self_training is missing"):
        read_curriculum(recipes.write_recipe(tmp_path))


def test_in_a_run_folder_the_recipe_finds_the_same_files(tmp_path):
    curriculum = read_curriculum(written(tmp_path))
    run = tmp_path / "runs" / "one"
    (run / "recipes").mkdir(parents=True)
    (run / "recipe.yaml").write_text(curriculum.text_for(run), "utf-8")
    whole = recipes.recipe("a-backbone", name="a")
    (run / "recipes" / "a.yaml").write_text(yaml.safe_dump(whole), "utf-8")
    again = read_curriculum(run / "recipe.yaml")
    assert again.plan == curriculum.plan
    before, after = (
        {key: path.resolve() for key, path in each.files().items()} for each in (curriculum, again)
    )
    assert after == before
