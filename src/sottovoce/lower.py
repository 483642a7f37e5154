"""The lowest blocks of a backbone, read once: what training does not change is kept.

Owns a model whose blocks below the first trained one are run once for each text and kept. Does
not know which are trained (`adapter`), nor heads, losses or labels.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

States = dict[tuple[int, ...], Any]
"""Token ids of a text to its states, shape (length, hidden_size)."""


class ReadOnce:
    """A backbone's model that keeps what its lowest blocks made of each text.

    Kept are ``hidden_size`` numbers a token: 2.3 kB for 576 in float32. Each text is read alone
    and in evaluation mode, so that what is kept depends on nothing but the text.

    Parameters
    ----------
    model
        A Hugging Face model, with or without adapters. Its blocks must give a tensor, as those
        of transformers 5 do.
    blocks
        Its blocks, lowest first.
    n_kept
        How many of them are read once, at least 1.
    kept
        What was read before of the same blocks, and where more is put: trainings of one backbone
        on the same texts share it.
    """

    def __init__(self, model: Any, blocks: Sequence[Any], n_kept: int, kept: States) -> None:
        self.model, self.lower, self.upper = model, blocks[:n_kept], blocks[n_kept:]
        self.kept = kept

    def __getattr__(self, name: str) -> Any:
        """Be the model in everything but the call."""
        return getattr(self.model, name)

    def __call__(self, input_ids: Any, attention_mask: Any) -> Any:
        """Give what the whole model would; both shape (n, width), right-padded."""
        from torch.nn.utils.rnn import pad_sequence

        texts = [
            row[:length]
            for row, length in zip(input_ids, attention_mask.sum(1).tolist(), strict=True)
        ]
        states = pad_sequence([self._states(text) for text in texts], batch_first=True)
        *below, last = self.lower
        with _running(below, _unchanged), _running([last], lambda *_, **__: states):
            return self.model(input_ids=input_ids, attention_mask=attention_mask)

    def _states(self, text: Any) -> Any:
        """Give the states above the lowest blocks, shape (length, hidden_size)."""
        key = tuple(text.tolist())
        if key not in self.kept:
            self.kept[key] = self._read(text)
        return self.kept[key]

    def _read(self, text: Any) -> Any:
        import torch

        last, found = self.lower[-1], []
        block = last.forward

        def seen(*given: Any, **named: Any) -> Any:
            found.append(block(*given, **named))
            return found[-1]

        training = self.model.training
        self.model.eval()
        with torch.no_grad(), _running([last], seen), _running(self.upper, _unchanged):
            self.model(input_ids=text[None], attention_mask=torch.ones_like(text)[None])
        self.model.train(training)
        return found[0][0]


def _unchanged(states: Any, *_: Any, **__: Any) -> Any:
    return states


@contextmanager
def _running(blocks: Sequence[Any], forward: Callable[..., Any]) -> Iterator[None]:
    """Let blocks do something else for a while; they stay in place, since a model counts them."""
    for block in blocks:
        block.forward = forward
    try:
        yield
    finally:
        for block in blocks:
            del block.forward
