import torch

from sottovoce.parallel import world
from sottovoce.randomness import own_randomness, random_states, set_random_states

CPU = torch.device("cpu")


def drawn():
    return torch.rand(4)


def test_a_training_draws_by_its_seed_and_leaves_the_callers_state_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    with own_randomness(7):
        first = drawn()
    with own_randomness(7):
        again = drawn()
    assert torch.equal(first, again)
    assert torch.equal(torch.get_rng_state(), before)


def test_what_comes_after_a_state_comes_again_when_it_is_set():
    with own_randomness(7):
        states = random_states(world(), CPU)
        first = drawn()
        named = {name.removeprefix("random."): each for name, each in states.items()}
        set_random_states(named, world())
        assert torch.equal(drawn(), first)


def test_a_process_without_a_state_keeps_its_own():
    with own_randomness(7):
        expected = drawn()
    with own_randomness(7):
        set_random_states({}, world())
        assert torch.equal(drawn(), expected)
