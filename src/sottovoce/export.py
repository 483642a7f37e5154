"""A fine-tuned estimator as a plain Hugging Face classifier, which other servers load.

Owns which estimators can be written so, the names of the weights, and the record beside them. Does
not know how it is served, nor intervals: those stay with the estimator (`Scorer.estimate`).

References
----------
vLLM 0.33, read in its source and not run: names of classes, pooling, the answer of /classify.
"""

import json
import shlex
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sottovoce.adapter import apply_weights
from sottovoce.backbones import Backbone, quiet
from sottovoce.errors import ModelError
from sottovoce.estimator import Estimator
from sottovoce.model_input import turn_markers
from sottovoce.scorer import Scorer
from sottovoce.train import whole_folder, write_json
from sottovoce.tuned import TunedBody

RECORD_FILE = "sottovoce.json"

SERVED_AS = {"Qwen3_5TextForSequenceClassification": "Qwen3_5ForSequenceClassification"}
"""Names of classes that differ between transformers and vLLM 0.33. Under a name that it does not
know, vLLM falls back to another pooling without a word."""

POOLER = {"seq_pooling_type": "LAST", "use_activation": False}
"""The last token's state, and the score as it is."""

NOT_RUN = "vLLM was not installed where this was written: the command was not run"


@dataclass(frozen=True, slots=True)
class Export:
    """An exported estimator.

    Parameters
    ----------
    folder
        Holds config.json, weights, tokenizer and the record.
    record
        What a client needs besides: see `docs/training.md`.
    """

    folder: Path
    record: Mapping[str, Any]

    @property
    def serve(self) -> str:
        """The command that serves it."""
        return str(self.record["serve"]).replace("DIR", shlex.quote(str(self.folder)), 1)


def export(model: str | Path, out: str | Path) -> Export:
    """Write an estimator as a sequence classifier with one output.

    Its output is the total in points but for an offset: the class has no bias, so the head's
    scale is in `score.weight`, and its bias, the mean of the training totals and the range stand
    in `sottovoce.json`. Adapters are in the weights.

    Parameters
    ----------
    model
        Run folder or artefact.
    out
        Folder to write; replaced if it is an export already. It is there whole or not at all.

    Raises
    ------
    ModelError
        If the estimator cannot be read or says more than one linear score of the last token.
    DataError
        If the folder cannot be written.
    """
    estimator, body = _expressible(Estimator.from_pretrained(model), Path(model))
    backbone = estimator.load_untrained()
    text = _text_model(_merged(estimator, body, backbone))
    config, tensors = _classifier(text, _score_weight(body))
    record = _record(estimator, body, backbone)
    with whole_folder(Path(out), "an export", (RECORD_FILE, "config.json")) as folder:
        _write(folder, config, tensors, backbone.tokenizer)
        write_json(folder / RECORD_FILE, record)
    return Export(Path(out), record)


def _expressible(scorer: Scorer, place: Path) -> tuple[Estimator, TunedBody]:
    """Give an estimator and its body, if one linear score of the last token expresses them."""
    body = scorer.artefact.body if isinstance(scorer, Estimator) else None
    if isinstance(scorer, Estimator) and isinstance(body, TunedBody):
        problem = _problem(body)
        if problem is None:
            return scorer, body
    elif body is not None:
        problem = f"a {body.kind} reads inner layers; fine-tune a backbone instead"
    else:
        problem = "an ensemble is several models; export its members one by one"
    raise ModelError(f"{place}: cannot be written as a classifier: {problem}")


def _problem(body: TunedBody) -> str | None:
    """Say what of a fine-tuned body one linear score of the last token cannot express."""
    if body.pooling != "last":
        return f"its head pools by {body.pooling}; train with finetune.head.pooling last"
    if body.head.outputs != "total":
        return "its head gives items; train with finetune.head.outputs total"
    if body.head.is_ordinal:
        return "its head adds up the chances of cut-offs; train with another finetune.head.loss"
    return None


def _merged(estimator: Estimator, body: TunedBody, backbone: Backbone) -> Any:
    """Give the model with what was trained in its weights, in the backbone's number type."""
    import torch

    settings, model = estimator.settings.backbone, backbone.model
    if settings.quantization is not None:
        with quiet():  # unpacked they are the numbers that training computed with
            model = model.dequantize(getattr(torch, settings.dtype))
    return apply_weights(
        model, body.lora, body.weights, frozen_layers=body.frozen_layers, merge=True
    )


def _text_model(model: Any) -> Any:
    """Give the part that reads text, without the vision tower of a composite model."""
    return getattr(model, "language_model", model)


def _score_weight(body: TunedBody) -> Any:
    """Give the one row of the linear layer, in points, shape (1, hidden_size)."""
    import torch

    return torch.from_numpy(body.parameters["total.weight"][None] * np.float32(body.head.scale))


def _classifier(text: Any, score: Any) -> tuple[Any, dict[str, Any]]:
    """Give configuration and tensors under the names of transformers' own class.

    Raises
    ------
    ModelError
        If transformers has no such class with one linear score of a token.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    config = deepcopy(text.config)
    config.num_labels, config.problem_type = 1, "regression"
    config.pad_token_id = None  # else the class looks for the last token that is no padding by id
    with torch.device("meta"):
        try:
            shell = AutoModelForSequenceClassification.from_config(config)
        except ValueError:  # no class of this model type
            shell = None
    prefix = getattr(shell, "base_model_prefix", "")
    tensors = {f"{prefix}.{name}": each for name, each in text.state_dict().items()}
    tensors["score.weight"] = score
    if shell is None or set(shell.state_dict()) != set(tensors):
        raise ModelError(
            f"transformers has no classifier for {config.model_type} that scores the last token "
            "by one linear layer; use another backbone, such as a causal language model"
        )
    name = type(shell).__name__
    config.architectures = [SERVED_AS.get(name, name)]
    return config, tensors


def _write(folder: Path, config: Any, tensors: Mapping[str, Any], tokenizer: Any) -> None:
    from huggingface_hub import save_torch_state_dict

    apart = {name: each.detach().cpu().contiguous() for name, each in tensors.items()}
    save_torch_state_dict(apart, folder)
    values = {**json.loads(config.to_json_string(use_diff=True)), "num_labels": 1}
    write_json(folder / "config.json", values)
    tokenizer.save_pretrained(folder)


def _record(estimator: Estimator, body: TunedBody, backbone: Backbone) -> dict[str, Any]:
    """Say what a client needs to ask for a score and to read the answer."""
    rendering, dtype = estimator.settings.rendering, estimator.settings.backbone.dtype
    head, bias = body.head, float(body.parameters["total.bias"][0])
    return {
        "format": "sottovoce-export",
        "model_id": estimator.model_id,
        "instrument": estimator.instrument.key,
        "offset": head.mean + head.scale * bias,
        "minimum": head.minimum,
        "maximum": head.maximum,
        "dtype": dtype,
        "rendering": {**asdict(rendering), "max_length": backbone.max_length},
        "markers": turn_markers(backbone.tokenizer, rendering.layout),
        "fingerprints": dict(estimator.artefact.fingerprints),
        "serve": "vllm serve DIR --runner pooling --convert classify --pooler-config "
        f"'{json.dumps(POOLER, separators=(',', ':'))}' --dtype {dtype}",
        "answer": "POST /classify with the token ids of a window's last segment; the score is "
        "data[0].probs[0] + offset, held within minimum and maximum",
        "not_run": NOT_RUN,
    }
