"""A cohort of tiny.py's people as files, and recipes that train on them in a second."""

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests import tiny

from sottovoce.annotations import write_annotations
from sottovoce.conversations import conversation_record, response_record, write_json_lines
from sottovoce.errors import RecipeError

PEOPLE = 24
TURNS = {"roles": ["user", "assistant"], "layout": "turns"}
FINETUNE: dict[str, Any] = {
    "lora": {"rank": 4},
    "schedule": {
        "epochs": 2,
        "learning_rate": 0.01,
        "head_learning_rate": 0.01,
        "batch_size": 8,
        "batch_tokens": 512,
        "checkpoint_steps": 1,
    },
    "folds": 2,
}
"""Fine-tuning of a tiny backbone in a second; goes with `probe=None`."""

READER: dict[str, Any] = {
    "probe": None,
    "reader": {"layers": [1, 4], "penalty": 0.01, "folds": 3},
    "data": {"annotations": "annotations.jsonl"},
}
"""An evidence reader on the people of `write_annotated`."""

HELD_IN_A_RUN = {
    "MODEL_CARD.md",
    "data.json",
    "environment.json",
    "metrics.json",
    "model/estimator.json",
    "model/estimator.safetensors",
    "predictions.jsonl",
    "recipe.yaml",
    "report.html",
}
"""Files of one estimator's run."""


def refused(read, path) -> str:
    """Read a recipe that cannot be used and give the sentence without the path before it."""
    with pytest.raises(RecipeError) as caught:
        read(path)
    sentence = str(caught.value)
    assert sentence.startswith(f"{path}: ")
    assert "\n" not in sentence
    return sentence.removeprefix(f"{path}: ")


def write_people(folder: Path, n: int = PEOPLE) -> tuple[Path, Path]:
    """Write chats.jsonl, labels.jsonl and people.jsonl; the last third has the split `held`."""
    windows = tiny.labelled_windows(n)
    chats, labels = folder / "chats.jsonl", folder / "labels.jsonl"
    write_json_lines(chats, (conversation_record(tiny.conversation(each)) for each in windows))
    write_json_lines(labels, (response_record(each.label) for each in windows))
    rows = [
        {"user_id": each.user_id, "split": "held" if number >= n * 2 // 3 else "fit"}
        for number, each in enumerate(windows)
    ]
    write_json_lines(folder / "people.jsonl", rows)
    return chats, labels


def write_annotated(folder: Path, n: int = PEOPLE) -> Path:
    """Write annotations.jsonl of the same people, and of one who is not among them."""
    said = [*tiny.annotated(tiny.labelled_windows(n)).values()]
    stranger = replace(said[0], user_id="nobody-here")
    write_annotations(folder / "annotations.jsonl", [stranger, *said, stranger])
    return folder / "annotations.jsonl"


def recipe(named: Path | str = "a-backbone", /, **changes: Any) -> dict[str, Any]:
    """Give a recipe; a change of a section is merged into it, None takes a section away."""
    whole: dict[str, Any] = {
        "name": "tiny",
        "data": {"chats": "chats.jsonl", "labels": "labels.jsonl"},
        "backbone": {"name": str(named)},
        "probe": {"poolings": ["mean"], "layers": [1, 4], "penalties": [0.1, 1.0], "folds": 3},
    }
    whole = copy.deepcopy(whole)
    for key, change in changes.items():
        if isinstance(change, dict) and isinstance(whole.get(key), dict):
            whole[key] |= change
        elif change is None:
            del whole[key]
        else:
            whole[key] = change
    return whole


def write_recipe(folder: Path, named: Path | str = "a-backbone", /, **changes: Any) -> Path:
    path = folder / "recipe.yaml"
    path.write_text(yaml.safe_dump(recipe(named, **changes), sort_keys=False), "utf-8")
    return path


def write_ensemble(
    folder: Path, members: dict[str, dict[str, Any]], coverage: float = 0.9, **section: Any
) -> Path:
    """Write NAME.yaml for each member, its changes over `recipe`, and ensemble.yaml."""
    for name, changes in members.items():
        fields = {"name": name} | changes
        backbone = fields.pop("on", "a-backbone")
        whole = recipe(backbone, **fields)
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(whole, sort_keys=False), "utf-8")
    listed = {"members": [f"{name}.yaml" for name in members]} | section
    path = folder / "ensemble.yaml"
    path.write_text(
        yaml.safe_dump({"name": "both", "ensemble": listed, "coverage": coverage}), "utf-8"
    )
    return path
