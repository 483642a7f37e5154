import json
import re
import shutil

import numpy as np
import pytest
import yaml
from tests import recipes, taught, tiny

from sottovoce import learner, stages
from sottovoce.annotations import write_annotations
from sottovoce.conversations import conversation_record, response_record, write_json_lines
from sottovoce.ensemble import Ensemble
from sottovoce.errors import DataError
from sottovoce.estimates import read_scores
from sottovoce.estimator import Estimator
from sottovoce.self_train import self_train

N = {"train": 24, "pool": 16, "test": 16}


def people():
    """People whose total follows how often they say one thing; no two say the same."""
    generator = np.random.default_rng(4)
    for number in range(sum(N.values())):
        total = float(generator.integers(0, 28))
        own = [" ".join(f"w{each}" for each in generator.integers(0, 10**6, 8)) for _ in range(6)]
        sad = [tiny.SAYINGS[0] if place < total / 4.5 else tiny.SAYINGS[1] for place in range(6)]
        said = [f"{first} {second}" for first, second in zip(sad, own, strict=True)]
        yield tiny.window(f"p{number:02d}", said, total)


@pytest.fixture
def files(tmp_path, tiny_qwen):
    """Files of training people, pool and test people, and a recipe."""
    everybody = list(people())
    rows = np.cumsum([0, *N.values()])
    for name, first, last in zip(N, rows, rows[1:], strict=False):
        part = everybody[first:last]
        chats = (conversation_record(tiny.conversation(each)) for each in part)
        write_json_lines(tmp_path / f"{name}.jsonl", chats)
        labels = (response_record(each.label) for each in part)
        write_json_lines(tmp_path / f"{name}-labels.jsonl", labels)
    said = [taught.annotation(each.user_id, min(each.total + 2, 27)) for each in everybody]
    write_annotations(tmp_path / "annotations.jsonl", said)
    data = {"chats": "train.jsonl", "labels": "train-labels.jsonl"}
    member = recipes.recipe(tiny_qwen, data=data)
    (tmp_path / "member.yaml").write_text(yaml.safe_dump(member), "utf-8")
    return tmp_path


def recipe_in(folder, **changes):
    section = {
        "members": ["member.yaml"],
        "pool": {"chats": "pool.jsonl", "annotations": "annotations.jsonl"},
        "test": {"chats": "test.jsonl", "labels": "test-labels.jsonl"},
        "trust": [1.0],
    }
    section = {key: each for key, each in (section | changes).items() if each is not None}
    path = folder / "self-train.yaml"
    path.write_text(yaml.safe_dump({"name": "made-up", "self_training": section}), "utf-8")
    return path


def ablation_in(folder):
    return json.loads((folder / "ablation.json").read_text("utf-8"))


def test_the_run_holds_every_stage_and_a_model_that_scores(files):
    run = self_train(recipe_in(files), files / "run")
    table = ablation_in(run.folder)
    names = ["ground_truth", "annotator", "relabel-1", "ensemble"]
    assert [row["stage"] for row in table["rows"]] == names
    assert table["n"] == 16
    assert table["rows"][0]["notes"] == ["annotations of 16 test people are ignored"]
    for row in table["rows"][1:]:
        assert row["difference_to_before"]["mae"]["n"] == 16
    for name in names:
        stage = run.folder / "stages" / name
        assert len(list(read_scores(stage / "predictions.jsonl"))) == 16
        assert Estimator.from_pretrained(stage / "model").score([]) == []
    again = Estimator.from_pretrained(run.folder)
    assert again.model_id == run.scorer.model_id
    windows = list(people())[-16:]
    kept = [each.score for each in read_scores(run.folder / "predictions.jsonl")]
    np.testing.assert_allclose(again.predict(windows), kept, atol=1e-3)
    assert isinstance(again, Ensemble) == (table["rows"][-1]["trust"] > 0)
    page = (run.folder / "report.html").read_text("utf-8")
    assert "Stages of the training" in page
    assert re.search(r'<th scope="row"[^>]*>relabel-1', page)
    assert re.search(r'<th scope="col"[^>]*>relabel-1', page)  # AUC at every cut-off, by stage
    record = json.loads((run.folder / "data.json").read_text("utf-8"))
    assert record["learnt_from"] == {"training": 24, "pool": 16, "annotated": 40, "test": 16}
    assert not any(path.suffix == ".checkpoint" for path in files.iterdir())


class Killed(Exception):
    pass


def test_a_run_that_was_killed_goes_on_and_ends_alike(files, monkeypatch):
    recipe = recipe_in(files)
    whole = self_train(recipe, files / "whole")
    real = stages._Run.stage
    made = []

    def until_relabel(self, name, before):
        if name == "relabel-1":
            raise Killed
        made.append(name)
        return real(self, name, before)

    def counted(self, name, before):
        made.append(name)
        return real(self, name, before)

    monkeypatch.setattr(stages._Run, "stage", until_relabel)
    with pytest.raises(Killed):
        self_train(recipe, files / "killed")
    assert not (files / "killed").exists()
    monkeypatch.setattr(stages._Run, "stage", counted)
    done = self_train(recipe, files / "killed")
    assert made == ["ground_truth", "annotator", "relabel-1", "ensemble"]
    assert ablation_in(done.folder) == ablation_in(whole.folder)
    assert done.scorer.model_id == whole.scorer.model_id


def test_stages_of_other_people_or_damaged_ones_are_made_again(files, monkeypatch):
    recipe = recipe_in(files, stages=["ground_truth"])
    first = self_train(recipe, files / "run")
    kept = files / "other.checkpoint" / "stages"
    for change in ("labels", "damage"):
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(first.folder / "stages", kept)
        if change == "damage":
            (kept / "ground_truth" / "stage.safetensors").write_bytes(b"{}")
        else:
            path = files / "train-labels.jsonl"
            lines = path.read_text("utf-8").splitlines()
            row = json.loads(lines[0])
            row["total"] = 27 - row["total"]
            path.write_text("\n".join([json.dumps(row), *lines[1:]]) + "\n", "utf-8")
        before = []
        monkeypatch.setattr(learner.Learner, "fit", _noticed(before, learner.Learner.fit))
        self_train(recipe, files / "other")
        monkeypatch.undo()
        assert len(before) == 1
        shutil.rmtree(files / "other")


def _noticed(calls, real):
    def fit(self, *told):
        calls.append(told)
        return real(self, *told)

    return fit


def test_by_cross_validation_everybody_is_tested_once_by_stages_without_them(files):
    recipe = recipe_in(files, test=None, cross_validation=3, stages=["ground_truth", "annotator"])
    run = self_train(recipe, files / "run")
    table = ablation_in(run.folder)
    assert table["n"] == 24
    assert table["rows"][0]["n_questionnaires"] == 24
    folds = [run.folder / "stages" / f"fold-{fold}" / "annotator" for fold in range(3)]
    tested = [{each.user_id for each in read_scores(fold / "predictions.jsonl")} for fold in folds]
    assert sum(map(len, tested)) == len(set.union(*tested)) == 24
    for fold in folds:
        record = json.loads((fold / "stage.json").read_text("utf-8"))["record"]
        assert record["annotator"]["n"] == 16


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("annotations.jsonl", lambda rows: [*rows, rows[0]], "a person has two annotations"),
        (
            "annotations.jsonl",
            lambda rows: [{**rows[0], "instrument": "gad-7", "items": [1] * 7, "total": 7}],
            "an annotation is of gad-7",
        ),
        ("test-labels.jsonl", lambda rows: [{**rows[0], "user_id": "x"}], "nobody is left to test"),
    ],
)
def test_files_that_do_not_fit_are_refused(files, name, change, problem):
    rows = [json.loads(line) for line in (files / name).read_text("utf-8").splitlines()]
    write_json_lines(files / name, change(rows))
    with pytest.raises(DataError, match=problem):
        self_train(recipe_in(files), files / "run")
    assert not (files / "run").exists()
