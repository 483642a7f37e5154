"""A benchmark: saved models on one data set, from reading to the folder of a report.

Owns the order of work (score, judge, set beside baselines, look for shortcuts, disturb, write) and
what the folder holds. Does not know any data set (`datasets`), metric (`evaluation`) or drawing
(`report`); trains nothing but baselines.
"""

import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from sottovoce.cohort import Window
from sottovoce.conversations import Conversation, write_json_lines
from sottovoce.datasets import Dataset
from sottovoce.datasheet import write_datasheet
from sottovoce.errors import DataError
from sottovoce.estimates import Estimate, estimate_record
from sottovoce.evaluation import (
    Correlates,
    Evaluation,
    Predictions,
    Robustness,
    Settings,
    Suite,
    Validation,
    correlate,
    evaluate,
)
from sottovoce.evaluation.record import DEFAULT
from sottovoce.evaluation_card import write_evaluation_card
from sottovoce.examples import three_by_rank
from sottovoce.explanation import Explained
from sottovoce.ladder import DEFAULT_RUNGS, Ladder, climb
from sottovoce.pedigree import Pedigree
from sottovoce.progress import Stage, quiet
from sottovoce.report import (
    PAGE,
    Provenance,
    Report,
    installed_versions,
    replacing,
    write_report_folder,
)
from sottovoce.report.checklists import tripod_ai, tripod_llm
from sottovoce.robustness import USUAL, Disturbing, disturb
from sottovoce.scorer import Scorer
from sottovoce.shortcuts import Background, examine
from sottovoce.train import write_json
from sottovoce.trial import Scores, Trial

FIGURES, SCORES = "benchmark.json", "scores.jsonl"
CARD, DATASHEET = "MODEL_CARD.md", "DATASHEET.md"

CURVE = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Nominal coverages at which the interval's calibration is drawn."""

VERSIONED = ("torch", "transformers", "scikit-learn", "matplotlib")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a benchmark is asked for.

    Parameters
    ----------
    models
        Name to saved model; the first is the one in question, the others stand beside it.
    pedigree
        From whom the first one learnt.
    rungs
        Baselines, by key of `ladder.RUNGS`.
    sample
        People who are read again in each changed form; 0 leaves out whatever reads again.
    disturbances
        Ways to disturb texts, by key of `robustness.TITLES`.
    paraphrases
        Person to the same chats in other words.
    references
        More totals that somebody gave the same people, by name, such as a live annotator's.
    notes
        Name of a model to a remark on it.
    settings
        Of the intervals.
    command
        What the user typed, for the report.
    """

    models: Mapping[str, Scorer]
    pedigree: Pedigree
    rungs: Sequence[str] = DEFAULT_RUNGS
    sample: int = 0
    disturbances: Sequence[str] = USUAL
    paraphrases: Mapping[str, Sequence[Conversation]] = field(default_factory=dict)
    references: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    notes: Mapping[str, str] = field(default_factory=dict)
    settings: Settings = DEFAULT
    command: str = "sottovoce benchmark"

    @property
    def name(self) -> str:
        """Name of the model in question."""
        return next(iter(self.models))

    @property
    def scorer(self) -> Scorer:
        """The model in question."""
        return self.models[self.name]


@dataclass(frozen=True, slots=True)
class Benchmark:
    """What a benchmark found, and where its report is."""

    dataset: Dataset
    trial: Trial
    evaluation: Evaluation
    ladder: Ladder
    suite: Suite | None
    robustness: Robustness | None
    report: Path

    def as_dict(self) -> dict[str, Any]:
        """Give the figures as JSON can hold them."""
        return {
            "dataset": self.dataset.name,
            "simulated": self.dataset.simulated,
            "left_out": dict(self.trial.left_out),
            "evaluation": self.evaluation.as_dict(),
            "comparison": self.ladder.comparison.as_dict(),
            "suite": None if self.suite is None else self.suite.as_dict(),
            "robustness": None if self.robustness is None else self.robustness.as_dict(),
            "report": str(self.report),
        }


def run_benchmark(dataset: Dataset, asked: Asked, out: Path, stage: Stage = quiet) -> Benchmark:
    """Judge saved models on a data set and write the folder of the report.

    Parameters
    ----------
    dataset
        With questionnaires of the models' instrument.
    asked
        Models, baselines, how much is read again.
    out
        Folder for `benchmark.json`, `scores.jsonl`, the report, its figures and tables, and the
        two cards.
    stage
        Opens a progress bar for each slow step.

    Raises
    ------
    DataError
        If the data hold no questionnaire of the models' instrument, or nobody to test.
    MissingExtraError, ModelError
        If a backbone or an extra is not installed.
    """
    for scorer in asked.models.values():
        _check_instrument(dataset, scorer)
    trial = dataset.trial(asked.scorer.rules, asked.settings.seed)
    trial = replace(trial, references={**trial.references, **asked.references})
    with stage(f"Reading {len(trial.test)} windows") as advance:
        explained = asked.scorer.explain(trial.test, advance=advance)
    estimates = [each.estimate for each in explained]
    evaluation = _judged(dataset, trial, asked, explained, stage)
    scored = {asked.name: estimates} | _others(dataset, trial, asked, stage)
    ladder = climb(trial, scored, asked.rungs, settings=asked.settings, stage=stage)
    suite, robustness = _reread(trial, asked, estimates, stage)
    report = _report(dataset, trial, asked, evaluation, ladder)
    report = replace(report, suite=suite, robustness=robustness)
    if dataset.simulated:
        report = replace(report, examples=three_by_rank(trial.test, estimates))
    result = Benchmark(dataset, trial, evaluation, ladder, suite, robustness, out / PAGE)
    _write(out, result, report, estimates)
    return result


def _report(
    dataset: Dataset, trial: Trial, asked: Asked, evaluation: Evaluation, ladder: Ladder
) -> Report:
    ends = [each.end for each in trial.test]
    return Report(
        title=f"{dataset.instrument.title} estimates on {dataset.title}",
        evaluation=evaluation,
        cohort=dataset.title,
        simulated=dataset.simulated,
        comparison=ladder.comparison,
        predictor_notes={**ladder.notes, **dataset.reference_notes, **asked.notes},
        period=(min(ends), max(ends)) if dataset.dated else None,
        limits=dataset.remarks,
        provenance=Provenance(
            versions=installed_versions(*VERSIONED),
            commands=(asked.command,),
            details={"hardware": f"{platform.machine()} with {os.cpu_count()} CPUs"},
        ),
    )


def _write(out: Path, result: Benchmark, report: Report, estimates: Sequence[Estimate]) -> None:
    """Write the whole folder, or nothing of it."""
    dataset = result.dataset
    checklists = (tripod_ai(report, dataset), tripod_llm(report, dataset))
    with replacing(out) as partial:
        write_json_lines(partial / SCORES, map(estimate_record, estimates))
        write_json(partial / FIGURES, result.as_dict())
        write_report_folder(partial, report, checklists)
        write_evaluation_card(partial / CARD, report, dataset)
        write_datasheet(partial / DATASHEET, dataset, report)


@dataclass(frozen=True, slots=True)
class RatedBenchmark:
    """Estimates beside self-ratings, of a data set without a questionnaire."""

    dataset: Dataset
    model_id: str
    correlates: Correlates

    def as_dict(self) -> dict[str, Any]:
        """Give the figures as JSON can hold them."""
        named = {"dataset": self.dataset.name, "model_id": self.model_id}
        return {**named, **self.correlates.as_dict(), "remarks": list(self.dataset.remarks)}


def run_rated(
    dataset: Dataset, scorer: Scorer, out: Path, settings: Settings, stage: Stage = quiet
) -> RatedBenchmark:
    """Hold estimates against self-ratings where there is no questionnaire.

    Writes `benchmark.json` and `scores.jsonl` into the folder; there is no report, as no error can
    be told.
    """
    windows = dataset.rated(scorer.rules)
    with stage(f"Reading {len(windows)} windows") as advance:
        estimates = scorer.score(windows, advance=advance)
    scores = [each.score for each in estimates]
    found = RatedBenchmark(dataset, scorer.model_id, correlate(dataset.ratings, scores, settings))
    with replacing(out) as partial:
        write_json_lines(partial / SCORES, map(estimate_record, estimates))
        write_json(partial / FIGURES, found.as_dict())
    return found


def _check_instrument(dataset: Dataset, scorer: Scorer) -> None:
    if scorer.instrument.key != dataset.instrument.key:
        raise DataError(
            f"the model estimates {scorer.instrument.title} and the data hold "
            f"{dataset.instrument.title}",
            field="instrument",
            fix=f"train a model with instrument: {dataset.instrument.key}",
        )


def _judged(
    dataset: Dataset, trial: Trial, asked: Asked, explained: Sequence[Explained], stage: Stage
) -> Evaluation:
    return evaluate(
        trial.totals,
        predictions_of(asked.scorer, explained),
        trial.users,
        dataset.columns(trial.test),
        instrument=trial.instrument,
        settings=replace(asked.settings, validation=_validation(trial, asked, stage)),
    )


def predictions_of(scorer: Scorer, explained: Sequence[Explained]) -> Predictions:
    """Give estimates with their whole predictive distributions, as `evaluate` reads them."""
    outcomes = [_outcomes(scorer, each) for each in explained]
    curves = {}
    for nominal in CURVE:
        lower, upper = np.array([_interval(scorer, each, nominal) for each in explained]).T
        curves[nominal] = lower, upper
    read = Predictions.of([each.estimate for each in explained], curves)
    return replace(read, samples=np.array(outcomes))


def _outcomes(scorer: Scorer, explained: Explained) -> Scores:
    """Give the totals to expect, shape (m,), all as likely; NaN for an abstention."""
    score, distribution = explained.estimate.score, explained.distribution
    if score is None or distribution is None:
        return np.full(len(scorer.distribution.residuals), np.nan)
    return score + distribution.residuals


def _interval(scorer: Scorer, explained: Explained, coverage: float) -> tuple[float, float]:
    """Give the interval at a coverage; NaN for an abstention."""
    score, distribution = explained.estimate.score, explained.distribution
    if score is None or distribution is None:
        return np.nan, np.nan
    lower, upper = distribution.interval([score], coverage, scorer.instrument)
    return float(lower[0]), float(upper[0])


def _validation(trial: Trial, asked: Asked, stage: Stage) -> Validation | None:
    """Give on whom the threshold is chosen: validation people, or training people out of fold."""
    if trial.validation:
        with stage(f"Reading {len(trial.validation)} validation windows") as advance:
            estimates = asked.scorer.score(trial.validation, advance=advance)
        users = [each.user_id for each in trial.validation]
        return Validation([each.total for each in trial.validation], estimates, users)
    if asked.pedigree.scores:
        return Validation(asked.pedigree.totals, asked.pedigree.scores)
    return None


def _others(
    dataset: Dataset, trial: Trial, asked: Asked, stage: Stage
) -> dict[str, list[Estimate]]:
    """Score the same questionnaires by the other models, each by window rules of its own."""
    found = {}
    for name, scorer in asked.models.items():
        if name == asked.name:
            continue
        windows = dataset.trial(scorer.rules, asked.settings.seed).test
        with stage(f"Reading {len(windows)} windows with {name}") as advance:
            estimates = scorer.score(windows, advance=advance)
        placed = {_place(window): each for window, each in zip(windows, estimates, strict=True)}
        found[name] = [placed[_place(window)] for window in trial.test]
    return found


def _place(window: Window) -> tuple[str, object]:
    return window.user_id, window.end


def _reread(
    trial: Trial, asked: Asked, estimates: Sequence[Estimate], stage: Stage
) -> tuple[Suite | None, Robustness | None]:
    if not asked.sample:
        return None, None
    seed = asked.settings.seed
    background = Background(asked.pedigree.windows, asked.pedigree.annotated, asked.sample, seed)
    with stage("Looking for shortcuts") as advance:
        suite = examine(
            trial, asked.scorer, estimates, background, settings=asked.settings, advance=advance
        )
    suite = replace(suite, notes=(*suite.notes, asked.pedigree.note))
    disturbing = Disturbing(asked.sample, seed, asked.paraphrases, ways=tuple(asked.disturbances))
    with stage("Disturbing texts") as advance:
        robustness = disturb(
            trial, asked.scorer, estimates, disturbing, settings=asked.settings, advance=advance
        )
    return suite, robustness
