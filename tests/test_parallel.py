import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tests import tuning

from sottovoce.backbones import load_backbone
from sottovoce.checkpoint import read_checkpoint
from sottovoce.errors import ModelError
from sottovoce.finetune import finetune
from sottovoce.instruments import PHQ_9
from sottovoce.parallel import World, new_mesh, processes, world
from sottovoce.progress import silent

ROOT = Path(__file__).parents[1]


class Stopped(Exception):
    pass


def stop(done, total, _figures=None):
    if done >= 11:
        raise Stopped


def alone(folder, method, job=None, advance=silent):
    backbone = load_backbone(str(folder))
    examples = tuning.examples(backbone)
    return finetune(backbone, examples, PHQ_9, tuning.even(method), job or tuning.job(), advance)


@pytest.fixture(scope="module")
def together(tmp_path_factory, tiny_qwen):
    """Start two processes once; give the folder of what they trained (`tests/together.py`)."""
    out = tmp_path_factory.mktemp("together")
    with pytest.raises(Stopped):
        alone(tiny_qwen, "lora", tuning.job(folder=out / "left-by-one"), stop)
    assert not read_checkpoint(out / "left-by-one" / "final.safetensors")[1]["finished"]
    launch = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command = [*launch, "--nproc-per-node", "2", "-m", "tests.together", str(tiny_qwen), str(out)]
    paths = {"PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "src")])}
    done = subprocess.run(
        command, env=os.environ | paths, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def one(tiny_qwen):
    """What one process trains, by method."""
    return {method: alone(tiny_qwen, method) for method in ("lora", "full")}


def left(together, name):
    return dict(np.load(together / f"{name}.npz"))


def assert_close(found, tuned):
    expected = {"held_out": tuned.held_out, **tuned.body.tensors}
    assert set(found) == set(expected)
    for name, tensor in expected.items():
        np.testing.assert_allclose(found[name], tensor, atol=2e-4, err_msg=name)


@pytest.mark.parametrize(
    ("name", "method"),
    [
        ("replicated", "lora"),
        ("shared-out", "lora"),
        ("full-replicated", "full"),
        ("full-shared-out", "full"),
    ],
)
def test_two_processes_train_the_weights_of_one(together, one, name, method):
    assert_close(left(together, name), one[method])


def test_two_processes_go_on_from_the_checkpoint_that_one_left(together, one):
    assert_close(left(together, "taken-over"), one["lora"])


@pytest.mark.parametrize(
    ("once", "again"), [("full-shared-out", "full-gone-on"), ("masked", "masked-gone-on")]
)
def test_two_processes_go_on_exactly_where_they_stopped(together, once, again):
    whole, gone_on = left(together, once), left(together, again)
    assert whole
    for name, tensor in whole.items():
        np.testing.assert_array_equal(gone_on[name], tensor, err_msg=name)


def test_float32_adapters_beside_bfloat16_pieces_train_as_beside_whole_weights(together):
    whole, pieces = left(together, "half"), left(together, "half-shared-out")
    assert whole
    for name, tensor in whole.items():
        assert tensor.dtype == (np.float64 if name == "held_out" else np.float32)
        np.testing.assert_array_equal(pieces[name], tensor, err_msg=name)


def test_a_machine_s_processes_load_one_after_the_other(together):
    assert (together / "turns").read_text().split("\n")[:4] == ["0 in", "0 out", "1 in", "1 out"]


def test_one_process_is_alone_and_agrees_with_itself():
    with processes() as here, here.in_turn():
        assert here == world() == World()
        assert here.first
        assert here.tell("this") == "this"
        assert here.collect(3) == [3]
        assert here.total(np.array([2.0])).tolist() == [2.0]
        parameter = torch.zeros(2, requires_grad=True)
        here.add_gradients([parameter])
        assert parameter.grad is None
        assert here.gather({"a": parameter})["a"].tolist() == [0.0, 0.0]


def test_one_process_refuses_what_only_several_can_share_out(tiny_bert):
    with pytest.raises(ModelError, match="there is one process to share the weights out to; start"):
        new_mesh()
    backbone = load_backbone(str(tiny_bert))
    settings = tuning.even("lora", "fsdp")
    with pytest.raises(ModelError, match="the backbone was loaded whole; load it with a mesh"):
        finetune(backbone, tuning.examples(backbone), PHQ_9, settings, tuning.job())
