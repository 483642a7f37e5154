"""A backbone without its weights: what it is made of, counted on torch's meta device.

Owns building it empty and counting its parameters and those that are trained. Does not know where
its configuration comes from (`architecture`), activations, GPUs or data.
"""

import re
from collections.abc import Iterable, Iterator
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

from sottovoce.adapter import attach, unfreeze
from sottovoce.backbones import VISION, cut_to_layers, named_blocks, quiet
from sottovoce.settings import FinetuneSettings


@dataclass(frozen=True, slots=True)
class Size:
    """Some weights: how many numbers, and the bytes they take in their own data type."""

    numbers: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Blueprint:
    """What a backbone is made of.

    Parameters
    ----------
    model_type, source
        Its kind, and where its configuration was found.
    backbone, adapters, trained
        The published weights; what LoRA adds; what of both is trained, without the head.
    embeddings
        Numbers in tables that a token is looked up in, which multiply nothing.
    linear
        Frozen weights of linear layers outside the vision tower: what 4-bit loading packs.
    largest_linear
        Numbers of the largest of them.
    block, block_trained, outside
        The largest block, what of it is trained, and everything that is in no block.
    lower
        Numbers in the frozen blocks, which read a text once.
    n_layers, hidden_size, context
        Blocks, width of a hidden state, and tokens it can read.
    model
        The empty model, on the meta device, as it would be trained.
    """

    model_type: str
    source: str
    backbone: Size
    adapters: Size
    trained: Size
    embeddings: int
    linear: Size
    largest_linear: int
    block: Size
    block_trained: Size
    outside: Size
    lower: int
    n_layers: int
    hidden_size: int
    context: int
    model: Any


def blueprint(
    config: Any, source: str, dtype: str, finetune: FinetuneSettings | None = None
) -> Blueprint:
    """Build a model on the meta device, ready to be trained as the settings say, and count it.

    Without settings nothing is trained: a probe reads a frozen backbone.
    """
    import torch
    from torch import nn

    config = deepcopy(config)  # cutting the model changes it
    text = config.get_text_config()
    with torch.device("meta"), quiet():
        model = _frozen(config, dtype, finetune.layers if finetune is not None else None)
        backbone = _size(model.parameters())
        _, blocks = named_blocks(model)
        tables = [each for each in model.modules() if isinstance(each, nn.Embedding)]
        packed = _linear_weights(model)
        model = _prepared(model, finetune)
    frozen_layers = finetune.frozen_layers if finetune is not None else 0
    whole, inside = _size(model.parameters()), [_size(each.parameters()) for each in blocks]
    frozen = _size(each for each in packed if not each.requires_grad)
    return Blueprint(
        model_type=str(config.model_type),
        source=source,
        backbone=backbone,
        adapters=_less(whole, backbone),
        trained=_size(_trained(model)),
        embeddings=sum(each.weight.numel() for each in tables),
        linear=frozen,
        largest_linear=max((each.numel() for each in packed), default=0),
        block=max(inside, key=lambda each: each.bytes),
        block_trained=max((_size(_trained(each)) for each in blocks), key=lambda each: each.bytes),
        outside=Size(
            whole.numbers - sum(each.numbers for each in inside),
            whole.bytes - sum(each.bytes for each in inside),
        ),
        lower=_size(blocks[:frozen_layers].parameters()).numbers,
        n_layers=len(blocks),
        hidden_size=int(text.hidden_size),
        context=int(getattr(text, "max_position_embeddings", 0) or 2**31),
        model=model,
    )


def _frozen(config: Any, dtype: str, layers: int | None) -> Any:
    """Build the blocks that are used; nothing of them is trained yet."""
    import torch
    from transformers import AutoModel

    text = config.get_text_config()
    text.use_cache = False
    model = AutoModel.from_config(config, dtype=getattr(torch, dtype)).requires_grad_(False)
    if layers is not None:
        cut_to_layers(model, int(text.num_hidden_layers), layers)
    return model


def _linear_weights(model: Any) -> list[Any]:
    from torch import nn

    return [
        each.weight
        for name, each in model.named_modules()
        if isinstance(each, nn.Linear) and not re.fullmatch(VISION, name)
    ]


def _prepared(model: Any, finetune: FinetuneSettings | None) -> Any:
    """Give the frozen model with what is trained attached or unfrozen, as `adapter.trainable`."""
    if finetune is not None and finetune.method == "lora":
        return attach(model, finetune.lora, finetune.frozen_layers)
    if finetune is not None:
        unfreeze(model, finetune.frozen_layers)
    return model


def _trained(module: Any) -> Iterator[Any]:
    return (each for each in module.parameters() if each.requires_grad)


def _size(weights: Iterable[Any]) -> Size:
    numbers = size = 0
    for each in weights:
        numbers, size = numbers + each.numel(), size + each.numel() * each.element_size()
    return Size(numbers, size)


def _less(whole: Size, part: Size) -> Size:
    return Size(whole.numbers - part.numbers, whole.bytes - part.bytes)
