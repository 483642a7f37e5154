import dataclasses
import json
import shutil

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file
from tests import tiny, tuning

from sottovoce import estimator
from sottovoce.annotations import Annotation
from sottovoce.artefact import RECORD_FILE, TENSOR_FILE
from sottovoce.backbones import load_backbone
from sottovoce.cohort import Window, WindowRules
from sottovoce.conformal import PredictiveDistribution
from sottovoce.errors import DataError, ModelError
from sottovoce.estimator import Estimator
from sottovoce.instruments import PHQ_9
from sottovoce.model_input import Rendering
from sottovoce.settings import (
    BackboneSettings,
    EstimatorSettings,
    HeadSettings,
    ProbeSettings,
    ReaderSettings,
)
from sottovoce.supervision import Supervision

WINDOWS = tiny.labelled_windows(40)


def settings_for(folder, **changes):
    fields = {
        "backbone": BackboneSettings(str(folder)),
        "probe": ProbeSettings(("mean", "message_mean", "last")),
        "rendering": Rendering(("user", "assistant"), "turns"),
        "rules": WindowRules(min_user_messages=2, min_user_words=5),
    }
    return EstimatorSettings(**(fields | changes))


@pytest.fixture(scope="module")
def fit(tiny_qwen):
    return Estimator.fit(WINDOWS, settings_for(tiny_qwen))


@pytest.fixture
def saved(fit, tmp_path):
    return fit.estimator.save_pretrained(tmp_path / "model")


def test_a_random_qwen_learns_what_the_made_up_people_repeat(fit):
    totals = np.array([window.total for window in WINDOWS])
    assert np.corrcoef(fit.held_out, totals)[0, 1] > 0.5
    error = np.abs(fit.held_out - totals).mean()
    assert error < np.abs(totals - totals.mean()).mean()


def test_an_estimate_is_never_a_bare_number(fit):
    for estimate in fit.estimator.score(WINDOWS[:5]):
        assert 0 <= estimate.lower <= estimate.score <= estimate.upper <= 27
        assert set(estimate.p_at_least) == set(PHQ_9.cut_offs)
        assert estimate.band == PHQ_9.band(estimate.score).name
        assert estimate.coverage == 0.9
        assert estimate.n_messages == 6
        assert not estimate.abstained


def test_the_interval_follows_the_coverage_asked_for(fit):
    narrow, wide = (fit.estimator.score(WINDOWS[:5], coverage=each) for each in (0.5, 0.9))
    for inner, outer in zip(narrow, wide, strict=True):
        assert outer.lower <= inner.lower <= inner.upper <= outer.upper
        assert inner.score == outer.score
        assert (inner.coverage, outer.coverage) == (0.5, 0.9)


def test_a_window_with_a_reason_is_abstained_in_its_place(fit):
    barred = Window("zoe", tiny.NOON, tiny.NOON, (), {}, None, "0 user messages, 2 are needed")
    first, middle, last = fit.estimator.score([WINDOWS[0], barred, WINDOWS[1]])
    assert (first.user_id, last.user_id) == (WINDOWS[0].user_id, WINDOWS[1].user_id)
    assert middle.abstained
    assert middle.reason == "0 user messages, 2 are needed"
    assert (middle.score, middle.lower, middle.band, middle.p_at_least) == (None, None, None, {})


def test_only_abstentions_need_no_backbone(saved):
    lost = Estimator.from_pretrained(saved)
    barred = Window("zoe", tiny.NOON, tiny.NOON, (), {}, None, "too little")
    assert [each.abstained for each in lost.score([barred])] == [True]
    assert lost._backbone is None


def test_a_window_that_turns_into_no_text_is_abstained_and_the_others_are_scored(fit):
    silent = tiny.window("zoe", ["", "", ""])
    first, middle, last = fit.estimator.score([WINDOWS[0], silent, WINDOWS[1]])
    assert middle.abstained
    assert middle.reason == "the window has no user text to read"
    assert [first.score, last.score] == pytest.approx(
        fit.estimator.predict([WINDOWS[0], WINDOWS[1]]).tolist(), abs=1e-4
    )


@pytest.mark.parametrize("folder", ["tiny_qwen", "tiny_composite_qwen", "tiny_bert"])
def test_saved_and_loaded_it_gives_the_same_numbers(folder, request, tmp_path):
    path = request.getfixturevalue(folder)
    estimator = Estimator.fit(WINDOWS, settings_for(path)).estimator
    loaded = Estimator.from_pretrained(estimator.save_pretrained(tmp_path / "model"))
    assert loaded.settings == estimator.settings
    assert loaded.model_id == estimator.model_id
    before, after = estimator.predict(WINDOWS), loaded.predict(WINDOWS)
    np.testing.assert_allclose(after, before, atol=1e-4)  # shortened backbone, float32


def test_the_same_data_and_seed_give_the_same_estimator(fit, tiny_qwen):
    again = Estimator.fit(WINDOWS, settings_for(tiny_qwen))
    assert again.estimator.model_id == fit.estimator.model_id
    other = Estimator.fit(WINDOWS[:-1], settings_for(tiny_qwen))
    assert other.estimator.model_id != fit.estimator.model_id


def test_the_artefact_is_json_and_safetensors_only(saved):
    assert sorted(path.name for path in saved.iterdir()) == [RECORD_FILE, TENSOR_FILE]
    record = json.loads((saved / RECORD_FILE).read_text("utf-8"))
    assert set(record["fingerprints"]) == {"backbone", "tokenizer", "rendering"}
    assert record["settings"]["rules"]["look_back_days"] == 14


def test_a_run_folder_is_as_good_as_its_model(saved, tmp_path):
    assert Estimator.from_pretrained(tmp_path).model_id == Estimator.from_pretrained(saved).model_id


def test_out_of_fold_estimates_do_not_use_the_residuals_of_their_own_fold(fit):
    estimates = fit.held_out_estimates(WINDOWS)
    totals = np.array([window.total for window in WINDOWS])
    residuals = totals - fit.held_out
    for row in (0, 17, 39):
        others = PredictiveDistribution.from_residuals(residuals[fit.folds != fit.folds[row]])
        lower, upper = others.interval([fit.held_out[row]], 0.9, PHQ_9)
        assert (estimates[row].lower, estimates[row].upper) == (lower[0], upper[0])


def edited(folder, change):
    """Change the record in place."""
    record = json.loads((folder / RECORD_FILE).read_text("utf-8"))
    change(record)
    (folder / RECORD_FILE).write_text(json.dumps(record), "utf-8")
    return folder


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda r: r.update(format_version=9), "has format 9, this version reads format 1"),
        (lambda r: r["settings"]["rendering"].update(layout="plain"), "the rendering is not"),
        (lambda r: r["settings"]["rules"].update(look_back_days=7), "the record is not"),
        (lambda r: r["body"]["choices"][0].update(layer=1), "the record is not"),
        (lambda r: r["settings"].pop("rules"), "incomplete"),
        (lambda r: r["settings"].update(instrument="bdi"), "instrument"),
    ],
)
def test_a_record_that_was_edited_is_refused(saved, change, sentence):
    with pytest.raises((ModelError, DataError), match=sentence):
        Estimator.from_pretrained(edited(saved, change))


def test_tensors_of_another_estimator_are_refused(saved):
    tensors = load_file(saved / TENSOR_FILE)
    tensors["probe.weights"] = tensors["probe.weights"] + 1
    save_file(tensors, saved / TENSOR_FILE)
    with pytest.raises(ModelError, match="the set of weights is not the one"):
        Estimator.from_pretrained(saved)


@pytest.mark.parametrize("name", [RECORD_FILE, TENSOR_FILE])
def test_a_damaged_file_is_one_sentence(saved, name):
    (saved / name).write_bytes(b"{")
    with pytest.raises(ModelError, match="damaged"):
        Estimator.from_pretrained(saved)


@pytest.mark.parametrize("name", [RECORD_FILE, TENSOR_FILE])
def test_a_missing_file_is_one_sentence(saved, name):
    (saved / name).unlink()
    with pytest.raises(ModelError, match="is missing"):
        Estimator.from_pretrained(saved)


def test_another_backbone_under_the_same_name_is_refused(tiny_qwen, tmp_path):
    folder = shutil.copytree(tiny_qwen, tmp_path / "backbone")
    estimator = Estimator.fit(WINDOWS, settings_for(folder)).estimator
    saved = estimator.save_pretrained(tmp_path / "model")
    tiny.save_qwen(folder, seed=9)
    with pytest.raises(ModelError, match="the set of backbone weights is not"):
        Estimator.from_pretrained(saved).predict(WINDOWS[:1])


def test_another_tokenizer_is_refused(tiny_qwen, tmp_path):
    folder = shutil.copytree(tiny_qwen, tmp_path / "backbone")
    estimator = Estimator.fit(WINDOWS, settings_for(folder)).estimator
    saved = estimator.save_pretrained(tmp_path / "model")
    file = folder / "tokenizer.json"
    vocabulary = json.loads(file.read_text("utf-8"))
    ids = vocabulary["model"]["vocab"]
    ids["a"], ids["b"] = ids["b"], ids["a"]
    file.write_text(json.dumps(vocabulary), "utf-8")
    with pytest.raises(ModelError, match="the tokenizer is not"):
        Estimator.from_pretrained(saved).predict(WINDOWS[:1])


def test_a_layer_that_does_not_exist_is_refused(tiny_qwen):
    with pytest.raises(ModelError, match="layer 5 was asked for, and the backbone has layers 0"):
        Estimator.fit(WINDOWS, settings_for(tiny_qwen, probe=ProbeSettings(layers=(5,))))


def test_windows_with_a_reason_cannot_be_trained_on(tiny_qwen):
    barred = Window("zoe", tiny.NOON, tiny.NOON, (), {}, None, "too little")
    with pytest.raises(DataError, match="1 of 41 windows"):
        Estimator.fit([*WINDOWS, barred], settings_for(tiny_qwen))


def test_fewer_people_than_folds_is_refused(tiny_qwen):
    with pytest.raises(DataError, match="3 people cannot be split into 5 folds"):
        Estimator.fit(WINDOWS[:3], settings_for(tiny_qwen))


METHODS = ["lora", "full"]


@pytest.fixture(scope="module")
def tuned(tiny_bert):
    return Estimator.fit(WINDOWS, tuning.settings_for(tiny_bert))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("folder", ["tiny_qwen", "tiny_composite_qwen", "tiny_bert"])
def test_a_fine_tuned_estimator_saved_and_loaded_gives_the_same_numbers(
    folder, method, request, tmp_path
):
    path = request.getfixturevalue(folder)
    backbone = load_backbone(str(path))
    settings = tuning.settings_for(path, method, epochs=1, n_folds=2)
    estimator = Estimator.fit(WINDOWS, settings, backbone=backbone).estimator
    saved = estimator.save_pretrained(tmp_path / "model")
    assert sorted(each.name for each in saved.iterdir()) == [RECORD_FILE, TENSOR_FILE]
    loaded = Estimator.from_pretrained(saved)
    assert loaded.settings == settings
    assert loaded.model_id == estimator.model_id
    assert loaded.model_id.startswith("finetune-")
    np.testing.assert_array_equal(loaded.predict(WINDOWS), estimator.predict(WINDOWS))
    assert np.ptp(loaded.predict(WINDOWS)) > 0
    untrained = load_backbone(str(path))
    for name, each in untrained.model.named_parameters():
        assert (each == dict(backbone.model.named_parameters())[name]).all()


def test_a_probe_on_packed_weights_scores_alike_after_saving(tiny_qwen, tmp_path):
    backbone = BackboneSettings(str(tiny_qwen), quantization="nf4")
    probe = ProbeSettings(("mean",), layers=(2,))
    fitted = Estimator.fit(WINDOWS, settings_for(tiny_qwen, backbone=backbone, probe=probe))
    loaded = Estimator.from_pretrained(fitted.estimator.save_pretrained(tmp_path / "model"))
    expected = fitted.estimator.predict(WINDOWS)
    np.testing.assert_allclose(loaded.predict(WINDOWS), expected, atol=1e-4)
    assert "uint8" in loaded.backbone.number_types


def test_adapters_trained_beside_four_bit_weights_score_alike_after_saving(tiny_qwen, tmp_path):
    plain = tuning.settings_for(
        tiny_qwen, epochs=1, calibration="held_out", gradient_checkpointing=True
    )
    backbone = BackboneSettings(str(tiny_qwen), dtype="bfloat16", quantization="nf4")
    settings = dataclasses.replace(plain, backbone=backbone)
    estimator = Estimator.fit(WINDOWS, settings).estimator
    loaded = Estimator.from_pretrained(estimator.save_pretrained(tmp_path / "model"))
    assert loaded.settings == settings
    assert loaded.model_id == estimator.model_id
    np.testing.assert_array_equal(loaded.predict(WINDOWS), estimator.predict(WINDOWS))
    kinds = {type(each).__name__ for each in loaded.backbone.model.parameters()}
    assert kinds == {"Params4bit", "Parameter"}
    other = dataclasses.replace(settings, backbone=BackboneSettings(str(tiny_qwen)))
    artefact = dataclasses.replace(estimator.artefact, settings=other)
    assert Estimator(artefact).model_id != estimator.model_id
    assert np.abs(Estimator(artefact).predict(WINDOWS) - loaded.predict(WINDOWS)).max() > 0


def test_a_fine_tuned_estimate_is_never_a_bare_number(tuned):
    for estimate in tuned.estimator.score(WINDOWS[:5]):
        assert 0 <= estimate.lower <= estimate.score <= estimate.upper <= 27
        assert set(estimate.p_at_least) == set(PHQ_9.cut_offs)


def test_fine_tuning_on_the_same_data_and_seed_gives_the_same_estimator(tuned, tiny_bert, tmp_path):
    settings = tuning.settings_for(tiny_bert)
    again = Estimator.fit(WINDOWS, settings, checkpoints=tmp_path)
    assert again.estimator.model_id == tuned.estimator.model_id
    assert {path.suffix for path in tmp_path.iterdir()} == {".safetensors", ".jsonl"}
    from_checkpoints = Estimator.fit(WINDOWS, settings, checkpoints=tmp_path)
    assert from_checkpoints.estimator.model_id == tuned.estimator.model_id
    assert from_checkpoints.history == tuned.history


def test_one_held_out_fold_gives_estimates_of_its_people_only(tiny_bert):
    fit = Estimator.fit(WINDOWS, tuning.settings_for(tiny_bert, calibration="held_out", epochs=1))
    estimates = fit.held_out_estimates(WINDOWS)
    assert [each.user_id for each in estimates] == [WINDOWS[row].user_id for row in fit.rows]
    assert 0 < len(estimates) < len(WINDOWS) / 2
    assert len(fit.estimator.artefact.distribution.residuals) == len(estimates)


def test_items_of_the_labels_are_trained_on(tiny_bert):
    answers = [(1,) * 9, (3, None, *(2,) * 7), None]
    windows = [
        dataclasses.replace(
            window, label=dataclasses.replace(window.label, items=answers[row % len(answers)])
        )
        for row, window in enumerate(WINDOWS)
    ]
    head = HeadSettings(outputs="both")
    settings = tuning.settings_for(tiny_bert, head=head, epochs=1)
    estimator = Estimator.fit(windows, settings).estimator
    bias = estimator.artefact.tensors["head.items.bias"]
    assert bias.shape == (9,)
    assert np.ptp(bias) > 0


def test_another_backbone_under_a_fine_tuned_estimator_is_refused(tiny_bert, tmp_path):
    folder = shutil.copytree(tiny_bert, tmp_path / "backbone")
    settings = tuning.settings_for(folder, epochs=1, calibration="held_out")
    saved = Estimator.fit(WINDOWS, settings).estimator.save_pretrained(tmp_path / "model")
    tiny.save_qwen(folder, seed=9)
    with pytest.raises(ModelError, match="the set of backbone weights is not"):
        Estimator.from_pretrained(saved).predict(WINDOWS[:1])


def test_adapters_of_another_estimator_are_refused(tuned, tmp_path):
    saved = tuned.estimator.save_pretrained(tmp_path / "model")
    tensors = load_file(saved / TENSOR_FILE)
    name = next(each for each in tensors if "lora_B" in each)
    save_file(tensors | {name: tensors[name] + 1}, saved / TENSOR_FILE)
    with pytest.raises(ModelError, match="the set of weights is not the one"):
        Estimator.from_pretrained(saved)


def test_a_body_of_a_kind_that_is_not_known_is_refused(saved):
    def change(record):
        record["body"]["kind"] = "oracle"

    with pytest.raises(ModelError, match="incomplete"):
        Estimator.from_pretrained(edited(saved, change))


@pytest.mark.parametrize("weights", [[1.0] * 39, [0.0] * 40, [float("nan")] * 40])
def test_weights_are_one_a_window_and_above_zero(tiny_qwen, weights):
    with pytest.raises(DataError, match="not one number above 0 for each window"):
        Estimator.fit(WINDOWS, settings_for(tiny_qwen), supervision=Supervision(weights))


N_REAL = 28
PSEUDO = [row >= N_REAL for row in range(len(WINDOWS))]


def taught(factor=0.5, shift=0.0):
    """Everybody's own total as target; those from `N_REAL` on are pseudolabels."""
    targets = [each.total + shift * guess for each, guess in zip(WINDOWS, PSEUDO, strict=True)]
    weights = [factor if each else 1.0 for each in PSEUDO]
    return Supervision(weights, PSEUDO, targets=targets)


def without_labels():
    """The people of the pseudolabels, of whom no questionnaire is known."""
    return [
        *WINDOWS[:N_REAL],
        *(dataclasses.replace(each, label=None) for each in WINDOWS[N_REAL:]),
    ]


def body_of(kind, tiny_qwen, tiny_bert):
    if kind == "probe":
        return settings_for(tiny_qwen, probe=ProbeSettings(("mean",), (2,)))
    return tuning.settings_for(tiny_bert, epochs=2)


@pytest.mark.parametrize("kind", ["probe", "fine-tuned"])
def test_pseudolabels_teach_and_are_never_held_out(kind, tiny_qwen, tiny_bert, tmp_path):
    used = body_of(kind, tiny_qwen, tiny_bert)
    real = Estimator.fit(WINDOWS[:N_REAL], used)
    more = Estimator.fit(without_labels(), used, supervision=taught())
    np.testing.assert_array_equal(more.rows, np.arange(N_REAL))
    np.testing.assert_array_equal(more.folds, real.folds)
    assert not np.array_equal(more.held_out, real.held_out)
    assert len(more.estimator.distribution.residuals) == N_REAL
    assert len(more.held_out_estimates(without_labels())) == N_REAL
    assert dict(more.estimator.artefact.training) == {
        "people": N_REAL,
        "windows": N_REAL,
        "pseudolabelled_people": 12,
        "pseudolabelled_windows": 12,
    }
    assert dict(real.estimator.artefact.training) == {"people": N_REAL, "windows": N_REAL}
    kept = Estimator.from_pretrained(more.estimator.save_pretrained(tmp_path / "model"))
    assert kept.model_id == more.estimator.model_id


def test_a_pseudolabel_of_next_to_no_weight_changes_next_to_nothing(tiny_qwen):
    used = settings_for(tiny_qwen, probe=ProbeSettings(("mean",), (2,)))
    # the scale of the features is that of everybody, so that nobody but everybody compares
    nothing, wrong = (
        Estimator.fit(without_labels(), used, supervision=taught(1e-9, shift))
        for shift in (0.0, 20.0)
    )
    loud = Estimator.fit(without_labels(), used, supervision=taught(1.0, 20.0))
    np.testing.assert_allclose(nothing.held_out, wrong.held_out, atol=1e-4)
    assert np.abs(nothing.held_out - loud.held_out).mean() > 1


def test_training_aims_at_the_targets_and_is_judged_by_the_questionnaires(tiny_qwen):
    used = settings_for(tiny_qwen, probe=ProbeSettings(("mean",), (2,)))
    higher = [min(each.total + 3, 27) for each in WINDOWS]
    fit = Estimator.fit(WINDOWS, used, supervision=Supervision(targets=higher))
    residuals = np.sort([each.total for each in WINDOWS] - fit.held_out)
    np.testing.assert_allclose(fit.estimator.distribution.residuals, residuals)
    assert -4 < residuals.mean() < -2


def test_a_pseudolabel_takes_its_items_from_the_annotation(tiny_qwen, tiny_bert, monkeypatch):
    seen = []
    real = estimator.tune

    def watched(backbone, examples, *rest):
        seen.append(examples)
        return real(backbone, examples, *rest)

    monkeypatch.setattr(estimator, "tune", watched)
    items = (0.5, 2.0, 0.0, 1.0, 0.0, 3.0, 1.5, 0.0, 0.0)
    said = Annotation(WINDOWS[N_REAL].user_id, "reader", items, 8.0, 2.0)
    told = dataclasses.replace(taught(), annotations={said.user_id: said})
    used = tuning.settings_for(tiny_bert, epochs=1, head=HeadSettings(outputs="both"))
    Estimator.fit(without_labels(), used, supervision=told)
    (examples,) = seen
    np.testing.assert_array_equal(examples.items[N_REAL], items)
    assert np.isnan(examples.items[N_REAL + 1 :]).all()
    np.testing.assert_array_equal(examples.is_pseudo, PSEUDO)


def test_training_without_any_questionnaire_is_refused(tiny_qwen):
    nobody = Supervision(pseudo=[True] * 40)
    with pytest.raises(DataError, match="no label was given by a person"):
        Estimator.fit(WINDOWS, settings_for(tiny_qwen), supervision=nobody)


def reader_on(folder, **changes):
    return settings_for(folder, probe=ProbeSettings(), reader=ReaderSettings((1, 4)), **changes)


@pytest.fixture(scope="module")
def reader(tiny_qwen):
    told = Supervision(annotations=tiny.annotated(WINDOWS))
    return Estimator.fit(WINDOWS, reader_on(tiny_qwen), supervision=told)


def test_a_reader_on_a_random_qwen_learns_what_the_made_up_people_repeat(reader):
    totals = np.array([window.total for window in WINDOWS])
    assert np.corrcoef(reader.held_out, totals)[0, 1] > 0.5
    assert reader.fitted is None
    assert reader.estimator.model_id.startswith("reader-")


@pytest.mark.parametrize("folder", ["tiny_qwen", "tiny_composite_qwen", "tiny_bert"])
def test_a_reader_saved_and_loaded_gives_the_same_scores_and_grounds(folder, request, tmp_path):
    used = dataclasses.replace(
        reader_on(request.getfixturevalue(folder)), reader=ReaderSettings(n_folds=3)
    )
    told = Supervision(annotations=tiny.annotated(WINDOWS))
    estimator = Estimator.fit(WINDOWS, used, supervision=told).estimator
    loaded = Estimator.from_pretrained(estimator.save_pretrained(tmp_path / "model"))
    assert (loaded.settings, loaded.model_id) == (estimator.settings, estimator.model_id)
    for before, after in zip(estimator.explain(WINDOWS), loaded.explain(WINDOWS), strict=True):
        assert after.estimate.score == pytest.approx(before.estimate.score, abs=1e-3)
        np.testing.assert_allclose(after.grounds.levels, before.grounds.levels, atol=1e-3)
        np.testing.assert_allclose(after.grounds.profile, before.grounds.profile, atol=1e-3)


def test_the_evidence_of_an_item_is_a_message_of_the_person_that_speaks_for_it(reader):
    saying = [
        window for window in WINDOWS if tiny.SAYINGS[0] in [m.content for m in window.messages]
    ]
    found = reader.estimator.explain(saying)
    quoted = []
    for window, each in zip(saying, found, strict=True):
        assert each.window is window
        assert {said.item for said in each.grounds.evidence()} == set(range(1, 10))
        messages = [window.messages[said.message] for said in each.grounds.evidence(3)]
        assert {message.role for message in messages} == {"user"}
        quoted += [
            window.messages[said.message].content
            for said in each.grounds.evidence()
            if said.item == 3
        ]
    assert np.mean([text == tiny.SAYINGS[0] for text in quoted]) > 0.9


def test_an_explained_estimate_is_the_estimate_and_is_read_once(reader, monkeypatch):
    scored, read = reader.estimator.score(WINDOWS[:5], coverage=0.8), []
    real = estimator.message_states

    def watched(backbone, inputs, *rest):
        read.append(len(inputs))
        return real(backbone, inputs, *rest)

    monkeypatch.setattr(estimator, "message_states", watched)
    explained = reader.estimator.explain(WINDOWS[:5], coverage=0.8)
    assert [each.estimate for each in explained] == scored
    assert read == [5]
    for each in explained:
        points = reader.estimator.artefact.body.total_weights
        total = points[0] + each.grounds.profile @ points[1:]
        assert each.estimate.score == pytest.approx(np.clip(total, 0, 27))


def test_an_abstained_window_rests_on_nothing(reader):
    barred = Window("zoe", tiny.NOON, tiny.NOON, (), {}, None, "too little")
    silent = tiny.window("yan", ["", "", ""])
    found = reader.estimator.explain([barred, WINDOWS[0], silent])
    assert [each.estimate.abstained for each in found] == [True, False, True]
    assert [each.grounds is None for each in found] == [True, False, True]


def test_only_a_reader_explains(fit, reader):
    assert reader.estimator.explains
    assert not fit.estimator.explains
    (each,) = fit.estimator.explain(WINDOWS[:1])
    assert each.grounds is None
    assert each.estimate == fit.estimator.score(WINDOWS[:1])[0]


def test_a_reader_without_annotations_is_refused(tiny_qwen):
    with pytest.raises(DataError, match="no annotation of the training people has a quote"):
        Estimator.fit(WINDOWS, reader_on(tiny_qwen))


def test_a_layer_that_a_reader_cannot_read_is_refused(tiny_qwen):
    used = dataclasses.replace(reader_on(tiny_qwen), reader=ReaderSettings((99,)))
    with pytest.raises(ModelError, match=r"layer 99 was asked for.*correct reader\.layers"):
        Estimator.fit(WINDOWS, used)
