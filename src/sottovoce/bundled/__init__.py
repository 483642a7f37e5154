"""The cohort that comes with the package: 480 simulated people, their chats and questionnaires.

Owns where the files lie and which labels training may read. Every word of it is simulated; see
`dialogues/DATASHEET.md`. Does not know windows or models.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Literal

from sottovoce.annotations import Annotation, read_annotations, read_quotes, with_quotes
from sottovoce.conversations import (
    Conversation,
    QuestionnaireResponse,
    read_chats,
    read_json_lines,
    read_labels,
)
from sottovoce.errors import DataError
from sottovoce.instruments import PHQ_9

Split = Literal["train", "unlabelled", "test"]
SPLITS: tuple[Split, ...] = ("train", "unlabelled", "test")
NAME = "dialogues (simulated)"
FOLDER = Path(__file__).parent / "dialogues"
CHATS = FOLDER / "chats.jsonl"
LABELS = FOLDER / "labels.jsonl"
PEOPLE = FOLDER / "people.jsonl"
ANNOTATIONS = FOLDER / "annotations.jsonl"
EVIDENCE = FOLDER / "evidence.jsonl"


@cache
def people() -> Mapping[str, Mapping[str, Any]]:
    """Give each person's row of `people.jsonl`: split and persona. Never model input."""
    rows: dict[str, Mapping[str, Any]] = {}
    for _, record in read_json_lines(PEOPLE):
        assert isinstance(record, dict)
        rows[record["user_id"]] = record
    return rows


def users(split: Split) -> frozenset[str]:
    """Give the people of a split."""
    return frozenset(user for user, row in people().items() if row["split"] == split)


def conversations(split: Split) -> list[Conversation]:
    """Give the conversations of a split's people."""
    wanted = users(split)
    return [each for each in read_chats(CHATS) if each.user_id in wanted]


def labels(split: Split) -> list[QuestionnaireResponse]:
    """Give the questionnaires of a split's people.

    Raises
    ------
    DataError
        For the split `unlabelled`, whose labels exist for analysis and are not to be read here.
    """
    if split == "unlabelled":
        raise DataError(
            "the people of the split unlabelled have no labels to read", fix="use train or test"
        )
    wanted = users(split)
    return [each for each in read_labels(LABELS) if each.user_id in wanted]


def annotator_totals() -> dict[str, float]:
    """Give the recorded reasoning-model annotator's total for each person, in points."""
    return {row["user_id"]: float(row["total"]) for row in _rows(ANNOTATIONS)}


def annotations(split: Split) -> list[Annotation]:
    """Give the recorded annotator's readings of a split's people, with the quotes it marked."""
    wanted, quotes = users(split), read_quotes(EVIDENCE)
    recorded = read_annotations(ANNOTATIONS, PHQ_9.key)
    return with_quotes((each for each in recorded if each.user_id in wanted), quotes)


def state_totals() -> dict[str, float]:
    """Give the total of the state that each chat's writer was given: the noise ceiling only."""
    return {row["user_id"]: float(sum(row["state_items"])) for row in _rows(LABELS)}


def _rows(path: Path) -> list[dict[str, Any]]:
    rows = []
    for _, record in read_json_lines(path):
        assert isinstance(record, dict)
        rows.append(record)
    return rows
