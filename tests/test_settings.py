import dataclasses
import json
from pathlib import Path

import pytest

from sottovoce.errors import DataError
from sottovoce.recipe import read_recipe
from sottovoce.settings import (
    BackboneSettings,
    EstimatorSettings,
    FinetuneSettings,
    ProbeSettings,
    ReaderSettings,
    finetune_from,
)


def test_the_defaults_are_those_of_the_shipped_recipe():
    shipped = Path(__file__).parents[1] / "recipes" / "smollm2-probe.yaml"
    assert read_recipe(shipped).settings == EstimatorSettings()


@pytest.mark.parametrize("settings", [BackboneSettings(), ProbeSettings(), EstimatorSettings()])
def test_settings_cannot_be_changed(settings):
    first = dataclasses.fields(settings)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(settings, first, "another")
    assert not hasattr(settings, "__dict__")


def test_settings_that_are_equal_are_one_key():
    assert {EstimatorSettings(): 1}[EstimatorSettings()] == 1
    assert EstimatorSettings(seed=1) != EstimatorSettings()


def test_an_estimator_has_one_body():
    with pytest.raises(DataError, match="settings for 2 bodies: probe and finetune"):
        EstimatorSettings(probe=ProbeSettings(n_folds=3), finetune=FinetuneSettings())
    with pytest.raises(DataError, match="settings for 2 bodies: finetune and reader"):
        EstimatorSettings(finetune=FinetuneSettings(), reader=ReaderSettings())


def test_the_record_names_the_body_that_is_used_only():
    assert "finetune" not in EstimatorSettings().record
    record = EstimatorSettings(finetune=FinetuneSettings()).record
    assert "probe" not in record
    assert finetune_from(json.loads(json.dumps(record["finetune"]))) == FinetuneSettings()
    record = EstimatorSettings(reader=ReaderSettings()).record
    assert set(record) & {"probe", "finetune", "reader"} == {"reader"}


def test_a_reader_needs_a_fold_to_read_and_two_to_teach():
    assert ReaderSettings(n_folds=3).n_folds == 3
    with pytest.raises(DataError, match="a reader needs 3 folds or more"):
        ReaderSettings(n_folds=2)


def test_a_reader_reads_the_middle_of_any_backbone_unless_layers_are_named():
    assert ReaderSettings().layers_of(30) == (15, 18, 21)
    assert ReaderSettings().layers_of(2) == (1,)
    assert ReaderSettings((4, 7)).layers_of(30) == (4, 7)


def test_weights_in_four_bits_are_not_trained():
    packed = BackboneSettings(quantization="nf4")
    assert EstimatorSettings(backbone=packed, finetune=FinetuneSettings("lora")).finetune
    with pytest.raises(DataError, match="weights in 4 bits cannot be trained themselves; use lora"):
        EstimatorSettings(backbone=packed, finetune=FinetuneSettings("full"))


def test_weights_in_four_bits_are_not_shared_out():
    packed, shared = BackboneSettings(quantization="nf4"), FinetuneSettings(sharding="fsdp")
    with pytest.raises(DataError, match="weights in 4 bits are not shared out; use sharding none"):
        EstimatorSettings(backbone=packed, finetune=shared)


def test_a_record_without_four_bits_is_as_it_was_before_there_were_any():
    assert set(EstimatorSettings().record["backbone"]) == {"name", "revision", "dtype"}
    packed = EstimatorSettings(backbone=BackboneSettings(quantization="nf4"))
    assert packed.record["backbone"]["quantization"] == "nf4"


def test_half_precision_weights_are_not_trained():
    half = BackboneSettings(dtype="bfloat16")
    assert EstimatorSettings(backbone=half, finetune=FinetuneSettings("lora")).finetune
    with pytest.raises(DataError, match="round the steps of a full training away"):
        EstimatorSettings(backbone=half, finetune=FinetuneSettings("full"))
