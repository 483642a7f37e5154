"""The one artefact of an estimator: a JSON record and a safetensors file.

Owns what must be kept together so that training and scoring cannot come apart (window rules,
rendering, backbone, tokenizer, body, calibrator) and refuses parts that do not fit. Does not load
backbones nor score.
"""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from sottovoce.body import Body, Tensors
from sottovoce.cohort import WindowRules
from sottovoce.conformal import PredictiveDistribution
from sottovoce.errors import DataError, ModelError
from sottovoce.evidence import EvidenceReader
from sottovoce.instruments import instrument
from sottovoce.model_input import Rendering
from sottovoce.probe import Probe, ProbeSearch
from sottovoce.settings import (
    BackboneSettings,
    EstimatorSettings,
    ProbeSettings,
    ReaderSettings,
    finetune_from,
)
from sottovoce.tuned import TunedBody

FORMAT_VERSION = 1
RECORD_FILE = "estimator.json"
TENSOR_FILE = "estimator.safetensors"

BODIES: Mapping[str, Callable[[Mapping[str, Any], Tensors], Body]] = {
    "probe": Probe.rebuild,
    "finetune": TunedBody.rebuild,
    "reader": EvidenceReader.rebuild,
}
"""How a body is rebuilt from its record and tensors, by its kind."""


@dataclass(frozen=True, slots=True)
class Artefact:
    """An estimator without its backbone.

    Parameters
    ----------
    settings
        What it was made with.
    body
        The fitted body.
    distribution
        The calibrator.
    fingerprints
        Of `backbone`, `tokenizer` and `rendering` at training time.
    training
        Facts of the training: numbers of people and windows.
    """

    settings: EstimatorSettings
    body: Body
    distribution: PredictiveDistribution
    fingerprints: Mapping[str, str]
    training: Mapping[str, Any]

    @property
    def tensors(self) -> Tensors:
        """Everything numeric, by name."""
        return {**self.body.tensors, "calibrator.residuals": self.distribution.residuals}

    @property
    def record(self) -> dict[str, Any]:
        """Everything else, as JSON values."""
        return {
            "format": "sottovoce-estimator",
            "format_version": FORMAT_VERSION,
            "settings": self.settings.record,
            "body": self.body.record,
            "fingerprints": dict(self.fingerprints),
            "training": dict(self.training),
            "tensors_sha256": _tensor_hash(self.tensors),
        }

    @property
    def model_id(self) -> str:
        """Body, backbone and a hash of record and tensors; where a backbone lies does not count."""
        name = Path(self.settings.backbone.name).name
        record = self.record
        record["settings"]["backbone"]["name"] = name
        digest = hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()
        return f"{self.body.kind}-{name}-{digest[:12]}"


def write_artefact(artefact: Artefact, folder: Path) -> None:
    """Write `estimator.json` and `estimator.safetensors`."""
    from safetensors.numpy import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(dict(artefact.tensors), folder / TENSOR_FILE)
    record = {**artefact.record, "model_id": artefact.model_id}
    text = json.dumps(record, indent=2, allow_nan=False) + "\n"
    (folder / RECORD_FILE).write_text(text, "utf-8")


def read_artefact(folder: Path) -> Artefact:
    """Read an artefact from its folder or from a run folder's `model/`.

    Raises
    ------
    ModelError
        If a file is missing or damaged, or the parts do not fit; the sentence says which.
    """
    if not (folder / RECORD_FILE).is_file() and (folder / "model" / RECORD_FILE).is_file():
        folder = folder / "model"
    for name in (RECORD_FILE, TENSOR_FILE):
        if not (folder / name).is_file():
            raise ModelError(
                f"{folder}: {name} is missing; name a folder that sottovoce train wrote, or copy "
                "it anew"
            )
    record = _read_record(folder)
    tensors = _read_tensors(folder)
    try:
        return _rebuild(record, tensors)
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ModelError(
            f"{folder}: the estimator's record is incomplete ({error}); copy it anew"
        ) from None
    except DataError as error:
        raise ModelError(
            f"{folder}: the estimator's record does not hold together ({error}); copy it anew"
        ) from None


def _read_record(folder: Path) -> dict[str, Any]:
    try:
        record = json.loads((folder / RECORD_FILE).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        raise ModelError(f"{folder}: {RECORD_FILE} is damaged; copy it anew") from None
    found = record.get("format_version") if isinstance(record, dict) else None
    if found != FORMAT_VERSION:
        raise ModelError(
            f"{folder}: the estimator has format {found}, this version reads format "
            f"{FORMAT_VERSION}; train again or install the version that wrote it"
        )
    assert isinstance(record, dict)
    return record


def _read_tensors(folder: Path) -> Tensors:
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return load_file(folder / TENSOR_FILE)
    except (OSError, SafetensorError, KeyError, TypeError):  # the last two: no number type of numpy
        raise ModelError(f"{folder}: {TENSOR_FILE} is damaged; copy it anew") from None


def refuse_mismatch(what: str, expected: str, found: str) -> None:
    """Raise ModelError naming the part whose fingerprint is not the one of training."""
    if expected != found:
        raise ModelError(
            f"the {what} is not the one that the estimator was trained with (expected "
            f"{expected[:12]}…, found {found[:12]}…); restore it or train again"
        )


def _rebuild(record: dict[str, Any], tensors: Tensors) -> Artefact:
    refuse_mismatch("set of weights", record["tensors_sha256"], _tensor_hash(tensors))
    settings = _settings_from(record["settings"])
    refuse_mismatch(
        "rendering", record["fingerprints"]["rendering"], settings.rendering.fingerprint
    )
    body = BODIES[record["body"]["kind"]](record["body"], tensors)
    distribution = PredictiveDistribution.from_residuals(tensors["calibrator.residuals"])
    artefact = Artefact(settings, body, distribution, record["fingerprints"], record["training"])
    refuse_mismatch("record", record["model_id"], artefact.model_id)
    return artefact


def _settings_from(record: dict[str, Any]) -> EstimatorSettings:
    rendering = record["rendering"]
    return EstimatorSettings(
        instrument=instrument(record["instrument"]).key,
        rules=WindowRules(**record["rules"]),
        rendering=Rendering(**{**rendering, "roles": tuple(rendering["roles"])}),
        backbone=BackboneSettings(**record["backbone"]),
        probe=_probe_from(record["probe"]) if "probe" in record else ProbeSettings(),
        coverage=record["coverage"],
        seed=record["seed"],
        finetune=finetune_from(record["finetune"]) if "finetune" in record else None,
        reader=_reader_from(record["reader"]) if "reader" in record else None,
    )


def _probe_from(record: dict[str, Any]) -> ProbeSettings:
    return ProbeSettings(
        tuple(record["poolings"]),
        tuple(record["layers"]),
        ProbeSearch(tuple(record["search"]["penalties"]), record["search"]["n_averaged"]),
        record["n_folds"],
    )


def _reader_from(record: dict[str, Any]) -> ReaderSettings:
    return ReaderSettings(**{**record, "layers": tuple(record["layers"])})


def _tensor_hash(tensors: Tensors) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        array = np.ascontiguousarray(tensors[name])
        digest.update(f"{name}{array.dtype}{array.shape}".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()
