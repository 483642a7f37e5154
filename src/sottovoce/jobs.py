"""What one training is given: examples, which of them are for what, and what makes it the same.

Owns the examples' labels and weights, a training's rows, and its identity. Does not know how it is
trained (`finetune`) nor why these rows (`crossfit`).
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sottovoce.head import Head
from sottovoce.instruments import Instrument
from sottovoce.losses import rarity_weights
from sottovoce.lower import States
from sottovoce.model_input import ModelInput
from sottovoce.settings import FinetuneSettings

Array = npt.NDArray[np.float64]
Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Examples:
    """Rendered windows with their labels.

    Parameters
    ----------
    inputs
        Length n.
    totals
        What is trained towards, points, shape (n,).
    items
        Points, shape (n, n_items), NaN where not known.
    weights
        How much each window counts, above 0, shape (n,).
    lower
        What the frozen blocks of the backbone made of the inputs, shared by its trainings; one
        backbone only. Filled by training, empty where no block is frozen.
    reported
        What people reported, points, shape (n,), NaN where the label is a pseudolabel: errors
        are measured against it, and a pseudolabel is trained on always. None: the totals.
    """

    inputs: Sequence[ModelInput]
    totals: Array
    items: Array
    weights: Array
    lower: States = field(default_factory=dict)
    reported: Array | None = None

    @property
    def yardstick(self) -> Array:
        """What errors are measured against, points, shape (n,), NaN for a pseudolabel."""
        return self.totals if self.reported is None else self.reported

    @property
    def is_pseudo(self) -> npt.NDArray[np.bool_]:
        """Which labels no person gave, shape (n,)."""
        return np.isnan(self.yardstick)

    def weighed(self, instrument: Instrument, rows: Rows) -> "Examples":
        """Let rare totals among the rows count more; the other rows' labels are not looked at."""
        weights = self.weights.copy()
        weights[rows] *= rarity_weights(self.totals[rows], instrument.minimum, instrument.maximum)
        return replace(self, weights=weights)


@dataclass(frozen=True, slots=True)
class Job:
    """One training.

    Parameters
    ----------
    name
        Of its checkpoint and in its records.
    training, validation, held_out
        Rows of the examples that are trained on, that decide when to stop, and that are scored
        at the end; no row is in two of them. Without validation the last epoch is kept.
    seed
        Same seed and data on the same machine, same weights.
    folder
        Where the checkpoint is kept; None keeps none.
    """

    name: str
    training: Rows
    validation: Rows
    held_out: Rows
    seed: int
    folder: Path | None = None


def identity(
    fingerprint: str, examples: Examples, settings: FinetuneSettings, job: Job, head: Head
) -> str:
    """Hash everything that decides a training; a checkpoint of another is never gone on from.

    Sharding is left out: it decides where weights lie, not what they become.

    Parameters
    ----------
    fingerprint
        The backbone's, with the number types that its weights are read as.
    examples, settings, job, head
        Of the training.
    """
    settings = replace(settings, sharding="none")
    digest = hashlib.sha256(json.dumps([asdict(settings), asdict(head)]).encode())
    digest.update(f"{fingerprint} {job.name} {job.seed}".encode())
    of_rows = (examples.totals, examples.yardstick, examples.items, examples.weights)
    for each in (*of_rows, job.training, job.validation):
        digest.update(f"{each.shape}".encode())
        digest.update(each.tobytes())
    for rendered in examples.inputs:
        digest.update(repr(rendered.segments).encode())
    return digest.hexdigest()
