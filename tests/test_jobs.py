from dataclasses import replace

import numpy as np
import pytest
from tests import tuning

from sottovoce.backbones import load_backbone
from sottovoce.head import Head
from sottovoce.instruments import PHQ_9
from sottovoce.jobs import identity


@pytest.fixture(scope="module")
def examples(tiny_bert):
    return tuning.examples(load_backbone(str(tiny_bert)))


def test_rare_totals_count_more_and_the_other_labels_are_not_looked_at(examples):
    rows = np.arange(10)
    weighed = examples.weighed(PHQ_9, rows)
    assert weighed.weights[:10].mean() == pytest.approx(1)
    assert weighed.weights[:10].std() > 0
    assert (weighed.weights[10:] == 1).all()
    others = replace(examples, totals=np.where(np.arange(24) < 10, examples.totals, 27.0))
    np.testing.assert_array_equal(others.weighed(PHQ_9, rows).weights, weighed.weights)
    assert (examples.weights == 1).all()


def test_whatever_decides_a_training_is_in_its_identity(examples):
    settings, job = tuning.finetune_settings(), tuning.job()
    head = Head.on(PHQ_9, examples.totals)
    changed = [
        ("a", examples, settings, job, head),
        ("b", examples, settings, job, head),
        ("a", replace(examples, totals=examples.totals + 1), settings, job, head),
        ("a", replace(examples, weights=examples.weights * 2), settings, job, head),
        ("a", replace(examples, inputs=examples.inputs[::-1]), settings, job, head),
        ("a", examples, tuning.finetune_settings(epochs=4), job, head),
        ("a", examples, settings, tuning.job(seed=6), head),
        ("a", examples, settings, tuning.job(training=np.arange(3)), head),
        ("a", examples, settings, job, replace(head, loss="l1")),
    ]
    assert len({identity(*each) for each in changed}) == len(changed)
    assert identity(*changed[0]) == identity(*changed[0])


def test_where_a_checkpoint_lies_does_not_count(examples, tmp_path):
    settings, head = tuning.finetune_settings(), Head.on(PHQ_9, examples.totals)
    here, there = tuning.job(), tuning.job(folder=tmp_path)
    assert identity("a", examples, settings, here, head) == identity(
        "a", examples, settings, there, head
    )


def test_where_the_weights_lie_does_not_count(examples):
    head, job = Head.on(PHQ_9, examples.totals), tuning.job()
    whole, pieces = (tuning.finetune_settings(sharding=each) for each in ("none", "fsdp"))
    assert identity("a", examples, whole, job, head) == identity("a", examples, pieces, job, head)
