"""The shelf: finished stages in a folder, so that a self-training that was killed goes on.

Owns a stage's files and what makes it the same stage again. Does not know how a stage is made.
"""

import hashlib
import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sottovoce.annotations import annotation_record
from sottovoce.cohort import Window
from sottovoce.conversations import read_json_lines, write_json_lines
from sottovoce.ensemble import Ensemble
from sottovoce.errors import SottovoceError
from sottovoce.estimates import estimate_record
from sottovoce.estimator import Estimator, Fit
from sottovoce.material import Material, SelfTraining
from sottovoce.settings import EstimatorSettings
from sottovoce.stages import Stage
from sottovoce.teaching import Labels, Taught

FORMAT_VERSION = 1
RECORD, TENSORS, LABELS, MODEL = "stage.json", "stage.safetensors", "pseudolabels.jsonl", "model"
PREDICTIONS = "predictions.jsonl"

_NOT_A_STAGE = (OSError, ValueError, KeyError, TypeError, AttributeError, SottovoceError)


def identity(
    material: Material, members: Mapping[str, EstimatorSettings], plan: SelfTraining
) -> str:
    """Hash everything that decides the stages: people, annotations, members, plan.

    The order of the stages is left out: each stage's key holds the names of those before it.
    """
    digest = hashlib.sha256(f"format {FORMAT_VERSION}".encode())
    decided = {**asdict(plan), "stages": None}
    settings = {name: each.record for name, each in members.items()}
    digest.update(json.dumps([settings, decided], sort_keys=True).encode())
    for part in (material.training, material.pool, material.test):
        digest.update(f"people {len(part)}".encode())
        for window in part:
            total = window.label.total if window.label is not None else None
            items = window.label.items if window.label is not None else None
            said = [(each.role, each.content) for each in window.messages]
            digest.update(repr((window.user_id, window.end, total, items, said)).encode())
    for user in sorted(material.annotations):
        digest.update(json.dumps(annotation_record(material.annotations[user])).encode())
    return digest.hexdigest()


class FolderShelf:
    """Stages in a folder, each in one of its own.

    Parameters
    ----------
    folder
        Made when the first stage is kept.
    key
        `identity` of the run: stages of another run are not taken.
    order
        Names of the stages, in order.
    """

    def __init__(self, folder: Path, key: str, order: Sequence[str]) -> None:
        self.folder, self.key, self.order = folder, key, list(order)

    def _key(self, name: str) -> str:
        before = self.order[: self.order.index(name) + 1]
        return hashlib.sha256(json.dumps([self.key, before]).encode()).hexdigest()

    def load(self, name: str) -> Stage | None:
        """Give a stage of the same run, if it was finished; a damaged one is made again."""
        place = self.folder / name
        try:
            record = json.loads((place / RECORD).read_text("utf-8"))
            if record["key"] != self._key(name):
                return None
            return _read(place, name, record)
        except _NOT_A_STAGE:
            return None

    def save(self, stage: Stage, test: Sequence[Window]) -> None:
        """Keep a stage; its folder is there whole or not at all."""
        place = self.folder / stage.name
        partial = place.with_name(f"{stage.name}.partial")
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        _write(partial, stage, test, self._key(stage.name))
        shutil.rmtree(place, ignore_errors=True)
        partial.rename(place)


def _write(place: Path, stage: Stage, test: Sequence[Window], key: str) -> None:
    from safetensors.numpy import save_file

    tensors: dict[str, npt.NDArray[Any]] = {"points": stage.points}
    for name, fit in stage.taught.fits.items():
        tensors |= {
            f"{name}/rows": fit.rows,
            f"{name}/held_out": fit.held_out,
            f"{name}/folds": fit.folds,
        }
    save_file(
        {each: np.ascontiguousarray(array) for each, array in tensors.items()}, place / TENSORS
    )
    labels = stage.labels
    if labels.users:
        lines = zip(labels.users, labels.totals.tolist(), labels.weights.tolist(), strict=True)
        rows = ({"user_id": each[0], "total": each[1], "weight": each[2]} for each in lines)
        write_json_lines(place / LABELS, rows)
    write_json_lines(place / PREDICTIONS, map(estimate_record, stage.estimates(test)))
    stage.scorer.save_pretrained(place / MODEL)
    record = {
        "key": key,
        "stage": stage.name,
        "members": list(stage.taught.fits),
        "trust": stage.taught.trust,
        "blend": stage.taught.blend,
        "labels": len(stage.labels.users),
        "record": dict(stage.record),
        "notes": list(stage.notes),
    }
    text = json.dumps(record, indent=2, allow_nan=False)
    (place / RECORD).write_text(text + "\n", "utf-8")


def _read(place: Path, name: str, record: Mapping[str, Any]) -> Stage:
    from safetensors.numpy import load_file

    tensors = load_file(place / TENSORS)
    scorer = Estimator.from_pretrained(place / MODEL)
    assert isinstance(scorer, Estimator | Ensemble)

    alone = {record["members"][0]: scorer} if isinstance(scorer, Estimator) else {}
    members = scorer.members if isinstance(scorer, Ensemble) else alone
    fits = {
        each: Fit(
            members[each],
            tensors[f"{each}/rows"],
            tensors[f"{each}/held_out"],
            tensors[f"{each}/folds"],
        )
        for each in record["members"]
    }
    labels = _labels(place / LABELS) if record["labels"] else Labels()
    taught = Taught(fits, record["trust"], record["blend"])
    notes = tuple(record["notes"])
    return Stage(name, scorer, taught, labels, tensors["points"], record["record"], notes)


def _labels(path: Path) -> Labels:
    rows = [row for _, row in read_json_lines(path) if isinstance(row, dict)]
    return Labels(
        tuple(row["user_id"] for row in rows),
        np.array([row["total"] for row in rows], dtype=np.float64),
        np.array([row["weight"] for row in rows], dtype=np.float64),
    )
