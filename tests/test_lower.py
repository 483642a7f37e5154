import copy

import pytest
import torch
from tests import tuning

from sottovoce.backbones import load_backbone, named_blocks
from sottovoce.batches import collate
from sottovoce.lower import ReadOnce

BACKBONES = ["tiny_qwen", "tiny_composite_qwen", "tiny_bert"]


@pytest.fixture(params=BACKBONES)
def backbone(request):
    return load_backbone(str(request.getfixturevalue(request.param)))


def batch_of(backbone, n):
    made = collate(tuning.examples(backbone, n).inputs, "user_mean", 0)
    return torch.from_numpy(made.token_ids), torch.from_numpy(made.mask)


def is_linear(module):
    return isinstance(module, torch.nn.Linear)


def read_once(backbone, n_kept=1):
    return ReadOnce(backbone.model, named_blocks(backbone.model)[1], n_kept, {})


def test_it_gives_what_the_whole_model_gives(backbone):
    ids, mask = batch_of(backbone, 5)
    with torch.no_grad():
        whole = backbone.model(input_ids=ids, attention_mask=mask).last_hidden_state
        once = read_once(backbone)(input_ids=ids, attention_mask=mask).last_hidden_state
    assert mask.min() == 0  # some rows are padded
    torch.testing.assert_close(once[mask == 1], whole[mask == 1], atol=1e-5, rtol=1e-4)


def test_the_trained_blocks_get_the_gradient_of_the_whole_model(backbone):
    ids, mask = batch_of(backbone, 4)
    other = copy.deepcopy(backbone.model)
    for model in (backbone.model, other):
        for block in named_blocks(model)[1][1:]:
            block.requires_grad_(True)
    for model in (other, read_once(backbone)):
        states = model(input_ids=ids, attention_mask=mask).last_hidden_state
        (states * mask[..., None]).pow(2).sum().backward()
    upper = named_blocks(backbone.model)[1][1:]
    compared = list(zip(upper.parameters(), named_blocks(other)[1][1:].parameters(), strict=True))
    assert compared
    for once, whole in compared:
        torch.testing.assert_close(once.grad, whole.grad, atol=1e-4, rtol=1e-3)


def test_a_text_passes_through_the_lowest_blocks_once(backbone):
    ids, mask = batch_of(backbone, 3)
    passed = []
    inside = next(each for each in named_blocks(backbone.model)[1][0].modules() if is_linear(each))
    inside.register_forward_hook(lambda *_: passed.append(1))
    model = read_once(backbone)
    model(input_ids=ids, attention_mask=mask)
    model(input_ids=ids.flip(0), attention_mask=mask.flip(0))
    texts = {tuple(row[own == 1].tolist()) for row, own in zip(ids, mask, strict=True)}
    assert len(passed) == len(texts) == len(model.kept)


def test_the_blocks_are_afterwards_as_they_were(backbone):
    ids, mask = batch_of(backbone, 2)
    read_once(backbone)(input_ids=ids, attention_mask=mask)
    assert not any("forward" in block.__dict__ for block in named_blocks(backbone.model)[1])
