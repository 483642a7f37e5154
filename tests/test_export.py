import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from tests import tiny, tuning
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    LlamaConfig,
    LlamaModel,
    Qwen3_5TextForSequenceClassification,
)

from sottovoce import toy
from sottovoce.artefact import read_artefact
from sottovoce.errors import DataError, ModelError
from sottovoce.estimator import Estimator
from sottovoce.export import export
from sottovoce.model_input import Renderer, Rendering, tokenizer_fingerprint
from sottovoce.settings import HeadSettings

TRAINING = Path(__file__).parents[1] / "docs" / "training.md"
WINDOWS = tiny.labelled_windows(8)
LONG = tiny.window("long", tiny.SAYINGS * 9)


@pytest.fixture(scope="module")
def tiny_llama(tmp_path_factory):
    folder = tmp_path_factory.mktemp("llama")
    torch.manual_seed(3)
    config = LlamaConfig(
        vocab_size=400,
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        pad_token_id=0,
    )
    LlamaModel(config).save_pretrained(folder)
    toy.save_tokenizer(folder)
    return folder


def exported(tmp_path, estimator):
    return export(estimator.save_pretrained(tmp_path / "model"), tmp_path / "exported")


def answers(made, model, windows):
    """Give what the classifier says of each window, asked as the record tells a client to."""
    tokenizer = AutoTokenizer.from_pretrained(made.folder)
    told = dict(made.record["rendering"])
    length, roles = told.pop("max_length"), tuple(told.pop("roles"))
    rendering = Rendering(roles, **told)
    points = []
    for window in windows:
        ids = Renderer.of(tokenizer, rendering, length).render(window).segments[-1].token_ids
        with torch.no_grad():
            points.append(float(model.eval()(input_ids=torch.tensor([ids])).logits.squeeze()))
    return np.array(points)


@pytest.mark.parametrize("method", ["lora", "full"])
@pytest.mark.parametrize("folder", ["tiny_qwen", "tiny_composite_qwen", "tiny_llama"])
def test_transformers_own_class_gives_the_estimators_score_but_for_the_offset(
    folder, method, request, tmp_path
):
    estimator = tuning.untrained_estimator(request.getfixturevalue(folder), method)
    made = exported(tmp_path, estimator)
    model, loading = AutoModelForSequenceClassification.from_pretrained(
        made.folder, output_loading_info=True
    )
    assert not any(loading.values())
    windows = [*WINDOWS, LONG]
    tokenizer, rendering = AutoTokenizer.from_pretrained(made.folder), tuning.RENDERING
    assert len(Renderer.of(tokenizer, rendering, 512).render(LONG).segments) > 1
    raw = answers(made, model, windows) + made.record["offset"]
    assert np.ptp(raw) > 0.1
    scores = [each.score for each in estimator.score(windows)]
    np.testing.assert_allclose(np.clip(raw, 0, 27), scores, atol=2e-4)
    assert ((raw > 0) & (raw < 27)).all()


@pytest.mark.parametrize("folder", ["tiny_qwen", "tiny_composite_qwen"])
def test_the_folder_is_text_only_under_the_names_that_vllm_knows(folder, request, tmp_path):
    made = exported(tmp_path, tuning.untrained_estimator(request.getfixturevalue(folder)))
    config = json.loads((made.folder / "config.json").read_text("utf-8"))
    assert config["architectures"] == ["Qwen3_5ForSequenceClassification"]
    assert (config["problem_type"], config["num_labels"]) == ("regression", 1)
    assert (config["model_type"], config["hidden_size"]) == ("qwen3_5_text", 32)
    assert config["pad_token_id"] is None
    tensors = load_file(made.folder / "model.safetensors")
    shell = Qwen3_5TextForSequenceClassification.from_pretrained(made.folder)
    assert {name: each.shape for name, each in tensors.items()} == {
        name: each.shape for name, each in shell.state_dict().items()
    }
    assert tensors["score.weight"].shape == (1, 32)
    assert {name.split(".")[0] for name in tensors} == {"model", "score"}
    assert not any("visual" in name or "lora" in name for name in tensors)


def test_the_record_says_all_that_a_client_needs(tiny_qwen, tmp_path):
    estimator = tuning.untrained_estimator(tiny_qwen)
    made = exported(tmp_path, estimator)
    record = json.loads((made.folder / "sottovoce.json").read_text("utf-8"))
    assert record == json.loads(json.dumps(made.record))
    assert record["model_id"] == estimator.model_id
    assert (record["instrument"], record["minimum"], record["maximum"]) == ("phq-9", 0, 27)
    body = read_artefact(tmp_path / "model").body
    expected = body.head.mean + body.head.scale * body.parameters["total.bias"][0]
    assert record["offset"] == pytest.approx(expected)
    assert record["fingerprints"]["rendering"] == tuning.RENDERING.fingerprint
    tokenizer = AutoTokenizer.from_pretrained(made.folder)
    assert record["fingerprints"]["tokenizer"] == tokenizer_fingerprint(tokenizer)
    assert record["markers"]["user"] == ["user: ", "\n"]
    assert "not run" in record["not_run"]
    words = shlex.split(made.serve)
    assert words[:3] == ["vllm", "serve", str(made.folder)]
    pooler = json.loads(words[words.index("--pooler-config") + 1])
    assert pooler == {"seq_pooling_type": "LAST", "use_activation": False}


def test_the_client_of_the_docs_gives_the_estimators_estimate(tiny_qwen, tmp_path):
    estimator = tuning.untrained_estimator(tiny_qwen)
    made = exported(tmp_path, estimator)
    model = AutoModelForSequenceClassification.from_pretrained(made.folder)
    (code,) = re.findall(r"```python\n(.*?)```", TRAINING.read_text("utf-8"), re.DOTALL)
    code = code.replace("runs/mine", str(tmp_path / "model")).replace("exported", str(made.folder))
    names = {"window": WINDOWS[0], "asked": lambda ids: model(torch.tensor([ids])).logits.item()}
    exec(code.replace("answer = ...", "answer = asked(token_ids)"), names)
    (expected,) = estimator.score(WINDOWS[:1])
    found = names["estimate"]
    assert found.model_id == expected.model_id
    assert (found.score, found.lower, found.upper) == pytest.approx(
        (expected.score, expected.lower, expected.upper), abs=2e-4
    )


@pytest.mark.parametrize(
    "backbone",
    [{"dtype": "bfloat16"}, {"quantization": "nf4"}, {"dtype": "bfloat16", "quantization": "nf4"}],
    ids=["bfloat16", "nf4", "nf4 and bfloat16"],
)
def test_weights_that_merging_rounds_score_nearly_alike(backbone, tiny_qwen, tmp_path):
    estimator = tuning.untrained_estimator(tiny_qwen, **backbone)
    made = exported(tmp_path, estimator)
    tensors = load_file(made.folder / "model.safetensors")
    kept = getattr(torch, backbone.get("dtype", "float32"))
    assert {each.dtype for name, each in tensors.items() if name != "score.weight"} == {kept}
    model = AutoModelForSequenceClassification.from_pretrained(made.folder, dtype=torch.float32)
    raw = answers(made, model, WINDOWS) + made.record["offset"]
    assert np.abs(raw - estimator.predict(WINDOWS)).max() < 0.1 < np.ptp(raw)


@pytest.mark.parametrize(
    ("head", "sentence"),
    [
        (HeadSettings(pooling="user_mean"), "its head pools by user_mean; train with"),
        (HeadSettings(pooling="last", outputs="items"), "its head gives items; train with"),
        (HeadSettings(pooling="last", outputs="both"), "its head gives items; train with"),
        (HeadSettings(pooling="last", loss="ordinal"), "adds up the chances of cut-offs; train"),
    ],
)
def test_a_head_that_is_more_than_one_linear_score_is_refused(head, sentence, tiny_qwen, tmp_path):
    with pytest.raises(ModelError, match=f"cannot be written as a classifier: .*{sentence}"):
        exported(tmp_path, tuning.untrained_estimator(tiny_qwen, head=head))
    assert not (tmp_path / "exported").exists()


def test_a_probe_and_an_ensemble_are_refused(tiny_run, tmp_path, monkeypatch):
    with pytest.raises(ModelError, match="a probe reads inner layers; fine-tune a backbone"):
        export(tiny_run, tmp_path / "exported")
    monkeypatch.setattr(Estimator, "from_pretrained", lambda folder: object())
    with pytest.raises(ModelError, match="an ensemble is several models; export its members"):
        export(tiny_run, tmp_path / "exported")


def test_a_backbone_without_such_a_class_is_refused(tiny_bert, tmp_path):
    with pytest.raises(ModelError, match="no classifier for bert that scores the last token"):
        exported(tmp_path, tuning.untrained_estimator(tiny_bert))


def test_only_an_export_is_replaced(tiny_qwen, tmp_path):
    estimator = tuning.untrained_estimator(tiny_qwen)
    first = exported(tmp_path, estimator)
    (first.folder / "left-over").touch()
    assert not (exported(tmp_path, estimator).folder / "left-over").exists()
    with pytest.raises(DataError, match="the folder holds other things than an export"):
        export(tmp_path / "model", tmp_path)
    assert (tmp_path / "model").is_dir()
