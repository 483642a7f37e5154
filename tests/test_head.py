import dataclasses
import json

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.head import (
    Head,
    Outcome,
    new_parameters,
    outcome,
    rebuild_head,
    window_losses,
    without_standardising,
)
from sottovoce.instruments import GAD_7, INSTRUMENTS, PHQ_9

TOTALS = [3.0, 8.0, 12.0, 15.0, 20.0]
WIDTH = 6
MISSING = float("nan")


def started(head, totals=TOTALS):
    return {
        name: torch.tensor(array) for name, array in new_parameters(head, WIDTH, totals).items()
    }


def random_parameters(head, seed):
    generator = torch.Generator().manual_seed(seed)
    return {
        name: torch.randn(array.shape, generator=generator) * 20
        for name, array in started(head).items()
    }


def states(n=4, seed=0):
    return torch.randn(n, WIDTH, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("outputs", ["total", "items", "both"])
@pytest.mark.parametrize("instrument", INSTRUMENTS.values(), ids=lambda each: each.key)
def test_an_untrained_head_says_the_mean(instrument, outputs):
    head = Head.on(instrument, TOTALS, outputs)
    said = outcome(head, started(head), states())
    np.testing.assert_allclose(said.total.numpy(), np.mean(TOTALS), rtol=1e-4)


def test_an_untrained_ordinal_head_says_how_often_each_cut_off_was_reached():
    totals = np.arange(28).repeat(40)
    head = Head.on(PHQ_9, totals, loss="ordinal")
    said = outcome(head, started(head, totals), states())
    assert said.logits.shape == (4, 27)
    np.testing.assert_allclose(said.total.numpy(), totals.mean(), rtol=0.01)


@given(st.sampled_from(["items", "both"]), st.integers(0, 50))
def test_items_stay_within_their_answers(outputs, seed):
    head = Head.on(PHQ_9, TOTALS, outputs)
    said = outcome(head, random_parameters(head, seed), states(seed=seed))
    assert said.items.shape == (4, 9)
    assert (said.items >= 0).all() and (said.items <= 3).all()
    if outputs == "items":
        torch.testing.assert_close(said.total, said.items.sum(1))


@given(st.integers(0, 50))
def test_an_ordinal_total_stays_within_the_questionnaire(seed):
    head = Head.on(GAD_7, TOTALS, loss="ordinal")
    said = outcome(head, random_parameters(head, seed), states(seed=seed))
    assert (said.total >= 0).all() and (said.total <= 21).all()


def test_the_total_is_in_points_around_the_training_mean():
    head = Head.on(PHQ_9, TOTALS)
    parameters = started(head) | {"total.weight": torch.ones(WIDTH)}
    pooled = states()
    expected = np.mean(TOTALS) + np.std(TOTALS) * pooled.sum(1).numpy()
    np.testing.assert_allclose(outcome(head, parameters, pooled).total, expected, rtol=1e-5)


def test_equal_totals_keep_scale_one():
    assert Head.on(PHQ_9, [7.0, 7.0]).scale == 1.0


@pytest.mark.parametrize("loss", ["mse", "ordinal"])
def test_a_label_without_items_trains_the_total_only(loss):
    head = Head.on(PHQ_9, TOTALS, "both", loss)
    parameters = started(head)
    for each in parameters.values():
        each.requires_grad_()
    said = outcome(head, parameters, states(1))
    losses = window_losses(head, said, torch.tensor([20.0]), torch.full((1, 9), MISSING))
    losses.sum().backward()
    assert parameters["total.bias"].grad.any()
    assert not parameters["items.weight"].grad.any()


def test_items_weigh_as_much_as_the_head_says():
    head = Head.on(PHQ_9, TOTALS, "both", "mse", item_weight=0.25)
    said = Outcome(torch.tensor([10.0]), torch.full((1, 9), 1.0))
    with_items = window_losses(head, said, torch.tensor([10.0]), torch.full((1, 9), 3.0))
    torch.testing.assert_close(with_items, torch.tensor([0.25 * 4.0]))


def test_the_total_of_items_is_trained_by_labels_without_items():
    head = Head.on(PHQ_9, TOTALS, "items", "mse")
    parameters = started(head)
    parameters["items.bias"].requires_grad_()
    said = outcome(head, parameters, states(1))
    losses = window_losses(head, said, torch.tensor([20.0]), torch.full((1, 9), MISSING))
    losses.sum().backward()
    assert (parameters["items.bias"].grad < 0).all()


def test_a_head_is_rebuilt_from_json():
    head = Head.on(PHQ_9, TOTALS, "both", "student_t")
    assert rebuild_head(json.loads(json.dumps(dataclasses.asdict(head)))) == head


@pytest.mark.parametrize("outputs", ["total", "items", "both"])
def test_a_head_on_standardised_states_can_be_written_for_states_as_they_are(outputs):
    head = Head.on(PHQ_9, TOTALS, outputs)
    parameters = random_parameters(head, 3)
    parameters |= {"centre": torch.randn(WIDTH) * 5, "spread": torch.rand(WIDTH) + 0.5}
    plain = without_standardising({name: each.numpy() for name, each in parameters.items()})
    assert set(plain) == set(started(head))
    told = {name: torch.from_numpy(each) for name, each in plain.items()}
    first, second = (outcome(head, each, states() * 3 + 2) for each in (parameters, told))
    torch.testing.assert_close(first.total, second.total, rtol=1e-4, atol=1e-3)
    assert float(first.total.std()) > 0
