import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter1d
from scipy.stats import t as student

from sottovoce.losses import (
    HUBER_DELTA,
    STUDENT_DF,
    answered,
    coral,
    pointwise,
    rarity_weights,
)

ERRORS = torch.linspace(-5, 5, 41, dtype=torch.float64)
ZERO = torch.zeros_like(ERRORS)
POINTWISE = ["mse", "l1", "huber", "student_t"]


@pytest.mark.parametrize(
    ("kind", "oracle"),
    [
        ("mse", torch.nn.functional.mse_loss),
        ("l1", torch.nn.functional.l1_loss),
        (
            "huber",
            lambda a, b, reduction: torch.nn.functional.huber_loss(
                a, b, reduction=reduction, delta=HUBER_DELTA
            ),
        ),
    ],
)
def test_a_loss_is_torchs_own(kind, oracle):
    torch.testing.assert_close(pointwise(kind, ERRORS), oracle(ERRORS, ZERO, reduction="none"))


def test_student_t_is_the_likelihood_up_to_a_constant():
    expected = student.logpdf(0, STUDENT_DF) - student.logpdf(ERRORS.numpy(), STUDENT_DF)
    np.testing.assert_allclose(pointwise("student_t", ERRORS).numpy(), expected, atol=1e-12)


@pytest.mark.parametrize("kind", POINTWISE)
@given(error=st.floats(-50, 50))
def test_a_loss_is_even_and_grows_with_the_error(kind, error):
    here, mirrored, further = (
        float(pointwise(kind, torch.tensor(each, dtype=torch.float64)))
        for each in (error, -error, error * 1.5)
    )
    assert here == mirrored
    assert 0 <= here <= further


def test_the_heavy_tails_weigh_less():
    far = torch.tensor(20.0)
    assert pointwise("student_t", far) < pointwise("huber", far) < pointwise("mse", far)


def test_coral_is_the_mean_of_its_binary_losses():
    logits = torch.tensor([[2.0, 0.5, -1.0]], dtype=torch.float64)
    p = 1 / (1 + np.exp(-logits.numpy()[0]))
    expected = -np.mean([np.log(p[0]), np.log(p[1]), np.log(1 - p[2])])
    found = coral(logits, torch.tensor([2.0], dtype=torch.float64))
    np.testing.assert_allclose(found.numpy(), [expected])


@given(st.integers(0, 6))
def test_coral_is_least_at_the_total_itself(steps):
    rungs = torch.arange(6, dtype=torch.float64)
    sure = (8 * (steps - rungs - 0.5))[None]
    losses = [float(coral(sure, torch.tensor([float(each)]))) for each in range(7)]
    assert int(np.argmin(losses)) == steps


def test_a_total_between_two_cut_offs_counts_in_part():
    logits = torch.zeros((1, 3), dtype=torch.float64)
    logits.requires_grad_()
    coral(logits, torch.tensor([1.25], dtype=torch.float64)).sum().backward()
    np.testing.assert_allclose(logits.grad.numpy(), [[-0.5 / 3, 0.25 / 3, 0.5 / 3]])


def test_only_answered_items_count():
    items = torch.tensor([[1.0, 2.0, 3.0], [1.0, 1.0, 1.0]])
    items.requires_grad_()
    missing = float("nan")
    targets = torch.tensor([[0.0, missing, 1.0], [missing] * 3])
    losses = answered("mse", items, targets)
    torch.testing.assert_close(losses, torch.tensor([2.5, 0.0]))
    losses.sum().backward()
    assert torch.isfinite(items.grad).all()
    assert items.grad[0, 1] == 0
    assert not items.grad[1].any()


def test_items_of_an_ordinal_head_take_the_squared_error():
    items, targets = torch.tensor([[1.0, 3.0]]), torch.tensor([[0.0, 1.0]])
    assert answered("ordinal", items, targets) == answered("mse", items, targets)


@given(st.lists(st.integers(0, 27), min_size=1, max_size=60))
def test_rarity_weights_have_mean_one_and_follow_the_total_only(totals):
    weights = rarity_weights(totals, 0, 27)
    assert weights.mean() == pytest.approx(1)
    assert (weights > 0).all()
    for total in set(totals):
        assert len({weights[i] for i, each in enumerate(totals) if each == total}) == 1


def test_rare_totals_weigh_more():
    totals = [5] * 30 + [6] * 30 + [24]
    weights = rarity_weights(totals, 0, 27)
    assert weights[-1] > 10 * weights[0]


def test_the_smoothed_density_is_scipys_away_from_the_edges():
    totals = np.repeat([10, 11, 14, 16], [8, 5, 2, 1])
    weights = rarity_weights(totals, 0, 27)
    density = gaussian_filter1d(np.bincount(totals, minlength=28).astype(float), 2.0, truncate=8)
    expected = 1 / density[totals]
    np.testing.assert_allclose(weights, expected / expected.mean(), rtol=1e-3)
