"""Published tables with one person a row: a cell, an age, annotations that name a row.

Owns what the tables of several data sets have in common. Does not know a column's meaning.
"""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from sottovoce.annotations import Annotation, annotation_from, quotes_from
from sottovoce.conversations import located, read_json_lines, record_of
from sottovoce.errors import DataError, describe
from sottovoce.instruments import Instrument
from sottovoce.readers.answers import total_points

YOUNGEST = 18
"""Years. Both studies asked adults; dep-wor's file has one 2 and otherwise 20 and over, so an age
below this is a slip of the keyboard and counts as not given."""


def cell(row: Mapping[str, str], column: str) -> str:
    """Give a cell.

    Raises
    ------
    DataError
        If the table lacks the column.
    """
    if column not in row:
        raise DataError(
            "the file has no such column", field=column, fix="give the file as it is published"
        )
    return row[column]


def adult_age(value: object, *, field: str) -> float | None:
    """Read an age in years; a blank and an age below `YOUNGEST` are None."""
    age = total_points(value, field=field)
    return None if age is None or age < YOUNGEST else age


def recorded_annotations(folder: Path, used: Instrument, prefix: str = "") -> dict[str, Annotation]:
    """Read `annotations.jsonl` and `evidence.jsonl` beside a table, as far as they are there.

    Parameters
    ----------
    folder
        Where the table lies.
    used
        The questionnaire that the annotator stood in for.
    prefix
        Put before the 0-based data row to name the person.

    Raises
    ------
    DataError
        With file and line, where a line is no annotation.
    """
    quotes = {
        row: quotes_from(fields.get("evidence"))
        for row, fields in annotated_rows(folder / "evidence.jsonl").items()
    }
    said, path = {}, folder / "annotations.jsonl"
    for row, fields in annotated_rows(path).items():
        user = f"{prefix}{row}"
        try:
            annotation = annotation_from({**fields, "user_id": user}, used.key)
        except DataError as error:
            raise located(error, path, None) from None
        said[user] = replace(annotation, quotes=quotes.get(row, ()))
    return said


def annotated_rows(path: Path) -> dict[int, dict[str, Any]]:
    """Read what a file says of each 0-based data row; nothing where there is no such file.

    Raises
    ------
    DataError
        With file and line, where a line names no row.
    """
    if not path.is_file():
        return {}
    found: dict[int, dict[str, Any]] = {}
    for line, record in read_json_lines(path):
        row = record_of(record).get("row")
        if isinstance(row, bool) or not isinstance(row, int) or row in found:
            raise DataError(
                "the row was named before" if row in found else f"it is {describe(row)}",
                path=path,
                line=line,
                field="row",
                fix="give each 0-based row of the table once",
            )
        found[row] = record_of(record)
    return found
