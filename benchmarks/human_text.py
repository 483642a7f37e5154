"""The frozen probe on real people's words: dep-wor, six free answers, PHQ-9 totals.

Five folds of people, three seeds; layer, pooling and penalty are chosen inside the training
folds. The three seeds' out-of-fold scores are stacked and the bootstrap draws people, so that a
figure is the mean over seeds with an interval over people.
"""

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.shared import Scores, features, options, shared_folder, show
from sottovoce.backbones import load_backbone
from sottovoce.baselines import mean_scores, tfidf_scores
from sottovoce.cohort import Window, WindowRules, assign_folds
from sottovoce.datasets import ANNOTATOR, Dataset, open_dataset
from sottovoce.estimator import Estimator
from sottovoce.evaluation import compare
from sottovoce.features import Features
from sottovoce.instruments import PHQ_9
from sottovoce.recipe import read_recipe
from sottovoce.settings import EstimatorSettings

N_FOLDS, SEEDS = 5, (0, 1, 2)
PROBE = "SmolLM2-135M frozen + linear probe"


EVERY_WORD = WindowRules(min_user_messages=1, min_user_words=0, leaks="flag")
"""Nobody is left out and nothing is taken from what they wrote."""


def human_data() -> Dataset:
    """Open dep-wor where the shared data lie."""
    return open_dataset("dep-wor", shared_folder("dep-wor-phq9"))


def people() -> list[Window]:
    """Read the 500 people as labelled windows."""
    return list(human_data().trial(EVERY_WORD).test)


def annotator(windows: Sequence[Window]) -> Scores:
    """Give the recorded reasoning-model annotator's totals of these people."""
    totals = human_data().references[ANNOTATOR]
    return np.array([totals[each.user_id] for each in windows])


def cross_validated(
    windows: Sequence[Window], scores: Callable[[list[int], list[int]], Scores], seed: int
) -> Scores:
    """Score everybody by models that saw nobody of the person's fold."""
    totals = np.array([window.total for window in windows])
    folds = assign_folds([window.user_id for window in windows], N_FOLDS, seed, totals)
    out = np.empty(len(windows))
    for fold in range(N_FOLDS):
        inside = np.flatnonzero(folds == fold).tolist()
        outside = np.flatnonzero(folds != fold).tolist()
        out[inside] = scores(outside, inside)
    return out


def probe_scores(
    windows: Sequence[Window], settings: EstimatorSettings
) -> Callable[[list[int], list[int]], Scores]:
    """Read everybody once, then fit on the rows that a fold gives."""
    backbone = load_backbone(settings.backbone.name)
    layers = list(range(backbone.n_layers + 1))
    read = features(backbone, windows, settings.rendering, layers, settings.probe.poolings)

    def scores(training: list[int], rows: list[int]) -> Scores:
        seen: Features = {pooling: states[training] for pooling, states in read.items()}
        fit = Estimator.fit_features(
            [windows[row] for row in training], seen, layers, settings, backbone
        )
        assert fit.fitted is not None
        probe = fit.fitted.probe
        unseen: Features = {pooling: states[rows] for pooling, states in read.items()}
        return np.clip(probe.points(unseen, layers), PHQ_9.minimum, PHQ_9.maximum)

    return scores


def main() -> None:
    """Print the table."""
    given = options(__doc__ or "")
    windows = people()
    settings = read_recipe("recipes/smollm2-probe.yaml").settings

    def subset(rows: list[int]) -> list[Window]:
        return [windows[row] for row in rows]

    predictors: dict[str, Callable[[list[int], list[int]], Scores]] = {
        "mean predictor": lambda training, rows: mean_scores(subset(training), subset(rows)),
        "TF-IDF + ridge": lambda training, rows: tfidf_scores(
            subset(training), subset(rows), PHQ_9
        ),
        PROBE: probe_scores(windows, settings),
    }
    stacked = {
        name: np.concatenate([cross_validated(windows, scores, seed) for seed in SEEDS])
        for name, scores in predictors.items()
    }
    stacked["annotator (reasoning model, zero-shot, recorded)"] = np.tile(
        annotator(windows), len(SEEDS)
    )
    totals = np.tile([window.total for window in windows], len(SEEDS))
    users = [window.user_id for window in windows] * len(SEEDS)
    comparison = compare(totals, stacked, users, reference=PROBE, instrument=PHQ_9)
    title = (
        f"dep-wor, {len(windows)} people, six answers as a chat, {N_FOLDS} folds x "
        f"{len(SEEDS)} seeds by person, PHQ-9"
    )
    show("human_text", title, comparison.flat(), given)


if __name__ == "__main__":
    main()
