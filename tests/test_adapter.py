import numpy as np
import pytest
import torch
from tests import tuning

from sottovoce.adapter import apply_weights, attach, named_weights, trainable
from sottovoce.backbones import load_backbone
from sottovoce.errors import ModelError
from sottovoce.settings import LoraSettings

BACKBONES = ["tiny_qwen", "tiny_composite_qwen", "tiny_bert"]
IDS = torch.arange(3, 15)[None]


@pytest.fixture(params=BACKBONES)
def folder(request):
    return str(request.getfixturevalue(request.param))


def states(model):
    with torch.no_grad():
        return model(input_ids=IDS).last_hidden_state.float().numpy()


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_backbone_is_afterwards_as_it_was(folder, method):
    model = load_backbone(folder).model
    before, names = states(model), [name for name, _ in model.named_parameters()]
    with trainable(model, tuning.finetune_settings(method)) as trained:
        tuning.disturbed(trained)
        assert not np.allclose(states(trained), before)
    np.testing.assert_array_equal(states(model), before)
    assert [name for name, _ in model.named_parameters()] == names
    assert not named_weights(model)
    assert not model.training


@pytest.mark.parametrize("method", ["lora", "full"])
def test_applied_weights_say_what_the_trained_ones_said(folder, method):
    settings = tuning.finetune_settings(method)
    model = load_backbone(folder).model
    with trainable(model, settings) as trained:
        weights = tuning.disturbed(trained)
        trained.eval()
        expected = states(trained)
    merged = apply_weights(model, settings.lora if method == "lora" else None, weights)
    np.testing.assert_allclose(states(merged), expected, atol=1e-5)
    assert not any("lora" in name for name, _ in merged.named_parameters())


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_vision_tower_is_never_trained(tiny_composite_qwen, method):
    model = load_backbone(str(tiny_composite_qwen)).model
    assert any("visual" in name for name, _ in model.named_parameters())
    with trainable(model, tuning.finetune_settings(method)) as trained:
        assert named_weights(trained)
        assert not any("visual" in name for name in named_weights(trained))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_adapters_stay_beside_four_bit_weights_which_stay_as_they_were(folder, dtype):
    packed = {"dtype": dtype, "quantization": "nf4"}
    model = load_backbone(folder, **packed).model
    settings, before = tuning.finetune_settings(), states(model)
    bits = {name: each.clone() for name, each in model.named_parameters()}
    with trainable(model, settings) as trained:
        assert {each.dtype for each in named_weights(trained).values()} == {torch.float32}
        weights = tuning.disturbed(trained)
        trained.eval()
        expected = states(trained)
    np.testing.assert_array_equal(states(model), before)
    assert not np.allclose(expected, before)
    applied = apply_weights(model, settings.lora, weights).eval()
    assert set(weights) <= set(dict(applied.named_parameters()))
    np.testing.assert_array_equal(states(applied), expected)
    assert all((each == bits[name]).all() for name, each in applied.unload().named_parameters())


def test_adapters_stand_on_both_layer_kinds(tiny_qwen):
    adapted = attach(load_backbone(str(tiny_qwen)).model, LoraSettings())
    names = " ".join(named_weights(adapted))
    assert "linear_attn.in_proj_qkv.lora_A" in names
    assert "self_attn.q_proj.lora_A" in names


def test_only_named_layers_get_adapters(tiny_qwen):
    adapted = attach(load_backbone(str(tiny_qwen)).model, LoraSettings(rank=2, targets=("q_proj",)))
    assert {name.split(".lora")[0].rpartition(".")[2] for name in named_weights(adapted)} == {
        "q_proj"
    }
    assert [min(each.shape) for each in named_weights(adapted).values()] == [2, 2]


def test_a_target_that_matches_nothing_is_one_sentence(tiny_bert):
    with pytest.raises(ModelError) as caught:
        attach(load_backbone(str(tiny_bert)).model, LoraSettings(targets=("q_proj", "v_proj")))
    assert str(caught.value) == (
        "no layer of the backbone is named q_proj, v_proj; correct finetune.lora.targets, its "
        "linear layers end in dense, key, query, value"
    )


@pytest.mark.parametrize("frozen_layers", [0, 1])
def test_a_target_is_a_whole_part_of_a_layer_s_name(tiny_qwen, frozen_layers):
    with pytest.raises(ModelError, match="no layer of the backbone is named proj"):
        attach(load_backbone(str(tiny_qwen)).model, LoraSettings(targets=("proj",)), frozen_layers)


def test_weights_of_another_backbone_are_refused(tiny_bert):
    model = load_backbone(str(tiny_bert)).model
    with pytest.raises(ModelError, match=r"weights for layers\.0\.x, which the backbone lacks"):
        apply_weights(model, None, {"layers.0.x": np.zeros(1, np.float32)})
