"""The estimator in the package is what the committed recipe makes of the committed people."""

import json
from pathlib import Path

import numpy as np
import pytest

from sottovoce.estimates import read_scores
from sottovoce.estimator import BUNDLED_FOLDER, Estimator
from sottovoce.recipe import read_recipe
from sottovoce.train import train

RECIPE = Path(__file__).parents[1] / "recipes" / "smollm2-probe.yaml"


@pytest.fixture(scope="module")
def run(tmp_path_factory, threads):
    """Train with the threads that the small tests do without."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        return train(RECIPE, tmp_path_factory.mktemp("runs") / "probe")
    finally:
        torch.set_num_threads(before)


def test_training_by_the_recipe_gives_the_estimator_of_the_package(run):
    shipped = Estimator.from_pretrained().artefact
    again = run.estimator.artefact
    assert again.settings == shipped.settings == read_recipe(RECIPE).settings
    assert again.body.record == shipped.body.record
    assert again.fingerprints == shipped.fingerprints
    for name, tensor in shipped.tensors.items():
        np.testing.assert_allclose(again.tensors[name], tensor, rtol=1e-3, atol=1e-3)


def test_the_bundled_estimator_fits_its_size(run):
    folder = BUNDLED_FOLDER
    sizes = {path.name: path.stat().st_size for path in folder.iterdir()}
    assert sum(sizes.values()) - sizes["predictions.jsonl"] < 100_000
    assert sizes["predictions.jsonl"] < 200 * 500  # 200 training people, a line each


def test_the_run_of_the_recipe_is_whole(run):
    names = {path.name for path in run.folder.iterdir()}
    assert names >= {
        "recipe.yaml",
        "environment.json",
        "data.json",
        "model",
        "predictions.jsonl",
        "metrics.json",
        "report.html",
        "MODEL_CARD.md",
    }
    assert len(list(read_scores(run.folder / "predictions.jsonl"))) == 200
    metrics = json.loads((run.folder / "metrics.json").read_text("utf-8"))
    assert metrics["simulated"] is True
    assert metrics["out_of_fold"]["metrics"]["mae"]["n"] == 200
