import json

import pytest
from tests import recipes


@pytest.fixture
def recipe(tmp_path, tiny_bert):
    recipes.write_people(tmp_path)
    return recipes.write_recipe(tmp_path, tiny_bert, probe=None, finetune=recipes.FINETUNE)


def test_a_plan_says_parameters_memory_and_what_to_measure(run, recipe):
    done = run("plan", recipe)
    assert done.exit_code == 0
    for said in ("28,448 parameters; from config.json", "trained", "optimizer", "total"):
        assert said in done.stdout
    assert "24 windows (counted in chats.jsonl)" in done.stdout
    assert "need a measured throughput" in done.stdout
    assert "hours" not in done.stdout
    assert "Next: sottovoce train" in done.stderr


def test_json_is_one_object_with_every_figure(run, recipe):
    done = run("plan", recipe, "--gpus", 2, "--gpu-memory", 24, "--sharding", "fsdp", "--json")
    made = json.loads(done.stdout)
    assert made["fits"] is True
    assert made["device"] == {"gpus": 2, "sharding": "fsdp", "four_bit": False}
    assert made["hours"] is None
    assert (
        "Next: torchrun --standalone --nproc-per-node 2 --no-python sottovoce train" in done.stderr
    )


def test_a_measured_throughput_and_a_price_give_hours_and_cost(run, recipe):
    given = ("--people", 1000, "--tokens-per-person", 900)
    rates = ("--tokens-per-second", 5000, "--price-per-gpu-hour", 2)
    done = run("plan", recipe, *given, *rates)
    assert "hours, cost" in done.stdout
    assert "1,000 windows (given, one window a person) of 900 tokens (given)" in done.stdout


def test_what_does_not_fit_names_the_change_and_plans_again(run, recipe):
    done = run("plan", recipe, "--gpu-memory", 0.001)
    assert done.exit_code == 0
    assert "It does not fit" in done.stdout
    assert "plan again" in done.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        ("--gpus", -1),
        ("--gpu-memory", 0),
        ("--tokens-per-second", -3),
        ("--people", 0),
        ("--sharding", "zero"),
    ],
)
def test_a_wrong_option_is_wrong_usage(run, recipe, wrong):
    done = run("plan", recipe, *wrong)
    assert done.exit_code == 2
    assert done.stderr.count("Error: ") == 1


def test_a_missing_recipe_is_a_data_problem(run, tmp_path):
    done = run("plan", tmp_path / "none.yaml")
    assert done.exit_code == 1
    assert "the recipe cannot be read" in done.stderr
