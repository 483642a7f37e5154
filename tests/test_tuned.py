import json

import numpy as np
import pytest
from tests import tuning

from sottovoce.artefact import BODIES
from sottovoce.backbones import load_backbone
from sottovoce.head import Head, new_parameters
from sottovoce.instruments import PHQ_9
from sottovoce.progress import silent
from sottovoce.settings import LoraSettings
from sottovoce.tuned import TunedBody

WIDTH = 32  # of the tiny backbones
TOTALS = [3.0, 9.0, 12.0, 20.0]


def body(outputs="total", **parameters):
    """Give a body whose backbone is untrained and whose head reads one feature."""
    head = Head.on(PHQ_9, TOTALS, outputs)
    started = new_parameters(head, WIDTH, TOTALS)
    return TunedBody(None, head, "user_mean", 256, started | parameters, {})


@pytest.mark.parametrize("outputs", ["total", "items", "both"])
def test_a_body_is_rebuilt_from_its_record_and_tensors(outputs):
    first = body(outputs)
    record = json.loads(json.dumps(first.record))
    again = BODIES[record["kind"]](record, first.tensors)
    assert (again.record, again.kind) == (first.record, "finetune")
    assert set(again.tensors) == set(first.tensors)


def test_adapters_keep_their_settings():
    lora = LoraSettings(4, 8, 0.0, ("q_proj",))
    record = json.loads(json.dumps(TunedBody(lora, body().head, "last", 9, {}, {}).record))
    assert TunedBody.rebuild(record, {}).lora == lora


@pytest.mark.parametrize("budget", [1, 10_000])
def test_neither_order_nor_budget_changes_a_score(tiny_bert, budget):
    weight = np.random.default_rng(0).normal(size=WIDTH).astype(np.float32)
    tuned = body(**{"total.weight": weight})
    backbone = load_backbone(str(tiny_bert))
    inputs = tuning.examples(backbone, 8).inputs
    told = []
    points = tuned.predict(backbone, inputs, lambda done, total: told.append((done, total)))
    assert told[-1] == (8, 8)
    assert np.ptp(points) > 0
    again = TunedBody.rebuild({**tuned.record, "batch_tokens": budget}, tuned.tensors)
    backwards = again.predict(backbone, inputs[::-1], silent)[::-1]
    np.testing.assert_allclose(backwards, points, atol=1e-4)


def test_a_body_says_what_it_is():
    assert body("both").described == (
        "all weights trained (330 numbers), a head on the user_mean state for total and items, "
        "huber loss"
    )
    lora = TunedBody(LoraSettings(rank=4), body().head, "last", 9, body().parameters, {})
    assert lora.described.startswith("LoRA of rank 4 (33 numbers), a head on the last state")
