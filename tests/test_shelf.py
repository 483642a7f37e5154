from dataclasses import replace

import numpy as np
import pytest
from tests import taught

from sottovoce.backbones import load_backbone
from sottovoce.ensemble import Ensemble
from sottovoce.material import SelfTraining
from sottovoce.probe import ProbeSearch
from sottovoce.settings import ProbeSettings
from sottovoce.shelf import FolderShelf, identity
from sottovoce.stages import names_of, run_stages

CROWD = taught.crowd((60, 40, 30))
PLAN = SelfTraining(trust=(1.0,))


@pytest.fixture(scope="module")
def learners(tiny_bert):
    backbone = load_backbone(str(tiny_bert))
    mild = ProbeSettings(("mean",), (1,), ProbeSearch((0.01,), n_averaged=1))
    return {
        "strong": taught.Reader(backbone, CROWD.states),
        "mild": taught.Reader(backbone, CROWD.states, probe=mild),
    }


def shelf_in(folder, learners, plan=PLAN, material=CROWD.material):
    settings = {name: each.settings for name, each in learners.items()}
    return FolderShelf(folder, identity(material, settings, plan), names_of(plan))


@pytest.fixture(scope="module")
def made(learners, tmp_path_factory):
    folder = tmp_path_factory.mktemp("stages")
    return folder, run_stages(CROWD.material, learners, PLAN, shelf=shelf_in(folder, learners))


def test_stages_of_several_members_are_read_back_as_they_were_made(made, learners):
    folder, stages = made
    shelf = shelf_in(folder, learners)
    assert set(stages[-1].scorer.members) == {
        f"{member}.{stage}" for member in learners for stage in ("ground_truth", "relabel-1")
    }
    for stage in stages:
        again = shelf.load(stage.name)
        assert isinstance(again.scorer, Ensemble)
        assert again.scorer.model_id == stage.scorer.model_id
        np.testing.assert_array_equal(again.scores, stage.scores)
        np.testing.assert_array_equal(again.labels.weights, stage.labels.weights)
        assert again.labels.users == stage.labels.users
        assert (again.record, again.notes) == (dict(stage.record), stage.notes)
        for name, fit in stage.taught.fits.items():
            np.testing.assert_array_equal(again.taught.fits[name].held_out, fit.held_out)
        estimates = again.estimates(CROWD.material.test)
        assert estimates == stage.estimates(CROWD.material.test)


def test_what_decides_a_stage_is_in_its_key(made, learners):
    folder, _ = made
    material = CROWD.material
    user = material.pool[0].user_id
    others = {**material.annotations, user: taught.annotation(user, 1.0)}
    for changed in (
        shelf_in(folder, learners, replace(PLAN, trust=(0.5,))),
        shelf_in(folder, {"strong": learners["strong"]}),
        shelf_in(folder, learners, material=replace(material, annotations=others)),
        shelf_in(folder, learners, material=replace(material, pool=material.pool[1:])),
        shelf_in(folder, learners, material=replace(material, test=material.test[1:])),
    ):
        assert changed.load("ground_truth") is None
    longer = replace(PLAN, stages=("ground_truth", "annotator", "relabel", "relabel"))
    assert shelf_in(folder, learners, longer).load("relabel-1") is not None
