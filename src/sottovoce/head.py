"""The regression head: a pooled state to a total, to items, or to both.

Owns what the head puts out, its parameters, how they start and what is lost on a label. Does not
know backbones, batching or text; every number of a questionnaire comes from the instrument.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from sottovoce.instruments import Instrument
from sottovoce.losses import LossKind, Tensor, answered, coral, pointwise

HeadPooling = Literal["last", "user_mean", "message_mean", "all_mean"]
Outputs = Literal["total", "items", "both"]
HeadStart = Literal["zero", "probe"]
Parameters = Mapping[str, Tensor]
"""`total.weight`, `total.bias`, `items.weight`, `items.bias`, as far as there are outputs. While
training lasts `centre` and `spread`, shape (hidden_size,), may stand beside them: states are
standardised first. Neither of the two is trained."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a head puts out and on which scale.

    Parameters
    ----------
    outputs
        ``total``; ``items``, each 0 to `item_maximum`, the total their sum; or ``both``, the
        total scored and the items learnt beside it.
    loss
        See `losses`; ``ordinal`` gives the total one output for each cut-off.
    item_weight
        Weight of the items' loss beside the total's.
    minimum, maximum, n_items, item_maximum
        The instrument's.
    mean, scale
        Mean and standard deviation of the training totals, in points.
    """

    outputs: Outputs
    loss: LossKind
    item_weight: float
    minimum: int
    maximum: int
    n_items: int
    item_maximum: int
    mean: float
    scale: float

    @classmethod
    def on(
        cls,
        instrument: Instrument,
        totals: npt.ArrayLike,
        outputs: Outputs = "total",
        loss: LossKind = "huber",
        item_weight: float = 0.5,
    ) -> "Head":
        """Give a head for an instrument, scaled to the training totals."""
        points = np.asarray(totals, dtype=np.float64)
        spread = float(points.std())
        return cls(
            outputs,
            loss,
            item_weight,
            instrument.minimum,
            instrument.maximum,
            len(instrument.items),
            instrument.item_maximum,
            float(points.mean()),
            spread if spread > 0 else 1.0,
        )

    @property
    def is_ordinal(self) -> bool:
        """Whether the total is the sum of the chances to reach each cut-off."""
        return self.loss == "ordinal" and self.outputs != "items"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a head says about n windows.

    Parameters
    ----------
    total
        Points, shape (n,).
    items
        Points, shape (n, n_items); None where the head has none.
    logits
        Of each cut-off, shape (n, maximum - minimum); None unless the head is ordinal.
    """

    total: Tensor
    items: Tensor | None = None
    logits: Tensor | None = None


def new_parameters(
    head: Head, hidden_size: int, totals: npt.ArrayLike
) -> dict[str, npt.NDArray[np.float32]]:
    """Give starting parameters: whatever is read, the head says what the totals alone say.

    Weights are 0, so that the first steps do not drag the backbone after a random direction.
    """
    parameters: dict[str, npt.NDArray[np.float32]] = {}
    if head.outputs != "items":
        bias = _reached(head, np.asarray(totals)) if head.is_ordinal else np.zeros(1)
        parameters["total.weight"] = np.zeros(hidden_size, np.float32)
        parameters["total.bias"] = bias.astype(np.float32)
    if head.outputs != "total":
        share = (head.mean - head.minimum) / (head.n_items * head.item_maximum)
        start = _logit(np.clip(share, 0.02, 0.98))
        parameters["items.weight"] = np.zeros((head.n_items, hidden_size), np.float32)
        parameters["items.bias"] = np.full(head.n_items, start, np.float32)
    return parameters


def without_standardising(
    parameters: Mapping[str, npt.NDArray[np.float32]],
) -> dict[str, npt.NDArray[np.float32]]:
    """Give parameters that read states as they are and say the same."""
    kept = {name: each for name, each in parameters.items() if name not in ("centre", "spread")}
    if "centre" in parameters:
        for output in {name.partition(".")[0] for name in kept}:
            weight = (parameters[f"{output}.weight"] / parameters["spread"]).astype(np.float64)
            bias = parameters[f"{output}.bias"] - weight @ parameters["centre"]
            kept[f"{output}.weight"] = weight.astype(np.float32)
            kept[f"{output}.bias"] = bias.astype(np.float32)
    return kept


def outcome(head: Head, parameters: Parameters, pooled: Tensor) -> Outcome:
    """Read pooled states, shape (n, hidden_size)."""
    items = logits = None
    if "centre" in parameters:
        pooled = (pooled - parameters["centre"]) / parameters["spread"]
    if head.outputs != "total":
        read = pooled @ parameters["items.weight"].T + parameters["items.bias"]
        items = head.item_maximum * read.sigmoid()
        if head.outputs == "items":
            return Outcome(head.minimum + items.sum(1), items)
    read = pooled @ parameters["total.weight"]
    if head.is_ordinal:
        logits = read[:, None] + parameters["total.bias"]
        return Outcome(head.minimum + logits.sigmoid().sum(1), items, logits)
    return Outcome(head.mean + head.scale * (read + parameters["total.bias"]), items)


def window_losses(head: Head, said: Outcome, totals: Tensor, items: Tensor) -> Tensor:
    """Give the loss of each window.

    Parameters
    ----------
    head
        Which loss, and how much the items weigh.
    said
        What the head said.
    totals
        Points, shape (n,).
    items
        Points, shape (n, n_items), NaN where unknown: such a window trains the total only.

    Returns
    -------
    tensor, shape (n,)
    """
    if said.logits is not None:
        losses = coral(said.logits, totals - head.minimum)
    else:
        kind = "mse" if head.loss == "ordinal" else head.loss
        losses = pointwise(kind, (said.total - totals) / head.scale)
    if said.items is not None:
        losses = losses + head.item_weight * answered(head.loss, said.items, items)
    return losses


def rebuild_head(record: Mapping[str, Any]) -> Head:
    """Give the head of a record made by `dataclasses.asdict`."""
    return Head(**record)


def _reached(head: Head, totals: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Log-odds of reaching each cut-off, half a person added to either side."""
    cut_offs = np.arange(head.minimum + 1, head.maximum + 1)
    above = (totals[:, None] >= cut_offs).sum(axis=0)
    return np.asarray(np.log((above + 0.5) / (len(totals) - above + 0.5)))


def _logit(share: float) -> float:
    return float(np.log(share / (1 - share)))
