import math
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.linear_model import Ridge
from tests import tuning

from sottovoce.backbones import load_backbone
from sottovoce.checkpoint import read_checkpoint
from sottovoce.errors import ModelError
from sottovoce.finetune import finetune, learning_rate_share
from sottovoce.instruments import PHQ_9
from sottovoce.probe import PENALTIES
from sottovoce.progress import silent
from sottovoce.settings import HeadSettings
from sottovoce.tuned import Reader

ROOT = Path(__file__).parents[1]
METHODS = ["lora", "full"]


class StoppedError(Exception):
    pass


def stop_after(n):
    """Give an `advance` that stops a training after its n-th step, those before it counted."""
    steps = []

    def advance(done, total, figures):
        steps.extend([done] if "loss" in figures else [])
        if len(steps) == n:
            raise StoppedError

    return advance


def trained(folder, settings, job=None, advance=silent, change=lambda each: each, **read):
    backbone = load_backbone(str(folder), **read)
    examples = change(tuning.examples(backbone))
    return finetune(backbone, examples, PHQ_9, settings, job or tuning.job(), advance)


def assert_same(first, second):
    """Bit for bit: weights, head, scores and record."""
    assert set(first.body.tensors) == set(second.body.tensors)
    for name, tensor in first.body.tensors.items():
        np.testing.assert_array_equal(second.body.tensors[name], tensor, err_msg=name)
    np.testing.assert_array_equal(first.held_out, second.held_out)
    assert first.history == second.history


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["tiny_qwen", "tiny_composite_qwen", "tiny_bert"])
def test_a_tiny_backbone_learns_what_the_made_up_people_repeat(name, method, request):
    tuned = trained(request.getfixturevalue(name), tuning.finetune_settings(method))
    errors = [row["validation_mae"] for row in tuned.history if "validation_mae" in row]
    losses = [row["epoch_loss"] for row in tuned.history if "epoch_loss" in row]
    assert len(losses) == 3
    assert losses[-1] < losses[0]
    assert all(math.isfinite(each) for each in errors)
    assert tuned.held_out.shape == (4,)
    assert (tuned.held_out >= 0).all() and (tuned.held_out <= 27).all()


@pytest.mark.parametrize("method", METHODS)
def test_the_body_scores_as_its_training_did(tiny_qwen, method):
    tuned = trained(tiny_qwen, tuning.finetune_settings(method))
    backbone = load_backbone(str(tiny_qwen))
    inputs = [tuning.examples(backbone).inputs[row] for row in tuning.job().held_out]
    points = tuned.body.predict(tuned.body.prepare(backbone), inputs, silent)
    np.testing.assert_allclose(np.clip(points, 0, 27), tuned.held_out, atol=1e-3)


def test_adapters_beside_half_precision_weights_score_as_their_training_did(tiny_bert):
    backbone = load_backbone(str(tiny_bert), dtype="bfloat16")
    examples, job = tuning.examples(backbone), tuning.job()
    tuned = finetune(backbone, examples, PHQ_9, tuning.finetune_settings(), job)
    assert {each.dtype for each in tuned.body.weights.values()} == {np.dtype("float32")}
    prepared = tuned.body.prepare(load_backbone(str(tiny_bert), dtype="bfloat16"))
    points = tuned.body.predict(prepared, [examples.inputs[row] for row in job.held_out], silent)
    np.testing.assert_array_equal(np.clip(points, 0, 27), tuned.held_out)


@pytest.mark.parametrize(
    ("outputs", "loss"),
    [
        ("total", "mse"),
        ("total", "l1"),
        ("total", "student_t"),
        ("total", "ordinal"),
        ("items", "huber"),
        ("both", "ordinal"),
    ],
)
def test_every_head_and_loss_trains(tiny_bert, outputs, loss):
    def with_some_items(examples):
        items = examples.items.copy()
        items[::2] = 1.0
        return replace(examples, items=items)

    head = HeadSettings(outputs=outputs, loss=loss, smoothing=True)
    settings = tuning.finetune_settings(head=head)
    tuned = trained(tiny_bert, settings, change=with_some_items)
    losses = [row["epoch_loss"] for row in tuned.history if "epoch_loss" in row]
    assert losses[-1] < losses[0]


def test_the_gradient_does_not_depend_on_how_a_batch_is_cut(tiny_bert):
    whole, parts = (
        trained(
            tiny_bert,
            tuning.finetune_settings("full", batch_tokens=tokens, epochs=1, patience=1),
            tuning.job(validation=np.array([], int)),
        )
        for tokens in (100_000, 1)
    )
    norms = [
        [row["gradient_norm"] for row in each.history if "gradient_norm" in row]
        for each in (whole, parts)
    ]
    assert norms[0][0] == pytest.approx(norms[1][0], rel=1e-2)  # the encoder's own dropout differs
    assert len(norms[0]) == len(norms[1]) == 2


def test_gradient_checkpointing_reads_twice_changes_no_number_and_ends(tiny_qwen):
    bodies, reads = [], []
    for wanted in (False, True):
        backbone, times = load_backbone(str(tiny_qwen)), []
        backbone.model.layers[0].mlp.register_forward_pre_hook(
            lambda layer, _, times=times: times.append(1) if layer.training else None
        )
        settings = tuning.finetune_settings(gradient_checkpointing=wanted)
        examples, job = tuning.examples(backbone), tuning.job()
        bodies.append(finetune(backbone, examples, PHQ_9, settings, job).body)
        reads.append(len(times))
        assert not backbone.model.is_activation_checkpointing
        assert not backbone.model.get_input_embeddings()._forward_hooks
    assert reads[1] == 2 * reads[0] > 0
    for name, tensor in bodies[0].tensors.items():
        np.testing.assert_allclose(bodies[1].tensors[name], tensor, atol=1e-5)


def test_the_same_seed_gives_the_same_weights_and_leaves_torch_s_own_alone(tiny_bert):
    settings = tuning.finetune_settings()
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = trained(tiny_bert, settings)
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert_same(first, trained(tiny_bert, settings))
    other = trained(tiny_bert, settings, tuning.job(seed=6))
    assert any((other.body.tensors[key] != each).any() for key, each in first.body.tensors.items())


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 5])
def test_a_training_that_was_stopped_goes_on_exactly(tiny_bert, tmp_path, steps):
    settings = tuning.finetune_settings("full")
    job = tuning.job(folder=tmp_path)
    with pytest.raises(StoppedError):
        trained(tiny_bert, settings, job, stop_after(steps))
    assert_same(trained(tiny_bert, settings), trained(tiny_bert, settings, job))


KILLED = """
import sys
from pathlib import Path
from tests import test_finetune, tuning

settings = tuning.finetune_settings(epochs=200, patience=200, checkpoint_steps=3)
test_finetune.trained(sys.argv[1], settings, tuning.job(folder=Path(sys.argv[2])))
"""


def test_a_training_that_was_killed_gives_the_weights_of_one_that_was_not(tiny_qwen, tmp_path):
    command = [sys.executable, "-c", KILLED, str(tiny_qwen), str(tmp_path)]
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    with subprocess.Popen(
        command, env=os.environ | paths, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as process:
        path = tmp_path / "final.safetensors"
        while process.poll() is None and not path.is_file():
            time.sleep(0.01)
        time.sleep(0.1)
        process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    _, state = read_checkpoint(path)
    assert not state["finished"]
    assert_resumes(tiny_qwen, path, state)


def assert_resumes(folder, path, state):
    """Go on from a killed training for two epochs, and train as far without interruption."""
    settings = tuning.finetune_settings(epochs=200, patience=200, checkpoint_steps=3)
    last = (state["epoch"] + 2) * 2
    outcomes = []
    for job in (tuning.job(folder=path.parent), tuning.job(folder=path.parent / "whole")):
        with pytest.raises(StoppedError):
            trained(folder, settings, job, stop_after(last))
        outcomes.append(read_checkpoint(job.folder / "final.safetensors"))
    (resumed, first), (whole, second) = outcomes
    assert first == second
    assert set(resumed) == set(whole)
    for name, tensor in whole.items():
        assert torch.equal(resumed[name], tensor), name


def test_a_finished_training_is_not_trained_again(tiny_bert, tmp_path):
    settings, job = tuning.finetune_settings(), tuning.job(folder=tmp_path)
    first = trained(tiny_bert, settings, job)
    told, records = [], []

    def hear(done, total, figures):
        told.append((done, total))
        records.append(figures)

    second = trained(tiny_bert, settings, job, hear)
    assert set(told) == {(48, 48)}
    assert tuple(records) == first.history  # what was, for whoever shows it
    assert_same(first, second)


def test_a_checkpoint_of_another_training_is_not_gone_on_from(tiny_bert, tmp_path):
    job = tuning.job(folder=tmp_path)
    trained(tiny_bert, tuning.finetune_settings(), job)
    other = tuning.finetune_settings(learning_rate=3e-3)
    assert_same(trained(tiny_bert, other), trained(tiny_bert, other, job))


def test_a_checkpoint_beside_other_number_types_is_not_gone_on_from(tiny_bert, tmp_path):
    job, settings = tuning.job(folder=tmp_path), tuning.finetune_settings(epochs=1)
    first = trained(tiny_bert, settings, job)
    fresh, found = (trained(tiny_bert, settings, each, quantization="nf4") for each in (None, job))
    assert_same(fresh, found)
    assert found.history != first.history


def test_training_stops_when_validation_no_longer_improves_and_keeps_the_best(tiny_bert):
    settings = tuning.finetune_settings(epochs=40, patience=2, learning_rate=3e-2)
    tuned = trained(tiny_bert, settings)
    errors = [row["validation_mae"] for row in tuned.history if "validation_mae" in row]
    assert len(errors) < 40
    assert len(errors) - 1 - int(np.argmin(errors)) == 2
    backbone = load_backbone(str(tiny_bert))
    examples, rows = tuning.examples(backbone), tuning.job().validation
    prepared = tuned.body.prepare(backbone)
    points = tuned.body.predict(prepared, [examples.inputs[row] for row in rows], silent)
    kept = np.abs(np.clip(points, 0, 27) - examples.totals[rows]).mean()
    assert kept == pytest.approx(min(errors), abs=1e-3)


def test_without_validation_the_last_epoch_is_kept(tiny_bert):
    job = tuning.job(validation=np.array([], int))
    tuned = trained(tiny_bert, tuning.finetune_settings(), job)
    ends = [row for row in tuned.history if "epoch_loss" in row]
    assert [row["validation_mae"] for row in ends] == [None] * 3


@pytest.mark.parametrize("rate", [1e8, float("nan")])
def test_a_training_that_diverges_is_one_sentence(tiny_bert, rate):
    pace = {"learning_rate": rate, "head_learning_rate": rate, "clip": 1e9}
    head = HeadSettings(loss="mse")
    with pytest.raises(ModelError) as caught:
        trained(tiny_bert, tuning.finetune_settings("full", head=head, **pace))
    assert "the training final diverged at step " in str(caught.value)
    assert "lower finetune.schedule.learning_rate" in str(caught.value)


@pytest.mark.parametrize(("weight", "same"), [(1e-9, True), (1.0, False)])
def test_a_window_that_weighs_next_to_nothing_teaches_next_to_nothing(tiny_bert, weight, same):
    light = np.arange(24) < 6

    def change(examples, order):
        totals = examples.totals.copy()
        totals[light] = totals[light][order]
        return replace(examples, totals=totals, weights=np.where(light, weight, 1.0))

    settings = tuning.finetune_settings(epochs=2)
    first, second = (
        trained(tiny_bert, settings, change=lambda each, order=order: change(each, order))
        for order in (slice(None), slice(None, None, -1))
    )
    found = np.allclose(first.held_out, second.held_out, atol=1e-3)
    assert found == same


def test_a_held_out_score_does_not_depend_on_the_labels_of_its_own_fold(tiny_bert):
    def lied(examples):
        totals = examples.totals.copy()
        totals[tuning.job().held_out] = 27.0
        return replace(examples, totals=totals)

    settings = tuning.finetune_settings(head=HeadSettings(smoothing=True))
    assert_same(trained(tiny_bert, settings), trained(tiny_bert, settings, change=lied))


@given(st.integers(1, 400), st.floats(0, 1))
def test_the_rate_rises_to_its_peak_and_falls_to_nothing(n_steps, warm_up):
    shares = [learning_rate_share(step, n_steps, warm_up) for step in range(n_steps)]
    top = int(np.argmax(shares))
    assert all(0 < share <= 1 for share in shares[: top + 1])
    assert shares == sorted(shares[: top + 1]) + sorted(shares[top + 1 :], reverse=True)
    assert max(shares) == pytest.approx(1)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["tiny_qwen", "tiny_composite_qwen", "tiny_bert"])
def test_only_blocks_above_the_frozen_ones_are_trained(name, method, request):
    folder = request.getfixturevalue(name)
    settings = tuning.finetune_settings(method, frozen_layers=1)
    tuned = trained(folder, settings)
    places = {re.search(r"(?:layers|layer)\.(\d+)\.", each).group(1) for each in tuned.body.weights}
    n_layers = load_backbone(str(folder)).n_layers
    assert places == {str(place) for place in range(1, n_layers)}
    backbone = load_backbone(str(folder))
    inputs = [tuning.examples(backbone).inputs[row] for row in tuning.job().held_out]
    points = tuned.body.predict(tuned.body.prepare(backbone), inputs, silent)
    np.testing.assert_allclose(np.clip(points, 0, 27), tuned.held_out, atol=1e-3)


def test_freezing_every_block_is_one_sentence(tiny_bert):
    with pytest.raises(ModelError, match="frozen_layers is 2 and 2 blocks are used"):
        trained(tiny_bert, tuning.finetune_settings(frozen_layers=2))


def test_a_head_that_starts_from_a_probe_says_at_first_what_a_ridge_regression_says(tiny_bert):
    still = {"epochs": 1, "learning_rate": 1e-12, "head_learning_rate": 1e-12}
    settings = tuning.finetune_settings("full", head=HeadSettings(start="probe"), **still)
    tuned = trained(tiny_bert, settings)
    backbone = load_backbone(str(tiny_bert))
    examples, job = tuning.examples(backbone), tuning.job()
    reader = Reader(tuned.body.head, "user_mean", 512)
    states = reader.states(backbone, examples.inputs).astype(float)
    centre, spread = states[job.training].mean(0), states[job.training].std(0)
    errors = []
    for penalty in PENALTIES:
        ridge = Ridge(alpha=penalty * states.shape[1])
        ridge.fit((states[job.training] - centre) / spread, examples.totals[job.training])
        points = ridge.predict((states[job.held_out] - centre) / spread)
        errors.append(np.abs(np.clip(points, 0, 27) - tuned.held_out).max())
    assert min(errors) < 1e-3


def test_a_training_from_a_probe_above_frozen_blocks_goes_on_exactly(tiny_qwen, tmp_path):
    settings = tuning.finetune_settings(frozen_layers=2, head=HeadSettings(start="probe"))
    whole = trained(tiny_qwen, settings)
    with pytest.raises(StoppedError):
        trained(tiny_qwen, settings, tuning.job(folder=tmp_path), stop_after(3))
    assert_same(whole, trained(tiny_qwen, settings, tuning.job(folder=tmp_path)))


def test_fewer_blocks_are_trained_and_scored_alike(tiny_qwen):
    settings = tuning.finetune_settings(layers=3)
    backbone = load_backbone(str(tiny_qwen), keep_layers=3)
    examples = tuning.examples(backbone)
    tuned = finetune(backbone, examples, PHQ_9, settings, tuning.job())
    assert tuned.body.keep_layers == 3
    other = load_backbone(str(tiny_qwen), keep_layers=tuned.body.keep_layers)
    inputs = [examples.inputs[row] for row in tuning.job().held_out]
    points = tuned.body.predict(tuned.body.prepare(other), inputs, silent)
    np.testing.assert_allclose(np.clip(points, 0, 27), tuned.held_out, atol=1e-3)


def test_the_probe_is_kept_where_training_makes_validation_worse(tiny_bert):
    wild = {"learning_rate": 0.3, "head_learning_rate": 1e-12, "epochs": 2, "clip": 1e3}
    settings = tuning.finetune_settings(head=HeadSettings(start="probe"), **wild)
    still = replace(settings, schedule=replace(settings.schedule, learning_rate=1e-12))
    worse, as_it_was = (trained(tiny_bert, each) for each in (settings, still))
    first, *_ = [row["validation_mae"] for row in as_it_was.history if "validation_mae" in row]
    assert all(row["validation_mae"] > first for row in worse.history if "validation_mae" in row)
    np.testing.assert_allclose(worse.held_out, as_it_was.held_out, atol=1e-6)
