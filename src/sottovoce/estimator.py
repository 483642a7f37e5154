"""The estimator: windows in, estimates with intervals out, one artefact to keep.

Owns `fit`, `predict`, `save_pretrained`, `from_pretrained`, whichever body is inside: a frozen
backbone with a probe or an evidence reader, or a fine-tuned one. Does not know files of chats,
recipes or metrics.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sottovoce.artefact import Artefact, read_artefact, refuse_mismatch, write_artefact
from sottovoce.backbones import Backbone
from sottovoce.body import Body
from sottovoce.cohort import Window, WindowRules, real_folds
from sottovoce.conformal import PredictiveDistribution
from sottovoce.crossfit import tune
from sottovoce.distillation import Pages, distil
from sottovoce.errors import DataError
from sottovoce.estimates import Dropped, Estimate
from sottovoce.evidence import EvidenceReader, Grounds
from sottovoce.features import MessageStates, Pooling, message_states, pooled_states
from sottovoce.instruments import Instrument, instrument
from sottovoce.jobs import Examples
from sottovoce.loading import layers_to_read, load, load_to_train
from sottovoce.model_input import ModelInput, Renderer, tokenizer_fingerprint
from sottovoce.probe import FittedProbe, Lesson, fit_probe
from sottovoce.progress import Advance, silent
from sottovoce.scorer import Judged, Reading, Scorer
from sottovoce.settings import EstimatorSettings
from sottovoce.supervision import NONE, Supervision

BUNDLED_FOLDER = Path(__file__).parent / "bundled" / "estimator"

OTHER_FORMS = {"ensemble.json": ("sottovoce.ensemble", "read_ensemble")}
"""Forms of model besides one estimator: the file that tells it, and module and function that read
it. By name, as the commands are: the module stands to the right of this one
(docs/decisions/0005)."""


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted estimator and what its folds said, for metrics on training people.

    Parameters
    ----------
    estimator
        Ready to score.
    rows
        Training windows that have a held-out score, shape (m,); all that have a questionnaire,
        unless a fine-tuning left out one fold only. Never one with a pseudolabel.
    held_out
        Score of each of them by a training that did not hold the person, points, shape (m,).
    folds
        Fold of each of them, shape (m,).
    fitted
        The probe with the error of every candidate; None for a fine-tuned body.
    history
        Loss and validation error by step and epoch of a fine-tuning.
    dropped
        What the token budget left out of each training window; empty where nobody counted.

    Of several processes that fine-tune together only the first has the trained weights in its
    estimator.
    """

    estimator: "Estimator"
    rows: npt.NDArray[np.int64]
    held_out: npt.NDArray[np.float64]
    folds: npt.NDArray[np.int64]
    fitted: FittedProbe | None = None
    history: tuple[dict[str, Any], ...] = ()
    dropped: tuple[Dropped, ...] = ()

    def held_out_estimates(self, windows: Sequence[Window]) -> list[Estimate]:
        """Give the estimates of trainings that did not hold the person, in the order of `rows`.

        The interval, too, comes from the residuals of the other folds only.

        Parameters
        ----------
        windows
            The training windows, all of them.
        """
        residuals = np.array([windows[row].total for row in self.rows]) - self.held_out
        estimates = []
        for row, score, fold in zip(self.rows, self.held_out, self.folds, strict=True):
            others = PredictiveDistribution.from_residuals(residuals[self.folds != fold])
            dropped = self.dropped[row] if self.dropped else None
            estimates.append(
                self.estimator.estimate(
                    windows[row], float(score), distribution=others, dropped=dropped
                )
            )
        return estimates


class Estimator(Scorer):
    """Estimates a questionnaire total from conversation.

    Parameters
    ----------
    artefact
        Settings, body, calibrator and fingerprints, as they are kept.
    backbone
        Loaded backbone to use; None loads the settings' one when it is first needed.

    Examples
    --------
    >>> estimator = Estimator.from_pretrained()                        # doctest: +SKIP
    >>> estimate, = estimator.score([window])                          # doctest: +SKIP
    >>> estimate.score, estimate.lower, estimate.upper                 # doctest: +SKIP
    (11.8, 4.9, 19.0)
    """

    def __init__(self, artefact: Artefact, backbone: Backbone | None = None) -> None:
        self.artefact = artefact
        self._backbone = backbone

    @property
    def settings(self) -> EstimatorSettings:
        """What it was made with."""
        return self.artefact.settings

    @property
    def instrument(self) -> Instrument:
        """The questionnaire whose total is estimated."""
        return instrument(self.settings.instrument)

    @property
    def rules(self) -> WindowRules:
        """The window rules of training; windows to score are cut by them."""
        return self.settings.rules

    @property
    def coverage(self) -> float:
        """Coverage of the interval unless another is asked for, 0 to 1."""
        return self.settings.coverage

    @property
    def distribution(self) -> PredictiveDistribution:
        """The errors of the folds."""
        return self.artefact.distribution

    @cached_property
    def model_id(self) -> str:
        """Body, backbone and a hash of record and tensors: two that differ never share it."""
        return self.artefact.model_id

    @property
    def summary(self) -> str:
        """The body, in a few words."""
        return self.artefact.body.summary

    @classmethod
    def fit(
        cls,
        windows: Sequence[Window],
        settings: EstimatorSettings | None = None,
        *,
        backbone: Backbone | None = None,
        supervision: Supervision = NONE,
        checkpoints: Path | None = None,
        advance: Advance = silent,
    ) -> Fit:
        """Train on labelled windows.

        Windows with a pseudolabel are in every training and in no fold: held-out scores, the
        predictive distribution and every choice are of people with a questionnaire.

        Parameters
        ----------
        windows
            Each with no reason against it, and a label that has a total; a pseudolabel may stand
            in `supervision.targets` instead.
        settings
            Defaults are those of `EstimatorSettings`.
        backbone
            Loaded backbone to use instead of loading the settings' one; it stays as it is.
        supervision
            How much each window counts, which labels no person gave, and annotations.
        checkpoints
            Folder from which a fine-tuning that was killed goes on; None keeps none.
        advance
            Called with windows read or trained on and their number.

        Raises
        ------
        DataError
            If a window may not be used, there are fewer people than folds, or the supervision
            does not fit the windows.
        ModelError
            If the backbone cannot be used, a layer or LoRA target asked for does not exist, or a
            training diverges.
        """
        settings = settings or EstimatorSettings()
        _refuse_unusable(windows)
        supervision.check(windows)
        backbone = backbone or load_to_train(settings)
        inputs, dropped = _rendered(windows, backbone, settings)
        if settings.finetune is not None:
            n_items = len(instrument(settings.instrument).items)
            examples = Examples(
                inputs,
                supervision.aims(windows),
                supervision.items(windows, n_items),
                supervision.counts(len(windows)),
                reported=supervision.reported(windows),
            )
            users = [window.user_id for window in windows]
            tuning = tune(backbone, examples, users, settings, checkpoints, advance)
            residuals = examples.yardstick[tuning.rows] - tuning.held_out
            pseudo = examples.is_pseudo
            artefact = _artefact(windows, pseudo, settings, backbone, tuning.body, residuals)
            found = (tuning.rows, tuning.held_out, tuning.folds)
            return Fit(cls(artefact), *found, history=tuning.history, dropped=dropped)
        layers = layers_to_read(settings, backbone)
        if settings.reader is not None:
            read = message_states(backbone, inputs, layers, advance)
            fit = cls.fit_messages(windows, read, layers, settings, backbone, supervision)
        else:
            features = pooled_states(backbone, inputs, layers, settings.probe.poolings, advance)
            fit = cls.fit_features(windows, features, layers, settings, backbone, supervision)
        return replace(fit, dropped=dropped)

    @classmethod
    def fit_features(
        cls,
        windows: Sequence[Window],
        features: Mapping[Pooling, npt.NDArray[np.float32]],
        layers: Sequence[int],
        settings: EstimatorSettings,
        backbone: Backbone,
        supervision: Supervision = NONE,
    ) -> Fit:
        """Train a probe on pooled states that were read before (`pooled_states`), as `fit` does."""
        totals, folds = _reported(windows, settings, supervision)
        lesson = Lesson(supervision.aims(windows), supervision.counts(len(windows)))
        fitted = fit_probe(features, layers, totals, folds, settings.probe.search, lesson)
        said = _Said(fitted.probe, fitted.held_out, folds, fitted)
        return cls._fitted(windows, said, settings, backbone)

    @classmethod
    def fit_messages(
        cls,
        windows: Sequence[Window],
        read: Sequence[MessageStates],
        layers: Sequence[int],
        settings: EstimatorSettings,
        backbone: Backbone,
        supervision: Supervision = NONE,
    ) -> Fit:
        """Teach a reader on states that were read before (`message_states`), as `fit` does."""
        assert settings.reader is not None
        _, folds = _reported(windows, settings, supervision)
        used = instrument(settings.instrument)
        roles = settings.rendering.roles
        rendered = [tuple(m for m in window.messages if m.role in roles) for window in windows]
        pages = Pages.of(windows, rendered, read, supervision, folds, len(used.items))
        taught = distil(pages, replace(settings.reader, layers=tuple(layers)), used)
        said = _Said(taught.reader, taught.held_out, folds)
        return cls._fitted(windows, said, settings, backbone)

    @classmethod
    def _fitted(
        cls,
        windows: Sequence[Window],
        said: "_Said",
        settings: EstimatorSettings,
        backbone: Backbone,
    ) -> Fit:
        """Put a body and the errors of its folds into an estimator."""
        used, rows = instrument(settings.instrument), np.flatnonzero(said.folds >= 0)
        held_out = np.clip(said.held_out[rows], used.minimum, used.maximum)
        residuals = np.array([windows[row].total for row in rows.tolist()]) - held_out
        artefact = _artefact(windows, said.folds < 0, settings, backbone, said.body, residuals)
        return Fit(cls(artefact, backbone), rows, held_out, said.folds[rows], said.fitted)

    def read(self, windows: Sequence[Window]) -> list[Reading]:
        """Render each window; what turns into no text of the person is given that reason."""
        return [
            self._reading(each) if each.reason is None else Reading(each.reason) for each in windows
        ]

    def _reading(self, window: Window) -> Reading:
        try:
            rendered = self._renderer.render(window)
        except DataError as error:
            return Reading(error.problem)
        roles = self.settings.rendering.roles
        numbers = [n for n, said in enumerate(window.messages) if said.role in roles]
        return Reading(None, _Content(rendered, np.array(numbers)), rendered.dropped)

    def judge(self, readings: Sequence[Reading], advance: Advance = silent) -> list[Judged]:
        """Let the body read rendered windows; give points and the errors of the folds."""
        body, inputs = self.artefact.body, [each.content.rendered for each in readings]
        grounds: list[Grounds | None] = [None] * len(readings)
        if isinstance(body, EvidenceReader):
            read = message_states(self.backbone, inputs, body.layers, advance)
            points = body.points([each.states for each in read])
            for row, (reading, states) in enumerate(zip(readings, read, strict=True)):
                messages = reading.content.numbers[states.messages]
                grounds[row] = replace(body.grounds(states), messages=messages)
        else:
            points = body.predict(self.backbone, inputs, advance)
        bounded = np.clip(points, self.instrument.minimum, self.instrument.maximum)
        return [
            Judged(float(each), self.distribution, its)
            for each, its in zip(bounded, grounds, strict=True)
        ]

    def warm_up(self) -> None:
        """Load the backbone."""
        assert self.backbone is not None

    @property
    def explains(self) -> bool:
        """Whether the body is an evidence reader."""
        return isinstance(self.artefact.body, EvidenceReader)

    @cached_property
    def _renderer(self) -> Renderer:
        return _renderer(self.backbone, self.settings)

    @property
    def backbone(self) -> Backbone:
        """The loaded backbone as the body reads it, checked as `load_untrained` does."""
        if self._backbone is None:
            self._backbone = self.artefact.body.prepare(self.load_untrained())
        return self._backbone

    def load_untrained(self) -> Backbone:
        """Load the backbone that training began with, checked against its fingerprints.

        Raises
        ------
        ModelError
            Naming what does not match.
        """
        loaded = load(self.settings.backbone, keep_layers=self.artefact.body.keep_layers)
        expected = self.artefact.fingerprints
        refuse_mismatch("set of backbone weights", expected["backbone"], loaded.fingerprint)
        found = tokenizer_fingerprint(loaded.tokenizer)
        refuse_mismatch("tokenizer", expected["tokenizer"], found)
        return loaded

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write the artefact, `estimator.json` and `estimator.safetensors`, into a folder."""
        write_artefact(self.artefact, Path(folder))
        return Path(folder)

    @classmethod
    def from_pretrained(cls, folder: str | Path | None = None) -> Scorer:
        """Read an artefact, refusing anything that does not fit together.

        Parameters
        ----------
        folder
            Holds the two files, or a run folder with them in `model/`, or an ensemble; None gives
            the small estimator that comes with the package (trained on simulated chats).

        Returns
        -------
        Scorer
            An `Estimator`, or an `Ensemble` if the folder holds one.

        Raises
        ------
        ModelError
            If a file is missing or damaged, or format, tensors, rendering or instrument do not
            match; the sentence says which. Backbone and tokenizer are checked when they load.
        """
        place = BUNDLED_FOLDER if folder is None else Path(folder)
        for name, (module, reader) in OTHER_FORMS.items():
            if (place / name).is_file():
                read: Callable[[Path], Scorer] = getattr(import_module(module), reader)
                return read(place)
        return cls(read_artefact(place))


def _renderer(backbone: Backbone, settings: EstimatorSettings) -> Renderer:
    return Renderer.of(backbone.tokenizer, settings.rendering, backbone.max_length)


def _rendered(
    windows: Sequence[Window], backbone: Backbone, settings: EstimatorSettings
) -> tuple[list[ModelInput], tuple[Dropped, ...]]:
    """Give what is trained on, and what the token budget left out of it."""
    renderer = _renderer(backbone, settings)
    inputs = [renderer.render(window) for window in windows]
    return inputs, tuple(each.dropped for each in inputs)


@dataclass(frozen=True, slots=True)
class _Content:
    """A rendered window, and the number in it of each message that could be rendered.

    Two are equal where the backbone is given the same; the numbers only name messages.
    """

    rendered: ModelInput
    numbers: npt.NDArray[np.int64] = field(compare=False)


@dataclass(frozen=True, slots=True)
class _Said:
    """A body and what its like said of people of the fold that each had not seen, all windows."""

    body: Body
    held_out: npt.NDArray[np.float64]
    folds: npt.NDArray[np.int64]
    fitted: FittedProbe | None = None


def _reported(
    windows: Sequence[Window], settings: EstimatorSettings, supervision: Supervision
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.int64]]:
    """Give what people reported, NaN for a pseudolabel, and their folds, -1 for one."""
    totals = supervision.reported(windows)
    users = [window.user_id for window in windows]
    return totals, real_folds(users, settings.n_folds, settings.seed, totals)


def _artefact(
    windows: Sequence[Window],
    pseudo: npt.NDArray[np.bool_],
    settings: EstimatorSettings,
    backbone: Backbone,
    body: Body,
    residuals: npt.NDArray[np.float64],
) -> Artefact:
    return Artefact(
        settings,
        body,
        PredictiveDistribution.from_residuals(residuals),
        {
            "backbone": backbone.fingerprint,
            "tokenizer": tokenizer_fingerprint(backbone.tokenizer),
            "rendering": settings.rendering.fingerprint,
        },
        _counted(windows, pseudo),
    )


def _counted(windows: Sequence[Window], pseudo: npt.NDArray[np.bool_]) -> dict[str, int]:
    """Say how many people and windows were trained on; those with pseudolabels apart, if any."""
    real = [window.user_id for window, each in zip(windows, pseudo, strict=True) if not each]
    counts = {"people": len(set(real)), "windows": len(real)}
    if pseudo.any():
        guessed = {window.user_id for window in windows} - set(real)
        counts |= {
            "pseudolabelled_people": len(guessed),
            "pseudolabelled_windows": int(pseudo.sum()),
        }
    return counts


def _refuse_unusable(windows: Sequence[Window]) -> None:
    barred = sum(window.reason is not None for window in windows)
    if barred:
        raise DataError(
            f"{barred} of {len(windows)} windows must not be used",
            fix="train on the windows of a Cohort",
        )
