import sys
from datetime import UTC, datetime

import pytest
from tests.deidentify.made import KEY, found

from sottovoce.conversations import Message
from sottovoce.deidentify import open_deidentifier, presidio
from sottovoce.errors import MissingExtraError, ModelError

TAUGHT = [("I met Zyx today", (6, 9, "PERSON")), ("We left Quorn today", (8, 13, "GPE"))]


@pytest.fixture(scope="module")
def look():
    return presidio.presidio_look()


@pytest.fixture(scope="module")
def made_model(tmp_path_factory):
    """A spaCy model in a folder that knows two names, taught in a second."""
    import spacy
    from spacy.training import Example

    made = spacy.blank("en")
    made.add_pipe("ner")
    texts = [Example.from_dict(made.make_doc(text), {"entities": [span]}) for text, span in TAUGHT]
    optimizer = made.initialize(lambda: texts)
    for _ in range(40):
        made.update(texts, sgd=optimizer)
    folder = tmp_path_factory.mktemp("ner") / "model"
    made.to_disk(folder)
    return folder


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        ("person", "We laughed and then Anneke drove Ludmila home.", "Ludmila"),
        ("place", "The winters over in Harrogate are long.", "Harrogate"),
        ("identifier", "card 4111 1111 1111 1111", "4111 1111 1111 1111"),
        ("ip_address", "from 10.1.2.30 again", "10.1.2.30"),
    ],
)
def test_the_model_finds_names_and_presidio_numbers(look, kind, text, value):
    assert (kind, value) in found(look, text)


@pytest.mark.parametrize(
    "text",
    [
        "I scored 14 on Mondays, 14 out of 27 last week, 21/27 in May.",
        "50 mg Sertraline at 3am, Prozac at half past three, 20mg at night.",
        "Mum and Dad said no. Annoyed. Appetite gone. ok so bin day, ngl",
        "SHE WILL NOT STOP. My GP at the NHS said CBT.",
        "We moved from England to Texas and then India.",
    ],
)
def test_times_scores_doses_relatives_and_countries_survive(look, text):
    assert found(look, text) == []


def test_presidio_calls_itself_so_and_finds_what_patterns_find_too():
    hides = open_deidentifier("presidio", KEY)
    said = Message("user", "my insta is ana_b99, told Ludmila", datetime(2025, 1, 1, tzinfo=UTC))
    assert hides.label == "presidio"
    assert hides.deidentify("ada", [said]).counts == {"person": 1, "handle": 1}


def test_a_model_in_a_folder_is_used(made_model):
    own = presidio.presidio_look(made_model)
    assert found(own, "I met Zyx today") == [("person", "Zyx")]
    assert found(own, "We left Quorn today") == [("place", "Quorn")]


def test_a_model_that_is_not_there_is_not_downloaded(tmp_path):
    with pytest.raises(ModelError, match="--ner"):
        presidio.presidio_look(tmp_path)
    with pytest.raises(ModelError, match="--ner"):
        presidio.presidio_look("en_core_web_lg")


def test_a_model_that_finds_no_names_is_refused(tmp_path):
    import spacy

    spacy.blank("en").to_disk(tmp_path / "blank")
    with pytest.raises(ModelError, match="ner"):
        presidio.presidio_look(tmp_path / "blank")


def test_other_weights_than_the_pinned_ones_are_refused(monkeypatch):
    monkeypatch.setattr(presidio, "WEIGHTS", {"ner/model": "0" * 64})
    with pytest.raises(ModelError, match="ner/model"):
        presidio.presidio_look()


def test_a_missing_extra_is_one_sentence_with_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "presidio_analyzer", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'sottovoce\[deidentify\]'"):
        open_deidentifier("presidio")
