import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sottovoce.annotations import (
    Annotation,
    Quote,
    annotation_from,
    annotation_record,
    annotations_by_person,
    find_quote,
    read_annotations,
    read_quotes,
    with_quotes,
    write_annotations,
)
from sottovoce.conversations import Message
from sottovoce.errors import DataError

NOON = datetime(2025, 5, 1, 12, tzinfo=UTC)
WHOLE = {
    "user_id": "p1",
    "instrument": "phq-9",
    "annotator": "claude",
    "items": [0, 1, 2, 3, 0, 1, 2, 3, 0],
    "total": 12.5,
    "sd": 2.0,
    "n_samples": 3,
    "spread": 1.5,
    "evidence": [{"item": 3, "level": 2, "quote": "awake at four", "trap": "physical cause"}],
}


def said(*texts):
    return [Message("user", text, NOON) for text in texts]


def test_an_annotation_is_read_back_as_it_was_written(tmp_path):
    path = tmp_path / "annotations.jsonl"
    kept = annotation_from(WHOLE)
    assert write_annotations(path, [kept]) == 1
    assert json.loads(path.read_text()) == WHOLE
    assert list(read_annotations(path)) == [kept]
    assert kept.quotes == (Quote(3, 2, "awake at four", "physical cause"),)


def test_quotes_kept_apart_join_their_annotation(tmp_path):
    path = tmp_path / "evidence.jsonl"
    path.write_text('{"user_id": "p1", "evidence": [{"item": 1, "level": 0, "quote": "good"}]}\n')
    bare = annotation_from({**WHOLE, "evidence": []})
    (joined,) = with_quotes([bare], read_quotes(path))
    assert joined.quotes == (Quote(1, 0, "good"),)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"items": [1] * 8}, "there are 8 items, PHQ-9 has 9"),
        ({"items": [4] + [0] * 8}, "field items: a number is not within 0 and 3"),
        ({"items": "0"}, "field items: it is text of 1 characters"),
        ({"items": [True] * 9}, "field items: it is true or false"),
        ({"total": 28}, "total"),
        ({"sd": -1}, "field sd: a number is not within 0 and 27"),
        ({"sd": float("nan")}, "field sd: a number is not within 0 and 27"),
        ({"user_id": " "}, "field user_id"),
        ({"instrument": None}, "field instrument"),
        ({"evidence": [{"item": 10, "level": 1, "quote": "x"}]}, "use items 1 to 9"),
        ({"evidence": [{"item": 1, "level": 1.5, "quote": "x"}]}, "is not whole"),
        ({"evidence": [{"item": 1, "level": 1, "quote": ""}]}, "field quote: it is empty text"),
        ({"evidence": [{"item": 1, "level": 1, "quote": "x", "trap": "joke"}]}, "use idiom, other"),
    ],
)
def test_what_is_no_annotation_is_refused_with_the_field(change, problem):
    with pytest.raises(DataError, match=problem):
        annotation_from({**WHOLE, **change})


def test_a_broken_line_is_named_and_none_of_its_text_shown(tmp_path):
    path = tmp_path / "annotations.jsonl"
    bad = {**WHOLE, "evidence": [{"item": 99, "level": 1, "quote": "SECRET"}]}
    path.write_text(json.dumps(WHOLE) + "\n" + json.dumps(bad) + "\n")
    with pytest.raises(DataError, match=r"annotations.jsonl, line 2") as caught:
        list(read_annotations(path))
    assert "SECRET" not in str(caught.value)


def test_a_line_without_an_instrument_takes_the_one_that_was_said():
    bare = {name: value for name, value in WHOLE.items() if name != "instrument"}
    assert annotation_from(bare, "phq-9").instrument == "phq-9"
    with pytest.raises(DataError, match="field instrument: it is nothing"):
        annotation_from(bare)


def test_a_quote_is_found_in_the_person_s_words_only():
    messages = [Message("assistant", "you can't sleep", NOON), *said("no.", "I can’t\nsleep  now")]
    assert find_quote("can't sleep", messages) == (2, 2, 13)
    assert find_quote("can sleep", messages) is None
    assert find_quote("you can't", messages) is None
    assert find_quote("  ", messages) is None


@given(st.text(min_size=1), st.text(), st.text())
def test_any_words_of_a_message_are_found_in_it(quote, before, after):
    try:
        messages = said(before + quote + after)
    except DataError:
        return
    found = find_quote(quote, messages)
    if quote.split():
        assert found is not None
        index, start, end = found
        assert index == 0 and 0 <= start < end <= len(messages[0].content)


def test_an_annotation_without_samples_says_so():
    one = Annotation("p1", "claude", (0.0,) * 9, 0.0, 1.0)
    assert annotation_record(one)["spread"] is None and one.n_samples == 1


def test_each_person_has_one_annotation_and_strangers_are_passed_over(tmp_path):
    path = tmp_path / "annotations.jsonl"
    known, bare = annotation_from(WHOLE), annotation_from({**WHOLE, "user_id": "p2"})
    other = replace(bare, instrument="phq-8", items=bare.items[:8])
    write_annotations(path, [known, other, other])
    assert annotations_by_person(path, "phq-9", {known.user_id}) == {known.user_id: known}
    with pytest.raises(DataError, match="an annotation is of phq-8, phq-9 is estimated"):
        annotations_by_person(path, "phq-9")
    write_annotations(path, [known, bare, bare])
    with pytest.raises(DataError, match="a person has two annotations"):
        annotations_by_person(path, "phq-9")
