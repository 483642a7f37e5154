"""The baseline ladder: what a model must beat, rung by rung, beside any number of models.

Owns which rungs there are, what each is called, and that all are judged on the same people with
paired differences. Does not know how a baseline is fitted (`baselines`) nor how a comparison is
computed (`evaluation`).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sottovoce.backbones import Backbone, load_backbone
from sottovoce.baselines import (
    Scores,
    embeddings,
    length_scores,
    mean_scores,
    ridge_scores,
    tfidf_scores,
)
from sottovoce.cohort import Window
from sottovoce.errors import DataError
from sottovoce.estimates import Estimate
from sottovoce.estimator import Estimator
from sottovoce.evaluation import Comparison, Predictions, Settings, compare
from sottovoce.evaluation.record import DEFAULT
from sottovoce.model_input import Rendering
from sottovoce.progress import Advance, Stage, quiet
from sottovoce.settings import (
    BackboneSettings,
    EstimatorSettings,
    FinetuneSettings,
    HeadSettings,
    ScheduleSettings,
)
from sottovoce.trial import Trial

ENCODER_FOLDS = 20
"""Of the encoder's training people one in so many is set apart for the width of intervals, which
a rung does not use; the fewest that leave a single training nearly everybody. Ours."""

ENCODER = EstimatorSettings(
    rendering=Rendering(layout="plain"),
    backbone=BackboneSettings("minilm-l6-v2"),
    finetune=FinetuneSettings(
        method="full",
        head=HeadSettings(start="probe"),
        schedule=ScheduleSettings(
            epochs=2,
            learning_rate=2e-5,
            head_learning_rate=1e-4,
            batch_tokens=1024,
            checkpoint_steps=20,
        ),
        calibration="held_out",
        n_folds=ENCODER_FOLDS,
    ),
)
"""MiniLM-L6 with every weight trained and a head of one output (what transformers calls
``num_labels=1``): recipes/minilm-full.yaml, trained once instead of six times."""


@dataclass(frozen=True, slots=True)
class Equipment:
    """What the rungs with a neural network use.

    Parameters
    ----------
    backbone
        Encoder whose sentence embeddings are read; None loads MiniLM-L6.
    encoder
        How an encoder is fine-tuned; its instrument and window rules do not count, the trial's do.
    """

    backbone: Backbone | None = None
    encoder: EstimatorSettings = ENCODER


@dataclass(frozen=True, slots=True)
class Rung:
    """One baseline that is fitted: what tables call it, what it is, and how it scores."""

    title: str
    note: str
    scores: Callable[[Trial, Equipment, Advance], Scores]


@dataclass(frozen=True, slots=True)
class Ladder:
    """Every predictor on the same rows, and predictor name to a remark on it."""

    comparison: Comparison
    notes: Mapping[str, str] = field(hash=False)


def climb(
    trial: Trial,
    models: Mapping[str, Sequence[Estimate]],
    rungs: Sequence[str] | None = None,
    *,
    settings: Settings = DEFAULT,
    equipment: Equipment | None = None,
    stage: Stage = quiet,
) -> Ladder:
    """Set models beside baselines that learn from other people than they are tested on.

    Parameters
    ----------
    trial
        Whose totals are predicted; its references (a recorded annotator) are rungs too, where
        they know anybody.
    models
        Name to estimates of the trial's test windows, in their order. Differences are to the
        first one.
    rungs
        Keys of `RUNGS`, in the order of the table; `DEFAULT_RUNGS` by default.
    settings
        Of the intervals.
    equipment
        Backbones and settings of the rungs that read with a neural network.
    stage
        Opens a progress bar for each rung.

    Raises
    ------
    DataError
        If there is no model, a rung is unknown, or two predictors have one name.
    MissingExtraError, ModelError
        If what a rung reads with is not installed.
    """
    chosen, notes = DEFAULT_RUNGS if rungs is None else rungs, dict[str, str]()
    _check(chosen, models, trial)
    predictions: dict[str, Predictions | Scores | list[float | None]] = {}
    for key in chosen:
        rung = RUNGS[key]
        with stage(rung.title) as advance:
            predictions[rung.title] = rung.scores(trial, equipment or Equipment(), advance)
        notes[rung.title] = f"{rung.note}; learnt from {trial.described}"
    predictions |= {name: Predictions.of(each) for name, each in models.items()}
    predictions |= _recorded(trial)
    comparison = compare(
        trial.totals,
        predictions,
        trial.users,
        reference=next(iter(models)),
        instrument=trial.instrument,
        settings=settings,
    )
    return Ladder(comparison, notes)


def _recorded(trial: Trial) -> dict[str, list[float | None]]:
    """Give the references that know anybody; whom one does not know, it abstains on."""
    columns = {
        name: [totals.get(user) for user in trial.users]
        for name, totals in trial.references.items()
    }
    return {name: known for name, known in columns.items() if set(known) != {None}}


def _check(rungs: Sequence[str], models: Mapping[str, Sequence[Estimate]], trial: Trial) -> None:
    if not models:
        raise DataError("there is no model to compare with", field="models", fix="name one")
    if not set(rungs) <= set(RUNGS):
        raise DataError(
            "a rung of the ladder is unknown", field="rungs", fix=f"use {', '.join(RUNGS)}"
        )
    names = [*(RUNGS[key].title for key in rungs), *models, *_recorded(trial)]
    if len(set(names)) < len(names):
        raise DataError(
            "two predictors have the same name", field="models", fix="rename one of them"
        )


def _mean(trial: Trial, _equipment: Equipment, _advance: Advance) -> Scores:
    return trial.unseen(mean_scores)


def _length(trial: Trial, _equipment: Equipment, _advance: Advance) -> Scores:
    return trial.unseen(
        lambda training, windows: length_scores(training, windows, trial.instrument)
    )


def _tfidf(trial: Trial, _equipment: Equipment, _advance: Advance) -> Scores:
    return trial.unseen(
        lambda training, windows: tfidf_scores(training, windows, trial.instrument, trial.seed)
    )


def _embeddings(trial: Trial, equipment: Equipment, advance: Advance) -> Scores:
    """Read everybody once, then learn as often as there are folds."""
    everybody = (*trial.training, *trial.test)
    backbone = equipment.backbone or load_backbone("minilm-l6-v2")
    states = embeddings(everybody, backbone, advance)
    place = {id(window): row for row, window in enumerate(everybody)}

    def predict(training: Sequence[Window], windows: Sequence[Window]) -> Scores:
        learnt, new = ([place[id(each)] for each in part] for part in (training, windows))
        return ridge_scores(training, states[learnt], states[new], trial.instrument, trial.seed)

    return trial.unseen(predict)


def _encoder(trial: Trial, equipment: Equipment, advance: Advance) -> Scores:
    asked = replace(equipment.encoder, instrument=trial.instrument.key)

    def predict(training: Sequence[Window], windows: Sequence[Window]) -> Scores:
        fitted = Estimator.fit(training, _fitting(asked, training), advance=advance)
        return fitted.estimator.predict(windows)

    return trial.unseen(predict)


def _fitting(settings: EstimatorSettings, training: Sequence[Window]) -> EstimatorSettings:
    """Ask for no more folds than there are people."""
    assert settings.finetune is not None
    people = len({window.user_id for window in training})
    folds = min(settings.finetune.n_folds, people)
    return replace(settings, finetune=replace(settings.finetune, n_folds=folds))


RUNGS: Mapping[str, Rung] = {
    "mean": Rung("mean predictor", "everybody gets the mean total", _mean),
    "length": Rung("length only", "how many words and messages the person wrote", _length),
    "tfidf": Rung("TF-IDF + ridge", "words and word pairs", _tfidf),
    "embeddings": Rung("MiniLM + ridge", "sentence embeddings", _embeddings),
    "encoder": Rung("fine-tuned encoder", "every weight of MiniLM trained", _encoder),
}
"""Fitted baselines by name, from the simplest on. Each reads the person's own words only."""

DEFAULT_RUNGS = ("mean", "length", "tfidf", "embeddings")
"""What takes seconds; the encoder takes minutes."""
