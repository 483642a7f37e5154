"""A learner: one member's settings, its backbone loaded once, and what it read kept.

Owns that several trainings of one kind on the same people read each text once. Does not know why
they are several (`stages`).
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from sottovoce.backbones import Backbone
from sottovoce.cohort import Window
from sottovoce.conversations import Message
from sottovoce.estimator import Estimator, Fit
from sottovoce.evidence import EvidenceReader
from sottovoce.features import Features, MessageStates, message_states, pooled_states
from sottovoce.loading import layers_to_read, load_to_train
from sottovoce.model_input import ModelInput, Renderer
from sottovoce.probe import Probe
from sottovoce.progress import Advance, silent
from sottovoce.settings import EstimatorSettings
from sottovoce.supervision import NONE, Supervision

_T = TypeVar("_T")
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
        self._pooled: dict[_Text, Features] = {}
        self._messages: dict[_Text, MessageStates] = {}

    @cached_property
    def backbone(self) -> Backbone:
        """The loaded backbone."""
        return self._backbone or load_to_train(self.settings)

    @cached_property
    def layers(self) -> tuple[int, ...]:
        """The layers that a probe may choose from, or that a reader reads."""
        return layers_to_read(self.settings, self.backbone)

    @property
    def reads_once(self) -> bool:
        """Whether the body is a function of states that no training changes."""
        return self.settings.finetune is None

    def read_ahead(self, windows: Sequence[Window], advance: Advance = silent) -> None:
        """Read windows that trainings will need, in an order that is always the same.

        Which texts are read side by side moves their states by rounding: a run that goes on after
        a kill reads as one that was not killed.
        """
        in_order = sorted(windows, key=lambda each: (each.user_id, each.end))
        if self.settings.reader is not None:
            self.messages(in_order, advance)
        elif self.reads_once:
            self.states(in_order, advance)

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
        rest = (self.layers, self.settings, self.backbone, supervision)
        if self.settings.reader is not None:
            return Estimator.fit_messages(windows, self.messages(windows, advance), *rest)
        return Estimator.fit_features(windows, self.states(windows, advance), *rest)

    def points(self, estimator: Estimator, windows: Sequence[Window]) -> npt.NDArray[np.float64]:
        """Score windows by an estimator of this kind, within the range, points, shape (n,)."""
        body = estimator.artefact.body
        if not windows:
            return np.zeros(0)
        if isinstance(body, Probe):
            points = body.points(self.states(windows), self.layers)
        elif isinstance(body, EvidenceReader):
            points = body.points([each.states for each in self.messages(windows)])
        else:
            return estimator.predict(windows)
        used = estimator.instrument
        return np.asarray(np.clip(points, used.minimum, used.maximum), dtype=np.float64)

    def states(self, windows: Sequence[Window], advance: Advance = silent) -> Features:
        """Give windows' pooled states, reading those that were not read before."""
        poolings = self.settings.probe.poolings

        def read(inputs: Sequence[ModelInput]) -> list[Features]:
            pooled = pooled_states(self.backbone, inputs, self.layers, poolings, advance)
            return [
                {pooling: each[row] for pooling, each in pooled.items()}
                for row in range(len(inputs))
            ]

        kept = self._read_once(windows, self._pooled, read)
        return {pooling: np.stack([each[pooling] for each in kept]) for pooling in poolings}

    def messages(self, windows: Sequence[Window], advance: Advance = silent) -> list[MessageStates]:
        """Give windows' message states, reading those that were not read before."""

        def read(inputs: Sequence[ModelInput]) -> list[MessageStates]:
            return message_states(self.backbone, inputs, self.layers, advance)

        return self._read_once(windows, self._messages, read)

    def _read_once(
        self,
        windows: Sequence[Window],
        kept: dict[_Text, _T],
        read: Callable[[Sequence[ModelInput]], list[_T]],
    ) -> list[_T]:
        texts = [(each.user_id, each.messages) for each in windows]
        new = {text: row for row, text in enumerate(texts) if text not in kept}
        if new:
            renderer = Renderer.of(
                self.backbone.tokenizer, self.settings.rendering, self.backbone.max_length
            )
            inputs = [renderer.render(windows[row]) for row in new.values()]
            kept.update(zip(new, read(inputs), strict=True))
        return [kept[text] for text in texts]
