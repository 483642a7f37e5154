"""The body of an estimator: whatever turns a rendered window into points.

Owns what every body offers, so that artefact and estimator hold one without knowing which. Does
not know how a body is trained, nor intervals, windows or files.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from sottovoce.backbones import Backbone
from sottovoce.model_input import ModelInput
from sottovoce.progress import Advance

Tensors = Mapping[str, npt.NDArray[Any]]
"""Arrays by name, as safetensors keeps them."""


class Body(Protocol):
    """A fitted body.

    It is kept as `record`, plain JSON values that name its `kind`, and `tensors`, and is rebuilt
    from the two by `artefact`.
    """

    @property
    def kind(self) -> str:
        """Which body it is; the first word of a model id."""

    @property
    def keep_layers(self) -> int | None:
        """Blocks of the backbone that are read; None for the whole backbone."""

    @property
    def record(self) -> dict[str, Any]:
        """Everything that is not a tensor, as JSON values."""

    @property
    def tensors(self) -> Tensors:
        """Everything numeric, by name."""

    @property
    def summary(self) -> str:
        """What it is, in a few words."""

    @property
    def described(self) -> str:
        """What it is, with everything that was chosen."""

    def prepare(self, backbone: Backbone) -> Backbone:
        """Give the backbone as the body reads it; called once, on a backbone of its own."""

    def predict(
        self, backbone: Backbone, inputs: Sequence[ModelInput], advance: Advance
    ) -> npt.NDArray[np.float64]:
        """Score rendered windows in points, not bounded, shape (n,); the backbone is prepared."""
