"""Fine-tuned backbones and an ensemble on real people's words: dep-wor, one seed of five folds.

Each member is trained by its recipe, on four fifths of the people, some of whom stop the training;
nobody's score comes from a training that saw them. Only the head's pooling is another, the mean
over messages, by which a word and a paragraph count alike: for frozen states it was better on these
same folds (docs/decisions/0003), so that choice has seen them. The ensemble's weights are learnt,
for each fold, on the other folds' scores. Nothing here knows the annotator. Out-of-fold
scores are kept outside the repository, for a training takes tens of minutes.
"""

from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from benchmarks.human_text import N_FOLDS, cross_validated, people, probe_scores
from benchmarks.shared import Scores, examples_of, kept_scores, options, show
from sottovoce.backbones import load_backbone, locate
from sottovoce.cohort import Window, assign_folds
from sottovoce.combination import Question, out_of_fold
from sottovoce.crossfit import validation_rows
from sottovoce.evaluation import compare
from sottovoce.finetune import finetune
from sottovoce.instruments import PHQ_9
from sottovoce.jobs import Job, Rows
from sottovoce.model_input import Renderer
from sottovoce.recipe import read_recipe
from sottovoce.settings import EstimatorSettings, FinetuneSettings

SEED = 0
MEMBERS = {
    "SmolLM2-135M frozen + linear probe": "smollm2-probe",
    "MiniLM-L6, all weights": "minilm-full",
    "SmolLM2-135M, LoRA": "smollm2-lora",
}
PROBE, *_ = MEMBERS


def tuned_scores(
    windows: list[Window], settings: EstimatorSettings, used: FinetuneSettings
) -> Scores:
    """Score everybody by trainings that saw nobody of the person's fold."""
    backbone = load_backbone(settings.backbone.name, keep_layers=used.layers)
    renderer = Renderer.of(backbone.tokenizer, settings.rendering, backbone.max_length)
    totals = np.array([window.total for window in windows])
    examples = examples_of([renderer.render(window) for window in windows], totals)
    users = [window.user_id for window in windows]

    def scores(training: list[int], rows: list[int]) -> Scores:
        inside = np.array(training)
        stops = validation_rows(inside, users, examples, used, SEED)
        job = Job("fold", inside[~stops], inside[stops], np.array(rows), SEED)
        return finetune(backbone, examples, PHQ_9, used, job).held_out

    return cross_validated(windows, scores, SEED)


def _on_answers(settings: EstimatorSettings) -> EstimatorSettings:
    if settings.finetune is None:
        return settings
    head = replace(settings.finetune.head, pooling="message_mean")
    return replace(settings, finetune=replace(settings.finetune, head=head))


def member_scores(windows: list[Window], name: str) -> Scores:
    """Give a member's out-of-fold scores."""
    settings = _on_answers(read_recipe(Path("recipes") / f"{name}.yaml").settings)

    def score() -> Scores:
        if settings.finetune is None:
            return cross_validated(windows, probe_scores(windows, settings), SEED)
        return tuned_scores(windows, settings, settings.finetune)

    people = [(window.messages, window.total) for window in windows]
    backbone = locate(settings.backbone.name).fingerprint
    return kept_scores(name, str((asdict(settings), backbone, N_FOLDS, SEED, people)), score)


def together(points: Scores, totals: Scores, folds: Rows) -> Scores:
    """Combine members' scores, shape (n, k), each fold by weights that were learnt without it."""
    scores = np.empty(len(totals))
    for fold, combination in out_of_fold(points, totals, folds, Question(PHQ_9)).items():
        scores[folds == fold] = combination.score(points[folds == fold])
    return scores


def main() -> None:
    """Print the table."""
    given = options(__doc__ or "")
    windows = people()
    totals = np.array([window.total for window in windows])
    users = [window.user_id for window in windows]
    folds = assign_folds(users, N_FOLDS, SEED, totals)
    predictors = {name: member_scores(windows, recipe) for name, recipe in MEMBERS.items()}
    points = np.column_stack(list(predictors.values()))
    predictors["ensemble of the three, learnt weights"] = together(points, totals, folds)
    predictors["ensemble of the three, equal weights"] = points.mean(axis=1)
    comparison = compare(totals, predictors, users, reference=PROBE, instrument=PHQ_9)
    title = f"dep-wor, {len(windows)} people, {N_FOLDS} folds by person (seed {SEED}), PHQ-9"
    show("human_text_tuned", title, comparison.flat(), given)


if __name__ == "__main__":
    main()
