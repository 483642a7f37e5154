"""Which weights of a backbone are trained: low-rank adapters beside them, or the weights.

Owns attaching, naming, merging and taking away (peft does the arithmetic of LoRA). Does not know
heads, losses or how training goes.
"""

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt

from sottovoce.backbones import VISION, named_blocks, quiet
from sottovoce.errors import ModelError, require
from sottovoce.parallel import local
from sottovoce.settings import FinetuneSettings, LoraSettings

Weights = Mapping[str, npt.NDArray[np.float32]]


@contextmanager
def trainable(model: Any, settings: FinetuneSettings) -> Iterator[Any]:
    """Give the model to train, and leave the backbone afterwards as it was.

    Parameters
    ----------
    model
        A backbone's model; changed while the context lasts.
    settings
        Method and adapters.

    Yields
    ------
    model
        The one to run; what requires a gradient in it is trained (`named_weights`).

    Raises
    ------
    ModelError
        If no linear layer has a name that the adapters are asked for.
    """
    if settings.method == "lora":
        adapted = attach(model, settings.lora, settings.frozen_layers)
        try:
            yield adapted
        finally:
            adapted.unload()
            model.eval()
        return
    before = {name: local(each).detach().cpu().clone() for name, each in model.named_parameters()}
    unfreeze(model, settings.frozen_layers)
    try:
        yield model
    finally:
        _copy_into(model, before)
        model.requires_grad_(False)
        model.eval()


def unfreeze(model: Any, frozen_layers: int = 0) -> None:
    """Let every weight be trained but the vision tower's; above frozen blocks, only blocks."""
    if frozen_layers:
        model.requires_grad_(False)
        for block in upper_blocks(model, frozen_layers):
            block.requires_grad_(True)
        return
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(not re.fullmatch(VISION, name))


def upper_blocks(model: Any, frozen_layers: int) -> Any:
    """Give the blocks above the frozen ones.

    Raises
    ------
    ModelError
        If there is none.
    """
    _, blocks = named_blocks(model)
    if frozen_layers >= len(blocks):
        raise ModelError(
            f"finetune.frozen_layers is {frozen_layers} and {len(blocks)} blocks are used; freeze "
            "fewer, so that some are trained"
        )
    return blocks[frozen_layers:]


def named_weights(model: Any) -> dict[str, Any]:
    """Give the parameters that are trained, by name."""
    return {name: each for name, each in model.named_parameters() if each.requires_grad}


def apply_weights(
    model: Any,
    lora: LoraSettings | None,
    weights: Weights,
    *,
    frozen_layers: int = 0,
    merge: bool = False,
) -> Any:
    """Give a backbone's model with trained weights in it.

    Adapters are merged into float32 weights. Weights in half precision or in 4 bits would round
    them away, so there they stay beside the weights, as they were trained.

    Parameters
    ----------
    model
        The untrained backbone's; changed in place.
    lora
        The adapters' settings; None where the weights themselves were trained.
    weights
        By the names of `named_weights`.
    frozen_layers
        Blocks that were not trained and have no adapters.
    merge
        Whether adapters are merged into half-precision weights too, which rounds them.
    """
    if lora is None:
        _copy_into(model, weights)
        return model
    adapted = attach(model, lora, frozen_layers)
    _copy_into(adapted, weights)
    return adapted.merge_and_unload() if merge or _is_whole(model) else adapted


def attach(model: Any, lora: LoraSettings, frozen_layers: int = 0) -> Any:
    """Put adapters beside the linear layers of a model, or of its blocks above frozen ones.

    Raises
    ------
    ModelError
        If no linear layer has such a name.
    """
    with quiet():  # peft imports bitsandbytes where it is installed, which has its notes
        require("peft", what="Low-rank adaptation", extra="models")
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=_targets(model, lora, frozen_layers),
        exclude_modules=lora.exclude if _is_excluded(model, lora.exclude) else None,
    )
    try:
        with warnings.catch_warnings():  # peft 0.21 asks transformers 5.23 by an old name
            warnings.simplefilter("ignore", FutureWarning)
            return get_peft_model(model, config)
    except ValueError as error:
        raise ModelError(
            f"no layer of the backbone is named {', '.join(lora.targets) or 'linear'}; correct "
            f"finetune.lora.targets, its linear layers end in {', '.join(_linear_names(model))}"
        ) from error


def _is_whole(model: Any) -> bool:
    """Whether every weight is float32, none of them in half precision or packed into 4 bits."""
    import torch

    return all(each.dtype == torch.float32 for each in model.parameters())


def _is_excluded(model: Any, pattern: str) -> bool:
    """Whether the pattern names anything: peft warns where it does not."""
    return any(re.fullmatch(pattern, name) for name, _ in model.named_modules())


def _targets(model: Any, lora: LoraSettings, frozen_layers: int) -> list[str] | str:
    """Name the layers as peft wants them; above frozen blocks each by its whole name."""
    if not frozen_layers:
        return list(lora.targets) or "all-linear"
    from torch import nn

    name, _ = named_blocks(model)
    return [
        f"{name}.{place}.{inside}"
        for place, block in enumerate(upper_blocks(model, frozen_layers), frozen_layers)
        for inside, each in block.named_modules()
        if isinstance(each, nn.Linear)
        if not lora.targets or any(f".{inside}".endswith(f".{target}") for target in lora.targets)
    ] or list(lora.targets)


def _linear_names(model: Any) -> list[str]:
    from torch import nn

    return sorted(
        {
            name.rpartition(".")[2]
            for name, module in model.named_modules()
            if isinstance(module, nn.Linear) and not re.fullmatch(VISION, name)
        }
    )


def _copy_into(model: Any, weights: Mapping[str, Any]) -> None:
    import torch

    own = dict(model.named_parameters())
    if unknown := sorted(set(weights) - set(own)):
        raise ModelError(
            f"the estimator has weights for {unknown[0]}, which the backbone lacks; restore the "
            "backbone or train again"
        )
    with torch.no_grad():
        for name, value in weights.items():
            local(own[name]).copy_(torch.as_tensor(value))
