from collections import defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import tiny

from sottovoce.backbones import load_backbone
from sottovoce.batches import GROUPED, collate, dealt, epoch_order, pooled, within_budget
from sottovoce.estimates import Dropped
from sottovoce.model_input import ModelInput, Rendering, Segment, Span

POOLINGS = ["last", "user_mean", "message_mean", "all_mean"]


def made(*lengths, pieces=1):
    """Give windows of so many tokens; the user says every token but the first."""
    return [
        ModelInput(
            tuple(
                Segment(tuple(range(1, length + 1)), (Span(0, "user", 1, length),))
                for _ in range(pieces)
            ),
            1,
            Dropped(),
        )
        for length in lengths
    ]


@pytest.fixture(scope="module", params=["tiny_qwen", "tiny_composite_qwen", "tiny_bert"])
def backbone(request):
    return load_backbone(str(request.getfixturevalue(request.param)))


@given(st.lists(st.integers(1, 500), max_size=80), st.integers(1, 8), st.integers(0, 5))
def test_an_epoch_reads_every_window_once(lengths, size, seed):
    order = epoch_order(lengths, size, [seed, 1])
    assert sorted(row for batch in order for row in batch) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= size for batch in order)
    assert order == epoch_order(lengths, size, [seed, 1])


def test_epochs_differ():
    lengths = list(range(40))
    assert epoch_order(lengths, 4, [0, 1]) != epoch_order(lengths, 4, [0, 2])


def test_a_batch_holds_windows_of_like_length():
    lengths = np.random.default_rng(0).integers(10, 1000, 4 * GROUPED)
    order = epoch_order(lengths.tolist(), 4, [0, 1])
    padded = sum(max(lengths[batch]) * len(batch) for batch in order)
    assert padded < 1.1 * lengths.sum()


@given(st.lists(st.integers(2, 60), min_size=1, max_size=30), st.integers(1, 200))
def test_parts_keep_the_budget(lengths, budget):
    inputs = made(*lengths, pieces=2)
    parts = list(within_budget(range(len(inputs)), inputs, budget))
    assert sorted(row for part in parts for row in part) == list(range(len(inputs)))
    for part in parts:
        batch = collate([inputs[row] for row in part], "all_mean", 0)
        assert len(part) == 1 or batch.token_ids.size <= budget


@given(st.lists(st.integers(2, 60), max_size=20), st.integers(1, 200), st.integers(1, 5))
def test_rows_are_dealt_once_each_and_alike_in_tokens(lengths, budget, n):
    inputs = made(*lengths)
    shares = dealt(range(len(inputs)), inputs, budget, n)
    rows = [[row for part in share for row in part] for share in shares]
    assert len(shares) == n
    assert sorted(row for each in rows for row in each) == list(range(len(inputs)))
    tokens = [sum(lengths[row] for row in each) for each in rows]
    assert max(tokens) - min(tokens) <= max(lengths, default=0)
    for share in shares:
        for part in share:
            assert len(part) == 1 or max(lengths[row] for row in part) * len(part) <= budget


def test_one_process_is_dealt_the_parts_that_the_budget_gives():
    inputs = made(9, 3, 3, 7, 3, 9)
    assert dealt([5, 1, 2, 0, 4], inputs, 9, 1) == [list(within_budget([5, 1, 2, 0, 4], inputs, 9))]


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_window_s_weights_sum_to_one_and_stand_on_text(pooling):
    batch = collate([*made(5, 9), *made(7, pieces=3)], pooling, pad=3)
    for owner in range(batch.n_windows):
        assert batch.weights[batch.owners == owner].sum() == pytest.approx(1)
    assert not batch.weights[batch.mask == 0].any()


def test_what_is_pooled_is_what_the_name_says():
    (window,) = made(4)
    assert collate([window], "last", 0).weights.tolist() == [[0, 0, 0, 1]]
    assert collate([window], "all_mean", 0).weights.tolist() == [[0.25] * 4]
    np.testing.assert_allclose(collate([window], "user_mean", 0).weights, [[0, *[1 / 3] * 3]])


def test_a_pad_id_inside_the_text_is_text():
    (window,) = made(4)  # holds the ids 1 to 4
    batch = collate([window, *made(6)], "last", pad=4)
    assert batch.mask[0].tolist() == [1, 1, 1, 1, 0, 0]
    assert batch.weights[0].argmax() == 3


def by_hand(backbone, rendered, pooling):
    """Pool one window by running every segment alone, without padding."""
    states, spoken, of_message = [], [], defaultdict(list)
    for segment in rendered.segments:
        with torch.no_grad():
            output = backbone.model(input_ids=torch.tensor([segment.token_ids]))
        states.append(output.last_hidden_state[0].numpy())
        own = [span for span in segment.spans if span.role == "user"]
        spoken += [states[-1][span.start : span.end] for span in own]
        for span in own:
            of_message[span.message].append(states[-1][span.start : span.end])
    if pooling == "last":
        return states[-1][-1]
    if pooling == "message_mean":
        return np.mean([np.concatenate(each).mean(0) for each in of_message.values()], axis=0)
    return np.concatenate(states if pooling == "all_mean" else spoken).mean(0)


@pytest.mark.parametrize("pooling", POOLINGS)
@given(order=st.permutations(range(5)))
@settings(max_examples=3, deadline=None)
def test_pooling_a_padded_batch_equals_one_window_at_a_time(backbone, pooling, order):
    rendering = Rendering(("user", "assistant"), "turns")
    windows = [tiny.window("ada", tiny.SAYINGS[: n + 1]) for n in order]
    inputs = tiny.rendered(backbone, windows, rendering)
    with torch.no_grad():
        found = pooled(backbone.model, collate(inputs, pooling, backbone.tokenizer.pad_token_id))
    for row, rendered in zip(found.numpy(), inputs, strict=True):
        np.testing.assert_allclose(row, by_hand(backbone, rendered, pooling), atol=2e-5)
