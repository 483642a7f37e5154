"""What is known of people besides what they say: people.jsonl, and its columns for some rows.

Owns reading the file. Does not know what a column means (`evaluation.groups` cuts them into
groups), and nothing of it is ever model input.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from sottovoce.conversations import read_json_lines
from sottovoce.errors import DataError, describe


def read_people(path: str | Path) -> dict[str, dict[str, object]]:
    """Read people.jsonl: one object per person, ``user_id`` and any columns.

    Raises
    ------
    DataError
        With file and line, if a line is no object, has no user_id, or repeats one.
    """
    people: dict[str, dict[str, object]] = {}
    for line, record in read_json_lines(path):
        if not isinstance(record, dict):
            raise DataError(
                f"this is {describe(record)}", path=path, line=line, fix="write a JSON object"
            )
        user = record.get("user_id")
        if not isinstance(user, str) or not user:
            raise DataError(
                f"it is {describe(user)}", path=path, line=line, field="user_id", fix="give a text"
            )
        if user in people:
            raise DataError(
                "this person stands in the file twice",
                path=path,
                line=line,
                field="user_id",
                fix="keep one line per person",
            )
        people[user] = {name: value for name, value in record.items() if name != "user_id"}
    return people


def people_columns(
    people: Mapping[str, Mapping[str, object]], users: Sequence[str]
) -> dict[str, list[object]]:
    """Give each column of people.jsonl for these rows; None where a person has no value."""
    names = dict.fromkeys(name for user in users for name in people.get(user, ()))
    return {name: [people.get(user, {}).get(name) for user in users] for name in names}
