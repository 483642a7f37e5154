"""What a forward pass keeps for the backward one, counted by running it on shapes alone.

Owns the count, by block. Does not know what recomputing or sharding makes of it (`memory`).
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sottovoce.backbones import named_blocks, quiet
from sottovoce.blueprint import Blueprint

TRACED = 1024
"""Tokens of a row up to which a forward pass is followed operation by operation. Ours: a 64-block
Qwen3.5 takes seconds."""


@dataclass(frozen=True, slots=True)
class Kept:
    """Bytes that a forward pass keeps for the backward one.

    Parameters
    ----------
    blocks
        Of each block, in order.
    outside
        Of everything else.
    state
        Of one hidden state, which is all that a recomputed block keeps.
    largest
        The largest single tensor: the gradient beside it has its size.
    """

    blocks: tuple[int, ...]
    outside: int
    state: int
    largest: int


def kept_for_backward(made: Blueprint, rows: int, width: int, *, autocast: bool) -> Kept:
    """Count what a forward pass over `rows` times `width` tokens keeps, by running it on shapes.

    Runs torch's own code on tensors without data, as a CPU would take it: linear attention is
    counted in its plain implementation, which keeps more than a fused kernel does. Blocks of one
    kind are run twice, not all of them; rows of more than `TRACED` tokens are not run but follow
    the square that three shorter ones lie on, for attention grows with the square at most.
    """
    if width <= TRACED:
        return _traced(made, rows, width, autocast)
    widths = (TRACED // 4, TRACED // 2, TRACED)
    short = [_traced(made, rows, each, autocast) for each in widths]

    def at(values: tuple[int, ...]) -> int:
        return round(_through(widths, values, width))

    return Kept(
        tuple(at(each) for each in zip(*(kept.blocks for kept in short), strict=True)),
        at(tuple(kept.outside for kept in short)),
        at(tuple(kept.state for kept in short)),
        at(tuple(kept.largest for kept in short)),
    )


def _through(places: tuple[int, ...], values: tuple[int, ...], wanted: int) -> float:
    """Read the parabola through three points, by Lagrange's formula."""
    return sum(
        value * math.prod((wanted - other) / (place - other) for other in places if other != place)
        for place, value in zip(places, values, strict=True)
    )


def _traced(made: Blueprint, rows: int, width: int, autocast: bool) -> Kept:
    import torch
    from torch._subclasses.fake_tensor import FakeTensorMode

    count, marks = _Count(), list[int]()

    def mark(*_: Any) -> None:
        marks.append(count.total)

    with quiet(), FakeTensorMode(), _some_blocks(made) as (run, like), _filled(made.model) as own:
        count.own = own
        hooks = [block.register_forward_pre_hook(mark) for block in run]
        hooks += [block.register_forward_hook(mark) for block in run]
        made.model.train()
        ids, mask = (torch.ones(rows, width, dtype=torch.long, device="cpu") for _ in range(2))
        with (
            torch.autograd.graph.saved_tensors_hooks(count.pack, lambda each: each),
            torch.autocast("cpu", torch.bfloat16, enabled=autocast),
        ):
            state = made.model(input_ids=ids, attention_mask=mask).last_hidden_state
        for hook in hooks:
            hook.remove()
    each = [after - before for before, after in zip(marks[::2], marks[1::2], strict=True)]
    return Kept(
        tuple(each[place] for place in like),
        count.total - sum(each),
        state.numel() * state.element_size(),
        count.largest,
    )


class _Count:
    """Bytes of the tensors that autograd keeps, each storage once, the weights not."""

    def __init__(self) -> None:
        self.total = self.largest = 0
        self.own: set[int] = set()
        self.seen: dict[int, Any] = {}

    def pack(self, tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self.own and key not in self.seen:
            self.seen[key] = storage  # held, or another could take its address
            self.total += storage.nbytes()
            self.largest = max(self.largest, storage.nbytes())
        return tensor


@contextmanager
def _filled(model: Any) -> Iterator[set[int]]:
    """Put tensors with a device but without data into an empty model; give their storages."""
    import torch
    from torch import nn

    before = []
    own = set()
    for module in model.modules():
        for kept in (module._parameters, module._buffers):
            for name, value in kept.items():
                if value is None:
                    continue
                before.append((kept, name, value))
                empty = torch.empty(value.shape, dtype=value.dtype, device="cpu")
                own.add(empty.untyped_storage()._cdata)
                is_weight = kept is module._parameters
                kept[name] = nn.Parameter(empty, value.requires_grad) if is_weight else empty
    try:
        yield own
    finally:
        for kept, name, value in before:
            kept[name] = value


@contextmanager
def _some_blocks(made: Blueprint) -> Iterator[tuple[list[Any], list[int]]]:
    """Cut the model for a while to its first blocks, two of each kind.

    Yields
    ------
    run, like
        Those blocks, and for each block of the whole model which of them it is like.
    """
    name, blocks = named_blocks(made.model, made.n_layers)
    kinds = [
        tuple((key, each.shape, each.requires_grad) for key, each in block.named_parameters())
        for block in blocks
    ]
    seconds = [[i for i, kind in enumerate(kinds) if kind == each][:2] for each in kinds]
    n = max(places[-1] for places in seconds) + 1
    like = [place if place < n else places[-1] for place, places in enumerate(seconds)]
    try:
        made.model.set_submodule(name, blocks[:n])
        yield list(blocks[:n]), like
    finally:
        made.model.set_submodule(name, blocks)
