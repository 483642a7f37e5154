"""A learner: one member's settings, its backbone loaded once, and what it read kept.

Owns that several trainings of one kind on the same people read each text once. Does not know why
they are several (`stages`).
"""

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sottovoce.backbones import Backbone
from sottovoce.cohort import Window
from sottovoce.conversations import Message
from sottovoce.errors import ModelError
from sottovoce.estimator import Estimator, Fit, load_to_train
from sottovoce.features import Features, pooled_states
from sottovoce.model_input import Renderer
from sottovoce.probe import Probe
from sottovoce.progress import Advance, silent
from sottovoce.settings import EstimatorSettings
from sottovoce.supervision import NONE, Supervision

_Text = tuple[str, tuple[Message, ...]]


class Learner:
    """Fits estimators of one kind, again and again.

    A probe's pooled states are kept for every window that was read: about 140 kB a window for
    every layer of SmolLM2-135M and two poolings.

    Parameters
    ----------
    settings
        Of the estimators.
    backbone
        Loaded; None loads the settings' one when it is first needed.
    """

    def __init__(self, settings: EstimatorSettings, backbone: Backbone | None = None) -> None:
        self.settings = settings
        self._backbone = backbone
        self._kept: dict[_Text, Features] = {}

    @cached_property
    def backbone(self) -> Backbone:
        """The loaded backbone."""
        return self._backbone or load_to_train(self.settings)

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers that a probe may choose from."""
        layers = self.settings.probe.layers or tuple(range(self.backbone.n_layers + 1))
        if max(layers) > self.backbone.n_layers:
            raise ModelError(
                f"layer {max(layers)} was asked for, and the backbone has layers 0 to "
                f"{self.backbone.n_layers}; correct probe.layers"
            )
        return layers

    @property
    def reads_once(self) -> bool:
        """Whether the body is a function of states that no training changes."""
        return self.settings.finetune is None

    def read_ahead(self, windows: Sequence[Window], advance: Advance = silent) -> None:
        """Read windows that trainings will need, in an order that is always the same.

        Which texts are read side by side moves their states by rounding: a run that goes on after
        a kill reads as one that was not killed.
        """
        if self.reads_once:
            self.states(sorted(windows, key=lambda each: (each.user_id, each.end)), advance)

    def fit(
        self,
        windows: Sequence[Window],
        supervision: Supervision = NONE,
        checkpoints: Path | None = None,
        advance: Advance = silent,
    ) -> Fit:
        """Train on labelled windows, as `Estimator.fit` does."""
        if not self.reads_once:
            return Estimator.fit(
                windows,
                self.settings,
                backbone=self.backbone,
                supervision=supervision,
                checkpoints=checkpoints,
                advance=advance,
            )
        supervision.check(windows)
        states = self.states(windows, advance)
        return Estimator.fit_features(
            windows, states, self.layers, self.settings, self.backbone, supervision
        )

    def points(self, estimator: Estimator, windows: Sequence[Window]) -> npt.NDArray[np.float64]:
        """Score windows by an estimator of this kind, within the range, points, shape (n,)."""
        body = estimator.artefact.body
        if not isinstance(body, Probe):
            return estimator.predict(windows)
        if not windows:
            return np.zeros(0)
        points = body.points(self.states(windows), self.layers)
        used = estimator.instrument
        return np.asarray(np.clip(points, used.minimum, used.maximum), dtype=np.float64)

    def states(self, windows: Sequence[Window], advance: Advance = silent) -> Features:
        """Give windows' pooled states, reading those that were not read before."""
        texts = [(each.user_id, each.messages) for each in windows]
        new = {text: row for row, text in enumerate(texts) if text not in self._kept}
        if new:
            renderer = Renderer.of(
                self.backbone.tokenizer, self.settings.rendering, self.backbone.max_length
            )
            inputs = [renderer.render(windows[row]) for row in new.values()]
            poolings = self.settings.probe.poolings
            read = pooled_states(self.backbone, inputs, self.layers, poolings, advance)
            for row, text in enumerate(new):
                self._kept[text] = {pooling: each[row] for pooling, each in read.items()}
        return {
            pooling: np.stack([self._kept[text][pooling] for text in texts])
            for pooling in self.settings.probe.poolings
        }
