import dataclasses
import json
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import load_file, save_file
from tests import tiny

from sottovoce.cohort import Window, WindowRules
from sottovoce.ensemble import MEMBERS, RECORD_FILE, TENSOR_FILE, Ensemble, fit_ensemble
from sottovoce.errors import DataError, ModelError
from sottovoce.estimates import Dropped
from sottovoce.estimator import Estimator
from sottovoce.instruments import PHQ_9
from sottovoce.model_input import Rendering
from sottovoce.scorer import Reading
from sottovoce.settings import (
    BackboneSettings,
    EstimatorSettings,
    FinetuneSettings,
    ProbeSettings,
    ReaderSettings,
    ScheduleSettings,
)
from sottovoce.supervision import NONE, Supervision

WINDOWS = tiny.labelled_windows(40)
TOTALS = np.array([window.total for window in WINDOWS])


def fit_on(folder, supervision=NONE, **changes):
    fields = {
        "backbone": BackboneSettings(str(folder)),
        "probe": ProbeSettings(("mean",), (1, 2), n_folds=4),
        "rendering": Rendering(("user", "assistant"), "turns"),
        "rules": WindowRules(min_user_messages=2, min_user_words=5),
    }
    settings = EstimatorSettings(**(fields | changes))
    return Estimator.fit(WINDOWS, settings, supervision=supervision)


@pytest.fixture(scope="module")
def fits(tiny_qwen, tiny_bert):
    return {"qwen": fit_on(tiny_qwen), "bert": fit_on(tiny_bert)}


@pytest.fixture(scope="module")
def fit(fits):
    return fit_ensemble(WINDOWS, fits)


@pytest.fixture(scope="module")
def kept(fit, tmp_path_factory):
    return fit.ensemble.save_pretrained(tmp_path_factory.mktemp("kept") / "model")


@pytest.fixture
def saved(kept, tmp_path):
    return shutil.copytree(kept, tmp_path / "model")


def test_the_score_is_the_members_weighted_scores(fit, fits):
    columns = np.stack([each.estimator.predict(WINDOWS) for each in fits.values()], axis=1)
    weights = np.array(list(fit.ensemble.weights.values()))
    np.testing.assert_allclose(fit.ensemble.predict(WINDOWS), columns @ weights)
    scores = [each.score for each in fit.ensemble.score(WINDOWS)]
    np.testing.assert_allclose(scores, columns @ weights)


def test_an_estimate_of_an_ensemble_is_never_a_bare_number(fit):
    for estimate in fit.ensemble.score(WINDOWS[:5]):
        assert 0 <= estimate.lower <= estimate.score <= estimate.upper <= 27
        assert set(estimate.p_at_least) == set(PHQ_9.cut_offs)
        assert estimate.band == PHQ_9.band(estimate.score).name
        assert estimate.model_id == fit.ensemble.model_id
    (narrow,) = fit.ensemble.score(WINDOWS[:1], coverage=0.5)
    (wide,) = fit.ensemble.score(WINDOWS[:1])
    assert narrow.upper - narrow.lower < wide.upper - wide.lower


@given(st.integers(0, 10_000))
@settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))
def test_on_the_rows_it_learnt_from_it_never_loses_to_a_member(fits, seed):
    noise = np.random.default_rng(seed).normal(0, 4, (2, len(WINDOWS)))
    noisy = {
        name: dataclasses.replace(each, held_out=np.clip(each.held_out + more, 0, 27))
        for (name, each), more in zip(fits.items(), noise, strict=True)
    }
    fit = fit_ensemble(WINDOWS, noisy)
    together = fit.points @ np.array(list(fit.ensemble.weights.values()))
    alone = [np.sum((each.held_out - TOTALS) ** 2) for each in noisy.values()]
    assert np.sum((together - TOTALS) ** 2) <= min(alone) * (1 + 1e-9)
    assert sum(fit.ensemble.weights.values()) == pytest.approx(1)
    assert min(fit.ensemble.weights.values()) >= 0


@pytest.mark.parametrize("weighting", ["learnt", "equal"])
def test_identical_members_give_the_member_s_own_scores_and_intervals(fits, weighting):
    one = fits["qwen"]
    twins = fit_ensemble(WINDOWS, {"a": one, "b": one, "c": one}, weighting=weighting)
    np.testing.assert_allclose(twins.held_out, one.held_out)
    pairs = zip(twins.ensemble.score(WINDOWS[:9]), one.estimator.score(WINDOWS[:9]), strict=True)
    for ours, own in pairs:
        assert (ours.score, ours.lower, ours.upper) == pytest.approx(
            (own.score, own.lower, own.upper)
        )


def test_saved_and_loaded_it_gives_the_same_numbers(fit, saved):
    loaded = Estimator.from_pretrained(saved)
    assert isinstance(loaded, Ensemble)
    assert loaded.model_id == fit.ensemble.model_id
    assert (loaded.weights, loaded.rules) == (fit.ensemble.weights, fit.ensemble.rules)
    for before, after in zip(fit.ensemble.score(WINDOWS), loaded.score(WINDOWS), strict=True):
        assert (after.score, after.lower, after.upper) == pytest.approx(
            (before.score, before.lower, before.upper), abs=1e-3
        )


def test_the_folder_holds_json_and_safetensors_only(saved):
    names = {path.suffix for path in saved.rglob("*") if path.is_file()}
    assert names == {".json", ".safetensors"}
    assert sorted(path.name for path in (saved / MEMBERS).iterdir()) == ["bert", "qwen"]
    record = json.loads((saved / RECORD_FILE).read_text("utf-8"))
    assert [each["name"] for each in record["members"]] == ["qwen", "bert"]
    share = record["width_follows_disagreement"]
    assert record["interval_scores"][str(share)] == min(record["interval_scores"].values())


def test_a_held_out_estimate_uses_nothing_of_its_fold(fits, fit):
    fold = fit.folds == 1
    changed = [
        dataclasses.replace(window, label=dataclasses.replace(window.label, total=27.0))
        if inside
        else window
        for window, inside in zip(WINDOWS, fold, strict=True)
    ]
    other = fit_ensemble(changed, fits)
    before, after = fit.held_out_estimates(WINDOWS), other.held_out_estimates(changed)
    rows = np.flatnonzero(fold)
    assert len(rows)
    for row in rows:
        ours, theirs = before[row], after[row]
        assert (ours.score, ours.lower, ours.upper) == (theirs.score, theirs.lower, theirs.upper)
        assert ours.score == pytest.approx(fit.held_out[row])
    elsewhere = np.flatnonzero(~fold)
    assert [before[row].upper for row in elsewhere] != [after[row].upper for row in elsewhere]


def test_a_window_with_a_reason_is_abstained_with_it(fit):
    barred = Window("zoe", tiny.NOON, tiny.NOON, (), {}, None, "too little")
    first, middle = fit.ensemble.score([WINDOWS[0], barred])
    assert not first.abstained
    assert (middle.abstained, middle.reason, middle.score) == (True, "too little", None)


class Reluctant(Estimator):
    """Abstains on the second window for a reason of its own."""

    def read(self, windows):
        readings = super().read(windows)
        readings[1] = Reading("not enough English")
        return readings


def test_a_member_that_abstains_abstains_the_ensemble_with_its_reason(fit, fits):
    members = {**fit.ensemble.members, "bert": Reluctant(fits["bert"].estimator.artefact)}
    ensemble = Ensemble(members, fit.ensemble.combination, fit.ensemble.settings)
    first, second, third = ensemble.score(WINDOWS[:3])
    assert (first.abstained, second.abstained, third.abstained) == (False, True, False)
    assert second.reason == "member bert: not enough English"


def test_what_a_member_drops_is_counted_in_the_ensemble_s_estimate(fit, fits):
    def with_budget(estimator, tokens):
        rendering = dataclasses.replace(estimator.settings.rendering, max_tokens=tokens)
        settings = dataclasses.replace(estimator.settings, rendering=rendering)
        return Estimator(dataclasses.replace(estimator.artefact, settings=settings))

    members = {
        name: with_budget(each.estimator, tokens)
        for (name, each), tokens in zip(fits.items(), (90, 60, 75), strict=False)
    }
    ensemble = Ensemble(members, fit.ensemble.combination, fit.ensemble.settings)
    (whole,) = fit.ensemble.score(WINDOWS[:1])
    (together,) = ensemble.score(WINDOWS[:1])
    alone = [each.score(WINDOWS[:1])[0].dropped for each in members.values()]
    assert whole.dropped == Dropped()
    assert together.dropped == Dropped.most(alone)
    assert together.dropped.user_messages > min(each.user_messages for each in alone)


def test_what_was_dropped_in_training_is_counted_in_the_held_out_estimates(fit, fits):
    assert {each.dropped for each in fit.held_out_estimates(WINDOWS)} == {Dropped()}
    counted = {
        name: dataclasses.replace(each, dropped=(Dropped(number, 0, 9 - number),) * len(WINDOWS))
        for number, (name, each) in enumerate(fits.items())
    }
    together = fit_ensemble(WINDOWS, counted).held_out_estimates(WINDOWS)
    assert {each.dropped for each in together} == {Dropped(len(fits) - 1, 0, 9)}


def test_progress_counts_the_windows_of_all_members(fit):
    told = []
    fit.ensemble.score(WINDOWS[:4], advance=lambda done, total, _: told.append((done, total)))
    assert told[-1] == (8, 8)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def refused(fits, sentence):
    with pytest.raises(DataError, match=sentence):
        fit_ensemble(WINDOWS, fits)


def test_members_that_do_not_share_are_refused_by_name(fits, tiny_qwen):
    first = {"qwen": fits["qwen"]}
    refused(first, "an ensemble has two members or more")
    refused(first | {"b": fit_on(tiny_qwen, seed=1)}, "b has other folds of people")
    rules = WindowRules(min_user_messages=1, min_user_words=5)
    refused(first | {"b": fit_on(tiny_qwen, rules=rules)}, "b has other window rules")
    gad = fit_on(tiny_qwen, instrument="gad-7")
    refused(first | {"b": gad}, "b estimates another instrument")
    refused(first | {"../b": fits["bert"]}, "no name of a folder")
    part = dataclasses.replace(fits["bert"], rows=fits["bert"].rows[:9])
    refused(first | {"b": part}, "b has held-out scores of 9 windows that are not the 40 given")


def tuned_on(folder, **changes):
    pace = ScheduleSettings(epochs=1, batch_size=8, batch_tokens=512)
    finetune = FinetuneSettings(schedule=pace, n_folds=4, **changes)
    return fit_on(folder, probe=ProbeSettings(), finetune=finetune)


def test_a_fine_tuned_member_and_a_probe_are_one_ensemble(fits, tiny_bert, tmp_path):
    tuned = tuned_on(tiny_bert)
    fit = fit_ensemble(WINDOWS, {"probe": fits["qwen"], "tuned": tuned}, weighting="equal")
    loaded = Estimator.from_pretrained(fit.ensemble.save_pretrained(tmp_path / "model"))
    assert [each.artefact.body.kind for each in loaded.members.values()] == ["probe", "finetune"]
    before, after = fit.ensemble.predict(WINDOWS[:6]), loaded.predict(WINDOWS[:6])
    np.testing.assert_allclose(after, before, atol=1e-3)
    expected = (fits["qwen"].held_out + tuned.held_out) / 2
    np.testing.assert_allclose(fit.held_out, expected)


def test_the_first_reader_among_the_members_says_what_the_estimate_rests_on(
    fits, tiny_qwen, tmp_path
):
    told = Supervision(annotations=tiny.annotated(WINDOWS))
    first, second = (
        fit_on(
            tiny_qwen,
            supervision=told,
            probe=ProbeSettings(),
            reader=ReaderSettings((each,), n_folds=4),
        )
        for each in (2, 4)
    )
    members = {"probe": fits["bert"], "low": first, "high": second}
    fit = fit_ensemble(WINDOWS, members, weighting="equal")
    expected = np.mean([each.held_out for each in members.values()], axis=0)
    np.testing.assert_allclose(fit.held_out, expected)
    loaded = Estimator.from_pretrained(fit.ensemble.save_pretrained(tmp_path / "model"))
    assert loaded.explains
    barred = Window("zoe", tiny.NOON, tiny.NOON, (), {}, None, "too little")
    *explained, nothing = loaded.explain([*WINDOWS[:3], barred])
    assert nothing.grounds is None
    for each, alone in zip(explained, first.estimator.explain(WINDOWS[:3]), strict=True):
        np.testing.assert_allclose(each.grounds.levels, alone.grounds.levels, atol=1e-3)
        assert each.estimate.model_id == loaded.model_id
        assert each.estimate.score != alone.estimate.score
    estimates = loaded.score(WINDOWS[:3])
    assert [each.estimate for each in explained] == estimates


def test_an_ensemble_without_a_reader_explains_nothing(fit):
    assert not fit.ensemble.explains
    assert [each.grounds for each in fit.ensemble.explain(WINDOWS[:2])] == [None, None]


def test_a_fine_tuning_that_scored_one_fold_only_is_refused(fits, tiny_bert):
    part = tuned_on(tiny_bert, calibration="held_out")
    refused(
        {"qwen": fits["qwen"], "part": part},
        "part has held-out scores of 10 windows that are not the 40 given",
    )


def test_two_folds_are_too_few(tiny_qwen, tiny_bert):
    probe = ProbeSettings(("mean",), (1,), n_folds=2)
    fits = {"a": fit_on(tiny_qwen, probe=probe), "b": fit_on(tiny_bert, probe=probe)}
    refused(fits, "needs 3 folds of people or more, the members have 2")


@pytest.mark.parametrize("name", [RECORD_FILE, TENSOR_FILE])
def test_a_damaged_file_of_an_ensemble_is_one_sentence(saved, name):
    (saved / name).write_bytes(b"{")
    with pytest.raises(ModelError, match=f"{name} is damaged"):
        Estimator.from_pretrained(saved)


def test_a_missing_file_says_which(saved):
    (saved / TENSOR_FILE).unlink()
    with pytest.raises(ModelError, match=f"{TENSOR_FILE} is missing"):
        Estimator.from_pretrained(saved)


def test_a_missing_member_is_named(saved):
    shutil.rmtree(saved / MEMBERS / "bert")
    with pytest.raises(ModelError, match=r"member bert: .*estimator.json is missing"):
        Estimator.from_pretrained(saved)


def test_another_estimator_in_a_member_s_place_is_refused_by_name(saved):
    shutil.rmtree(saved / MEMBERS / "bert")
    shutil.copytree(saved / MEMBERS / "qwen", saved / MEMBERS / "bert")
    with pytest.raises(ModelError, match="member bert: it is not the estimator"):
        Estimator.from_pretrained(saved)


def test_another_backbone_of_a_member_is_refused_by_name(tiny_qwen, tiny_bert, tmp_path):
    folder = shutil.copytree(tiny_qwen, tmp_path / "backbone")
    fits = {"steady": fit_on(tiny_bert), "moved": fit_on(folder)}
    saved = fit_ensemble(WINDOWS, fits).ensemble.save_pretrained(tmp_path / "model")
    tiny.save_qwen(folder, seed=9)
    loaded = Estimator.from_pretrained(saved)
    for scored in (loaded.score, loaded.predict):
        with pytest.raises(ModelError, match="member moved: the set of backbone weights is not"):
            scored(WINDOWS[:1])


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda r: r.update(format_version=9), "has format 9, this version reads format 1"),
        (lambda r: r.update(coverage=0.5), "not those that were saved together"),
        (lambda r: r.pop("members"), "incomplete"),
        (lambda r: r.update(members=[]), "incomplete"),
        (lambda r: r.update(members=[{"name": "../x", "model_id": "y"}]), "no name of a folder"),
        (lambda r: r["members"].pop(), "not those that were saved together"),
        (lambda r: r["members"].reverse(), "not those that were saved together"),
    ],
)
def test_an_edited_record_of_an_ensemble_is_refused(saved, change, sentence):
    record = json.loads((saved / RECORD_FILE).read_text("utf-8"))
    change(record)
    (saved / RECORD_FILE).write_text(json.dumps(record), "utf-8")
    with pytest.raises(ModelError, match=sentence):
        Estimator.from_pretrained(saved)


def test_edited_weights_are_refused(saved):
    tensors = load_file(saved / TENSOR_FILE)
    tensors["weights"] = tensors["weights"][::-1].copy()
    save_file(tensors, saved / TENSOR_FILE)
    with pytest.raises(ModelError, match="not those that were saved together"):
        Estimator.from_pretrained(saved)


def test_a_wider_disagreement_widens_the_interval_when_the_record_says_so(fit):
    combination = dataclasses.replace(fit.ensemble.combination, share=0.5, typical=2.0)
    one_mind = combination.distribution(np.array([9.0, 9.0])).residuals
    np.testing.assert_allclose(one_mind, combination.residuals / 2)


def test_a_member_that_learnt_from_pseudolabels_joins_one_that_did_not(tiny_qwen):
    """Its own windows come first, so that both have a score of the same people."""
    settings = EstimatorSettings(
        backbone=BackboneSettings(str(tiny_qwen)),
        probe=ProbeSettings(("mean",), (1, 2), n_folds=4),
        rendering=Rendering(("user", "assistant"), "turns"),
    )
    known = WINDOWS[:30]
    told = Supervision(pseudo=[number >= 30 for number in range(40)])
    plain = Estimator.fit(known, settings)
    more = Estimator.fit(WINDOWS, settings, supervision=told)
    together = fit_ensemble(known, {"known": plain, "more": more})
    assert together.held_out.shape == (30,)
    assert len(together.held_out_estimates(known)) == 30
    last = Supervision(pseudo=told.pseudo[::-1])
    turned = Estimator.fit(WINDOWS[::-1], settings, supervision=last)
    with pytest.raises(DataError, match="held-out scores of 30 windows that are not the 30"):
        fit_ensemble(known, {"known": plain, "more": turned})
