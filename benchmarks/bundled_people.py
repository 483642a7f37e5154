"""The small recipes on the bundled test people: 120 simulated people nobody was trained on.

Each is trained on the 200 labelled training people, some of whom stop a fine-tuning: the last of
its recipe's trainings, which makes the estimator. The trainings before it, for intervals and for
the weights of `recipes/small-ensemble.yaml`, are left out, so the last row is the plain mean.
Simulated: good for comparing methods, never clinical evidence.
"""

from dataclasses import asdict
from pathlib import Path

import numpy as np

from benchmarks.shared import Scores, examples_of, kept_scores, options, show
from sottovoce import bundled
from sottovoce.backbones import load_backbone, locate
from sottovoce.cohort import Cohort, build_cohort
from sottovoce.crossfit import trainings
from sottovoce.estimator import Estimator
from sottovoce.evaluation import compare
from sottovoce.finetune import finetune
from sottovoce.instruments import PHQ_9
from sottovoce.model_input import Renderer
from sottovoce.progress import silent
from sottovoce.recipe import read_recipe
from sottovoce.settings import EstimatorSettings, FinetuneSettings

PROBE = "smollm2-probe"
ROWS = (PROBE, "minilm-full", "smollm2-lora")


def people(split: bundled.Split, settings: EstimatorSettings) -> Cohort:
    """Give the bundled people of a split, one window each."""
    conversations, labels = bundled.conversations(split), bundled.labels(split)
    return build_cohort(conversations, labels, settings.rules, PHQ_9)


def tuned_scores(
    training: Cohort, test: Cohort, settings: EstimatorSettings, used: FinetuneSettings
) -> Scores:
    """Train once on the training people and score the test people."""
    backbone = load_backbone(settings.backbone.name, keep_layers=used.layers)
    renderer = Renderer.of(backbone.tokenizer, settings.rendering, backbone.max_length)
    inputs = [renderer.render(window) for window in training.windows]
    examples = examples_of(inputs, training.totals)
    folds = np.arange(len(inputs)) % used.n_folds  # the last training leaves nobody out
    job = trainings(examples, training.users, settings, folds, None)[-1]
    body = finetune(backbone, examples, PHQ_9, used, job).body
    unseen = [renderer.render(window) for window in test.windows]
    points = body.predict(body.prepare(backbone), unseen, silent)
    return np.clip(points, PHQ_9.minimum, PHQ_9.maximum)


def test_scores(name: str) -> Scores:
    """Score the test people by a recipe."""
    settings = read_recipe(Path("recipes") / f"{name}.yaml").settings
    training, test = people("train", settings), people("test", settings)

    def score() -> Scores:
        if settings.finetune is None:
            return Estimator.fit(training.windows, settings).estimator.predict(test.windows)
        return tuned_scores(training, test, settings, settings.finetune)

    backbone = locate(settings.backbone.name).fingerprint
    data = [(window.messages, window.total) for window in (*training.windows, *test.windows)]
    return kept_scores(f"test-{name}", str((asdict(settings), backbone, data)), score)


def main() -> None:
    """Print the table."""
    given = options(__doc__ or "")
    test = people("test", read_recipe(Path("recipes") / f"{PROBE}.yaml").settings)
    predictors = {name: test_scores(name) for name in ROWS}
    predictors["mean of the three"] = np.mean(list(predictors.values()), axis=0)
    comparison = compare(test.totals, predictors, test.users, reference=PROBE, instrument=PHQ_9)
    title = f"{len(test.windows)} simulated test people, trained on the 200 labelled, PHQ-9"
    show("bundled_people", title, comparison.flat(), given)


if __name__ == "__main__":
    main()
