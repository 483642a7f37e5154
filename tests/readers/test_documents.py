import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sottovoce.conversations import MAX_LINE_BYTES
from sottovoce.errors import DataError
from sottovoce.readers import documents
from sottovoce.readers.documents import read_documents, read_objects

VALUES = st.dictionaries(
    st.text(st.characters(codec="utf-8", exclude_characters="\x00"), max_size=8),
    st.recursive(
        st.none() | st.booleans() | st.integers(-9, 10**9) | st.text('ab"\\\n{}[],é😀', max_size=9),
        lambda inner: st.lists(inner, max_size=3),
        max_leaves=5,
    ),
    max_size=4,
)


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    return tmp_path_factory.mktemp("documents") / "in.json"


@settings(max_examples=60, deadline=None)
@given(
    values=st.lists(VALUES, min_size=1, max_size=5),
    array=st.booleans(),
    indent=st.sampled_from([None, 1]),
    chunk=st.integers(1, 40),
)
def test_any_layout_gives_the_values_whatever_the_chunk(path, values, array, indent, chunk):
    ascii_ = chunk % 2 == 0
    if array:
        text = json.dumps(values, indent=indent, ensure_ascii=ascii_)
    else:
        text = "\n".join(json.dumps(each, indent=indent, ensure_ascii=ascii_) for each in values)
    path.write_text(text, encoding="utf-8")
    before, documents.CHUNK_BYTES = documents.CHUNK_BYTES, chunk
    try:
        assert [value for _, value in read_documents(path)] == values
    finally:
        documents.CHUNK_BYTES = before


def test_the_line_is_where_the_value_begins(path):
    path.write_text('\n[\n {"a":\n 1},\n\n {"b": 2}\n]\n', encoding="utf-8")
    assert list(read_documents(path)) == [(3, {"a": 1}), (6, {"b": 2})]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "the file is empty"),
        (b" \n ", "the file is empty"),
        (b"[]", "line 1: the list is empty"),
        (b'[{"a": 1}', "line 1: the JSON ends too early"),
        (b'[{"a": 1},', "line 1: the JSON ends too early"),
        (b'[{"a": "secr', "line 1: the JSON ends too early"),
        (b'{"a": 1}\n{"a": "secr', "line 2: the JSON ends too early"),
        (b'{"a": 1}\n{"a": \n{"b": 2}', "line 2: the JSON ends too early"),
        (b'{"a": 1} secret', "line 1: not JSON"),
        (b'[{"a": 1} {"a": 2}]', "line 1: not JSON"),
        (b'[{"a": 1}] secret', "line 1: something follows the end of the list"),
        (b'{"a": NaN}', "line 1: NaN is not a number"),
        (b'[{"a": -Infinity}]', "line 1: -Infinity is not a number"),
        (b'{"a": ' + b"9" * 5000 + b"}", "line 1: a number has too many digits"),
        (b'{"a": ' + b"[" * 100_000, "line 1: the JSON is nested too deeply"),
        (b'{"a": "\x00"}', "line 1: the file is binary"),
        (b'{"a": "\xff"}', "line 1: a byte is not UTF-8"),
        (b"\xff\xfe{", "line 1: a byte is not UTF-8"),
        (b"[1, 2]", "line 1: this is a number"),
        (b"12345", "line 1: this is a number"),
        (b'"secret"', "line 1: this is text of 6 characters"),
    ],
)
def test_what_is_not_json_objects_is_refused_in_one_sentence(path, content, problem):
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        list(read_objects(path))
    assert str(caught.value).split(f"{path}")[1].lstrip(":, ").startswith(problem)
    assert "secr" not in str(caught.value).replace(str(path), "")


def test_a_value_longer_than_the_limit_is_refused(path):
    with path.open("wb") as stream:
        stream.write(b'[{"a": "')
        for _ in range(5):
            stream.write(b"x" * (MAX_LINE_BYTES // 4))
    with pytest.raises(DataError, match="one value is longer than 32 MiB"):
        list(read_documents(path))


def test_a_byte_order_mark_is_passed_over(path):
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}')
    assert list(read_documents(path)) == [(1, {"a": 1})]
