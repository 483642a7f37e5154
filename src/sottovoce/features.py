"""Pooled hidden states: a window as one vector per layer.

Owns batching by length and pooling by mask. Does not know labels or heads. Only the person's own
tokens are pooled, whatever the backbone reads beside them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sottovoce.backbones import Backbone
from sottovoce.model_input import ModelInput, Segment
from sottovoce.progress import Advance, silent

Pooling = Literal["mean", "message_mean", "last"]
POOLINGS: tuple[Pooling, ...] = ("mean", "message_mean", "last")

BATCH_TOKENS = 1024
"""Padded tokens of a batch. All hidden states of a batch are in memory at once (SmolLM2: 31 x
1024 x 576 x 4 bytes = 73 MB), and the larger the pieces, the more of them the allocator keeps:
with 4096 the peak grew by 387 MB over a long file, on a CPU."""

Features = dict[Pooling, npt.NDArray[np.float32]]


@dataclass(frozen=True, slots=True)
class _Piece:
    """Sums over the tokens of one message in one segment, for every layer asked for."""

    window: int
    order: tuple[int, int]
    message: int
    total: npt.NDArray[np.float32]
    last: npt.NDArray[np.float32]
    count: int


def pooled_states(
    backbone: Backbone,
    inputs: Sequence[ModelInput],
    layers: Sequence[int],
    poolings: Sequence[Pooling],
    advance: Advance = silent,
) -> Features:
    """Read windows and pool the hidden states over the person's tokens.

    Parameters
    ----------
    backbone
        Loaded, with at least ``max(layers)`` blocks (one more unless it is the last layer of
        the whole model, whose output is normed).
    inputs
        Rendered windows, length n.
    layers
        0 for the embeddings, i for the output of block i.
    poolings
        ``mean`` over all the person's tokens; ``message_mean`` over messages, each the mean of
        its tokens, so that short messages weigh as much as long ones; ``last`` the person's
        newest token.
    advance
        Called with the number of windows read and n.

    Returns
    -------
    dict of pooling to array, shape (n, len(layers), hidden_size), float32
    """
    shape = (len(inputs), len(layers), backbone.hidden_size)
    pooled: Features = {pooling: np.empty(shape, np.float32) for pooling in poolings}
    for window, pieces in _whole_windows(backbone, inputs, layers, advance):
        for pooling in poolings:
            pooled[pooling][window] = _pool(pieces, pooling)
    return pooled


@dataclass(frozen=True, slots=True)
class MessageStates:
    """One window as the mean hidden state of each of the person's messages.

    Parameters
    ----------
    messages
        Numbers of the messages among those of the window that were rendered, shape (m,);
        ascending. A message without a token has none.
    states
        Mean over each message's tokens, shape (m, n_layers, hidden_size), float32.
    """

    messages: npt.NDArray[np.int64]
    states: npt.NDArray[np.float32]


def message_states(
    backbone: Backbone,
    inputs: Sequence[ModelInput],
    layers: Sequence[int],
    advance: Advance = silent,
) -> list[MessageStates]:
    """Read windows and pool the hidden states over the tokens of each of the person's messages.

    Parameters
    ----------
    backbone, inputs, layers, advance
        As for `pooled_states`. A message is read with everything before it.

    Returns
    -------
    list of MessageStates
        In the order of the inputs.
    """
    read = dict(_whole_windows(backbone, inputs, layers, advance))
    means = [_message_means(read[window]) for window in range(len(inputs))]
    return [
        MessageStates(np.array(sorted(each)), np.stack([each[key] for key in sorted(each)]))
        for each in means
    ]


def _whole_windows(
    backbone: Backbone, inputs: Sequence[ModelInput], layers: Sequence[int], advance: Advance
) -> Iterator[tuple[int, list[_Piece]]]:
    """Give each window's number and pieces as soon as all of its segments are read."""
    pieces: dict[int, list[_Piece]] = {}
    unread = [len(each.segments) for each in inputs]
    done = 0
    for batch in _batches(inputs):
        for piece in _read(backbone, batch, layers):
            pieces.setdefault(piece.window, []).append(piece)
        for window, _, _ in batch:
            unread[window] -= 1
            if not unread[window]:
                yield window, pieces.pop(window)
                done += 1
        advance(done, len(inputs))


_Read = tuple[int, int, Segment]
"""Window, number of the segment within it, segment."""


def _batches(inputs: Sequence[ModelInput]) -> Iterator[list[_Read]]:
    """Group segments of like length so that little padding is read."""
    reads = [
        (window, number, segment)
        for window, each in enumerate(inputs)
        for number, segment in enumerate(each.segments)
    ]
    reads.sort(key=lambda read: len(read[2].token_ids))
    batch: list[_Read] = []
    for read in reads:
        if batch and (len(batch) + 1) * len(read[2].token_ids) > BATCH_TOKENS:
            yield batch
            batch = []
        batch.append(read)
    if batch:
        yield batch


def _read(backbone: Backbone, batch: Sequence[_Read], layers: Sequence[int]) -> Iterator[_Piece]:
    import torch

    hidden = _hidden_states(backbone, [segment.token_ids for _, _, segment in batch])
    for row, (window, number, segment) in enumerate(batch):
        states = torch.stack([hidden[layer][row] for layer in layers]).float()
        for place, span in enumerate(segment.spans):
            if span.role == "user" and span.end > span.start:
                part = states[:, span.start : span.end]
                yield _Piece(
                    window,
                    (number, place),
                    span.message,
                    part.sum(1).cpu().numpy(),
                    part[:, -1].clone().cpu().numpy(),  # a view would keep every state alive
                    span.end - span.start,
                )


def _hidden_states(backbone: Backbone, rows: Sequence[Sequence[int]]) -> Any:
    """Run the backbone on right-padded rows; the mask, not the pad id, says what is text."""
    import torch

    width = max(len(row) for row in rows)
    pad = backbone.tokenizer.pad_token_id or 0
    device = next(backbone.model.parameters()).device
    ids = torch.full((len(rows), width), pad, dtype=torch.long)
    mask = torch.zeros((len(rows), width), dtype=torch.long)
    for index, row in enumerate(rows):
        ids[index, : len(row)] = torch.tensor(row)
        mask[index, : len(row)] = 1
    with torch.inference_mode():
        output = backbone.model(
            input_ids=ids.to(device), attention_mask=mask.to(device), output_hidden_states=True
        )
    return output.hidden_states


def _pool(pieces: Sequence[_Piece], pooling: Pooling) -> npt.NDArray[np.float32]:
    """Pool one window's pieces to shape (n_layers, hidden_size)."""
    if pooling == "mean":
        total = np.sum([piece.total for piece in pieces], axis=0, dtype=np.float32)
        return np.asarray(total / np.float32(sum(piece.count for piece in pieces)))
    if pooling == "last":
        return max(pieces, key=lambda piece: piece.order).last
    return np.asarray(np.mean(list(_message_means(pieces).values()), axis=0, dtype=np.float32))


def _message_means(pieces: Sequence[_Piece]) -> dict[int, npt.NDArray[np.float32]]:
    """Mean over each message's tokens, shape (n_layers, hidden_size), by the message's number."""
    sums: dict[int, tuple[npt.NDArray[np.float32], int]] = {}
    for piece in pieces:
        total, count = sums.get(piece.message, (np.zeros_like(piece.total), 0))
        sums[piece.message] = (total + piece.total, count + piece.count)
    return {message: total / np.float32(count) for message, (total, count) in sums.items()}
