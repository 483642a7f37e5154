"""Windows as padded batches that pay for little padding, for training and for scoring.

Owns the order of an epoch, the token budget and the pooling by mask, as one weight a token. Does
not know labels, heads or gradients.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from sottovoce.head import HeadPooling
from sottovoce.model_input import ModelInput

GROUPED = 16
"""Batches that are sorted by length together: long enough that neighbours are alike, short enough
that an epoch still mixes people. With 16 batches of 16 windows the bundled cohort is one group."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Segments of some windows as rows, right-padded.

    Parameters
    ----------
    token_ids, mask
        Shape (n_segments, width), int64; the mask says what is text, never the pad id.
    weights
        What each token adds to its window's pooled state, shape (n_segments, width), float32;
        a window's weights sum to 1 and stand on text only.
    owners
        Place of each segment's window in the batch, shape (n_segments,).
    n_windows
        How many windows there are.
    """

    token_ids: npt.NDArray[np.int64]
    mask: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]
    owners: npt.NDArray[np.int64]
    n_windows: int


def epoch_order(lengths: Sequence[int], batch_size: int, seed: Sequence[int]) -> list[list[int]]:
    """Give an epoch's batches: at random, but windows of like length together.

    Parameters
    ----------
    lengths
        Tokens of each window.
    batch_size
        Windows of a batch; the last may hold fewer.
    seed
        Same seed, same order; a list such as ``[seed, epoch]``.

    Returns
    -------
    list of list of int
        Every window once.
    """
    generator = np.random.default_rng(seed)
    shuffled = generator.permutation(len(lengths))
    batches: list[list[int]] = []
    group = GROUPED * batch_size
    for first in range(0, len(shuffled), group):
        alike = sorted(shuffled[first : first + group].tolist(), key=lambda row: lengths[row])
        batches += [alike[at : at + batch_size] for at in range(0, len(alike), batch_size)]
    return [batches[index] for index in generator.permutation(len(batches))]


def within_budget(
    rows: Sequence[int], inputs: Sequence[ModelInput], budget: int
) -> Iterator[list[int]]:
    """Cut rows into parts of at most `budget` padded tokens, like lengths together.

    A window that is larger than the budget alone makes a part of its own.
    """
    part: list[int] = []
    segments = width = 0
    for row in sorted(rows, key=lambda each: _width(inputs[each])):
        here = len(inputs[row].segments)
        if part and (segments + here) * max(width, _width(inputs[row])) > budget:
            yield part
            part, segments, width = [], 0, 0
        part.append(row)
        segments, width = segments + here, max(width, _width(inputs[row]))
    if part:
        yield part


def dealt(
    rows: Sequence[int], inputs: Sequence[ModelInput], budget: int, n: int
) -> list[list[list[int]]]:
    """Deal rows to n processes, alike in tokens, and cut each one's into parts within the budget.

    Returns
    -------
    list of n lists of parts
        Every row in one of them; a process may have none. For one process these are the parts of
        `within_budget`.
    """
    shares: list[list[int]] = [[] for _ in range(n)]
    loads = [0] * n
    for place in sorted(range(len(rows)), key=lambda each: -inputs[rows[each]].n_tokens):
        lightest = loads.index(min(loads))
        shares[lightest].append(place)
        loads[lightest] += inputs[rows[place]].n_tokens
    return [
        list(within_budget([rows[place] for place in sorted(share)], inputs, budget))
        for share in shares
    ]


def collate(inputs: Sequence[ModelInput], pooling: HeadPooling, pad: int) -> Batch:
    """Lay out windows as one padded batch."""
    rows = [(owner, segment) for owner, each in enumerate(inputs) for segment in each.segments]
    shape = (len(rows), max(_width(each) for each in inputs))
    token_ids = np.full(shape, pad, np.int64)
    mask = np.zeros(shape, np.int64)
    weights = np.zeros(shape, np.float32)
    owners = np.array([owner for owner, _ in rows], np.int64)
    sizes = [_message_sizes(each) for each in inputs]
    for index, (owner, segment) in enumerate(rows):
        length = len(segment.token_ids)
        token_ids[index, :length] = segment.token_ids
        mask[index, :length] = 1
        if pooling in ("user_mean", "message_mean"):
            for span in segment.spans:
                shared = sizes[owner][span.message] if pooling == "message_mean" else 1
                weights[index, span.start : span.end] = (span.role == "user") / shared
        elif pooling == "all_mean":
            weights[index, :length] = 1
        elif segment is inputs[owner].segments[-1]:
            weights[index, length - 1] = 1
    sums = np.bincount(owners, weights.sum(axis=1))
    weights /= sums[owners][:, None].astype(np.float32)
    return Batch(token_ids, mask, weights, owners, len(inputs))


def pooled(model: Any, batch: Batch) -> Any:
    """Run a model and pool its last hidden states; tensor, shape (n_windows, hidden_size)."""
    import torch

    device = next(model.parameters()).device
    with torch.autocast(device.type, torch.bfloat16, enabled=device.type == "cuda"):
        output = model(
            input_ids=torch.from_numpy(batch.token_ids).to(device),
            attention_mask=torch.from_numpy(batch.mask).to(device),
        )
    weights = torch.from_numpy(batch.weights).to(device)
    rows = (output.last_hidden_state.float() * weights[..., None]).sum(1)
    owned = torch.from_numpy(batch.owners) == torch.arange(batch.n_windows)[:, None]
    return owned.to(device, rows.dtype) @ rows


def _message_sizes(rendered: ModelInput) -> Counter[int]:
    """Count each message's tokens, over all segments that it is cut into."""
    sizes: Counter[int] = Counter()
    for segment in rendered.segments:
        for span in segment.spans:
            sizes[span.message] += span.end - span.start
    return sizes


def _width(rendered: ModelInput) -> int:
    return max(len(segment.token_ids) for segment in rendered.segments)
