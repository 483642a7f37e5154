"""The estimator: windows in, estimates with intervals out, one artefact to keep.

Owns the interface: `fit`, `score`, `save_pretrained`, `from_pretrained`. The body so far is the
frozen probe. Does not know files of chats, recipes or metrics.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from sottovoce.artefact import Artefact, read_artefact, refuse_mismatch, write_artefact
from sottovoce.backbones import Backbone, load_backbone
from sottovoce.cohort import Window, WindowRules, assign_folds
from sottovoce.conformal import PredictiveDistribution
from sottovoce.errors import DataError, ModelError
from sottovoce.estimates import Estimate
from sottovoce.features import Pooling, pooled_states
from sottovoce.instruments import Instrument, instrument
from sottovoce.model_input import render, tokenizer_fingerprint
from sottovoce.probe import FittedProbe, fit_probe
from sottovoce.progress import Advance, silent
from sottovoce.settings import BackboneSettings, EstimatorSettings

BUNDLED_FOLDER = Path(__file__).parent / "bundled" / "estimator"


@dataclass(frozen=True, slots=True)
class Fit:
    """A fitted estimator and what its folds said, for metrics on training people.

    Parameters
    ----------
    estimator
        Ready to score.
    held_out
        Score of each training window by folds that did not hold the person, points, shape (n,).
    folds
        Fold of each training window, shape (n,).
    fitted
        The probe with the error of every candidate.
    """

    estimator: "Estimator"
    held_out: npt.NDArray[np.float64]
    folds: npt.NDArray[np.int64]
    fitted: FittedProbe

    def held_out_estimates(self, windows: Sequence[Window]) -> list[Estimate]:
        """Give each training window the estimate of folds that did not hold the person.

        The interval, too, comes from the residuals of the other folds only.
        """
        residuals = np.array([window.total for window in windows]) - self.held_out
        estimates = []
        for window, score, fold in zip(windows, self.held_out, self.folds, strict=True):
            others = PredictiveDistribution.from_residuals(residuals[self.folds != fold])
            estimates.append(self.estimator.estimate(window, float(score), distribution=others))
        return estimates


class Estimator:
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

    @cached_property
    def model_id(self) -> str:
        """Body, backbone and a hash of record and tensors: two that differ never share it."""
        return self.artefact.model_id

    @classmethod
    def fit(
        cls,
        windows: Sequence[Window],
        settings: EstimatorSettings | None = None,
        *,
        backbone: Backbone | None = None,
        advance: Advance = silent,
    ) -> Fit:
        """Train on labelled windows.

        Parameters
        ----------
        windows
            Each with a label that has a total and no reason against it.
        settings
            Defaults are those of `EstimatorSettings`.
        backbone
            Loaded backbone to use instead of loading the settings' one.
        advance
            Called with windows read and their number.

        Raises
        ------
        DataError
            If a window may not be used or there are fewer people than folds.
        ModelError
            If the backbone cannot be used, or a layer asked for does not exist.
        """
        settings = settings or EstimatorSettings()
        _refuse_unusable(windows)
        backbone = backbone or _load(settings.backbone)
        layers = settings.probe.layers or tuple(range(backbone.n_layers + 1))
        if max(layers) > backbone.n_layers or min(layers) < 0:
            raise ModelError(
                f"layer {max(layers)} was asked for, and the backbone has layers 0 to "
                f"{backbone.n_layers}; correct probe.layers"
            )
        inputs = [
            render(window, backbone.tokenizer, settings.rendering, backbone.max_length)
            for window in windows
        ]
        features = pooled_states(backbone, inputs, layers, settings.probe.poolings, advance)
        return cls.fit_features(windows, features, layers, settings, backbone)

    @classmethod
    def fit_features(
        cls,
        windows: Sequence[Window],
        features: Mapping[Pooling, npt.NDArray[np.float32]],
        layers: Sequence[int],
        settings: EstimatorSettings,
        backbone: Backbone,
    ) -> Fit:
        """Train on pooled states that were read before (`pooled_states`), as `fit` does."""
        totals = np.array([window.total for window in windows])
        users = [window.user_id for window in windows]
        folds = assign_folds(users, settings.probe.n_folds, settings.seed, totals)
        fitted = fit_probe(features, layers, totals, folds, settings.probe.search)
        used = instrument(settings.instrument)
        held_out = np.clip(fitted.held_out, used.minimum, used.maximum)
        artefact = Artefact(
            settings,
            fitted.probe,
            PredictiveDistribution.from_residuals(totals - held_out),
            {
                "backbone": backbone.fingerprint,
                "tokenizer": tokenizer_fingerprint(backbone.tokenizer),
                "rendering": settings.rendering.fingerprint,
            },
            {"people": len(set(users)), "windows": len(windows)},
        )
        estimator = cls(artefact, backbone)
        return Fit(estimator, held_out, folds, fitted)

    def score(
        self,
        windows: Sequence[Window],
        *,
        coverage: float | None = None,
        advance: Advance = silent,
    ) -> list[Estimate]:
        """Estimate each window, or abstain with a reason.

        Parameters
        ----------
        windows
            Cut by this estimator's `rules`.
        coverage
            Of the interval, 0 to 1; the settings' by default.

        Returns
        -------
        list of Estimate
            In the order of the windows.
        """
        readable = [window for window in windows if window.reason is None]
        points = iter(self.predict(readable, advance)) if readable else iter(())
        return [
            self.estimate(window, None if window.reason else float(next(points)), coverage)
            for window in windows
        ]

    def predict(
        self, windows: Sequence[Window], advance: Advance = silent
    ) -> npt.NDArray[np.float64]:
        """Give bare scores in points, within the instrument's range, shape (n,)."""
        backbone = self.backbone
        inputs = [
            render(window, backbone.tokenizer, self.settings.rendering, backbone.max_length)
            for window in windows
        ]
        points = self.artefact.body.predict(backbone, inputs, advance)
        return np.clip(points, self.instrument.minimum, self.instrument.maximum)

    @property
    def backbone(self) -> Backbone:
        """The loaded backbone, checked against the fingerprints of training.

        Raises
        ------
        ModelError
            Naming what does not match.
        """
        if self._backbone is None:
            body = self.artefact.body
            loaded = _load(self.settings.backbone, keep_layers=body.keep_layers)
            refuse_mismatch(
                "set of backbone weights",
                self.artefact.fingerprints["backbone"],
                loaded.fingerprint,
            )
            refuse_mismatch(
                "tokenizer",
                self.artefact.fingerprints["tokenizer"],
                tokenizer_fingerprint(loaded.tokenizer),
            )
            self._backbone = body.prepare(loaded)
        return self._backbone

    def save_pretrained(self, folder: str | Path) -> Path:
        """Write the artefact, `estimator.json` and `estimator.safetensors`, into a folder."""
        write_artefact(self.artefact, Path(folder))
        return Path(folder)

    @classmethod
    def from_pretrained(cls, folder: str | Path | None = None) -> "Estimator":
        """Read an artefact, refusing anything that does not fit together.

        Parameters
        ----------
        folder
            Holds the two files, or a run folder with them in `model/`; None gives the small
            estimator that comes with the package (trained on simulated chats).

        Raises
        ------
        ModelError
            If a file is missing or damaged, or format, tensors, rendering or instrument do not
            match; the sentence says which. Backbone and tokenizer are checked when they load.
        """
        return cls(read_artefact(BUNDLED_FOLDER if folder is None else Path(folder)))

    def estimate(
        self,
        window: Window,
        score: float | None,
        coverage: float | None = None,
        distribution: PredictiveDistribution | None = None,
    ) -> Estimate:
        """Turn a bare score into an estimate; no score becomes an abstention.

        Parameters
        ----------
        window
            What was read.
        score
            Points within the instrument's range, from `predict`; None to abstain.
        coverage
            Of the interval; the settings' by default.
        distribution
            Predictive distribution to use instead of the estimator's own.
        """
        coverage = self.settings.coverage if coverage is None else coverage
        distribution = distribution or self.artefact.distribution
        used = self.instrument
        lower = upper = band = None
        probabilities: dict[int, float] = {}
        if score is not None:
            lows, highs = distribution.interval([score], coverage, used)
            lower, upper = float(lows[0]), float(highs[0])
            band = used.band(score).name
            probabilities = {
                cut: float(distribution.p_at_least([score], cut)[0]) for cut in used.cut_offs
            }
        return Estimate(
            user_id=window.user_id,
            instrument=used.key,
            window_start=window.start,
            window_end=window.end,
            score=score,
            lower=lower,
            upper=upper,
            coverage=coverage,
            p_at_least=probabilities,
            band=band,
            n_messages=len(window.user_messages),
            abstained=score is None,
            reason=window.reason,
            model_id=self.model_id,
        )


def _load(settings: BackboneSettings, keep_layers: int | None = None) -> Backbone:
    return load_backbone(
        settings.name, revision=settings.revision, dtype=settings.dtype, keep_layers=keep_layers
    )


def _refuse_unusable(windows: Sequence[Window]) -> None:
    barred = sum(window.reason is not None for window in windows)
    if barred:
        raise DataError(
            f"{barred} of {len(windows)} windows must not be used",
            fix="train on the windows of a Cohort",
        )
