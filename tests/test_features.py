import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tests import tiny

from sottovoce import features
from sottovoce.backbones import load_backbone
from sottovoce.features import POOLINGS, message_states, pooled_states
from sottovoce.model_input import Rendering


@pytest.fixture(scope="module", params=["tiny_qwen", "tiny_composite_qwen", "tiny_bert"])
def backbone(request):
    return load_backbone(str(request.getfixturevalue(request.param)))


def read(backbone, windows, layers=(0, 1, 2), **rendering):
    inputs = tiny.rendered(backbone, windows, Rendering(**rendering))
    return inputs, pooled_states(backbone, inputs, layers, POOLINGS)


def by_hand(backbone, rendered, layer):
    """Pool one window by running every segment alone, without padding."""
    tokens, messages = [], {}
    for segment in rendered.segments:
        with torch.inference_mode():
            output = backbone.model(
                input_ids=torch.tensor([segment.token_ids]), output_hidden_states=True
            )
        states = output.hidden_states[layer][0].float().numpy()
        for span in segment.spans:
            if span.role == "user":
                tokens.extend(states[span.start : span.end])
                messages.setdefault(span.message, []).extend(states[span.start : span.end])
    return {
        "mean": np.mean(tokens, axis=0),
        "message_mean": np.mean([np.mean(each, axis=0) for each in messages.values()], axis=0),
        "last": tokens[-1],
    }


@pytest.mark.parametrize("roles", [("user",), ("user", "assistant")])
def test_pooling_in_padded_batches_equals_one_window_at_a_time(backbone, roles):
    windows = [tiny.window("ada", tiny.SAYINGS[: n + 1]) for n in range(6)]
    inputs, pooled = read(backbone, windows, roles=roles, layout="turns")
    for row, rendered in enumerate(inputs):
        for index, layer in enumerate((0, 1, 2)):
            expected = by_hand(backbone, rendered, layer)
            for pooling in POOLINGS:
                np.testing.assert_allclose(
                    pooled[pooling][row, index], expected[pooling], atol=2e-5
                )


@given(st.permutations(range(5)), st.integers(40, 400))
@settings(max_examples=10, deadline=None)
def test_neither_order_nor_batch_size_changes_what_is_read(backbone, order, budget):
    windows = [tiny.window("ada", tiny.SAYINGS[: n + 1]) for n in range(5)]
    _, reference = read(backbone, windows)
    before = features.BATCH_TOKENS
    features.BATCH_TOKENS = budget
    try:
        _, shuffled = read(backbone, [windows[index] for index in order])
    finally:
        features.BATCH_TOKENS = before
    for pooling in POOLINGS:
        np.testing.assert_allclose(shuffled[pooling], reference[pooling][list(order)], atol=2e-5)


def test_progress_is_told_window_by_window(backbone):
    told = []
    inputs = tiny.rendered(backbone, tiny.labelled_windows(3))
    pooled_states(backbone, inputs, [0], ["mean"], lambda done, total: told.append((done, total)))
    assert told[-1] == (3, 3)
    assert told == sorted(told)


def test_no_windows_give_empty_features(backbone):
    assert pooled_states(backbone, [], [0, 1], ["mean"])["mean"].shape == (0, 2, 32)


@pytest.mark.parametrize("roles", [("user",), ("user", "assistant")])
def test_the_states_of_messages_average_to_the_pooling_by_messages(backbone, roles):
    windows = [tiny.window("ada", tiny.SAYINGS[: n + 1]) for n in range(6)]
    inputs, pooled = read(backbone, windows, roles=roles, layout="turns")
    found = message_states(backbone, inputs, (0, 1, 2))
    for row, each in enumerate(found):
        numbers = np.arange(row + 1) * (2 if "assistant" in roles else 1)
        np.testing.assert_array_equal(each.messages, numbers)
        assert each.states.shape == (row + 1, 3, 32)
        averaged = each.states.mean(axis=0)
        np.testing.assert_allclose(averaged, pooled["message_mean"][row], atol=1e-5)


def test_a_message_without_a_token_has_no_states(backbone):
    (said,) = message_states(
        backbone,
        tiny.rendered(backbone, [tiny.window("ada", [tiny.SAYINGS[0], "", tiny.SAYINGS[1]])]),
        [1],
    )
    assert said.messages.tolist() == [0, 2]
    assert message_states(backbone, [], [1]) == []
