import json
import math
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests import recipes, tuning
from transformers import AutoConfig, AutoModel

from sottovoce import toy
from sottovoce.activations import kept_for_backward
from sottovoce.adapter import named_weights, trainable
from sottovoce.architecture import configuration
from sottovoce.backbones import cut_to_layers, named_blocks
from sottovoce.blueprint import blueprint
from sottovoce.draft import Case, Drafts
from sottovoce.errors import DataError, ModelError, RecipeError
from sottovoce.memory import ADAM_STATES, HEAD_BYTES, Device, training_memory
from sottovoce.plan import Request, plan
from sottovoce.recipe import read_recipe
from sottovoce.settings import BackboneSettings

NUMBERS = {"model_type": "qwen3_5_text", **toy.NUMBERS}


def bytes_of(tensors):
    return sum(each.numel() * each.element_size() for each in tensors)


def drafted(folder, method="lora", **pace):
    finetune = tuning.finetune_settings(method, **pace)
    config, source = configuration(BackboneSettings(str(folder)))
    return finetune, blueprint(config, source, "float32", finetune)


def finetuned(folder, backbone="a-backbone", finetune=recipes.FINETUNE, **changes):
    changes = {"input": {"max_tokens": 128}, "probe": None, "finetune": finetune} | changes
    return recipes.write_recipe(folder, backbone, **changes)


@pytest.mark.parametrize("backbone", ["tiny_qwen", "tiny_composite_qwen", "tiny_bert"])
@pytest.mark.parametrize("method", ["lora", "full"])
def test_weights_gradients_and_adam_states_are_those_of_the_real_tensors(backbone, method, request):
    folder = request.getfixturevalue(backbone)
    finetune, made = drafted(folder, method)
    model = AutoModel.from_pretrained(folder).requires_grad_(False)
    parameters = sum(each.numel() for each in model.parameters())
    with trainable(model, finetune) as training:
        trained = list(named_weights(training).values())
        whole = bytes_of(training.parameters())
        optimizer = torch.optim.AdamW(trained)
        for each in trained:
            each.grad = torch.ones_like(each)
        optimizer.step()
        states = [s[key] for s in optimizer.state.values() for key in ("exp_avg", "exp_avg_sq")]
        gradients = bytes_of(each.grad for each in trained)
    kept = kept_for_backward(made, 1, 32, autocast=False)
    head = made.hidden_size + 1
    memory = training_memory(made, kept, head, finetune, Device(0))
    assert made.backbone.numbers == parameters
    assert made.trained.numbers == sum(each.numel() for each in trained)
    assert memory.weights == whole + HEAD_BYTES * head
    assert memory.gradients == gradients + HEAD_BYTES * head
    assert memory.optimizer == bytes_of(states) + ADAM_STATES * HEAD_BYTES * head
    assert memory.logits == 0


@pytest.mark.parametrize("backbone", ["tiny_qwen", "tiny_bert"])
def test_activations_are_those_that_a_real_forward_pass_keeps(backbone, request):
    folder = request.getfixturevalue(backbone)
    _, made = drafted(folder, "full")
    model = AutoModel.from_pretrained(folder).train()
    own = {each.untyped_storage().data_ptr() for each in model.parameters()}
    seen = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            seen[storage.data_ptr()] = storage
        return tensor

    ids = torch.ones(2, 40, dtype=torch.long)
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda each: each):
        model(input_ids=ids, attention_mask=torch.ones_like(ids))
    kept = kept_for_backward(made, 2, 40, autocast=False)
    real = sum(each.nbytes() for each in seen.values())
    assert kept.outside + sum(kept.blocks) == pytest.approx(real, rel=0.06)
    assert len(kept.blocks) == made.n_layers


def test_blocks_of_one_kind_are_counted_once_and_the_model_is_left_whole():
    numbers = NUMBERS | {"num_hidden_layers": 12, "layer_types": None}
    config, source = configuration(BackboneSettings("a/b"), numbers)
    made = blueprint(config, source, "float32", tuning.finetune_settings("full"))
    kept = kept_for_backward(made, 1, 64, autocast=True)
    assert len(kept.blocks) == made.n_layers == 12
    assert kept.blocks[7] == kept.blocks[11] != kept.blocks[10]
    assert len(made.model.layers) == 12
    assert {each.device.type for each in made.model.parameters()} == {"meta"}


def test_blocks_that_are_not_used_or_frozen_are_planned_as_they_are_trained(tiny_qwen):
    whole, cut = (drafted(tiny_qwen, **cut)[1] for cut in ({}, {"layers": 3, "frozen_layers": 2}))
    model = AutoModel.from_pretrained(tiny_qwen).requires_grad_(False)
    cut_to_layers(model, 4, 3)
    with trainable(model, tuning.finetune_settings(layers=3, frozen_layers=2)) as training:
        trained = list(named_weights(training).values())
    lower = [each.numel() for block in named_blocks(model)[1][:2] for each in block.parameters()]
    assert cut.trained.numbers == sum(each.numel() for each in trained) > 0
    assert cut.lower == sum(lower) > whole.lower == 0
    assert (cut.n_layers, whole.n_layers) == (3, 4)
    some, every = (kept_for_backward(made, 1, 32, autocast=False) for made in (cut, whole))
    assert sum(some.blocks[:2]) == 0 < some.blocks[2] <= max(every.blocks)


def test_what_frozen_blocks_give_is_told_beside_the_memory(tmp_path, tiny_bert):
    path = finetuned(tmp_path, str(tiny_bert), {**recipes.FINETUNE, "frozen_layers": 1})
    made = plan(path, Request(Device(0), people=10**6, tokens_per_person=50))
    size = 10**6 * 50 * 32 * 4 / 1e9
    assert f"beside this memory, {size:.2f} GB for 1000000 windows" in " ".join(made.said)


def test_long_rows_follow_the_square_through_shorter_ones(monkeypatch):
    config, source = configuration(BackboneSettings("a/b"), NUMBERS)
    made = blueprint(config, source, "float32", tuning.finetune_settings())
    whole = kept_for_backward(made, 1, 1024, autocast=False)
    monkeypatch.setattr("sottovoce.activations.TRACED", 512)
    assert sum(kept_for_backward(made, 1, 1024, autocast=False).blocks) == pytest.approx(
        sum(whole.blocks), rel=0.01
    )


def test_lora_trains_less_than_full_and_recomputing_keeps_less(tiny_qwen):
    lora, adapted = drafted(tiny_qwen, gradient_checkpointing=False)
    full, everything = drafted(tiny_qwen, "full")
    less, _ = drafted(tiny_qwen, gradient_checkpointing=True)
    assert 0 < adapted.trained.numbers == adapted.adapters.numbers < everything.trained.numbers
    assert everything.trained == everything.backbone
    kept = kept_for_backward(adapted, 2, 64, autocast=True)
    plain = training_memory(adapted, kept, 33, lora, Device())
    assert training_memory(adapted, kept, 33, less, Device()).activations < plain.activations
    assert full.method == "full"


@pytest.fixture(scope="module")
def counted():
    config, source = configuration(BackboneSettings("a/b"), NUMBERS)
    finetune = tuning.finetune_settings("full")
    made = blueprint(config, source, "float32", finetune)
    return finetune, made, kept_for_backward(made, 1, 64, autocast=True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(gpus=st.integers(1, 512), more=st.integers(1, 512))
def test_memory_falls_with_gpus_where_it_is_shared_out_and_never_where_it_is_not(
    counted, gpus, more
):
    finetune, made, kept = counted

    def total(n, sharding):
        return training_memory(made, kept, 33, finetune, Device(n, sharding)).total

    assert total(gpus + more, "fsdp") <= total(gpus, "fsdp")
    assert total(gpus + more, "none") >= total(gpus, "none")


def test_memory_grows_with_the_tokens_of_a_batch(tiny_bert):
    totals = []
    for tokens in (48, 96, 480, 4800):
        case = Case(tuning.settings_for(tiny_bert, batch_tokens=tokens), Device())
        totals.append(Drafts(None).memory(case).total)
    assert totals == sorted(set(totals))


def test_four_bits_take_less_and_only_where_weights_are_frozen(tiny_qwen, tmp_path):
    case = Case(tuning.settings_for(tiny_qwen), Device())
    packed = Case(case.settings, Device(four_bit=True))
    drafts = Drafts(None)
    assert drafts.memory(packed).weights < drafts.memory(case).weights
    recipe = finetuned(tmp_path, tiny_qwen)
    asked = plan(recipe, Request(Device(four_bit=True), people=10))
    written = recipe.read_text("utf-8")
    recipe.write_text(written.replace("backbone:", "backbone:\n  quantization: nf4"), "utf-8")
    assert plan(recipe, Request(people=10)) == asked
    assert asked.device.four_bit
    with pytest.raises(DataError, match="weights in 4 bits cannot be trained themselves; use"):
        Case(tuning.settings_for(tiny_qwen, "full"), Device(four_bit=True))


def test_tokens_steps_hours_and_cost_follow_from_what_is_given(tmp_path, tiny_bert):
    finetune = {**recipes.FINETUNE, "validation_share": 0.25}
    path = finetuned(tmp_path, tiny_bert, finetune)
    request = Request(
        Device(2), tokens_per_second=10.0, price=3.0, people=120, tokens_per_person=50.0
    )
    made = plan(path, request)
    # two folds of 60 people and everybody; a quarter of each stops it; two epochs; batches of 8
    assert made.work.trainings == 3
    assert made.work.tokens == (45 + 45 + 90) * 50 * 2
    assert made.work.steps == (6 + 6 + 12) * 2
    assert made.work.tokens_per_epoch == 90 * 50
    assert made.hours == pytest.approx(18000 / 10 / 3600)
    assert made.cost == pytest.approx(made.hours * 2 * 3)


def test_more_gpus_are_planned_as_the_recipe_shares_out_unless_another_way_is_asked_for(tmp_path):
    finetune = recipes.FINETUNE | {"method": "full", "sharding": "fsdp", "lora": None}
    del finetune["lora"]
    path = finetuned(tmp_path, "a/b", finetune, architecture=NUMBERS)
    made = plan(path, Request(Device(8), people=10))
    assert made.device.sharding == "fsdp"
    assert plan(path, Request(people=10)).device.sharding == "none"
    whole = plan(path, Request(Device(8, "none"), people=10))
    for part in ("weights", "gradients", "optimizer", "best"):
        head = 33 * HEAD_BYTES * (ADAM_STATES if part == "optimizer" else 1)
        pieces, all_of_it = (getattr(each.memory, part) - head for each in (made, whole))
        assert 0 < pieces <= all_of_it / 8
    assert "The recipe has to say finetune.sharding: none for this." in whole.said
    assert not [each for each in made.said if "has to say" in each]


def test_adapters_stay_whole_where_the_backbone_is_shared_out(tmp_path):
    path = finetuned(tmp_path, "a/b", architecture=NUMBERS)
    pieces, whole = (
        plan(path, Request(Device(8, sharding), people=10)).memory for sharding in ("fsdp", "none")
    )
    assert (pieces.gradients, pieces.optimizer) == (whole.gradients, whole.optimizer)
    assert pieces.weights - pieces.gradients == (whole.weights - whole.gradients) // 8


def test_a_probe_is_not_shared_out(tmp_path, tiny_bert):
    path = recipes.write_recipe(tmp_path, tiny_bert)
    with pytest.raises(DataError, match="a probe reads a whole backbone in every process"):
        plan(path, Request(Device(2, "fsdp"), people=30))
    assert "more GPUs make it no faster" in " ".join(plan(path, Request(Device(2), people=30)).said)


def test_nothing_is_said_of_hours_that_nobody_measured(tmp_path, tiny_bert):
    made = plan(finetuned(tmp_path, tiny_bert), Request(people=10))
    assert made.hours is None
    assert made.cost is None
    assert made.work.operations > 0
    assert "need a measured throughput" in made.said[0]


def test_people_are_counted_in_the_recipes_data(tmp_path, tiny_qwen):
    recipes.write_people(tmp_path)
    made = plan(recipes.write_recipe(tmp_path, tiny_qwen))
    assert (made.method, made.trained, made.work.windows) == ("probe", 33, recipes.PEOPLE)
    assert made.memory.gradients == made.memory.optimizer == 0


def test_a_reader_is_planned_as_what_it_is(tmp_path, tiny_qwen):
    recipes.write_people(tmp_path)
    made = plan(recipes.write_recipe(tmp_path, tiny_qwen, **recipes.READER), Request(Device(2)))
    width, items, layers = 32, 9, 2
    message, profile = layers * width * 2 * items + 2 * items, 6 * items * items + items
    assert (made.method, made.trained) == ("reader", message + profile + 1 + items)
    assert made.work.trainings == 1
    assert made.said[-1] == "A reader is read by one process: more GPUs make it no faster."


def test_what_does_not_fit_says_what_would(tmp_path):
    finetune = {"method": "full", "schedule": recipes.FINETUNE["schedule"], "folds": 2}
    path = finetuned(tmp_path, "a/b", finetune, architecture=NUMBERS)
    made = plan(path, Request(Device(2), gpu_memory=0.001, people=10))
    assert made.fits is False
    assert made.said[0].startswith("It does not fit: ")
    told = " ".join(made.said)
    for change in ("finetune.sharding: fsdp", "gradient_checkpointing: true", "method: lora"):
        assert f"With {change}" in told or f"{change}:" in told
    assert "bfloat16" not in told  # half-precision weights cannot be trained themselves
    assert plan(path, Request(gpu_memory=80, people=10)).fits is True


def test_numbers_of_the_recipe_count_like_the_configuration(tmp_path, tiny_qwen):
    config = AutoConfig.from_pretrained(tiny_qwen)
    by_file = blueprint(config, "-", "float32").backbone
    made = plan(finetuned(tmp_path, "a/b", architecture=NUMBERS), Request(people=10))
    assert made.parameters == by_file.numbers
    assert made.source.startswith("architecture in the recipe (vocab_size, hidden_size")


def test_the_numbers_of_the_studys_backbone_give_its_27_billion_parameters(monkeypatch):
    monkeypatch.setattr("sottovoce.architecture._in_hub_cache", lambda *_: None)
    recipe = Path(__file__).parents[1] / "recipes" / "qwen3.5-27b-qlora.yaml"
    made = plan(recipe, Request(gpu_memory=80, people=10))
    text = read_recipe(recipe).architecture["text_config"]
    output_layer = text["vocab_size"] * text["hidden_size"]
    assert made.parameters + output_layer == pytest.approx(27e9, rel=0.02)
    assert made.memory.weights < made.parameters * 2 / 3  # of two bytes each in bfloat16
    assert made.fits


def test_a_record_holds_no_nan(tmp_path, tiny_bert):
    made = plan(finetuned(tmp_path, tiny_bert), Request(gpu_memory=8, people=3))
    values = json.loads(json.dumps(made.record, allow_nan=False))
    assert values["memory"]["total"] == sum(values["memory"]["bytes"].values())


@pytest.mark.parametrize(
    ("numbers", "sentence"),
    [
        ({"model_type": "qwen3_5_txt"}, "no model type of transformers, did you mean"),
        (NUMBERS | {"hiden_size": 3}, "architecture.hiden_size is no number .*, did you mean hid"),
        (
            {"model_type": "qwen3_5", "text_config": {"hiden_size": 3}},
            "architecture.text_config.hiden_size is no number of qwen3_5, did you mean hid",
        ),
        (NUMBERS | {"hidden_size": "wide"}, "does not take these numbers"),
    ],
)
def test_wrong_numbers_are_one_sentence(tmp_path, numbers, sentence):
    with pytest.raises(RecipeError, match=sentence):
        plan(finetuned(tmp_path, "a/b", architecture=numbers), Request(people=10))


def test_a_backbone_that_is_nowhere_is_one_sentence(tmp_path):
    with pytest.raises(ModelError, match="not on this machine; name a folder that holds"):
        plan(finetuned(tmp_path, "nobody/nothing"), Request(people=10))
    with pytest.raises(RecipeError, match="architecture: model_type is missing"):
        plan(finetuned(tmp_path, "a/b", architecture={"hidden_size": 4}))


@pytest.mark.parametrize("value", [0.0, -1.0, math.nan, math.inf])
def test_impossible_rates_are_refused(value):
    with pytest.raises(DataError, match="must be above 0"):
        Request(tokens_per_second=value)
