import hashlib
import json
import shutil
from importlib.metadata import version

import numpy as np
import pytest
import yaml
from tests import recipes, tiny

from sottovoce import bundled
from sottovoce.conversations import read_json_lines, write_json_lines
from sottovoce.errors import DataError, ModelError, RecipeError
from sottovoce.estimates import read_scores
from sottovoce.estimator import Estimator
from sottovoce.recipe import read_recipe
from sottovoce.train import load_cohort, load_supervision, train


def contents(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.fixture
def people(tmp_path):
    recipes.write_people(tmp_path)
    return tmp_path


def test_a_run_folder_holds_what_the_run_was(tiny_run):
    assert set(contents(tiny_run)) == recipes.HELD_IN_A_RUN


def test_a_run_is_repeated_from_its_own_folder(tiny_run, tmp_path):
    again = train(tiny_run / "recipe.yaml", tmp_path / "again")
    first = Estimator.from_pretrained(tiny_run)
    assert again.estimator.model_id == first.model_id
    for name, tensor in first.artefact.tensors.items():
        np.testing.assert_array_equal(again.estimator.artefact.tensors[name], tensor)
    here, there = contents(tiny_run), contents(again.folder)
    for name in recipes.HELD_IN_A_RUN - {"recipe.yaml", "report.html"}:
        assert there[name] == here[name], name


def test_the_data_of_a_run_are_known_by_their_checksums(tiny_run):
    record = json.loads((tiny_run / "data.json").read_text())
    for key in ("chats", "labels"):
        content = (tiny_run.parent / f"{key}.jsonl").read_bytes()
        found = {"name": f"{key}.jsonl", "sha256": hashlib.sha256(content).hexdigest()}
        assert record["files"][key] == found
    assert (record["people"], record["windows"]) == (recipes.PEOPLE, recipes.PEOPLE)
    totals = [each.total for each in tiny.labelled_windows(recipes.PEOPLE)]
    assert record["total_mean"] == pytest.approx(np.mean(totals), abs=1e-3)
    assert record["total_sd"] == pytest.approx(np.std(totals, ddof=1), abs=1e-3)


def test_the_environment_names_the_versions(tiny_run):
    record = json.loads((tiny_run / "environment.json").read_text())
    for package in ("torch", "transformers", "safetensors", "scikit-learn", "numpy"):
        assert record["versions"][package] == version(package)
    assert record["cpus"] >= 1


def test_predictions_are_out_of_fold_and_carry_the_metrics(tiny_run):
    predictions = list(read_scores(tiny_run / "predictions.jsonl"))
    totals = [each.total for each in tiny.labelled_windows(recipes.PEOPLE)]
    assert [each.user_id for each in predictions] == [f"p{n:02d}" for n in range(recipes.PEOPLE)]
    metrics = json.loads((tiny_run / "metrics.json").read_text())
    errors = [abs(each.score - total) for each, total in zip(predictions, totals, strict=True)]
    assert metrics["out_of_fold"]["metrics"]["mae"]["value"] == pytest.approx(
        np.mean(errors), abs=1e-3
    )
    assert metrics["simulated"] is False
    assert len(metrics["candidates"]) == 4  # two layers, two penalties
    windows = tiny.labelled_windows(recipes.PEOPLE)
    in_sample = Estimator.from_pretrained(tiny_run).score(windows)
    assert [each.score for each in in_sample] != [each.score for each in predictions]


def test_the_report_is_whole_and_carries_no_word_that_was_said(tiny_run):
    report = (tiny_run / "report.html").read_text("utf-8")
    assert "estimator tiny: out-of-fold evaluation" in report
    assert "sottovoce train recipe.yaml --out run" in report
    for saying in tiny.SAYINGS:
        assert saying not in report


def test_a_backbone_beside_the_recipe_is_found_from_everywhere(
    people, tiny_qwen, tmp_path_factory, monkeypatch
):
    shutil.copytree(tiny_qwen, people / "backbone")
    first = train(recipes.write_recipe(people, "backbone"), people / "runs" / "one")
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    (estimate,) = Estimator.from_pretrained(first.folder).score(tiny.labelled_windows(1))
    assert estimate.score is not None
    again = train(first.folder / "recipe.yaml", people / "two")
    assert again.estimator.model_id == first.estimator.model_id
    assert str(people) not in (first.folder / "recipe.yaml").read_text()
    assert str(people) not in (first.folder / "MODEL_CARD.md").read_text()


def test_only_people_of_the_named_split_are_trained_on(people, tiny_qwen):
    data = {"people": "people.jsonl", "split": "fit"}
    run = train(recipes.write_recipe(people, tiny_qwen, data=data), people / "run")
    users = {each.user_id for each in read_scores(run.folder / "predictions.jsonl")}
    rows = [row for _, row in read_json_lines(people / "people.jsonl")]
    assert users == {row["user_id"] for row in rows if row["split"] == "fit"}
    record = json.loads((run.folder / "data.json").read_text())
    assert set(record["files"]) == {"chats", "labels", "people"}


def test_a_split_without_people_is_a_mistake_of_the_recipe(people):
    data = {"people": "people.jsonl", "split": "tset"}
    with pytest.raises(RecipeError, match="nobody has the split named"):
        train(recipes.write_recipe(people, data=data), people / "run")
    assert not (people / "run").exists()


def test_the_bundled_people_are_trained_on_and_called_simulated(people, tiny_qwen):
    whole = recipes.recipe(tiny_qwen, input={"max_tokens": 32})
    path = people / "bundled.yaml"
    path.write_text(yaml.safe_dump({**whole, "data": {"chats": "bundled"}}))
    run = train(path, people / "run")
    record = json.loads((run.folder / "data.json").read_text())
    assert (record["people"], set(record["files"])) == (200, {"chats", "labels", "people"})
    assert json.loads((run.folder / "metrics.json").read_text())["simulated"] is True
    users = {each.user_id for each in read_scores(run.folder / "predictions.jsonl")}
    assert users == bundled.users("train")
    assert "imulated" in (run.folder / "report.html").read_text()
    assert "**Simulated people" in (run.folder / "MODEL_CARD.md").read_text()


@pytest.mark.parametrize("data", [{}, {"chats": "bundled"}])
def test_too_few_people_say_how_many_were_left_out_and_why(people, data):
    whole = recipes.recipe(windows={"min_user_messages": 400})
    path = people / "strict.yaml"
    path.write_text(yaml.safe_dump({**whole, "data": data or whole["data"]}))
    with pytest.raises(DataError) as caught:
        train(path, people / "run")
    count = 200 if data else recipes.PEOPLE
    assert f"0 people are left to train on, 3 folds need as many (left out: {count}: too" in str(
        caught.value
    )
    assert not (people / "run").exists()


def test_a_failed_training_leaves_no_folder(people, tiny_qwen):
    with pytest.raises(ModelError, match="layer 9 was asked for"):
        train(recipes.write_recipe(people, tiny_qwen, probe={"layers": [9]}), people / "run")
    before = {path.name for path in people.iterdir()}
    assert before == {"chats.jsonl", "labels.jsonl", "people.jsonl", "recipe.yaml"}


def test_a_run_that_fails_while_it_is_written_leaves_the_old_one_whole(
    tiny_run, tiny_qwen, people, monkeypatch
):
    old = shutil.copytree(tiny_run, people / "run")

    def broken(*_args, **_kwargs):
        raise DataError("no room", fix="make some")

    monkeypatch.setattr("sottovoce.train.write_report", broken)
    with pytest.raises(DataError, match="no room"):
        train(recipes.write_recipe(people, tiny_qwen, seed=9), old)
    assert contents(old) == contents(tiny_run)
    assert not (people / "run.partial").exists()


def test_a_run_takes_the_place_of_an_old_one(tiny_run, tiny_qwen, people):
    old = shutil.copytree(tiny_run, people / "run")
    (old / "left-over.txt").write_text("from before")
    run = train(recipes.write_recipe(people, tiny_qwen, seed=9), old)
    assert set(contents(old)) == recipes.HELD_IN_A_RUN
    assert run.estimator.settings.seed == 9


def test_a_folder_that_is_no_run_is_left_alone(people):
    (people / "thesis").mkdir()
    (people / "thesis" / "recipe.yaml").write_text("three years of work")
    with pytest.raises(DataError, match="holds other things than a run"):
        train(recipes.write_recipe(people), people / "thesis")
    assert (people / "thesis" / "recipe.yaml").read_text() == "three years of work"


def test_an_output_that_cannot_be_a_folder_is_refused_before_anything_is_read(people):
    path = recipes.write_recipe(people)
    with pytest.raises(DataError, match="this is a file"):
        train(path, people / "chats.jsonl")
    with pytest.raises(DataError, match="the folder cannot be made"):
        train(path, people / "chats.jsonl" / "run")


def test_a_person_with_two_questionnaires_stays_in_one_fold(people, tiny_qwen):
    rows = [row for _, row in read_json_lines(people / "labels.jsonl")]
    earlier = [{**row, "completed_at": "2025-03-14T11:00:00Z"} for row in rows[:6]]
    write_json_lines(people / "labels.jsonl", [*rows, *earlier])
    run = train(recipes.write_recipe(people, tiny_qwen), people / "run")
    record = json.loads((run.folder / "data.json").read_text())
    assert (record["people"], record["windows"]) == (recipes.PEOPLE, recipes.PEOPLE + 6)


def test_questionnaires_of_another_instrument_are_left_out_and_counted(people):
    rows = [row for _, row in read_json_lines(people / "labels.jsonl")]
    other = {**rows[0], "instrument": "gad-7", "total": 3}
    write_json_lines(people / "labels.jsonl", [*rows, other])
    from sottovoce.recipe import read_recipe

    cohort = load_cohort(read_recipe(recipes.write_recipe(people)), people)
    assert cohort.left_out == {"another instrument": 1}


FINETUNED = {"probe": None, "finetune": recipes.FINETUNE, "input": recipes.TURNS}


def test_a_fine_tuning_leaves_the_same_folder_and_a_record_of_its_steps(tuned_run):
    assert set(contents(tuned_run)) == recipes.HELD_IN_A_RUN | {"metrics.jsonl"}
    rows = [row for _, row in read_json_lines(tuned_run / "metrics.jsonl")]
    assert {row["job"] for row in rows} == {"fold-0", "fold-1", "final"}
    ends = [row for row in rows if "epoch_loss" in row]
    assert [row["epoch"] for row in ends] == [1, 2] * 3
    assert all(row["validation_mae"] > 0 for row in ends)
    assert all(row["loss"] >= 0 and row["gradient_norm"] >= 0 for row in rows if "loss" in row)
    assert not list(tuned_run.parent.glob("*.checkpoint"))
    metrics = json.loads((tuned_run / "metrics.json").read_text())
    assert set(metrics) == {"out_of_fold", "simulated"}
    assert len(list(read_scores(tuned_run / "predictions.jsonl"))) == recipes.PEOPLE


def test_a_fine_tuning_is_repeated_from_its_own_folder(tuned_run, tmp_path):
    again = train(tuned_run / "recipe.yaml", tmp_path / "again")
    here, there = contents(tuned_run), contents(again.folder)
    for name in {*recipes.HELD_IN_A_RUN, "metrics.jsonl"} - {"recipe.yaml", "report.html"}:
        assert there[name] == here[name], name


def test_a_fine_tuning_that_was_stopped_goes_on_and_then_removes_its_checkpoints(
    tuned_run, tiny_bert, people
):
    class StoppedError(Exception):
        pass

    def stop(done, total, _figures=None):
        if done > total // 2:
            raise StoppedError

    path = recipes.write_recipe(people, tiny_bert, **FINETUNED)
    with pytest.raises(StoppedError):
        train(path, people / "run", stop)
    assert not (people / "run").exists()
    kept = {each.name for each in (people / "run.checkpoint").iterdir()}
    assert kept == {
        f"{fold}.{kind}" for fold in ("fold-0", "fold-1") for kind in ("safetensors", "jsonl")
    }
    told = []
    run = train(path, people / "run", lambda done, _total, _figures=None: told.append(done))
    assert told[0] >= recipes.PEOPLE  # the first training was not done again
    assert not (people / "run.checkpoint").exists()
    model = contents(tuned_run)["model/estimator.safetensors"]
    assert contents(run.folder)["model/estimator.safetensors"] == model


def test_a_folder_beside_the_run_keeps_what_is_not_a_checkpoint(tiny_bert, people):
    beside = people / "run.checkpoint"
    beside.mkdir()
    (beside / "notes.txt").write_text("mine")
    finetune = {**recipes.FINETUNE, "calibration": "held_out"}
    train(
        recipes.write_recipe(people, tiny_bert, **{**FINETUNED, "finetune": finetune}),
        people / "run",
    )
    assert [each.name for each in beside.iterdir()] == ["notes.txt"]


def test_one_held_out_fold_is_evaluated_on_its_people_only(tiny_bert, people):
    finetune = {**recipes.FINETUNE, "calibration": "held_out"}
    path = recipes.write_recipe(people, tiny_bert, **{**FINETUNED, "finetune": finetune})
    run = train(path, people / "run")
    assert run.evaluation.n_people == recipes.PEOPLE // 2
    assert len(list(read_scores(run.folder / "predictions.jsonl"))) == recipes.PEOPLE // 2
    assert "left out of the training" in (run.folder / "report.html").read_text("utf-8")


def test_a_lora_target_that_matches_nothing_ends_the_run_with_one_sentence(tiny_bert, people):
    finetune = {**recipes.FINETUNE, "lora": {"targets": ["q_proj"]}}
    path = recipes.write_recipe(people, tiny_bert, **{**FINETUNED, "finetune": finetune})
    with pytest.raises(ModelError, match="no layer of the backbone is named q_proj; correct"):
        train(path, people / "run")
    assert not (people / "run").exists()
    assert not (people / "run.checkpoint").exists()


def test_too_few_people_for_the_folds_of_a_fine_tuning_is_said(people):
    finetune = {**recipes.FINETUNE, "folds": 30}
    path = recipes.write_recipe(people, **{**FINETUNED, "finetune": finetune})
    with pytest.raises(DataError, match="24 people are left to train on, 30 folds need as many"):
        train(path, people / "run")


@pytest.fixture(scope="module")
def reader_run(tmp_path_factory, tiny_qwen):
    folder = tmp_path_factory.mktemp("reader")
    recipes.write_people(folder)
    recipes.write_annotated(folder)
    return train(recipes.write_recipe(folder, tiny_qwen, **recipes.READER), folder / "run").folder


def test_a_reader_learns_from_the_annotations_of_the_people_it_is_trained_on(reader_run):
    assert set(contents(reader_run)) == recipes.HELD_IN_A_RUN
    files = json.loads((reader_run / "data.json").read_text())["files"]
    content = (reader_run.parent / "annotations.jsonl").read_bytes()
    assert files["annotations"]["sha256"] == hashlib.sha256(content).hexdigest()
    windows = tiny.labelled_windows(recipes.PEOPLE)
    read = Estimator.from_pretrained(reader_run).explain(windows)
    quoted = [
        window.messages[each.message].content
        for window, found in zip(windows, read, strict=True)
        for each in found.grounds.evidence()
        if each.item == 3 and tiny.SAYINGS[0] in [m.content for m in window.messages]
    ]
    assert np.mean([text == tiny.SAYINGS[0] for text in quoted]) > 0.9


def test_the_run_of_a_reader_is_repeated_and_says_what_it_is(reader_run, tmp_path):
    again = train(reader_run / "recipe.yaml", tmp_path / "again")
    assert again.estimator.model_id == Estimator.from_pretrained(reader_run).model_id
    assert "scored by a reader taught without them" in (reader_run / "report.html").read_text()
    card = (reader_run / "MODEL_CARD.md").read_text("utf-8")
    assert "evidence reader of 9 items on layers 1, 4" in card
    assert "read message by message" in card


def test_a_reader_that_is_trained_needs_annotations(people, tiny_qwen):
    untaught = recipes.READER | {"data": {}}
    path = recipes.write_recipe(people, tiny_qwen, **untaught)
    with pytest.raises(RecipeError) as caught:
        train(path, people / "run")
    assert str(caught.value) == (
        f"{path}: data.annotations is missing; name the annotations.jsonl that sottovoce annotate "
        "wrote"
    )
    assert not (people / "run").exists()


def test_annotations_of_other_people_teach_nobody(people, tiny_qwen):
    path = recipes.write_annotated(people)
    kept = [row for _, row in read_json_lines(path) if row["user_id"] == "nobody-here"]
    write_json_lines(path, kept)
    with pytest.raises(DataError, match="nobody of the training people is annotated"):
        train(recipes.write_recipe(people, tiny_qwen, **recipes.READER), people / "run")


def test_the_bundled_people_bring_their_annotations(people, tiny_qwen):
    changes = recipes.READER | {"data": {"labels": None, "chats": "bundled"}}
    recipe = read_recipe(recipes.write_recipe(people, tiny_qwen, **changes))
    told = load_supervision(recipe, people / "recipe.yaml", [])
    assert set(told.annotations) == bundled.users("train")
    assert all(each.quotes for each in told.annotations.values())
    assert set(recipe.files(people)) == {"chats", "labels", "people", "annotations", "evidence"}
