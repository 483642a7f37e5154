from dataclasses import replace

import numpy as np
import pytest
from tests import taught

from sottovoce.backbones import load_backbone
from sottovoce.ensemble import Ensemble
from sottovoce.errors import DataError
from sottovoce.material import SelfTraining
from sottovoce.metrics import difference, mae, resample_people
from sottovoce.settings import EstimatorSettings, FinetuneSettings
from sottovoce.stages import names_of, order_problem, readers_problem, run_stages

PLAN = SelfTraining(trust=(0.5, 1.0))
CROWD = taught.crowd()


@pytest.fixture(scope="module")
def backbone(tiny_bert):
    return load_backbone(str(tiny_bert))


def run(backbone, annotations=None, plan=PLAN, crowd=CROWD, **changes):
    material = (
        crowd.material if annotations is None else replace(crowd.material, annotations=annotations)
    )
    material = replace(material, **changes)
    reader = taught.Reader(backbone, crowd.states)
    return reader, run_stages(material, {"probe": reader}, plan)


@pytest.fixture(scope="module")
def honest(backbone):
    return run(backbone)


def totals(crowd=CROWD):
    return np.array([each.total for each in crowd.material.test])


def gap(stage, first):
    """MAE of a stage minus that of the first, paired, on the test people."""
    draws = resample_people(range(len(stage.scores)), seed=0)
    return difference(mae(totals(), stage.scores, draws), mae(totals(), first.scores, draws))


def test_an_honest_annotator_makes_the_model_better(honest):
    _, stages = honest
    assert [each.name for each in stages] == ["ground_truth", "annotator", "relabel-1", "ensemble"]
    first, annotator, relabel, ensemble = stages
    assert first.record["n_pseudolabels"] == 0
    assert annotator.taught.trust > 0
    assert annotator.record["n_pseudolabels"] + annotator.record["disagreed"] == 120
    assert relabel.record["by_annotator_and_model"] == 120
    for stage in (annotator, ensemble):
        assert gap(stage, first).upper < 0
    assert isinstance(ensemble.scorer, Ensemble)
    assert set(ensemble.scorer.members) == {"probe.ground_truth", "probe.relabel-1"}


def test_equal_weights_keep_the_members_of_questionnaires_alone(backbone):
    _, made = run(backbone, plan=replace(PLAN, weights="equal"))
    assert made[-1].scorer.weights == {"probe.ground_truth": 0.5, "probe.relabel-1": 0.5}
    np.testing.assert_allclose(made[-1].scores, (made[0].scores + made[2].scores) / 2)


BAD = {
    "random": lambda said, rng: rng.uniform(0, 27),
    "all the same": lambda said, rng: 9.0,
    "upside down": lambda said, rng: 27 - said.total,
}


@pytest.mark.parametrize("kind", BAD)
def test_an_annotator_without_information_is_told_and_none_of_its_labels_used(backbone, kind):
    rng = np.random.default_rng(7)
    bad = {
        user: taught.annotation(user, BAD[kind](said, rng))
        for user, said in CROWD.material.annotations.items()
    }
    _, stages = run(backbone, bad)
    first, annotator = stages[:2]
    assert annotator.record["n_pseudolabels"] == 0
    assert annotator.taught.trust == 0
    assert any("its labels are not used" in each for each in annotator.notes)
    np.testing.assert_array_equal(annotator.scores, first.scores)
    for stage in stages[1:]:
        worse = gap(stage, first)
        assert worse.value == 0 or worse.lower < 0


def test_a_bias_of_four_points_is_told_and_does_not_reach_the_model(backbone, honest):
    shifted = {
        user: taught.annotation(user, min(said.total + 4, 27))
        for user, said in CROWD.material.annotations.items()
    }
    _, stages = run(backbone, shifted)
    judged = stages[1].record["annotator"]
    assert judged["bias_before"]["lower"] > 2.5
    assert judged["bias_after"]["lower"] < 0 < judged["bias_after"]["upper"]
    assert any("is off by +" in each for each in stages[1].notes)
    for stage, unbiased in zip(stages[1:], honest[1][1:], strict=True):
        assert gap(stage, stages[0]).lower < 0
        assert abs(stage.scores.mean() - unbiased.scores.mean()) < 0.5


def test_people_whom_the_annotator_refused_are_counted_and_labelled_by_the_models(backbone):
    some = {
        user: said
        for user, said in CROWD.material.annotations.items()
        if int(user[1:]) % 3 or int(user[1:]) < 60
    }
    _, stages = run(backbone, some)
    assert "40 of 120 people of the pool have no annotation" in stages[1].notes
    assert stages[2].record["by_annotator_and_model"] == 80
    assert stages[2].record["by_model"] == 40
    assert gap(stages[-1], stages[0]).lower < 0


def test_without_any_annotation_the_stages_still_end(backbone):
    _, stages = run(backbone, {})
    assert stages[1].record["n_pseudolabels"] == 0
    assert any("too few to judge" in each for each in stages[1].notes)
    assert gap(stages[-1], stages[0]).value < 0.3


def pseudolabelled(trainings):
    for windows, supervision in trainings:
        marks = supervision.is_pseudo(len(windows))
        yield {each.user_id for each, mark in zip(windows, marks, strict=True) if mark}


def test_no_model_labels_a_person_whom_it_was_trained_on(backbone, monkeypatch):
    reader = taught.Reader(backbone, CROWD.states)
    scored = []
    real = reader.points

    def watched(estimator, windows):
        scored.append((len(reader.trainings) - 1, {each.user_id for each in windows}))
        return real(estimator, windows)

    monkeypatch.setattr(reader, "points", watched)
    pool = {each.user_id for each in CROWD.material.pool}
    run_stages(CROWD.material, {"probe": reader}, PLAN)
    learnt = list(pseudolabelled(reader.trainings))
    labelled = [(number, users) for number, users in scored if users & pool]
    assert len(labelled) == 3  # once to compare with the annotator, once for each part
    for number, users in labelled:
        # the first is by the members of questionnaires alone, whatever was trained since
        assert not users & learnt[number]


def test_no_test_person_is_ever_trained_on(honest):
    reader, _ = honest
    tested = {each.user_id for each in CROWD.material.test}
    for windows, supervision in reader.trainings:
        users = {each.user_id for each in windows}
        assert not tested & users
        assert not tested & set(supervision.annotations)


def test_test_people_and_copies_of_them_are_left_out_and_counted(backbone):
    material, test = CROWD.material, CROWD.material.test
    copy, own = replace(test[0], user_id="copy"), CROWD.states[test[0].user_id]
    crowd = replace(CROWD, states={**CROWD.states, "copy": own, "copy2": own})
    leaking = {
        "training": [*material.training, copy, test[1]],
        "pool": [*material.pool, test[2], replace(test[3], user_id="copy2"), material.training[0]],
        "annotations": {**material.annotations, test[4].user_id: taught.annotation("x", 3.0)},
    }
    plan = replace(PLAN, stages=("ground_truth",))
    reader, (stage,) = run(backbone, plan=plan, crowd=crowd, **leaking)
    assert stage.record["left_out"] == {
        "training_tested": 1,
        "training_like_a_test_person": 1,
        "pool_tested": 1,
        "pool_like_a_test_person": 1,
        "pool_in_training": 1,
        "pool_like_a_training_person": 0,
        "pool_too_little": 0,
        "annotated_and_tested": 1,
    }
    assert len(stage.notes) == 6
    ((windows, _),) = reader.trainings
    assert [each.user_id for each in windows] == [each.user_id for each in material.training]


def test_labels_far_from_the_model_are_left_out_and_counted(backbone):
    wrong = dict(CROWD.material.annotations)
    for user in [each.user_id for each in CROWD.material.pool][:10]:
        wrong[user] = taught.annotation(user, 27 - wrong[user].total)
    _, stages = run(backbone, wrong, replace(PLAN, agreement=0.9))
    assert stages[1].record["disagreed"] >= 3
    assert any("points from the model's: left out" in each for each in stages[1].notes)


def test_the_annotator_s_share_in_a_training_person_s_target_is_chosen_on_questionnaires(backbone):
    plan = replace(PLAN, stages=("ground_truth", "annotator"), trust=(1.0,), blend=(0.5, 1.0))
    reader, (_, second) = run(backbone, plan=plan)
    tried = [(each["trust"], each["blend"]) for each in second.record["tried"]]
    assert tried == [(0, 0), (1, 0), (1, 0.5), (1, 1)]
    windows, supervision = reader.trainings[-1]
    real = [each.total for each in CROWD.material.training]
    assert not np.allclose(supervision.targets[: len(real)], real)
    assert [each.total for each in windows[: len(real)]] == real
    best = min(second.record["tried"], key=lambda each: each["mae"])
    assert (second.taught.trust, second.taught.blend) == (best["trust"], best["blend"])


def test_a_training_that_leaves_people_without_a_held_out_score_is_refused(backbone):
    reader = taught.Reader(backbone, CROWD.states)
    fit = reader.fit
    reader.fit = lambda *told: replace(fit(*told), rows=np.arange(5))
    with pytest.raises(DataError, match="probe has held-out scores of 5 of 60 training windows"):
        run_stages(CROWD.material, {"probe": reader}, PLAN)
    assert EstimatorSettings(finetune=FinetuneSettings(calibration="held_out")).finetune


@pytest.mark.parametrize(
    ("stages", "problem"),
    [
        ((), "the first stage is not ground_truth"),
        (("annotator",), "the first stage is not ground_truth"),
        (("ground_truth", "ensemble", "relabel"), "a stage comes after ensemble"),
        (("ground_truth", "relabel", "annotator"), "annotator is not the second stage"),
        (("ground_truth", "ground_truth"), "ground_truth stands twice"),
        (("ground_truth", "relabel", "evidence"), "evidence comes after relabel"),
        (("ground_truth", "evidence"), "no member learns from quotes"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(backbone, stages, problem):
    assert problem in (order_problem(stages) or readers_problem(stages, 0, 1))
    with pytest.raises(DataError, match=problem):
        run(backbone, plan=replace(PLAN, stages=stages))


def test_rounds_of_relabelling_are_numbered():
    plan = SelfTraining(("ground_truth", "relabel", "relabel", "ensemble"))
    assert names_of(plan) == ["ground_truth", "relabel-1", "relabel-2", "ensemble"]


EVIDENCE = replace(PLAN, stages=("ground_truth", "annotator", "evidence", "relabel", "ensemble"))


def with_quoter(backbone, plan=EVIDENCE, annotations=None):
    """Run the stages with a probe that reads worse than the reader of quotes."""
    generator = np.random.default_rng(1)
    blurred = {
        user: state + generator.normal(0, 3, len(state)) for user, state in CROWD.states.items()
    }
    annotations = taught.quoted(CROWD) if annotations is None else annotations
    material = replace(CROWD.material, annotations=annotations)
    members = {
        "probe": taught.Reader(backbone, blurred),
        "reader": taught.Quoter(backbone, CROWD.states),
    }
    return members, run_stages(material, members, plan)


def test_a_reader_of_quotes_joins_from_its_own_stage_on(backbone):
    members, stages = with_quoter(backbone)
    used = {each.name: set(each.taught.fits) for each in stages}
    assert used["ground_truth"] == used["annotator"] == {"probe"}
    assert used["evidence"] == {"probe", "reader"}
    assert used["ensemble"] > {"probe.ground_truth"}
    by_name = {each.name: each for each in stages}
    assert by_name["evidence"].record["quotes"] == 180
    assert by_name["evidence"].points.shape == (200, 2)
    assert gap(by_name["evidence"], by_name["ground_truth"]).upper < 0
    tested = {each.user_id for each in CROWD.material.test}
    for windows, supervision in members["reader"].trainings:
        assert not tested & {each.user_id for each in windows}
        assert not tested & set(supervision.annotations)


def test_a_reader_that_does_not_help_is_left_out_and_told(backbone):
    wrong = {
        user: replace(
            said,
            items=tuple(3 - each for each in said.items),
            quotes=tuple(replace(each, level=sum(map(ord, user)) % 4) for each in said.quotes),
        )
        for user, said in taught.quoted(CROWD).items()
    }
    _, stages = with_quoter(backbone, annotations=wrong)
    evidence = stages[2]
    assert set(evidence.taught.fits) == set(stages[1].taught.fits)
    assert any("no reader of quotes is used" in each for each in evidence.notes)


def test_members_and_stages_have_to_fit(backbone):
    reader = taught.Quoter(backbone, CROWD.states)
    with pytest.raises(DataError, match="every member learns from quotes"):
        run_stages(CROWD.material, {"reader": reader}, EVIDENCE)
    with pytest.raises(DataError, match="a member learns from quotes; add the stage evidence"):
        with_quoter(backbone, PLAN)
