import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import recipes

from sottovoce.errors import RecipeError
from sottovoce.recipe import Recipe
from sottovoce.roster import Roster, read_any, read_roster


def changed(folder, **changes) -> str:
    """Write an ensemble whose second member has changes, and give its refusal."""
    return recipes.refused(read_any, recipes.write_ensemble(folder, {"a": {}, "b": changes}))


def test_an_ensemble_s_recipe_brings_its_members(tmp_path):
    path = recipes.write_ensemble(
        tmp_path, {"a": {}, "b": {"input": {"layout": "turns"}}}, weights="equal", coverage=0.8
    )
    roster = read_any(path)
    assert isinstance(roster, Roster)
    assert list(roster.members) == ["a", "b"]
    place, recipe = roster.leader
    assert (place, recipe.name) == (tmp_path / "a.yaml", "a")
    assert (roster.form.ensemble.weights, roster.form.coverage) == ("equal", 0.8)


def test_weights_are_learnt_unless_the_recipe_says_otherwise(tmp_path):
    roster = read_roster(recipes.write_ensemble(tmp_path, {"a": {}, "b": {}}))
    assert (roster.form.ensemble.weights, roster.form.coverage) == ("learnt", 0.9)


def test_a_recipe_without_the_key_is_one_of_an_estimator(tmp_path):
    assert isinstance(read_any(recipes.write_recipe(tmp_path)), Recipe)


def test_the_recipe_that_is_written_down_is_valid(tmp_path):
    page = Path(__file__).parents[1] / "docs" / "decisions" / "0005-ensembles.md"
    written = page.read_text("utf-8").partition("```yaml\n")[2].partition("```")[0]
    recipes.write_ensemble(tmp_path, {"smollm2-probe": {}, "minilm-probe": {}})
    (tmp_path / "both.yaml").write_text(written, "utf-8")
    assert list(read_roster(tmp_path / "both.yaml").members) == ["smollm2-probe", "minilm-probe"]


def test_in_a_run_folder_the_members_stand_beside_it(tmp_path):
    roster = read_roster(recipes.write_ensemble(tmp_path, {"a": {}, "b": {}}, coverage=0.7))
    assert yaml.safe_load(roster.text) == {
        "name": "both",
        "ensemble": {
            "members": ["members/a/recipe.yaml", "members/b/recipe.yaml"],
            "weights": "learnt",
        },
        "coverage": 0.7,
    }


def test_all_mistakes_of_ensemble_and_members_are_told_at_once(tmp_path):
    members = {"a": {}, "b": {"seed": 3}, "c": {"sead": 3, "coverage": 2}}
    path = recipes.write_ensemble(tmp_path, members, wieghts="equal", weights="best")
    raw = yaml.safe_load(path.read_text())
    raw["ensemble"]["members"].append("absent.yaml")
    path.write_text(yaml.safe_dump(raw | {"backbone": {"name": "x"}, "coverage": 1}))
    sentence = recipes.refused(read_any, path)
    assert sentence.startswith("7 mistakes: ")
    for mistake in (
        "ensemble.wieghts is not a key, did you mean weights?",
        "ensemble.weights: input should be 'learnt' or 'equal'",
        "backbone is not a key",
        "coverage: input should be less than 1",
        f"ensemble.members.2: {tmp_path / 'c.yaml'}: 2 mistakes: coverage: input should be less",
        "sead is not a key, did you mean seed?",
        f"ensemble.members.3: {tmp_path / 'absent.yaml'}: the recipe cannot be read",
        "member b.yaml: seed differs from the first member's; make them the same",
    ):
        assert mistake in sentence


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        ({"seed": 1}, "member b.yaml: seed differs from the first member's"),
        ({"instrument": "gad-7"}, "member b.yaml: instrument differs from the first member's"),
        ({"windows": {"look_back_days": 7}}, "member b.yaml: windows differs from the first"),
        ({"probe": {"folds": 4}}, "member b.yaml: folds differs from the first member's"),
        ({"data": {"labels": "other.jsonl"}}, "member b.yaml: data differs from the first"),
        ({"name": "a"}, "member b.yaml: another member has the same name"),
        ({"name": "b/../c"}, "member b.yaml: its name becomes a folder"),
    ],
)
def test_what_members_must_share_is_one_clause_of_the_refusal(tmp_path, changes, mistake):
    assert changed(tmp_path, **changes).startswith(f"one mistake: {mistake}")


def test_two_folds_are_too_few_to_learn_and_measure(tmp_path):
    few = {"probe": {"folds": 2}}
    sentence = recipes.refused(read_any, recipes.write_ensemble(tmp_path, {"a": few, "b": few}))
    assert sentence == "one mistake: member a.yaml: folds: 3 or more are needed"


def test_one_member_is_no_ensemble_and_an_ensemble_no_member(tmp_path):
    assert "ensemble.members: tuple should have at least 2 items" in recipes.refused(
        read_any, recipes.write_ensemble(tmp_path, {"a": {}})
    )
    path = recipes.write_ensemble(tmp_path, {"a": {}, "b": {}})
    raw = yaml.safe_load(path.read_text())
    raw["ensemble"]["members"].append(path.name)
    path.write_text(yaml.safe_dump(raw))
    assert "ensemble.members.2: has members itself; name recipes" in recipes.refused(read_any, path)


def test_members_are_found_from_the_recipe_s_own_folder(tmp_path):
    (tmp_path / "sub").mkdir()
    recipes.write_ensemble(tmp_path / "sub", {"a": {}, "b": {}})
    path = tmp_path / "both.yaml"
    section = {"members": ["sub/a.yaml", "sub/b.yaml"]}
    path.write_text(yaml.safe_dump({"name": "both", "ensemble": section}))
    assert [place for place, _ in read_roster(path).members.values()] == [
        tmp_path / "sub" / "a.yaml",
        tmp_path / "sub" / "b.yaml",
    ]


SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
VALUES = st.recursive(
    SCALARS | st.sampled_from(["a.yaml", "b.yaml"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["members", "weights"]), inner, max_size=2)
    ),
    max_leaves=6,
)


@given(VALUES, st.dictionaries(st.sampled_from(["name", "coverage", "seed"]), VALUES, max_size=2))
@settings(deadline=None)
def test_whatever_is_written_is_an_ensemble_or_one_sentence(tmp_path_factory, section, rest):
    folder = tmp_path_factory.mktemp("roster")
    path = recipes.write_ensemble(folder, {"a": {}, "b": {}})
    path.write_text(yaml.safe_dump({"name": "both", "ensemble": section, **rest}), "utf-8")
    try:
        found = read_any(path)
    except RecipeError as error:
        found, sentence = None, str(error)
    if found is None:
        assert re.match(r".*: (one mistake|\d+ mistakes): \S", sentence)
        return
    assert len(found.members) >= 2


def test_a_self_training_s_recipe_is_sent_to_its_command(tmp_path):
    path = tmp_path / "self.yaml"
    path.write_text("name: a\nself_training: {}\n", "utf-8")
    assert recipes.refused(read_any, path).endswith("run sottovoce self-train")
