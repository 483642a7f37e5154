import dataclasses
from pathlib import Path

import pytest

from sottovoce.recipe import read_recipe
from sottovoce.settings import BackboneSettings, EstimatorSettings, ProbeSettings


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
