from typing import ClassVar

import accelerate.tracking
import pytest
from accelerate.tracking import GeneralTracker
from accelerate.utils import LoggerType
from tests import recipes
from tests.test_finetune import StoppedError

from sottovoce.assembly import assemble
from sottovoce.conversations import read_json_lines
from sottovoce.errors import MissingExtraError
from sottovoce.progress import silent
from sottovoce.tracking import tracked
from sottovoce.train import train

RECORDS = [
    {"job": "fold-0", "epoch": 1, "step": 1, "loss": 0.5, "gradient_norm": 2.0},
    {"job": "fold-0", "epoch": 1, "step": 1, "epoch_loss": 0.5, "validation_mae": None},
    {"job": "final", "epoch": 1, "step": 1, "loss": 0.25, "gradient_norm": 1.0},
]


@pytest.fixture
def people(tmp_path):
    recipes.write_people(tmp_path)
    return tmp_path


def tuned_recipe(folder, backbone, *trackers):
    finetune = recipes.FINETUNE | ({"report_to": list(trackers)} if trackers else {})
    body = {"probe": None, "finetune": finetune, "input": recipes.TURNS}
    return recipes.write_recipe(folder, backbone, **body)


def events(folder):
    """Give every scalar that TensorBoard reads from a run's files: name to steps and values."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    read = EventAccumulator(str(folder / "tensorboard")).Reload()
    return {
        name: [(each.step, each.value) for each in read.Scalars(name)]
        for name in read.Tags()["scalars"]
    }


def recorded(folder):
    """Give the same of a run's metrics.jsonl."""
    found = {}
    for _, row in read_json_lines(folder / "metrics.jsonl"):
        for name in set(row) - {"job", "epoch", "step"}:
            found.setdefault(f"{row['job']}/{name}", []).append((row["step"], row[name]))
    return found


def assert_alike(found, expected):
    assert set(found) == set(expected)
    for name, rows in expected.items():
        assert [step for step, _ in found[name]] == [step for step, _ in rows], name
        values = [value for _, value in rows]
        assert [value for _, value in found[name]] == pytest.approx(values, rel=1e-6), name


def test_tensorboard_shows_the_record_of_the_run_also_of_what_was_trained_before_a_stop(
    people, tiny_bert, tuned_run
):
    def stop(done, total, _figures=None):
        if done > total // 2:
            raise StoppedError

    with pytest.raises(StoppedError):
        train(tuned_recipe(people, tiny_bert), people / "run", stop)
    assert (people / "run.checkpoint").is_dir()
    done = []
    tracking = tuned_recipe(people, tiny_bert, "tensorboard")
    folder = train(tracking, people / "run", lambda each, *_: done.append(each)).folder
    found = events(folder)
    assert_alike(found, recorded(folder))
    assert {name.partition("/")[0] for name in found} == {"fold-0", "fold-1", "final"}
    assert {name.partition("/")[2] for name in found} == {
        "loss",
        "gradient_norm",
        "learning_rate_share",
        "epoch_loss",
        "validation_mae",
    }
    # a tracker is no part of what a training is: the checkpoints were gone on from, and the
    # estimator is the one of the run without
    assert done[0] >= recipes.PEOPLE
    for name in ("estimator.json", "estimator.safetensors"):
        assert (folder / "model" / name).read_bytes() == (tuned_run / "model" / name).read_bytes()


def test_nothing_but_figures_is_in_tensorboard_s_files(people, tiny_bert):
    folder = train(tuned_recipe(people, tiny_bert, "tensorboard"), people / "run").folder
    written = list((folder / "tensorboard").rglob("*"))
    assert written
    text = b"".join(path.read_bytes() for path in written if path.is_file())
    for private in (str(people), str(tiny_bert), "p00", "four hours", "tiny"):
        assert private.encode() not in text, private


def test_without_the_key_nothing_is_logged(tuned_run):
    assert not (tuned_run / "tensorboard").exists()


def test_each_member_of_an_ensemble_is_logged_in_its_own_run(people, tiny_bert, tiny_qwen):
    pace = recipes.FINETUNE["schedule"] | {"epochs": 1}
    tuned = {"folds": 3, "schedule": pace, "report_to": ["tensorboard"]}
    members = {
        "tuned": {
            "on": tiny_bert,
            "probe": None,
            "finetune": recipes.FINETUNE | tuned,
            "input": recipes.TURNS,
        },
        "probe": {"on": tiny_qwen},
    }
    folder = assemble(recipes.write_ensemble(people, members), people / "run").folder
    assert_alike(events(folder / "members" / "tuned"), recorded(folder / "members" / "tuned"))
    assert [path.parent.name for path in folder.rglob("tensorboard")] == ["tuned"]


class Remembering(GeneralTracker):
    """Stands for wandb's or mlflow's tracker of accelerate."""

    requires_logging_directory = False
    log_of_all: ClassVar[list[tuple[object, object]]]

    def __init__(self, project):
        super().__init__()
        self.project = project

    @property
    def tracker(self):
        return self

    def start(self):
        self.log_of_all.append(("start", self.project))

    def log(self, values, step=None, **_options):
        self.log_of_all.append((values, step))

    def finish(self):
        self.log_of_all.append(("finish", self.project))


@pytest.fixture
def remembered(monkeypatch):
    """Let accelerate have a tracker of that name; give what it will have been told."""

    def put(name):
        kind = type(name, (Remembering,), {"name": name, "log_of_all": []})
        monkeypatch.setitem(accelerate.tracking.LOGGER_TYPE_TO_CLASS, name, kind)
        monkeypatch.setattr(accelerate.tracking, "_available_trackers", [LoggerType(name)])
        return kind.log_of_all

    return put


@pytest.mark.parametrize(("name", "step"), [("wandb", None), ("mlflow", 1)])
def test_a_tracker_is_given_the_figures_under_the_training_s_name_and_closed(
    remembered, tmp_path, name, step
):
    log, heard = remembered(name), []
    with tracked([name, name], tmp_path, lambda *each: heard.append(each)) as advance:
        advance(0, 4)
        for number, record in enumerate(RECORDS):
            advance(number + 1, 4, record)
    assert log == [
        ("start", "sottovoce"),
        ({"fold-0/loss": 0.5, "fold-0/gradient_norm": 2.0}, step),
        ({"fold-0/epoch_loss": 0.5}, step),
        ({"final/loss": 0.25, "final/gradient_norm": 1.0}, step),
        ("finish", "sottovoce"),
    ]
    assert heard == [(0, 4, None), *((n + 1, 4, each) for n, each in enumerate(RECORDS))]
    assert list(tmp_path.iterdir()) == []


def test_a_tracker_is_closed_when_the_training_fails(remembered, tmp_path):
    log = remembered("mlflow")
    with pytest.raises(StoppedError), tracked(["mlflow"], tmp_path, silent):
        raise StoppedError
    assert log[-1] == ("finish", "sottovoce")


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("tensorboard", "pip install 'sottovoce[tracking]'"),
        ("wandb", "pip install wandb"),
        ("mlflow", "pip install mlflow"),
    ],
)
def test_a_missing_package_is_one_sentence_before_anything_is_trained(
    people, tiny_bert, monkeypatch, name, command
):
    monkeypatch.setattr(accelerate.tracking, "_available_trackers", [])
    told = []
    with pytest.raises(MissingExtraError) as caught:
        train(tuned_recipe(people, tiny_bert, name), people / "run", lambda *h: told.append(h))
    assert str(caught.value) == (
        f"finetune.report_to: {name} needs a package that is not installed; run: {command}"
    )
    assert told == []
    assert not list(people.glob("run*"))


def test_nobody_listens_where_no_tracker_is_named(tmp_path):
    with tracked([], tmp_path, silent) as advance:
        advance(1, 2, RECORDS[0])
    assert list(tmp_path.iterdir()) == []
