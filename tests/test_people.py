import json

import pytest

from sottovoce.errors import DataError
from sottovoce.people import people_columns, read_people


def write(tmp_path, *records):
    path = tmp_path / "people.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in records), encoding="utf-8")
    return path


def test_people_are_read_by_their_id(tmp_path):
    path = write(tmp_path, {"user_id": "ada", "age": 36}, {"user_id": "ben", "city": "Ulm"})
    assert read_people(path) == {"ada": {"age": 36}, "ben": {"city": "Ulm"}}


def test_people_become_columns_with_holes():
    people = {"ada": {"age": 36}, "ben": {"city": "Ulm"}}
    assert people_columns(people, ["ben", "ada", "cy"]) == {
        "city": ["Ulm", None, None],
        "age": [None, 36, None],
    }


@pytest.mark.parametrize(
    ("records", "found"),
    [
        ([["ada"]], "line 1: this is a list of 1"),
        ([{"user_id": "ada"}, {"age": 3}], "line 2, field user_id: it is nothing"),
        ([{"user_id": "ada"}, {"user_id": "ada"}], "line 2, field user_id: this person stands"),
    ],
)
def test_people_that_cannot_be_read_are_an_error_with_its_line(tmp_path, records, found):
    with pytest.raises(DataError, match=found):
        read_people(write(tmp_path, *records))
