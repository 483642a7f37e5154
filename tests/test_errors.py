import doctest
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce import errors
from sottovoce.errors import (
    DataError,
    MissingExtraError,
    ModelError,
    RecipeError,
    SottovoceError,
    describe,
    require,
)


def test_the_docstrings_examples_hold():
    assert doctest.testmod(errors).failed == 0


@pytest.mark.parametrize(
    ("where", "sentence"),
    [
        ({}, "it is wrong"),
        ({"fix": "mend it"}, "it is wrong; mend it"),
        ({"path": "a.jsonl"}, "a.jsonl: it is wrong"),
        ({"line": 3}, "line 3: it is wrong"),
        ({"field": "total"}, "field total: it is wrong"),
        ({"path": "a.jsonl", "line": 3}, "a.jsonl, line 3: it is wrong"),
        ({"line": 3, "field": "total"}, "line 3, field total: it is wrong"),
        (
            {"path": "a.jsonl", "line": 3, "field": "total", "fix": "mend it"},
            "a.jsonl, line 3, field total: it is wrong; mend it",
        ),
    ],
)
def test_a_data_error_is_one_sentence_of_what_where_and_the_fix(where, sentence):
    error = DataError("it is wrong", **where)
    assert str(error) == sentence
    parts = {name: getattr(error, name) for name in ("path", "line", "field", "fix")}
    assert {name: value for name, value in parts.items() if value is not None} == where


def test_every_error_is_a_sottovoce_error():
    for kind in (DataError, RecipeError, ModelError, MissingExtraError):
        assert issubclass(kind, SottovoceError)


def test_a_package_that_is_there_is_imported():
    assert require("json", what="reading", extra="x").loads("1") == 1


def test_a_missing_package_names_the_pip_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "absent_package", None)
    for module in ("absent_package", "absent_package.part"):
        with pytest.raises(MissingExtraError) as caught:
            require(module, what="reading Parquet", extra="parquet")
        assert str(caught.value) == (
            "reading Parquet needs a package that is not installed; "
            "run: pip install 'sottovoce[parquet]'"
        )


def test_a_present_package_that_misses_its_own_dependency_is_not_called_missing(
    monkeypatch, tmp_path
):
    (tmp_path / "half_there.py").write_text("import quite_absent\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="quite_absent"):
        require("half_there", what="reading", extra="x")


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (None, "nothing"),
        (True, "true or false"),
        ("", "empty text"),
        ("secret", "text of 6 characters"),
        (5, "a number"),
        (5.5, "a number"),
        ([1], "a list of 1"),
        ((1, 2), "a list of 2"),
        ({"secret": 1}, "an object"),
        (b"secret", "a bytes"),
    ],
)
def test_values_are_described_by_kind_and_size(value, words):
    assert describe(value) == words


@given(st.text("qxz", min_size=3) | st.lists(st.text("qxz", min_size=3), min_size=1))
def test_a_description_never_shows_the_value(value):
    assert not set(describe(value)) & set("qz")
    assert "qx" not in describe(value)
