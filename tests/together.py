"""What each of two processes does in `test_parallel`; started by torchrun, never imported there.

The first leaves trained tensors in a folder; whatever is not as it should be ends the process.
"""

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tests import tuning
from torch.distributed.tensor import DTensor

from sottovoce.backbones import load_backbone
from sottovoce.errors import DataError, ModelError, ProcessError
from sottovoce.finetune import finetune
from sottovoce.instruments import PHQ_9
from sottovoce.parallel import leave, new_mesh, processes
from sottovoce.progress import silent
from sottovoce.settings import LoraSettings

CASES = {
    "replicated": ("lora", "none", "float32", False),
    "shared-out": ("lora", "fsdp", "float32", False),
    "half": ("lora", "none", "bfloat16", True),
    "half-shared-out": ("lora", "fsdp", "bfloat16", True),
    "full-replicated": ("full", "none", "float32", False),
    "full-shared-out": ("full", "fsdp", "float32", True),
}
"""Method, sharding, number type of the backbone, and whether activations are recomputed."""


class Stopped(Exception):
    pass


def stop(done, total, _figures=None):
    if done >= 11:
        raise Stopped


def main(folder: Path, out: Path) -> None:
    with processes() as here:
        assert here.size == 2
        assert_agreeing(here)
        assert_adding_up(here)
        with here.in_turn(), (out / "turns").open("a") as turns:
            turns.write(f"{here.rank} in\n")
            turns.flush()
            turns.write(f"{here.rank} out\n")
        tuned = {
            name: trained(here, folder, case, epochs=1 if "half" in name else 2)
            for name, case in CASES.items()
        }
        chance = {"epochs": 1, "lora": LoraSettings(dropout=0.2)}
        tuned["masked"] = trained(here, folder, CASES["replicated"], **chance)
        tuned["masked-gone-on"] = interrupted(here, folder, CASES["replicated"], out, **chance)
        pieces = CASES["full-shared-out"]
        tuned["full-gone-on"] = interrupted(here, folder, pieces, out / "pieces")
        left = tuning.job(folder=out / "left-by-one")
        tuned["taken-over"] = trained(here, folder, CASES["shared-out"], left)
        assert_refusing(here, folder)
        if here.first:
            for name, each in tuned.items():
                np.savez(out / f"{name}.npz", held_out=each.held_out, **each.body.tensors)


def trained(here, folder, case, job=None, advance=silent, **pace):
    method, sharding, dtype, recomputing = case
    mesh = new_mesh() if sharding == "fsdp" else None
    backbone = load_backbone(str(folder), dtype=dtype, mesh=mesh)
    pieces = [isinstance(each, DTensor) for each in backbone.model.parameters()]
    assert all(pieces) if mesh else not any(pieces)
    settings = tuning.even(method, sharding, gradient_checkpointing=recomputing, **pace)
    before = [each.detach().clone() for each in backbone.model.parameters()]
    tuned = finetune(
        backbone, tuning.examples(backbone), PHQ_9, settings, job or tuning.job(), advance
    )
    for old, new in zip(before, backbone.model.parameters(), strict=True):
        assert torch.equal(whole(old), whole(new))
    assert bool(tuned.body.weights) == here.first
    said = here.collect([tuned.held_out.tolist(), tuned.history])
    assert said[0] == said[1]
    return tuned


def interrupted(here, folder, case, out, **changes):
    job = tuning.job(folder=out / "stopped")
    with pytest.raises(Stopped):
        trained(here, folder, case, job, stop, **changes)
    return trained(here, folder, case, job, **changes)


def whole(tensor):
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def assert_agreeing(here) -> None:
    assert here.tell({"from": here.rank}) == {"from": 0}
    assert here.collect(here.rank) == [0, 1]
    for failing in (0, 1):
        own = here.rank == failing
        with pytest.raises(DataError if own else ProcessError, match=r"^no; do it$"):
            fail_alike(here, own)
    with here.alike():
        assert here.size == 2


def fail_alike(here, own) -> None:
    with here.alike():
        if own:
            raise DataError("no", fix="do it")


def assert_adding_up(here) -> None:
    np.testing.assert_array_equal(here.total(np.array([1.5, here.rank])), [3.0, 1.0])
    both, one, none = (torch.zeros(3, requires_grad=True) for _ in range(3))
    both.grad = torch.full((3,), 1.0 + here.rank)
    if here.first:
        one.grad = torch.ones(3)
    here.add_gradients([both, one, none])
    assert both.grad.tolist() == [3.0] * 3
    assert one.grad.tolist() == [1.0] * 3
    assert none.grad is None
    assert np.isclose(here.cut_gradients([both, one, none], 1.0), np.sqrt(30.0))
    assert np.isclose(float((both.grad**2).sum() + (one.grad**2).sum()), 1.0, atol=1e-5)


def assert_refusing(here, folder) -> None:
    """What one process alone would not know, and what all of them find out at once."""
    with pytest.raises((ProcessError, ModelError)[here.rank], match=r"^process 1 was given other"):
        trained(here, folder, CASES["replicated"], tuning.job(seed=here.rank))
    with pytest.raises(ModelError, match="diverged") as caught:
        trained(here, folder, CASES["replicated"], learning_rate=1e8, clip=1e9)
    sentences = here.collect(str(caught.value))
    assert sentences[0] == sentences[1]


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
    leave(0)
