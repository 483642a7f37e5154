import logging
import shutil
import sys

import numpy as np
import pytest
import torch
from tests import tiny

from sottovoce import backbones, toy
from sottovoce.backbones import (
    Wheel,
    cache_folder,
    load_backbone,
    locate,
    quiet,
    weights_fingerprint,
)
from sottovoce.errors import MissingExtraError, ModelError
from sottovoce.features import pooled_states
from sottovoce.model_input import tokenizer_fingerprint


def states(backbone, layers):
    inputs = tiny.rendered(backbone, tiny.labelled_windows(4))
    return pooled_states(backbone, inputs, layers, ["mean"])["mean"]


def test_a_folder_is_loaded_with_its_numbers(tiny_qwen):
    backbone = load_backbone(str(tiny_qwen))
    assert (backbone.n_layers, backbone.hidden_size, backbone.max_length) == (4, 32, 512)
    assert backbone.fingerprint == weights_fingerprint([tiny_qwen / "model.safetensors"])
    assert not backbone.model.training


def test_both_layer_kinds_and_the_composite_class_are_read(tiny_composite_qwen, tiny_qwen):
    for folder in (tiny_composite_qwen, tiny_qwen):
        backbone = load_backbone(str(folder))
        kinds = set(backbone.model.config.get_text_config().layer_types)
        assert kinds == {"linear_attention", "full_attention"}
        read = states(backbone, [0, 1, 4])
        assert read.shape == (4, 3, 32)
        assert np.isfinite(read).all()


@pytest.mark.parametrize("folder", ["tiny_qwen", "tiny_composite_qwen", "tiny_bert"])
def test_a_shortened_backbone_gives_the_same_lower_states(folder, request):
    path = str(request.getfixturevalue(folder))
    whole, short = load_backbone(path), load_backbone(path, keep_layers=2)
    blocks = sum(p.numel() for p in whole.model.parameters())
    assert sum(p.numel() for p in short.model.parameters()) <= blocks
    assert short.n_layers == whole.n_layers
    np.testing.assert_allclose(states(short, [1]), states(whole, [1]), atol=1e-6)


def test_a_changed_weight_changes_the_fingerprint(tiny_qwen, tmp_path):
    copy = shutil.copytree(tiny_qwen, tmp_path / "copy")
    assert locate(str(copy)).fingerprint == locate(str(tiny_qwen)).fingerprint
    tiny.save_qwen(copy, seed=5)
    assert locate(str(copy)).fingerprint != locate(str(tiny_qwen)).fingerprint


def test_several_weight_files_have_one_fingerprint_that_knows_each(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_bytes(b"1")
    second.write_bytes(b"2")
    assert weights_fingerprint([first, second]) != weights_fingerprint([second, first])


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("/no/such/folder", "no such folder"),
        ("nonsense", "no such folder"),
        ("a/b/c", "no such folder"),
    ],
)
def test_a_name_that_is_nothing_is_refused(name, sentence):
    with pytest.raises(ModelError, match=sentence):
        load_backbone(name)


def test_a_folder_without_safetensors_is_refused(tmp_path):
    (tmp_path / "pytorch_model.bin").write_bytes(b"pickle")
    with pytest.raises(ModelError, match=r"no \*\.safetensors"):
        load_backbone(str(tmp_path))


def test_a_damaged_folder_is_one_sentence(tiny_qwen, tmp_path):
    copy = shutil.copytree(tiny_qwen, tmp_path / "copy")
    (copy / "config.json").write_text("{}", "utf-8")
    with pytest.raises(ModelError, match="cannot be loaded"):
        load_backbone(str(copy))


def test_an_unknown_number_type_is_refused(tiny_qwen):
    with pytest.raises(ModelError, match="float32, bfloat16, float16"):
        load_backbone(str(tiny_qwen), dtype="int8")


def test_half_precision_is_read_as_float32_features(tiny_qwen):
    backbone = load_backbone(str(tiny_qwen), dtype="bfloat16")
    assert next(backbone.model.parameters()).dtype == torch.bfloat16
    assert states(backbone, [2]).dtype == np.float32


def test_a_hub_id_is_fetched_as_safetensors_only(tiny_qwen, monkeypatch):
    asked = {}

    def snapshot(name, *, revision, allow_patterns):
        asked.update(name=name, revision=revision, patterns=allow_patterns)
        return str(tiny_qwen)

    monkeypatch.setattr("huggingface_hub.snapshot_download", snapshot)
    backbone = load_backbone("some/model", revision="abc")
    assert backbone.n_layers == 4
    assert asked["name"], asked["revision"] == ("some/model", "abc")
    assert not any(pattern.endswith((".bin", ".pt")) for pattern in asked["patterns"])


def test_a_hub_that_cannot_be_reached_is_one_sentence():
    with pytest.raises(ModelError, match="cannot be had from the Hugging Face hub"):
        load_backbone("some/model")


def test_a_wheel_that_is_not_installed_says_how_to_get_it(monkeypatch):
    missing = Wheel("no_such_package", "model.safetensors", "0" * 64, "pip install it")
    monkeypatch.setitem(backbones.WHEELS, "gone", missing)
    with pytest.raises(MissingExtraError, match="pip install it"):
        load_backbone("gone")


def test_a_wheel_with_other_weights_is_refused(monkeypatch):
    real = backbones.WHEELS["minilm-l6-v2"]
    wrong = Wheel(real.package, real.weights, "0" * 64, real.install)
    monkeypatch.setitem(backbones.WHEELS, "minilm-l6-v2", wrong)
    with pytest.raises(ModelError, match=r"checksum of model.safetensors is 53aa51172d14…"):
        locate("minilm-l6-v2")


def test_minilm_comes_from_its_wheel_with_the_published_checksum():
    files = locate("minilm-l6-v2")
    assert files.fingerprint.startswith("53aa51172d142c89")
    assert weights_fingerprint([files.folder / "model.safetensors"]) == files.fingerprint


def test_smollm2_is_converted_once_and_a_damaged_copy_is_made_anew(monkeypatch, tmp_path):
    made = []

    def convert(source, folder):
        made.append(source.name)
        (folder / "model.safetensors").write_bytes(b"weights")

    monkeypatch.setenv("SOTTOVOCE_CACHE", str(tmp_path))
    monkeypatch.setattr(backbones, "_convert_gguf", convert)
    first = locate("smollm2-135m")
    assert locate("smollm2-135m") == first
    assert made == ["SmolLM2-135M-Instruct.Q4_1.gguf"]
    assert first.folder.is_relative_to(tmp_path)
    (first.folder / "model.safetensors").write_bytes(b"damaged")
    assert locate("smollm2-135m") == first
    assert len(made) == 2
    assert (first.folder / "model.safetensors").read_bytes() == b"weights"
    assert [each.name for each in first.folder.parent.iterdir()] == [first.folder.name]


def test_the_toy_is_made_once_and_the_same_everywhere(monkeypatch, tmp_path):
    made = []
    for place in ("a", "b"):
        monkeypatch.setenv("SOTTOVOCE_CACHE", str(tmp_path / place))
        backbone = load_backbone(toy.NAME)
        made.append((backbone.fingerprint, tokenizer_fingerprint(backbone.tokenizer)))
    assert made[0] == made[1]
    monkeypatch.setattr(toy, "save_toy", None)  # a second making would fail
    assert locate(toy.NAME).fingerprint == made[0][0]


FOLDERS = ["tiny_qwen", "tiny_composite_qwen", "tiny_bert"]


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("folder", FOLDERS)
def test_four_bits_pack_the_linear_layers_that_text_passes_and_nothing_else(folder, dtype, request):
    path = str(request.getfixturevalue(folder))
    whole = load_backbone(path, dtype=dtype)
    packed = load_backbone(path, dtype=dtype, quantization="nf4")
    linear = {
        f"{name}.weight": module
        for name, module in whole.model.named_modules()
        if isinstance(module, torch.nn.Linear) and "visual" not in name
    }
    weights = dict(packed.model.named_parameters())
    found = {name for name, each in weights.items() if type(each).__name__ == "Params4bit"}
    assert found == set(linear)
    for name in found:
        state = weights[name].quant_state
        assert (state.quant_type, state.nested) == ("nf4", True)
        assert weights[name].numel() == linear[name].weight.numel() / 2  # two to a byte
    others = {each.dtype for name, each in weights.items() if name not in found}
    assert others == {getattr(torch, dtype)}
    assert packed.fingerprint == whole.fingerprint
    assert packed.number_types != whole.number_types


@pytest.mark.parametrize("folder", FOLDERS)
def test_four_bits_read_nearly_the_same_and_always_alike(folder, request):
    path = str(request.getfixturevalue(folder))
    packed, whole = load_backbone(path, quantization="nf4"), load_backbone(path)
    first, exact = (states(each, [each.n_layers]) for each in (packed, whole))
    error = np.linalg.norm(first - exact) / np.linalg.norm(exact)
    assert 1e-4 < error < 0.15  # NF4 moves a weight by some percent of its block's largest
    np.testing.assert_array_equal(states(packed, [packed.n_layers]), first)


def test_an_unknown_quantization_is_refused(tiny_qwen):
    with pytest.raises(ModelError, match="the quantization is not known; use nf4"):
        load_backbone(str(tiny_qwen), quantization="int3")


def test_four_bits_without_their_extra_say_how_to_get_it(tiny_qwen, monkeypatch):
    monkeypatch.setitem(sys.modules, "bitsandbytes", None)
    with pytest.raises(MissingExtraError, match=r"4 bits needs .*'sottovoce\[qlora\]'"):
        load_backbone(str(tiny_qwen), quantization="nf4")


def test_quiet_is_over_when_it_ends():
    packer = logging.getLogger("bitsandbytes")
    before = packer.level
    with quiet():
        assert not packer.isEnabledFor(logging.WARNING)
    assert packer.level == before


def test_the_cache_can_be_named_and_has_a_place_by_default(monkeypatch, tmp_path):
    monkeypatch.setenv("SOTTOVOCE_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("SOTTOVOCE_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "sottovoce"


def test_two_processes_that_make_a_backbone_at_once_leave_the_first(tmp_path):
    target, made = tmp_path / "cache" / "small", []

    def write(folder, text):
        (folder / "model.safetensors").write_text(text)
        made.append(text)

    def slow(folder):
        backbones._make_once(target, lambda other: write(other, "quick"))
        write(folder, "slow")

    backbones._make_once(target, slow)
    assert made == ["quick", "slow"]
    assert (target / "model.safetensors").read_text() == "quick"
    assert [each.name for each in target.parent.iterdir()] == ["small"]
    backbones._make_once(target, slow)
    assert made == ["quick", "slow"]
