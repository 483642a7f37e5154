import pytest
from tests.deidentify.made import finding

from sottovoce.deidentify.cues import named_spans
from sottovoce.deidentify.kinds import Span, without_overlap
from sottovoce.deidentify.search import Search


def words(texts, using):
    found = using.find(texts)
    return [
        [text[span.start : span.end] for span in without_overlap(spans)]
        for text, spans in zip(texts, found, strict=True)
    ]


def test_a_name_found_once_is_found_in_every_message():
    texts = ["My boss Zyx Quorn rang.", "so I told off Zyx", "and Quorn’s desk", "zyx is a word"]
    assert words(texts, Search("", (named_spans,)))[:3] == [["Zyx Quorn"], ["Zyx"], ["Quorn"]]


def test_a_name_that_is_also_a_word_is_not_found_again_in_small_letters():
    texts = ["My sister Hope rang.", "i hope so", "I saw Hope there"]
    assert words(texts, Search("", (named_spans,))) == [["Hope"], [], ["Hope"]]


def test_a_clear_name_is_found_again_in_small_letters():
    texts = ["My sister Priya rang.", "priya is fine"]
    assert words(texts, Search("", (named_spans,)))[1] == ["priya"]


def test_a_surname_found_once_is_found_at_the_start_of_a_sentence():
    texts = ["My boss Zyx Quorn rang.", "Quorn again."]
    assert words(texts, Search("", (named_spans,)))[1] == ["Quorn"]


@pytest.mark.parametrize(
    "text", ["Oh for Pete's sake.", "He is a jack of all trades, Tom, Dick and Harry know."]
)
def test_people_of_idioms_are_nobody(text):
    assert words([text], Search("", (named_spans,))) == [[]]


def test_places_and_employers_are_found_again_whole():
    using = finding(lambda text: [(0, 10, "place")] if text.startswith("Zyx upon T") else [])
    assert words(["Zyx upon T", "to Zyx upon T, from Zyx"], using)[1] == ["Zyx upon T"]


def test_of_overlapping_spans_the_longest_is_kept():
    spans = [Span(0, 3, "person"), Span(2, 9, "url"), Span(9, 12, "date"), Span(4, 6, "age")]
    assert without_overlap(spans) == [Span(2, 9, "url"), Span(9, 12, "date")]
