import pytest
import torch

from sottovoce.checkpoint import read_checkpoint, under, write_checkpoint
from sottovoce.errors import DataError

TENSORS = {"a.x": torch.arange(4.0), "a.y": torch.tensor(3), "b": torch.ones(2, dtype=torch.uint8)}


def test_what_was_written_is_read(tmp_path):
    path = tmp_path / "made" / "final.safetensors"
    write_checkpoint(path, TENSORS, {"step": 3, "loss": 0.1 + 0.2, "best": None})
    tensors, state = read_checkpoint(path)
    assert state == {"step": 3, "loss": 0.1 + 0.2, "best": None}
    assert set(tensors) == set(TENSORS)
    for name, each in TENSORS.items():
        assert torch.equal(tensors[name], each)
    assert [each.name for each in path.parent.iterdir()] == ["final.safetensors"]


def test_a_new_checkpoint_takes_the_old_one_s_place(tmp_path):
    path = tmp_path / "final.safetensors"
    for step in (1, 2):
        write_checkpoint(path, TENSORS, {"step": step})
    assert read_checkpoint(path)[1] == {"step": 2}


def test_no_checkpoint_is_none(tmp_path):
    assert read_checkpoint(tmp_path / "final.safetensors") is None


@pytest.mark.parametrize("content", [b"", b"{", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_a_damaged_checkpoint_is_none(tmp_path, content):
    path = tmp_path / "final.safetensors"
    path.write_bytes(content)
    assert read_checkpoint(path) is None


def test_tensors_share_no_memory_when_written(tmp_path):
    whole = torch.arange(6.0)
    write_checkpoint(tmp_path / "c.safetensors", {"first": whole[:3], "all": whole}, {})
    tensors, _ = read_checkpoint(tmp_path / "c.safetensors")
    assert torch.equal(tensors["first"], whole[:3])


def test_names_are_taken_apart():
    assert set(under("a.", TENSORS)) == {"x", "y"}


def test_a_checkpoint_that_cannot_be_written_is_one_sentence_and_leaves_the_old_one(tmp_path):
    path = tmp_path / "final.safetensors"
    write_checkpoint(path, TENSORS, {"step": 1})
    (tmp_path / "final.partial").mkdir()
    with pytest.raises(DataError, match="the checkpoint cannot be written; make room there"):
        write_checkpoint(path, TENSORS, {"step": 2})
    assert read_checkpoint(path)[1] == {"step": 1}
    with pytest.raises(DataError, match="the checkpoint cannot be written"):
        write_checkpoint(path / "below.safetensors", TENSORS, {})
