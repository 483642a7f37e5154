"""The main job on the bundled cohort: score people, compare with baselines, write the report.

Owns which predictors stand side by side and what the report shows. Everybody in it is simulated.
Does not know how the table is printed (`cli`).
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sottovoce import bundled
from sottovoce.cohort import Cohort, Window, build_cohort
from sottovoce.conversations import write_json_lines
from sottovoce.estimates import Estimate, estimate_record
from sottovoce.estimator import Estimator
from sottovoce.evaluation import Comparison, Evaluation, Predictions, evaluate
from sottovoce.ladder import Ladder, climb
from sottovoce.people import people_columns
from sottovoce.progress import Stage
from sottovoce.report import Example, Provenance, Report, installed_versions, write_report
from sottovoce.scorer import Scorer
from sottovoce.trial import Trial

ESTIMATOR = "this estimator"
RUNGS = ("mean", "tfidf", "embeddings")
NOTES = {
    ESTIMATOR: "frozen SmolLM2-135M and a linear probe, the same 200 training people",
    "annotator": "recorded blind readings by a reasoning model of the family that wrote the "
    "chats: far easier for it than real talk",
    "noise ceiling": "the state that the writer was given, against the questionnaire: no reader "
    "of the text can know more",
}
CURVE = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
"""Nominal coverages at which the interval's calibration is drawn."""

EXAMPLE_WORDS = 70
"""Words of each example person that the report shows."""


@dataclass(frozen=True, slots=True)
class Demo:
    """What the main job gave: the estimator's evaluation, the comparison, where the report is."""

    evaluation: Evaluation
    comparison: Comparison
    report: Path

    def as_dict(self) -> dict[str, Any]:
        """Give the figures as JSON can hold them."""
        return {
            "simulated": True,
            "comparison": self.comparison.as_dict(),
            "evaluation": self.evaluation.as_dict(),
            "report": str(self.report),
        }


def run_demo(out: Path, stage: Stage) -> Demo:
    """Score the bundled test people and set every predictor side by side.

    Parameters
    ----------
    out
        Folder for `scores.jsonl`, `demo.json` and `report.html`.
    stage
        Opens a progress bar for each slow step.

    Raises
    ------
    MissingExtraError, ModelError
        If a backbone's wheel or an extra is not installed.
    """
    estimator = Estimator.from_pretrained()
    training, test = _cohort("train", estimator), _cohort("test", estimator)
    with stage("Reading 120 test people") as advance:
        estimates = estimator.score(test.windows, advance=advance)
    trial = Trial(
        estimator.instrument,
        test.windows,
        training.windows,
        references={
            "annotator": bundled.annotator_totals(),
            "noise ceiling": bundled.state_totals(),
        },
        simulated=True,
    )
    ladder = climb(trial, {ESTIMATOR: estimates}, RUNGS, stage=stage)
    evaluation = _evaluate(estimator, test, estimates)
    out.mkdir(parents=True, exist_ok=True)
    write_json_lines(out / "scores.jsonl", map(estimate_record, estimates))
    report = _report(test, estimates, evaluation, ladder)
    result = Demo(evaluation, ladder.comparison, write_report(out / "report.html", report))
    text = json.dumps(result.as_dict(), indent=2, allow_nan=False)
    (out / "demo.json").write_text(text + "\n", "utf-8")
    return result


def _cohort(split: bundled.Split, estimator: Scorer) -> Cohort:
    return build_cohort(
        bundled.conversations(split), bundled.labels(split), estimator.rules, estimator.instrument
    )


def _evaluate(estimator: Scorer, test: Cohort, estimates: Sequence[Estimate]) -> Evaluation:
    scores = [estimate.score for estimate in estimates]
    assert all(score is not None for score in scores)
    curves = {
        coverage: estimator.distribution.interval(
            np.array(scores, dtype=np.float64), coverage, estimator.instrument
        )
        for coverage in CURVE
    }
    groups = people_columns(_personas(), test.users)
    return evaluate(
        test.totals,
        Predictions.of(estimates, curves, residuals=estimator.distribution.residuals),
        test.users,
        groups,
        instrument=estimator.instrument,
    )


def _personas() -> dict[str, dict[str, object]]:
    """Columns for tables by group; the split is not one of them."""
    return {
        user: {name: value for name, value in row.items() if name not in ("user_id", "split")}
        for user, row in bundled.people().items()
    }


def _report(
    test: Cohort,
    estimates: Sequence[Estimate],
    evaluation: Evaluation,
    ladder: Ladder,
) -> Report:
    times = [window.end for window in test.windows]
    return Report(
        title="PHQ-9 estimates for the bundled test people",
        evaluation=evaluation,
        cohort=f"{bundled.NAME}, split test",
        simulated=True,
        comparison=ladder.comparison,
        predictor_notes={**NOTES, **ladder.notes},
        period=(min(times), max(times)),
        examples=_examples(test.windows, estimates),
        limits=(
            "One family of language models wrote the chats, and a model of that family made the "
            "annotator's readings; the annotator's lead says nothing about real talk.",
        ),
        provenance=Provenance(
            versions=installed_versions("torch", "transformers", "scikit-learn"),
            commands=("sottovoce demo",),
        ),
    )


def _examples(windows: Sequence[Window], estimates: Sequence[Estimate]) -> tuple[Example, ...]:
    """Show a low, a middle and a high estimate: the people at three fixed ranks, not picked."""
    order = sorted(range(len(windows)), key=lambda row: (estimates[row].score or 0.0, row))
    ranks: Mapping[str, float] = {"low": 0.1, "middle": 0.5, "high": 0.9}
    examples = []
    for name, share in ranks.items():
        row = order[round(share * (len(order) - 1))]
        window = windows[row]
        examples.append(
            Example(
                label=f"A {name} estimate (rank {order.index(row) + 1} of {len(order)})",
                passages=_passages(window),
                estimate=estimates[row],
                total=window.total,
                note="A simulated person, taken by rank and not for a good fit.",
            )
        )
    return tuple(examples)


def _passages(window: Window) -> tuple[str, ...]:
    """Give the person's last messages, oldest first, about `EXAMPLE_WORDS` in all."""
    passages: list[str] = []
    for message in reversed(window.user_messages):
        passages.insert(0, message.content)
        if sum(len(each.split()) for each in passages) >= EXAMPLE_WORDS:
            break
    return tuple(passages)
