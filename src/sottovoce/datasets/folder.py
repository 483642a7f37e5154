"""Anybody's own data: a folder of canonical files.

Owns which files are looked for: `chats.jsonl` and `labels.jsonl`; where they are there,
`people.jsonl` (columns for tables by group, and `split`: train, validation, test or unlabelled),
`annotations.jsonl` (a reference beside the questionnaires) and `dataset.json` (title, licence,
where, citation, remarks, simulated). Does not know the lines (`conversations`, `people`).
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sottovoce.annotations import annotations_by_person
from sottovoce.conversations import (
    QuestionnaireResponse,
    located,
    open_data,
    read_chats,
    read_labels,
    record_of,
)
from sottovoce.datasets.dataset import ANNOTATOR, FACTS, PARTS, Dataset, Part, Source
from sottovoce.datasets.places import corpus_folder
from sottovoce.errors import DataError, describe
from sottovoce.instruments import Instrument
from sottovoce.instruments import instrument as find_instrument
from sottovoce.people import read_people

UNSAID = Source(
    "not said by those who hold the data", "not said", "not said by those who hold the data"
)


def opened(path: str | Path | None, instrument: str | None = None) -> Dataset:
    """Open a folder of canonical files."""
    folder = corpus_folder(path, "folder")
    labels = tuple(read_labels(folder / "labels.jsonl"))
    used = _instrument(labels, instrument, folder / "labels.jsonl")
    people, parts = _people(folder / "people.jsonl")
    notes = folder / "annotations.jsonl"
    said = annotations_by_person(notes, used.key) if notes.is_file() else {}
    facts = _facts(folder / FACTS)
    return Dataset(
        name="folder",
        title=facts.get("title", folder.resolve().name),
        instrument=used,
        conversations=tuple(read_chats(folder / "chats.jsonl")),
        labels=labels,
        source=Source(*(facts.get(key, getattr(UNSAID, key)) for key in _SOURCE)),
        parts=parts,
        people=people,
        references={ANNOTATOR: {user: each.total for user, each in said.items()}} if said else {},
        annotations=said,
        simulated=facts.get("simulated", False),
        remarks=tuple(facts.get("remarks", ())),
    )


def _instrument(
    labels: tuple[QuestionnaireResponse, ...], named: str | None, path: Path
) -> Instrument:
    """Give the questionnaire that was named, or the only one that the labels are of."""
    found = dict.fromkeys(each.instrument for each in labels)
    if named is None and len(found) > 1:
        raise DataError(
            f"the labels are of {', '.join(found)}", path=path, fix="name the one that is estimated"
        )
    if named is not None and named not in found:
        raise DataError(
            f"no label is of {find_instrument(named).title}", path=path, fix="name another"
        )
    return find_instrument(named or next(iter(found)))


def _people(path: Path) -> tuple[dict[str, dict[str, object]], dict[str, Part]]:
    """Read columns and parts; a person without a part is in none, unless nobody has one."""
    if not path.is_file():
        return {}, {}
    people, parts = read_people(path), {}
    for columns in people.values():
        split = columns.get("split")
        if split is not None and split not in PARTS:
            raise DataError(
                f"a split is {describe(split)}",
                path=path,
                field="split",
                fix=f"use {', '.join(PARTS)}",
            )
    for user, columns in people.items():
        if (split := columns.pop("split", None)) is not None:
            parts[user] = next(part for part in PARTS if part == split)
    return people, parts


_SOURCE = ("licence", "where", "citation")


def _facts(path: Path) -> dict[str, Any]:
    """Read what the folder says of itself; nothing where it says nothing."""
    if not path.is_file():
        return {}
    with open_data(path) as stream:
        try:
            facts = record_of(json.loads(stream.read()))
        except ValueError:
            raise DataError("it is not JSON", path=path, fix="write one object") from None
        except DataError as error:
            raise located(error, path, None) from None
    for key, (fits, wanted) in _FORMS.items():
        if facts.get(key) is not None and not fits(facts[key]):
            raise DataError(
                f"it is {describe(facts[key])}", path=path, field=key, fix=f"give {wanted}"
            )
    return {key: facts[key] for key in _FORMS if facts.get(key) is not None}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value.strip())


_FORMS: dict[str, tuple[Callable[[object], bool], str]] = {
    **dict.fromkeys(("title", *_SOURCE), (_is_text, "a text")),
    "simulated": (lambda value: isinstance(value, bool), "true or false"),
    "remarks": (
        lambda value: isinstance(value, list) and all(map(_is_text, value)),
        "a list of texts",
    ),
}
"""Key of `dataset.json` to what fits it, and what to give instead of what does not."""
