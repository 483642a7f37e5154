import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import click
import pytest
from tests import recipes

from sottovoce import bundled, toy
from sottovoce.cli import console
from sottovoce.conversations import conversation_record, write_json_lines
from sottovoce.errors import DataError
from sottovoce.estimator import Estimator
from sottovoce.parallel import World


@pytest.fixture
def people(tmp_path):
    recipes.write_people(tmp_path)
    return tmp_path


def test_a_recipe_becomes_a_run_that_is_told_in_one_line(run, people, tiny_qwen):
    recipe = recipes.write_recipe(people, tiny_qwen)
    outcome = run("train", recipe, "--out", people / "run")
    assert outcome.exit_code == 0
    (line,) = outcome.stdout.splitlines()
    model_id = Estimator.from_pretrained(people / "run").model_id
    assert line.startswith(f"{model_id}: 24 people; mean of ")
    assert "out of fold mae " in line
    assert outcome.stderr.splitlines()[-1] == (
        f"Next: sottovoce score chats.jsonl --model {people / 'run'} --out scores.jsonl"
    )


def test_json_is_one_object_with_the_metrics(run, people, tiny_qwen):
    recipe = recipes.write_recipe(people, tiny_qwen)
    outcome = run("train", recipe, "--out", people / "a run", "--json")
    printed = json.loads(outcome.stdout)
    kept = json.loads((people / "a run" / "metrics.json").read_text())
    assert printed["metrics"] == kept["out_of_fold"]["metrics"]
    assert printed["metrics"]["mae"]["value"] > 0
    assert printed["run"] == str(people / "a run")
    assert printed["model_id"] == Estimator.from_pretrained(people / "a run").model_id
    assert f"--model '{people / 'a run'}'" in outcome.stderr


def test_a_fine_tuning_that_is_tracked_says_nothing_on_the_way_where_no_terminal_is(
    run, people, tiny_bert, capfd
):
    finetune = recipes.FINETUNE | {"report_to": ["tensorboard"], "calibration": "held_out"}
    body = {"probe": None, "finetune": finetune, "input": recipes.TURNS}
    outcome = run("train", recipes.write_recipe(people, tiny_bert, **body), "--out", people / "run")
    assert outcome.exit_code == 0
    assert [line.partition(":")[0] for line in outcome.stderr.splitlines()] == ["Next"]
    assert len(outcome.stdout.splitlines()) == 1
    assert capfd.readouterr() == ("", "")
    assert list((people / "run" / "tensorboard").iterdir())


def test_every_mistake_of_the_recipe_is_told_at_once(run, people):
    recipe = recipes.write_recipe(people, coverage=2, sead=1)
    outcome = run("train", recipe, "--out", people / "run")
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert outcome.stderr == (
        f"Error: {recipe}: 2 mistakes: coverage: input should be less than 1; "
        "sead is not a key, did you mean seed?\n"
    )
    assert not (people / "run").exists()


def test_a_run_is_not_overwritten_unless_it_is_forced(run, people, tiny_run, tiny_qwen):
    old = shutil.copytree(tiny_run, people / "run")
    recipe = recipes.write_recipe(people, tiny_qwen, seed=9)
    outcome = run("train", recipe, "--out", old)
    assert outcome.exit_code == 1
    assert "it exists already; add --force" in outcome.stderr
    assert Estimator.from_pretrained(old).settings.seed == 0
    assert run("train", recipe, "--out", old, "--force").exit_code == 0
    assert Estimator.from_pretrained(old).settings.seed == 9


def test_force_never_removes_what_is_no_run(run, people):
    recipe = recipes.write_recipe(people)
    outcome = run("train", recipe, "--out", people, "--force")
    assert outcome.exit_code == 1
    assert "holds other things than a run" in outcome.stderr
    assert (people / "chats.jsonl").exists()


@pytest.mark.parametrize("name", ["chats.jsonl", "labels.jsonl"])
def test_missing_data_end_with_one_sentence_and_no_folder(run, people, name):
    (people / name).unlink()
    outcome = run("train", recipes.write_recipe(people), "--out", people / "run")
    assert (outcome.exit_code, outcome.stdout) == (1, "")
    assert f"{name}: the file cannot be read" in outcome.stderr
    assert outcome.stderr.count("\n") == 1
    assert not (people / "run").exists()
    assert not (people / "run.partial").exists()


def test_a_backbone_that_is_not_there_ends_with_one_sentence(run, people):
    recipe = recipes.write_recipe(people, "./no-such-folder")
    outcome = run("train", recipe, "--out", people / "run")
    assert outcome.exit_code == 1
    assert "./no-such-folder: no such folder" in outcome.stderr


def test_without_a_folder_the_usage_is_wrong(run, people):
    outcome = run("train", recipes.write_recipe(people))
    assert outcome.exit_code == 2
    assert "Missing option '--out'" in outcome.stderr


def test_the_smoke_test_recipe_goes_the_whole_way_to_an_export(run, tmp_path, monkeypatch):
    monkeypatch.setenv("SOTTOVOCE_CACHE", str(tmp_path / "cache"))
    recipe = Path(__file__).parents[2] / "recipes" / "tiny-cpu.yaml"
    trained = run("train", recipe, "--out", tmp_path / "run")
    assert trained.exit_code == 0
    assert trained.stdout.startswith("finetune-tiny-qwen3.5-random-")
    assert toy.NAME in (tmp_path / "run" / "MODEL_CARD.md").read_text("utf-8")
    some = sorted(bundled.users("test"))[:3]
    chats = [each for each in bundled.conversations("test") if each.user_id in some]
    write_json_lines(tmp_path / "chats.jsonl", map(conversation_record, chats))
    scores = tmp_path / "scores.jsonl"
    scored = run(
        "score", tmp_path / "chats.jsonl", "--model", tmp_path / "run", "--out", scores, "--json"
    )
    assert json.loads(scored.stdout)["scored"] == len(some)
    assert run("evaluate", scores, bundled.LABELS, "--out", tmp_path / "report").exit_code == 0
    assert run("export", tmp_path / "run", "--out", tmp_path / "exported").exit_code == 0
    assert (tmp_path / "exported" / "model.safetensors").is_file()


def test_a_recipe_that_fine_tunes_is_trained_and_scores(run, people, tiny_bert):
    body = {"probe": None, "finetune": recipes.FINETUNE, "input": recipes.TURNS}
    recipe = recipes.write_recipe(people, tiny_bert, **body)
    outcome = run("train", recipe, "--out", people / "run")
    assert outcome.exit_code == 0
    assert outcome.stdout.startswith("finetune-")
    assert ": 24 people; LoRA of rank 4; out of fold mae " in outcome.stdout
    scores = people / "scores.jsonl"
    scored = run("score", people / "chats.jsonl", "--model", people / "run", "--out", scores)
    assert scored.exit_code == 0
    assert len(scores.read_text("utf-8").splitlines()) == recipes.PEOPLE


def launched(*arguments):
    """Run the command in two processes, as torchrun starts them."""
    root = Path(__file__).parents[2]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    command = [*launch, "-m", "sottovoce.cli", "train", *map(str, arguments)]
    paths = {"PYTHONPATH": os.pathsep.join([str(root), str(root / "src")])}
    return subprocess.run(
        command, env=os.environ | paths, capture_output=True, text=True, check=False
    )


def test_two_processes_leave_the_run_of_one_and_speak_once(run, people, tiny_qwen):
    schedule = recipes.FINETUNE["schedule"] | {"epochs": 1}
    finetune = recipes.FINETUNE | {"lora": {"dropout": 0}, "calibration": "held_out"}
    body = {"probe": None, "finetune": finetune | {"schedule": schedule}, "input": recipes.TURNS}
    alone = recipes.write_recipe(people, tiny_qwen, **body)
    assert run("train", alone, "--out", people / "alone").exit_code == 0
    body["finetune"]["sharding"] = "fsdp"
    done = launched(recipes.write_recipe(people, tiny_qwen, **body), "--out", people / "run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1
    assert done.stderr.count("Next: sottovoce score chats.jsonl") == 1
    assert json.loads((people / "run" / "environment.json").read_text())["processes"] == 2
    assert not list(people.glob("run.*"))
    first, second = (
        [json.loads(line)["score"] for line in path.read_text().splitlines()]
        for path in (people / name / "predictions.jsonl" for name in ("alone", "run"))
    )
    assert first == pytest.approx(second, abs=0.02)
    assert Estimator.from_pretrained(people / "run").settings.finetune.sharding == "fsdp"


def test_two_processes_refuse_with_one_sentence(people):
    recipe = recipes.write_recipe(people, coverage=2)
    done = launched(recipe, "--out", people / "run")
    assert (done.returncode, done.stdout) == (1, "")
    (told,) = [line for line in done.stderr.splitlines() if line.startswith("Error: ")]
    assert told == f"Error: {recipe}: one mistake: coverage: input should be less than 1"


def test_one_process_does_not_pretend_to_share_weights_out(run, people, tiny_bert):
    finetune = recipes.FINETUNE | {"sharding": "fsdp"}
    recipe = recipes.write_recipe(people, tiny_bert, probe=None, finetune=finetune)
    outcome = run("train", recipe, "--out", people / "run")
    assert outcome.exit_code == 1
    assert "there is one process to share the weights out to" in outcome.stderr


@pytest.mark.parametrize(("rank", "said"), [(0, "said\n"), (1, "")])
def test_of_several_processes_the_first_speaks_and_all_fail(monkeypatch, capsys, rank, said):
    def fail():
        with console.told_by_first(World(rank, 2)):
            click.echo("said")
            raise DataError("no")

    monkeypatch.setattr(console, "FIRST_SPEAKS", 0.0)
    with pytest.raises(DataError, match="no"):
        fail()
    assert capsys.readouterr().out == said
