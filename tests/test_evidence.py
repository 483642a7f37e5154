import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.evidence import Evidence, EvidenceReader, Grounds, pool, reader_size
from sottovoce.features import MessageStates

WIDTH, N_ITEMS, HIGHEST = 5, 3, 3


def reader(seed: int = 0, size: float = 1.0, layers: tuple[int, ...] = (2, 4)) -> EvidenceReader:
    generator = np.random.default_rng(seed)

    def numbers(*shape: int) -> np.ndarray:
        return generator.normal(scale=size, size=shape)

    return EvidenceReader(
        layers,
        numbers(len(layers), WIDTH, 2 * N_ITEMS),
        numbers(2 * N_ITEMS),
        numbers(3 * 2 * N_ITEMS, N_ITEMS),
        numbers(N_ITEMS),
        numbers(1 + N_ITEMS),
        HIGHEST,
    )


def states(n_messages: int, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(n_messages, 2, WIDTH)).astype(np.float32)


def test_readings_are_pooled_to_the_strongest_the_mean_and_the_mean_of_the_two_strongest():
    readings = np.array([[1.0, 0.0], [3.0, -1.0], [2.0, 5.0]])
    np.testing.assert_allclose(pool(readings), [3, 5, 2, 4 / 3, 2.5, 2.5])


def test_one_message_is_its_own_strongest_and_mean():
    np.testing.assert_array_equal(pool(np.array([[1.0, -2.0]])), [1, -2, 1, -2, 1, -2])


def test_the_order_of_messages_does_not_count():
    body, said = reader(), states(6)
    np.testing.assert_allclose(body.points([said[::-1]]), body.points([said]))


def test_a_reading_is_the_mean_over_layers_of_linear_readings():
    body, said = reader(), states(4)
    by_hand = [
        np.mean([message[place] @ body.weights[place] for place in (0, 1)], axis=0)
        + body.intercepts
        for message in said
    ]
    np.testing.assert_allclose(body.readings(said), by_hand)


@given(st.integers(0, 99), st.sampled_from([0.1, 1.0, 30.0]), st.integers(1, 7))
def test_the_profile_is_within_an_item_s_range_and_the_total_follows_from_it(seed, size, count):
    body, said = reader(seed, size), [states(count, seed), states(2, seed + 1)]
    profiles = body.profiles(said)
    assert profiles.shape == (2, N_ITEMS)
    assert profiles.min() >= 0
    assert profiles.max() <= HIGHEST
    wanted = body.total_weights[0] + profiles @ body.total_weights[1:]
    np.testing.assert_allclose(body.points(said), wanted)


def test_windows_are_read_alike_alone_and_together():
    body, said = reader(), [states(3), states(1, 2), states(5, 3)]
    alone = [body.points([each])[0] for each in said]
    np.testing.assert_allclose(body.points(said), alone)
    assert body.points([]).shape == (0,)


GROUNDS = Grounds(
    np.array([1.0, 2.0]),
    np.array([0, 4, 7]),
    np.array([[0.2, 3.0], [2.0, 1.0], [0.7, 3.0]]),
)


def test_evidence_is_in_the_order_of_items_strongest_first_and_numbered_as_the_messages_are():
    assert GROUNDS.evidence(2) == (
        Evidence(1, 4, 2.0),
        Evidence(1, 7, 0.7),
        Evidence(2, 0, 3.0),  # as strong as message 7, and said before it
        Evidence(2, 7, 3.0),
    )
    assert GROUNDS.evidence() == (Evidence(1, 4, 2.0), Evidence(2, 0, 3.0))


def test_a_message_below_the_least_level_is_no_evidence():
    assert GROUNDS.evidence(3, least=0.7) == (
        Evidence(1, 4, 2.0),
        Evidence(1, 7, 0.7),
        *GROUNDS.evidence(3)[3:],
    )
    assert GROUNDS.evidence(3, least=3.1) == ()


def test_grounds_are_the_profile_and_the_levels_of_what_was_read():
    body, read = reader(), MessageStates(np.array([1, 3, 4]), states(3))
    grounds = body.grounds(read)
    np.testing.assert_array_equal(grounds.profile, body.profiles([read.states])[0])
    np.testing.assert_array_equal(grounds.levels, body.readings(read.states)[:, :N_ITEMS])
    assert grounds.messages.tolist() == [1, 3, 4]


def test_a_reader_is_rebuilt_from_its_record_and_tensors():
    body = reader()
    again = EvidenceReader.rebuild(json.loads(json.dumps(body.record)), body.tensors)
    assert (again.layers, again.item_maximum, again.kind) == (body.layers, HIGHEST, "reader")
    np.testing.assert_array_equal(again.points([states(4)]), body.points([states(4)]))


def test_the_size_of_a_reader_is_counted_before_there_is_one():
    for layers in ((2, 4), (1,)):
        body = reader(layers=layers)
        size = sum(each.size for each in body.tensors.values())
        assert reader_size(len(layers), WIDTH, N_ITEMS) == size


def test_a_reader_keeps_one_block_more_than_it_reads():
    assert reader().keep_layers == 5


@pytest.mark.parametrize("said", [reader().summary, reader().described])
def test_a_reader_says_how_many_items_it_reads_where(said):
    assert said.startswith("evidence reader of 3 items on layers 2, 4")
