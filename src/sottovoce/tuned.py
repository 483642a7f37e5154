"""The second body: a backbone whose weights, or adapters beside them, were trained with a head.

Owns scoring with it, its record and its tensors. Does not know how it was trained (`finetune`).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from sottovoce.adapter import apply_weights
from sottovoce.backbones import Backbone
from sottovoce.batches import collate, pooled, within_budget
from sottovoce.body import Tensors
from sottovoce.checkpoint import under
from sottovoce.head import Head, HeadPooling, Parameters, outcome, rebuild_head
from sottovoce.model_input import ModelInput
from sottovoce.progress import Advance
from sottovoce.settings import LoraSettings

Array = npt.NDArray[np.float64]
HEAD, WEIGHTS = "head.", "weights."
"""What the tensors' names begin with."""


@dataclass(frozen=True, slots=True)
class TunedBody:
    """A fine-tuned backbone's differences to the published one, and its head.

    Parameters
    ----------
    lora
        Settings of the adapters; None where every weight was trained.
    head, pooling
        What is read from the last hidden states.
    batch_tokens
        Padded tokens that are read at once.
    parameters
        The head's, by name.
    weights
        Adapters or whole weights, by the backbone's names.
    layers, frozen_layers
        Blocks that are read, None for all, and how many of them stayed as published.
    """

    lora: LoraSettings | None
    head: Head
    pooling: HeadPooling
    batch_tokens: int
    parameters: Tensors
    weights: Tensors
    layers: int | None = None
    frozen_layers: int = 0

    @classmethod
    def rebuild(cls, record: Mapping[str, Any], tensors: Tensors) -> "TunedBody":
        """Give the body of a record and its tensors."""
        lora = record["lora"]
        return cls(
            None if lora is None else LoraSettings(**{**lora, "targets": tuple(lora["targets"])}),
            rebuild_head(record["head"]),
            record["pooling"],
            record["batch_tokens"],
            under(HEAD, tensors),
            under(WEIGHTS, tensors),
            record["layers"],
            record["frozen_layers"],
        )

    @property
    def kind(self) -> str:
        """`finetune`."""
        return "finetune"

    @property
    def keep_layers(self) -> int | None:
        """The blocks that training used."""
        return self.layers

    @property
    def record(self) -> dict[str, Any]:
        """Adapters and head, as JSON values."""
        return {
            "kind": self.kind,
            "lora": None if self.lora is None else asdict(self.lora),
            "head": asdict(self.head),
            "pooling": self.pooling,
            "batch_tokens": self.batch_tokens,
            "layers": self.layers,
            "frozen_layers": self.frozen_layers,
        }

    @property
    def tensors(self) -> Tensors:
        """Head and weights."""
        return {
            **{HEAD + name: array for name, array in self.parameters.items()},
            **{WEIGHTS + name: array for name, array in self.weights.items()},
        }

    @property
    def summary(self) -> str:
        """How it was trained."""
        how = f"LoRA of rank {self.lora.rank}" if self.lora else "all weights trained"
        above = f" above block {self.frozen_layers}" if self.frozen_layers else ""
        return how + above + (f", {self.layers} blocks" if self.layers else "")

    @property
    def described(self) -> str:
        """How it was trained and what its head gives."""
        gives = {"total": "the total", "items": "the items", "both": "total and items"}
        count = sum(array.size for array in self.tensors.values())
        return (
            f"{self.summary} ({count:,} numbers), a head on the {self.pooling} state for "
            f"{gives[self.head.outputs]}, {self.head.loss} loss"
        )

    def prepare(self, backbone: Backbone) -> Backbone:
        """Give the backbone with the trained weights in it, adapters merged."""
        model = apply_weights(
            backbone.model, self.lora, self.weights, frozen_layers=self.frozen_layers
        )
        return replace(backbone, model=model.eval())

    def predict(self, backbone: Backbone, inputs: Sequence[ModelInput], advance: Advance) -> Array:
        """Score rendered windows in points, not bounded, shape (n,)."""
        import torch

        device = next(backbone.model.parameters()).device
        parameters = {
            name: torch.from_numpy(array).to(device) for name, array in self.parameters.items()
        }
        reader = Reader(self.head, self.pooling, self.batch_tokens)
        return reader.read(backbone, parameters, inputs, advance)


@dataclass(frozen=True, slots=True)
class Reader:
    """Scores windows with a model and a head as they are, in training and after it."""

    head: Head
    pooling: HeadPooling
    batch_tokens: int

    def read(
        self,
        backbone: Backbone,
        parameters: Parameters,
        inputs: Sequence[ModelInput],
        advance: Advance,
    ) -> Array:
        """Score in points, not bounded, shape (n,); no gradient is kept."""
        points = np.empty(len(inputs))
        done = 0
        for rows, states in self._parts(backbone, inputs):
            said = outcome(self.head, parameters, states)
            points[rows] = said.total.detach().double().cpu().numpy()
            done += len(rows)
            advance(done, len(inputs))
        return points

    def states(self, backbone: Backbone, inputs: Sequence[ModelInput]) -> npt.NDArray[np.float32]:
        """Give pooled states, shape (n, hidden_size); no gradient is kept."""
        found = np.empty((len(inputs), backbone.hidden_size), np.float32)
        for rows, states in self._parts(backbone, inputs):
            found[rows] = states.cpu().numpy()
        return found

    def _parts(
        self, backbone: Backbone, inputs: Sequence[ModelInput]
    ) -> Iterator[tuple[list[int], Any]]:
        """Give rows and their pooled states, part by part."""
        import torch

        pad = backbone.tokenizer.pad_token_id or 0
        for rows in within_budget(range(len(inputs)), inputs, self.batch_tokens):
            batch = collate([inputs[row] for row in rows], self.pooling, pad)
            with torch.no_grad():  # not around the yield: it would hold for the caller too
                states = pooled(backbone.model, batch)
            yield rows, states
