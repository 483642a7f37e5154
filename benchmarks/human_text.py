"""The frozen probe on real people's words: dep-wor, six free answers, PHQ-9 totals.

Five folds of people, three seeds; layer, pooling and penalty are chosen inside the training
folds. The three seeds' out-of-fold scores are stacked and the bootstrap draws people, so that a
figure is the mean over seeds with an interval over people.
"""

import csv
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import numpy as np

from benchmarks.shared import Scores, features, options, shared_folder, show
from sottovoce.backbones import load_backbone
from sottovoce.baselines import mean_scores, tfidf_scores
from sottovoce.cohort import Window, WindowRules, assign_folds
from sottovoce.conversations import Message, QuestionnaireResponse, read_json_lines
from sottovoce.estimator import Estimator
from sottovoce.evaluation import compare
from sottovoce.features import Features
from sottovoce.instruments import PHQ_9
from sottovoce.recipe import read_recipe
from sottovoce.settings import EstimatorSettings

QUESTIONS = {
    "Depword": "Which words describe how you have felt over the last two weeks, down or not?",
    "Depphrase": "And in phrases?",
    "Deptext": "Tell me in a paragraph whether you have felt depressed or not.",
    "Worword": "Which words describe whether you have been worried or not?",
    "Worphrase": "And in phrases?",
    "Wortext": "Tell me in a paragraph whether you have been worried or not.",
}
"""Column to a question of ours in the data set's sense, so that the answers read as a chat."""

N_FOLDS, SEEDS = 5, (0, 1, 2)
START = datetime(2020, 6, 1, tzinfo=UTC)
PROBE = "SmolLM2-135M frozen + linear probe"


def people() -> list[Window]:
    """Read the 500 people as labelled windows; times are made up, a minute apart."""
    windows = []
    path = shared_folder("dep-wor-phq9") / "dep_wor_data.csv"
    with path.open(encoding="utf-8", newline="") as stream:
        for row, record in enumerate(csv.DictReader(stream)):
            messages = []
            for number, (column, question) in enumerate(QUESTIONS.items()):
                at = START + timedelta(minutes=number)
                messages.append(Message("assistant", question, at))
                messages.append(Message("user", record[column], at + timedelta(seconds=30)))
            end = START + timedelta(hours=1)
            label = QuestionnaireResponse(str(row), PHQ_9.key, end, float(record["PHQ9tot"]))
            start = end - timedelta(days=14)
            windows.append(Window(str(row), start, end, tuple(messages), {}, label))
    return windows


def annotator() -> Scores:
    """Give the recorded reasoning-model annotator's totals, by row."""
    totals = {}
    for _, record in read_json_lines(shared_folder("dep-wor-phq9") / "annotations.jsonl"):
        assert isinstance(record, dict)
        totals[int(record["row"])] = float(record["total"])
    return np.array([totals[row] for row in range(len(totals))])


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
    assert WindowRules().leaks == "remove"
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
    stacked["annotator (reasoning model, zero-shot, recorded)"] = np.tile(annotator(), len(SEEDS))
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
