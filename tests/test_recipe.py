import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from tests import recipes

from sottovoce import bundled
from sottovoce.backbones import NAMED
from sottovoce.errors import RecipeError
from sottovoce.probe import PENALTIES
from sottovoce.recipe import Recipe, read_recipe, recipe_for
from sottovoce.roster import Roster, read_any
from sottovoce.settings import EstimatorSettings, FinetuneSettings, LoraSettings

SHIPPED = Path(__file__).parents[1] / "recipes"
EVERY = sorted(path for path in SHIPPED.glob("*.yaml") if not path.stem.startswith("self-train"))
METHODS = {"probe": None, "reader": None, "lora": "lora", "qlora": "lora", "full": "full"}


def wrong(tmp_path, **changes) -> str:
    return recipes.refused(read_recipe, recipes.write_recipe(tmp_path, **changes))


def text(tmp_path, written: str) -> Path:
    path = tmp_path / "recipe.yaml"
    path.write_text(written, "utf-8")
    return path


def test_a_recipe_becomes_settings(tmp_path):
    path = recipes.write_recipe(
        tmp_path,
        instrument="GAD7",
        windows={"look_back_days": 7, "leaks": "flag"},
        input={"roles": ["user", "assistant"], "layout": "turns"},
        coverage=0.8,
        seed=4,
    )
    settings = read_recipe(path).settings
    assert (settings.instrument, settings.coverage, settings.seed) == ("gad-7", 0.8, 4)
    assert (settings.rules.look_back_days, settings.rules.leaks) == (7.0, "flag")
    assert (settings.rendering.roles, settings.rendering.layout) == (("user", "assistant"), "turns")
    assert settings.backbone.name == "a-backbone"
    assert (settings.probe.layers, settings.probe.n_folds) == ((1, 4), 3)


def test_what_a_recipe_leaves_out_is_the_settings_own_default(tmp_path):
    path = text(tmp_path, "name: a\ndata: {chats: bundled}\nbackbone: {name: smollm2-135m}\n")
    assert read_recipe(path).settings == EstimatorSettings()


def test_all_layers_are_written_as_all(tmp_path):
    assert read_recipe(recipes.write_recipe(tmp_path, probe={"layers": "all"})).probe.layers == ()


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.stem)
def test_the_recipes_of_the_repository_are_valid(path):
    recipe = read_any(path)
    if isinstance(recipe, Roster):  # which read its members' recipes too
        assert recipe.form.name == path.stem
        return
    assert recipe.name == path.stem
    assert recipe.backbone.name in NAMED or recipe.backbone.name.startswith("Qwen/Qwen3.5-")
    assert recipe.probe.penalties == PENALTIES
    told = path.stem.rpartition("-")[2]
    if told in METHODS:
        assert METHODS[told] == (recipe.finetune.method if recipe.finetune else None)
        assert (told == "qlora") == (recipe.backbone.quantization == "nf4")
        assert (told == "reader") == (recipe.reader is not None)


@pytest.mark.parametrize("path", EVERY, ids=lambda path: path.stem)
def test_a_recipe_says_of_each_default_of_its_own_that_the_study_does_not_publish_it(path):
    text = path.read_text("utf-8")
    if isinstance(read_any(path), Roster):  # its members' recipes say so
        assert "members" in text
        return
    assert "2606.17973" in text
    keys = ["look_back_days", "roles", "max_tokens"]
    if "finetune:" in text:
        keys += ["method", "pooling", "loss", "schedule"]
    elif "reader:" in text:
        keys += ["coverage", "folds"]
    else:
        return
    for key in keys:
        (line,) = [each for each in text.splitlines() if each.strip().startswith(f"{key}:")]
        assert "# not published" in line


def test_the_study_s_backbone_is_shared_out_and_small_ones_are_not():
    shared = {
        path.stem: recipe.finetune.sharding
        for path in EVERY
        if isinstance(recipe := read_any(path), Recipe) and recipe.finetune
    }
    assert {name for name, each in shared.items() if each == "fsdp"} == {
        "qwen3.5-27b-lora",
        "qwen3.5-27b-full",
    }


def test_the_studys_backbone_has_the_same_numbers_in_each_of_its_recipes():
    found = [read_recipe(path).architecture for path in sorted(SHIPPED.glob("qwen3.5-27b-*.yaml"))]
    assert len(found) == 3
    assert found[0] is not None and all(each == found[0] for each in found)


def test_without_any_key_fine_tuning_is_the_settings_own_default(tmp_path):
    recipe = read_recipe(recipes.write_recipe(tmp_path, probe=None, finetune={"method": "lora"}))
    assert recipe.settings.finetune == FinetuneSettings()
    assert (recipe.folds, recipe.probe) == (5, type(recipe.probe)())


def test_fine_tuning_becomes_settings(tmp_path):
    finetune = {
        "lora": {"rank": 4, "targets": ["q_proj"]},
        "head": {"outputs": "both", "loss": "ordinal", "pooling": "last", "smoothing": True},
        "schedule": {"epochs": 2, "batch_tokens": 77},
        "validation_share": 0,
        "calibration": "held_out",
        "folds": 3,
        "sharding": "fsdp",
    }
    found = read_recipe(recipes.write_recipe(tmp_path, probe=None, finetune=finetune)).settings
    assert found.finetune.lora == LoraSettings(rank=4, targets=("q_proj",))
    assert (found.finetune.head.loss, found.finetune.head.pooling) == ("ordinal", "last")
    assert (found.finetune.schedule.epochs, found.finetune.schedule.batch_tokens) == (2, 77)
    assert (found.finetune.calibration, found.finetune.n_folds) == ("held_out", 3)
    assert found.finetune.sharding == "fsdp"


def test_a_recipe_has_one_body(tmp_path):
    sentence = wrong(tmp_path, finetune={"methd": "lora"}, seed=-1)
    assert sentence == (
        "3 mistakes: finetune: a recipe has one body, this one has probe and finetune; leave all "
        "but one out; "
        "finetune.methd is not a key, did you mean method?; "
        "seed: input should be greater than or equal to 0"
    )
    for body in ("finetune", "reader"):
        sentence = wrong(tmp_path, **{body: {}})
        assert sentence.startswith(f"one mistake: {body}: a recipe has one body")


def test_every_mistake_of_fine_tuning_is_told_at_once(tmp_path):
    finetune = {
        "method": "qlora",
        "lora": {"rank": 0, "targets": [], "exclude": "(", "dropout": 1},
        "head": {"pooling": "cls", "loss": "hubber", "outputs": "all"},
        "schedule": {"epochs": 0, "learning_rate": 0, "batch_size": 0, "lerning_rate": 1},
        "validation_share": 0.9,
        "calibration": "none",
        "folds": 1,
    }
    sentence = wrong(tmp_path, probe=None, finetune=finetune)
    assert sentence.startswith("15 mistakes: ")
    for mistake in (
        "finetune.method: input should be 'lora' or 'full'",
        "finetune.lora.rank: input should be greater than or equal to 1",
        "finetune.lora.targets: write all, or a list of layer names such as [q_proj, v_proj]",
        "finetune.lora.exclude: not a regular expression",
        "finetune.lora.dropout: input should be less than 1",
        "finetune.head.pooling: input should be 'last', 'user_mean', 'message_mean' or 'all_mean'",
        "finetune.head.loss: input should be 'mse', 'l1', 'huber', 'student_t' or 'ordinal'",
        "finetune.head.outputs: input should be 'total', 'items' or 'both'",
        "finetune.schedule.epochs: input should be greater than or equal to 1",
        "finetune.schedule.learning_rate: input should be greater than 0",
        "finetune.schedule.batch_size: input should be greater than or equal to 1",
        "finetune.schedule.lerning_rate is not a key, did you mean learning_rate?",
        "finetune.validation_share: input should be less than or equal to 0.5",
        "finetune.calibration: input should be 'cross_fit' or 'held_out'",
        "finetune.folds: input should be greater than or equal to 2",
    ):
        assert mistake in sentence


def test_trackers_are_none_unless_named_and_decide_nothing_of_the_estimator(tmp_path):
    changes = {"probe": None, "finetune": {"report_to": ["tensorboard", "mlflow"]}}
    named = read_recipe(recipes.write_recipe(tmp_path, **changes))
    assert named.trackers == ("tensorboard", "mlflow")
    without = read_recipe(recipes.write_recipe(tmp_path, probe=None, finetune={}))
    assert without.trackers == read_recipe(recipes.write_recipe(tmp_path)).trackers == ()
    assert named.settings == without.settings


@pytest.mark.parametrize(
    ("finetune", "mistake"),
    [
        (
            {"head": {"outputs": "items", "loss": "ordinal"}},
            "finetune.head: the ordinal loss is about the total; use outputs total or both",
        ),
        (
            {"method": "full", "lora": {"rank": 8}},
            "finetune: the method full trains every weight; leave lora out",
        ),
        ({"lora": 5}, "finetune.lora: write a mapping of keys"),
        (
            {"report_to": ["tensorbord"]},
            "finetune.report_to.0: input should be 'tensorboard', 'wandb' or 'mlflow'",
        ),
        ({"report_to": "wandb"}, "finetune.report_to: write a list"),
        (
            {"head": {"start": "probe", "loss": "ordinal"}},
            "finetune.head: a probe starts a total without cut-offs; use start zero",
        ),
        (
            {"layers": 4, "frozen_layers": 4},
            "finetune: no block is left to train; make frozen_layers less than layers",
        ),
        (
            {"frozen_layers": 2, "sharding": "fsdp"},
            "finetune: what frozen blocks give is kept whole; use sharding none",
        ),
    ],
)
def test_one_mistake_of_fine_tuning_is_one_clause(tmp_path, finetune, mistake):
    assert wrong(tmp_path, probe=None, finetune=finetune) == f"one mistake: {mistake}"


def test_every_mistake_is_told_at_once(tmp_path):
    sentence = wrong(
        tmp_path,
        instrument="mood-99",
        windos={"look_back_days": 7},
        windows={"min_user_mesages": 3, "look_back_days": 0, "leaks": "ignore"},
        input={"roles": ["assistant"]},
        probe={"folds": 1, "penalties": [0.1, 0], "poolings": ["max"], "layers": [-1]},
        coverage=1,
        backbone=None,
    )
    assert sentence.startswith("12 mistakes: ")
    for mistake in (
        "instrument: not known; use one of phq-9, phq-8, gad-7",
        "windos is not a key, did you mean windows?",
        "windows.min_user_mesages is not a key, did you mean min_user_messages?",
        "windows.look_back_days: input should be greater than 0",
        "windows.leaks: input should be 'flag', 'remove' or 'exclude'",
        "input.roles: user must be among them",
        "probe.folds: input should be greater than or equal to 2",
        "probe.penalties: every penalty must be above 0",
        "probe.poolings.0: input should be 'mean', 'message_mean' or 'last'",
        "probe.layers.0: input should be greater than or equal to 0",
        "coverage: input should be less than 1",
        "backbone is missing",
    ):
        assert mistake in sentence


@pytest.mark.parametrize(
    ("changes", "mistake"),
    [
        ({"data": {"chats": "bundled"}}, "data: the bundled cohort brings all of its files"),
        ({"data": {"labels": None}}, "data: labels are missing; name the labels.jsonl"),
        ({"data": {"split": "fit"}}, "data: a split needs people, the people.jsonl"),
        ({"data": {"chats": ""}}, "data.chats: string should have at least 1 character"),
        ({"data": 5}, "data: write a mapping of keys"),
        ({"probe": {"layers": "some"}}, "probe.layers: write all, or a list of layers"),
        ({"probe": {"layers": []}}, "probe.layers: write all, or a list of layers"),
        ({"probe": {"poolings": []}}, "probe.poolings: tuple should have at least 1 item"),
        ({"probe": {"poolings": "mean"}}, "probe.poolings: write a list"),
        ({"probe": {"penalties": [float("inf")]}}, "probe.penalties.0: input should be a finite"),
        ({"probe": {"penalties": [float("nan")]}}, "probe.penalties.0: input should be a finite"),
        ({"windows": {"look_back_days": float("inf")}}, "windows.look_back_days: input should be"),
        ({"windows": {"look_back_days": 1e9}}, "windows.look_back_days: input should be less"),
        ({"probe": None, "reader": {"layers": []}}, "reader.layers: write default, or a list"),
        ({"probe": None, "reader": {"penalty": 0}}, "reader.penalty: input should be greater"),
        ({"probe": None, "reader": {"folds": 2}}, "reader.folds: input should be greater"),
        ({"backbone": {"dtype": "int8"}}, "backbone.dtype: input should be 'float32', 'bfloat16'"),
        ({"seed": -1}, "seed: input should be greater than or equal to 0"),
        ({"zzz": 1}, "zzz is not a key"),
    ],
)
def test_one_mistake_is_one_clause(tmp_path, changes, mistake):
    sentence = wrong(tmp_path, **changes)
    assert sentence.startswith(f"one mistake: {mistake}")


@pytest.mark.parametrize("split", ["test", "unlabelled"])
def test_the_bundled_cohort_is_trained_on_its_training_split_only(tmp_path, split):
    data = {"chats": "bundled", "split": split}
    path = text(tmp_path, yaml.safe_dump({**recipes.recipe(), "data": data}))
    assert recipes.refused(read_recipe, path) == (
        "one mistake: data: the bundled cohort is trained on its split train only"
    )


def test_the_bundled_cohort_may_name_its_training_split(tmp_path):
    data = {"chats": "bundled", "split": "train"}
    path = text(tmp_path, yaml.safe_dump({**recipes.recipe(), "data": data}))
    assert read_recipe(path).files(tmp_path) == {
        "chats": bundled.CHATS,
        "labels": bundled.LABELS,
        "people": bundled.PEOPLE,
    }


def test_a_missing_file_and_a_folder_say_so(tmp_path):
    assert "No such file" in recipes.refused(read_recipe, tmp_path / "absent.yaml")
    assert "cannot be read" in recipes.refused(read_recipe, tmp_path)


@pytest.mark.parametrize(
    ("written", "where"),
    [
        ("name: [a", " at line 1"),
        ("name: a\n\tb: c", " at line 2"),
        ("name: a\nwhen: 2025-99-99", ""),
        ("seed: !!int many", ""),
        ("flag: !!bool perhaps", ""),
        ("when: !!timestamp later", ""),
        ("a: " + "[" * 5000, ""),
        ("a: " + "9" * 5000, ""),
    ],
)
def test_what_is_not_yaml_says_where_as_far_as_it_is_known(tmp_path, written, where):
    assert recipes.refused(read_recipe, text(tmp_path, written)) == f"not YAML{where}; correct it"


def test_bytes_that_are_no_text_are_not_yaml(tmp_path):
    path = tmp_path / "recipe.yaml"
    path.write_bytes(b"\xff\xfe\x00name")
    assert recipes.refused(read_recipe, path).startswith("not YAML")


@pytest.mark.parametrize("written", ["", "[]", "just words", "5"])
def test_a_recipe_that_is_no_mapping_is_refused(tmp_path, written):
    assert "a recipe is a mapping of keys" in recipes.refused(read_recipe, text(tmp_path, written))


def test_no_value_of_a_recipe_enters_the_sentence(tmp_path):
    sentence = wrong(tmp_path, coverage="xylophonist", probe={"folds": "xylophonist"})
    assert "xylophonist" not in sentence


KEYS = sorted({"name", "sed", *Recipe.model_fields, *recipes.recipe()["probe"]})
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(KEYS) | st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=5))
def test_whatever_is_written_is_a_recipe_or_one_sentence(tmp_path_factory, changes):
    path = tmp_path_factory.mktemp("recipe") / "recipe.yaml"
    path.write_text(yaml.safe_dump({**recipes.recipe(), **changes}), "utf-8")
    try:
        found = read_recipe(path)
    except RecipeError as error:
        found = None
        sentence = str(error)
    if found is None:
        assert re.match(r".*: (one mistake|\d+ mistakes): \S", sentence)
        return
    assert isinstance(found.settings, EstimatorSettings)


def test_files_count_from_the_recipe_s_folder(tmp_path):
    recipe = read_recipe(recipes.write_recipe(tmp_path, data={"people": "people.jsonl"}))
    assert recipe.files(tmp_path) == {
        "chats": tmp_path / "chats.jsonl",
        "labels": tmp_path / "labels.jsonl",
    }


def test_the_people_of_a_split_are_one_of_the_files(tmp_path):
    data = {"people": "people.jsonl", "split": "fit"}
    recipe = read_recipe(recipes.write_recipe(tmp_path, data=data))
    assert recipe.files(tmp_path)["people"] == tmp_path / "people.jsonl"


def test_a_backbone_folder_beside_the_recipe_is_named_whole(tmp_path):
    (tmp_path / "a-backbone").mkdir()
    recipe = read_recipe(recipes.write_recipe(tmp_path))
    assert recipe.settings_in(tmp_path).backbone.name == str((tmp_path / "a-backbone").resolve())
    assert recipe.settings_in(tmp_path / "elsewhere").backbone.name == "a-backbone"


def test_a_wheel_s_backbone_is_never_taken_for_a_folder(tmp_path):
    (tmp_path / "smollm2-135m").mkdir()
    recipe = read_recipe(recipes.write_recipe(tmp_path, "smollm2-135m"))
    assert recipe.settings_in(tmp_path).backbone.name == "smollm2-135m"


def test_a_recipe_without_relative_paths_moves_word_for_word(tmp_path):
    written = "# why\nname: a   # because\ndata: {chats: bundled}\nbackbone: {name: org/model}\n"
    assert recipe_for(text(tmp_path, written), tmp_path / "run") == written


def test_a_recipe_that_moves_finds_its_files_again(tmp_path):
    (tmp_path / "a-backbone").mkdir()
    data = {"people": str(tmp_path / "people.jsonl"), "split": "fit"}
    first = recipes.write_recipe(tmp_path, data=data)
    run = tmp_path / "runs" / "one"
    run.mkdir(parents=True)
    (run / "recipe.yaml").write_text(recipe_for(first, run), "utf-8")
    again = read_recipe(run / "recipe.yaml")
    before = read_recipe(first)
    for key, path in again.files(run).items():
        assert path.resolve() == before.files(tmp_path)[key].resolve()
    assert again.data.people == data["people"]
    assert again.settings_in(run) == before.settings_in(tmp_path)


def test_weights_in_four_bits_are_not_trained(tmp_path):
    changes = {"backbone": {"quantization": "nf4"}, "probe": None}
    assert wrong(tmp_path, finetune={"method": "full"}, **changes) == (
        "one mistake: finetune: weights in 4 bits cannot be trained themselves; use lora, or leave "
        "backbone.quantization out"
    )
    shared = {"finetune": {"sharding": "fsdp"}}
    assert "are not shared out; use sharding none" in wrong(tmp_path, **shared, **changes)
    made = read_recipe(recipes.write_recipe(tmp_path, finetune={"method": "lora"}, **changes))
    assert made.settings.backbone.quantization == "nf4"


def test_half_precision_weights_are_not_trained(tmp_path):
    changes = {"backbone": {"dtype": "bfloat16"}, "probe": None}
    assert wrong(tmp_path, finetune={"method": "full"}, **changes) == (
        "one mistake: finetune: half-precision weights round the steps of a full training away; "
        "use the dtype float32 (a GPU computes in bfloat16 anyway) or lora"
    )
    assert read_recipe(recipes.write_recipe(tmp_path, finetune={"method": "lora"}, **changes))
