import json

import numpy as np
import pytest
from tests import tiny

from sottovoce.artefact import BODIES
from sottovoce.backbones import load_backbone
from sottovoce.probe import Choice, Probe
from sottovoce.progress import silent

WIDTH = 32  # of the tiny backbones


@pytest.fixture
def probe():
    weights = np.random.default_rng(0).normal(size=(2, WIDTH))
    return Probe((Choice("mean", 2, 0.3), Choice("last", 1, 1.0)), weights, np.array([9.0, 11.0]))


def test_a_body_is_rebuilt_from_its_record_and_tensors(probe):
    record = json.loads(json.dumps(probe.record))
    again = BODIES[record["kind"]](record, probe.tensors)
    assert (again.record, again.kind) == (probe.record, "probe")
    assert set(again.tensors) == set(probe.tensors)
    for name, tensor in probe.tensors.items():
        np.testing.assert_array_equal(again.tensors[name], tensor)


def test_a_body_says_how_much_of_the_backbone_it_reads(probe, tiny_qwen):
    backbone = load_backbone(str(tiny_qwen), keep_layers=probe.keep_layers)
    assert probe.keep_layers == 3
    assert probe.prepare(backbone) is backbone
    inputs = tiny.rendered(backbone, tiny.labelled_windows(3))
    whole = load_backbone(str(tiny_qwen))
    np.testing.assert_allclose(
        probe.predict(backbone, inputs, silent), probe.predict(whole, inputs, silent), atol=1e-4
    )
