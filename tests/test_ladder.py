from dataclasses import replace

import numpy as np
import pytest
from tests import made, tiny, tuning

from sottovoce.backbones import load_backbone
from sottovoce.baselines import embedding_scores, tfidf_scores
from sottovoce.errors import DataError
from sottovoce.evaluation import Settings
from sottovoce.instruments import PHQ_9
from sottovoce.ladder import DEFAULT_RUNGS, ENCODER, RUNGS, Equipment, climb
from sottovoce.progress import quiet, silent
from sottovoce.recipe import read_recipe
from sottovoce.trial import Trial

WINDOWS = tuple(tiny.labelled_windows(60))
SPLIT = Trial(PHQ_9, WINDOWS[:25], WINDOWS[25:])
FOLDS = Trial(PHQ_9, WINDOWS)
FEW = Settings(resamples=200)


def model(trial, missing=0):
    scores = [None if row < missing else each for row, each in enumerate(trial.totals.tolist())]
    return [made.estimate(user, score) for user, score in zip(trial.users, scores, strict=True)]


def rows(trial, *rungs, models=None, **options):
    found = climb(trial, models or {"ours": model(trial)}, rungs, settings=FEW, **options)
    return found, {row.name: row for row in found.comparison.rows}


@pytest.mark.parametrize("trial", [SPLIT, FOLDS])
def test_every_default_rung_stands_beside_the_models_with_paired_differences(trial, tiny_bert):
    opened = []

    def stage(label):
        opened.append(label)
        return quiet(label)

    told = {"ours": model(trial), "theirs": model(trial)}
    equipment = Equipment(load_backbone(str(tiny_bert)))
    found, by_name = rows(trial, *DEFAULT_RUNGS, models=told, equipment=equipment, stage=stage)
    fitted = ["mean predictor", "length only", "TF-IDF + ridge", "MiniLM + ridge"]
    assert list(by_name) == [*fitted, "ours", "theirs"]
    assert opened == fitted
    assert found.comparison.reference == "ours"
    assert by_name["ours"].differences == {}
    assert by_name["theirs"].differences["mae"].value == 0
    for name in fitted:
        assert by_name[name].differences["mae"].lower > 0
        assert trial.described in found.notes[name]


def test_rungs_are_the_baselines_definitions(tiny_bert):
    backbone = load_backbone(str(tiny_bert))
    _, by_name = rows(SPLIT, "tfidf", "embeddings", equipment=Equipment(backbone))
    for name, scores in (
        ("TF-IDF + ridge", tfidf_scores(SPLIT.training, SPLIT.test, PHQ_9)),
        ("MiniLM + ridge", embedding_scores(SPLIT.training, SPLIT.test, PHQ_9, backbone)),
    ):
        error = np.abs(scores - SPLIT.totals).mean()
        assert by_name[name].figures["mae"].value == pytest.approx(error)


def test_in_folds_everybody_is_embedded_once(tiny_bert):
    told = []
    equipment = Equipment(load_backbone(str(tiny_bert)))
    scores = RUNGS["embeddings"].scores(FOLDS, equipment, lambda done, total: told.append(total))
    assert set(told) == {60}
    assert np.corrcoef(scores, FOLDS.totals)[0, 1] > 0.5


def test_no_rung_learns_from_those_it_scores(tiny_bert):
    equipment = Equipment(load_backbone(str(tiny_bert)), tuning.settings_for(tiny_bert, epochs=1))
    blank = tuple(replace(each, label=replace(each.label, total=0.0)) for each in SPLIT.test)
    for rung in RUNGS.values():
        found = [
            rung.scores(trial, equipment, silent) for trial in (SPLIT, replace(SPLIT, test=blank))
        ]
        np.testing.assert_array_equal(*found)


def test_an_encoder_is_fine_tuned_on_the_training_people(tiny_bert):
    settings = tuning.settings_for(tiny_bert, "full", calibration="held_out", n_folds=20)
    equipment = Equipment(encoder=settings)
    _, by_name = rows(SPLIT, "mean", "encoder", equipment=equipment)
    ours, mean = (
        by_name[name].figures["mae"].value for name in ("fine-tuned encoder", "mean predictor")
    )
    assert ours < mean


def test_the_encoder_is_the_recipe_trained_once():
    settings = read_recipe("recipes/minilm-full.yaml").settings
    once = replace(settings.finetune, calibration="held_out", n_folds=ENCODER.finetune.n_folds)
    assert replace(settings, finetune=once) == ENCODER
    assert ENCODER.finetune.head.outputs == "total"


def test_recorded_totals_are_rungs_and_whom_they_do_not_know_is_counted():
    known = dict(zip(SPLIT.users[5:], SPLIT.totals[5:].tolist(), strict=True))
    trial = replace(SPLIT, references={"annotator": known, "of others": {"zoe": 3.0}})
    found, by_name = rows(trial, "mean")
    assert list(by_name) == ["mean predictor", "ours", "annotator"]
    assert (by_name["annotator"].abstained, found.comparison.n_left_out) == (5, 5)
    assert by_name["annotator"].figures["mae"].value == 0


def test_rows_on_which_a_model_abstains_are_left_out_for_all_and_told():
    told = {"ours": model(SPLIT, missing=3), "theirs": model(SPLIT)}
    found, by_name = rows(SPLIT, "mean", models=told)
    assert (by_name["ours"].abstained, found.comparison.n) == (3, 22)
    assert by_name["theirs"].figures["mae"].n == 22


@pytest.mark.parametrize(
    ("rungs", "models", "problem"),
    [
        (["mean"], {}, "there is no model to compare with"),
        (["bert"], {"ours": model(SPLIT)}, "rung of the ladder is unknown; use mean, length"),
        (["mean"], {"mean predictor": model(SPLIT)}, "two predictors have the same name"),
    ],
)
def test_what_cannot_be_compared_is_refused(rungs, models, problem):
    with pytest.raises(DataError, match=problem):
        climb(SPLIT, models, rungs)


def test_length_alone_is_learnt_where_it_tells_something():
    generator = np.random.default_rng(0)
    windows = []
    for number, total in enumerate(generator.integers(0, 28, 60)):
        windows.append(
            tiny.window(f"p{number:02d}", ["word " * (int(total) + 1)] * 6, float(total))
        )
    _, by_name = rows(Trial(PHQ_9, tuple(windows)), "mean", "length")
    assert by_name["length only"].figures["r"].lower > 0.9
